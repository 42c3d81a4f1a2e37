"""The plan of the network and its PyTorch modules are the same: names, order, shapes, and what parts there are."""

import pytest

from stylebank.config import FIRST_EDITION, Network
from stylebank.network.architecture import Part, coder_shapes, decoder, encoder
from stylebank.network.instance_norm import InstanceNorm
from stylebank.network.layers import Conv, ResidualBlock, UpsampleConv
from stylebank.network.model import StyleBankNetwork

SHAPES = {
    "default": Network(),
    "narrow": Network(width=4, blocks=2, outer_kernel=3),
    "first edition": Network(width=8, blocks=0, outer_kernel=9),
    "the paper's": Network(width=32, blocks=0, outer_kernel=9, output="linear", restore_moments=False),
    "johnson": Network(width=4, kind="johnson", outer_kernel=9),
    "johnson, default": Network(kind="johnson"),
}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def parts(shape: Network) -> tuple[Part, ...]:
    return (*encoder(shape), *decoder(shape))


@shapes
def test_layers_are_the_modules_of_the_network(shape: Network) -> None:
    network = StyleBankNetwork(shape, [1], revises=True)
    named = {
        name: module for name, module in network.named_modules() if isinstance(module, Conv | InstanceNorm)
    }
    layers = [layer for part in parts(shape) for layer in part.layers]
    convolutions = [name for name, module in named.items() if isinstance(module, Conv)]
    norms = [name for name, module in named.items() if isinstance(module, InstanceNorm)]
    assert [layer.name for layer in layers] == convolutions
    assert [layer.norm for layer in layers if layer.norm] == norms
    for layer in layers:
        conv = named[layer.name]
        assert isinstance(conv, Conv)
        assert (layer.inputs, layer.outputs) == (conv.in_channels, conv.out_channels)
        assert (layer.kernel, layer.stride) == (conv.kernel_size[0], conv.stride[0])
        assert layer.upsampling == isinstance(conv, UpsampleConv)
        assert (conv.bias is None) == bool(layer.norm)


@shapes
def test_residual_parts_are_the_residual_blocks_of_the_network(shape: Network) -> None:
    network = StyleBankNetwork(shape, [1])
    wanted = [name for name, module in network.named_modules() if isinstance(module, ResidualBlock)]
    assert [part.name for part in parts(shape) if part.residual] == wanted


@shapes
def test_tensors_are_those_of_the_network_without_the_filters(shape: Network) -> None:
    network = StyleBankNetwork(shape, [1], revises=True)
    wanted = {
        name: tuple(weight.shape)
        for name, weight in network.state_dict().items()
        if name not in ("filters.0", "revisions.0")
    }
    assert coder_shapes(shape) == wanted


def test_a_filter_stands_between_encoder_and_decoder_and_blocks_are_parts_of_their_own() -> None:
    def shown(found: tuple[Part, ...]) -> list[tuple[str, bool, int]]:
        return [(part.name, part.residual, len(part.norms)) for part in found]

    first, last = ("encoder", False, 3), ("decoder", False, 2)
    default, old = Network(width=4), Network(width=4, blocks=0, outer_kernel=9)
    johnson = Network(width=4, kind="johnson")
    assert shown(encoder(default)) == shown(encoder(old)) == [first]
    assert shown(decoder(default)) == [*((f"decoder.{place}", True, 2) for place in range(5)), last]
    assert shown(decoder(old)) == shown(decoder(johnson)) == [last]
    assert shown(encoder(johnson)) == [first, *((f"encoder.{place}", True, 2) for place in range(3, 8))]


def test_the_standard_network_is_what_a_config_without_a_table_makes() -> None:
    assert (Network().width, Network().blocks, Network().outer_kernel) == (20, 5, 5)
    assert FIRST_EDITION == {"blocks": 0, "outer_kernel": 9}, "what files of before mean, for ever"


@shapes
def test_norms_are_the_first_layers_of_a_part(shape: Network) -> None:
    """So that "the first n norms" are those of the first n layers."""
    for part in parts(shape):
        assert part.norms == part.layers[: len(part.norms)]

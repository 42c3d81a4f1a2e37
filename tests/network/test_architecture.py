"""The plan of the network and its PyTorch modules are the same: names, order, shapes, and what parts there are."""

from typing import Literal

import pytest

from stylebank.config import Network
from stylebank.network.architecture import Part, coder_shapes, parts
from stylebank.network.instance_norm import InstanceNorm
from stylebank.network.layers import Conv, UpsampleConv
from stylebank.network.model import StyleBankNetwork

Kind = Literal["stylebank", "johnson"]


@pytest.mark.parametrize("kind", ["stylebank", "johnson"])
@pytest.mark.parametrize("width", [4, 8])
def test_layers_are_the_modules_of_the_network(kind: Kind, width: int) -> None:
    shape = Network(width=width, kind=kind)
    network = StyleBankNetwork(width=width, kernels=[3] if kind == "stylebank" else [1], kind=kind)
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


@pytest.mark.parametrize("kind", ["stylebank", "johnson"])
def test_tensors_are_those_of_the_network_without_the_filters(kind: Kind) -> None:
    network = StyleBankNetwork(width=4, kernels=[1], kind=kind)
    wanted = {
        name: tuple(weight.shape) for name, weight in network.state_dict().items() if "filters." not in name
    }
    assert coder_shapes(Network(width=4, kind=kind)) == wanted


def test_a_filter_stands_before_the_last_part_and_blocks_are_parts_of_their_own() -> None:
    def shown(found: tuple[Part, ...]) -> list[tuple[str, bool, int]]:
        return [(part.name, part.residual, len(part.norms)) for part in found]

    blocks = [(f"encoder.{place}", True, 2) for place in range(3, 8)]
    ends = [("encoder", False, 3), ("decoder", False, 2)]
    assert shown(parts(Network(width=4))) == ends
    assert shown(parts(Network(width=4, kind="johnson"))) == [ends[0], *blocks, ends[1]]


def test_norms_are_the_first_layers_of_a_part() -> None:
    """So that "the first n norms" are those of the first n layers."""
    for kind in ("stylebank", "johnson"):
        for part in parts(Network(width=4, kind=kind)):
            assert part.norms == part.layers[: len(part.norms)]

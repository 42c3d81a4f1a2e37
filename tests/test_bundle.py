"""The bank on disk: what comes back, what stays byte for byte, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stylebank import bundle, tensorfile
from stylebank.bundle import Bundle
from stylebank.config import Network
from stylebank.errors import TensorFileError
from stylebank.model import StyleBankNetwork
from stylebank.styleset import LayerImage, StyleSet
from stylebank.vgg import STYLE_LAYERS


def style_set(name: str, kernel: int = 3) -> StyleSet:
    layers = tuple(
        LayerImage(layer, f"{name}.jpg", "ab" * 32, (1, 2, 30, 40), (64, 48), 0.5) for layer in STYLE_LAYERS
    )
    return StyleSet(name=name, kernel=kernel, layers=layers)


STYLES = (style_set("one"), style_set("two", kernel=5), style_set("keys"))


@pytest.fixture
def network() -> StyleBankNetwork:
    torch.manual_seed(0)
    network = StyleBankNetwork(width=4, kernels=[style.kernel for style in STYLES])
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


@pytest.fixture
def bank(network: StyleBankNetwork) -> Bundle:
    return bundle.from_network(network, Network(width=4), STYLES, {"steps": 7})


def test_a_bank_comes_back_as_it_was_written(bank: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path / "bank.safetensors", bank)
    found = bundle.read(tmp_path / "bank.safetensors")
    assert (found.network, found.styles, found.training) == (bank.network, STYLES, {"steps": 7})
    assert found.tensors.keys() == bank.tensors.keys()
    assert all(torch.equal(found.tensors[name], bank.tensors[name]) for name in bank.tensors)


def test_tensors_are_named_after_what_they_are(bank: Bundle) -> None:
    others = [name for name in bank.tensors if not name.startswith("style.")]
    assert {name for name in bank.tensors if name.startswith("style.")} == {
        "style.one.filter",
        "style.two.filter",
        "style.keys.filter",
    }
    assert others
    assert all(name.startswith(("encoder.", "decoder.")) for name in others)
    assert bank.tensors["style.two.filter"].shape == (16, 16, 5, 5)


def test_the_built_network_is_the_one_that_was_saved(network: StyleBankNetwork, bank: Bundle) -> None:
    photo = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        wanted = network.stylize(photo, [0, 1, 2])
        found = bank.build().stylize(photo, [0, 1, 2])
        swapped = bank.build().stylize(photo, [2, 1, 0])
    # Filters are rounded to float16: 2^-11 of each weight, and instance norm keeps that relative size.
    assert (wanted - found).abs().max() < 5e-3
    assert (wanted - swapped).abs().max() > 5e-2, "the control: other filters give other pictures"


def test_a_snapshot_does_not_move_with_the_training(network: StyleBankNetwork, bank: Bundle) -> None:
    before = bank.tensors["encoder.0.conv.weight"].clone()
    with torch.no_grad():
        network.encoder[0].conv.weight.add_(1.0)  # type: ignore[operator, union-attr]
    assert torch.equal(bank.tensors["encoder.0.conv.weight"], before)


def test_equal_banks_are_equal_files(bank: Bundle, tmp_path: Path) -> None:
    for name in ("a", "b"):
        bundle.write(tmp_path / name, bank)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_growing_a_bank_keeps_the_bytes_of_what_it_held(bank: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path / "small", bank)
    small = bundle.read(tmp_path / "small")
    grown = replace(
        small,
        styles=(*small.styles, style_set("four")),
        tensors={**small.tensors, "style.four.filter": torch.zeros(16, 16, 3, 3, dtype=torch.float16)},
    )
    bundle.write(tmp_path / "grown", grown)
    found = bundle.read(tmp_path / "grown")
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in bank.tensors.items())
    assert all(found.tensors[name].dtype == tensor.dtype for name, tensor in bank.tensors.items())


def _without_a_tensor(bank: Bundle) -> Bundle:
    return replace(bank, tensors={k: v for k, v in bank.tensors.items() if k != "style.one.filter"})


def _with_a_stranger(bank: Bundle) -> Bundle:
    return replace(bank, tensors={**bank.tensors, "style.nobody.filter": torch.zeros(1)})


def _with_a_wrong_shape(bank: Bundle) -> Bundle:
    return replace(bank, tensors={**bank.tensors, "style.one.filter": torch.zeros(2, 2)})


def _with_a_style_twice(bank: Bundle) -> Bundle:
    return replace(bank, styles=(STYLES[0], STYLES[0], STYLES[2]))


def _with_a_path_for_a_name(bank: Bundle) -> Bundle:
    return replace(bank, styles=(replace(STYLES[0], name="../one"), *STYLES[1:]))


def _with_a_giant_filter(bank: Bundle) -> Bundle:
    return replace(bank, styles=(replace(STYLES[0], kernel=10**6 + 1), *STYLES[1:]))


def _with_an_even_filter(bank: Bundle) -> Bundle:
    return replace(bank, styles=(replace(STYLES[0], kernel=4), *STYLES[1:]))


def _with_a_giant_width(bank: Bundle) -> Bundle:
    return replace(bank, network=replace(bank.network, width=10**6))


@pytest.mark.parametrize(
    "spoil",
    [
        _without_a_tensor,
        _with_a_stranger,
        _with_a_wrong_shape,
        _with_a_style_twice,
        _with_a_path_for_a_name,
        _with_a_giant_filter,
        _with_an_even_filter,
        _with_a_giant_width,
    ],
)
def test_a_bank_whose_parts_do_not_fit_is_refused_in_one_line(
    spoil: "object", bank: Bundle, tmp_path: Path
) -> None:
    """Digests are right here: somebody made the file so."""
    assert callable(spoil)
    bundle.write(tmp_path / "bank", spoil(bank))
    with pytest.raises(TensorFileError) as caught:
        bundle.read(tmp_path / "bank")
    assert str(caught.value).startswith(f"{tmp_path / 'bank'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lost", ["network", "styles", "training"])
def test_a_manifest_without_a_part_is_refused(lost: str, bank: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path / "bank", bank)
    tensors, manifest = tensorfile.read(tmp_path / "bank", kind="bank")
    del manifest[lost]
    tensorfile.write(tmp_path / "bank", kind="bank", tensors=tensors, manifest=manifest)
    with pytest.raises(TensorFileError):
        bundle.read(tmp_path / "bank")


def test_a_checkpoint_is_not_taken_for_a_bank(tmp_path: Path) -> None:
    tensorfile.write(tmp_path / "c", kind="checkpoint", tensors={"x": torch.zeros(1)}, manifest={})
    with pytest.raises(TensorFileError, match="is a checkpoint file, not a bank"):
        bundle.read(tmp_path / "c")

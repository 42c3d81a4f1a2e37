"""The bank on disk: what comes back, what stays byte for byte, and what is refused."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.config import Network
from stylebank.errors import TensorFileError
from stylebank.files import resources, tensorfile
from stylebank.files.tensorfile import Arrays
from stylebank.network import architecture
from stylebank.network.model import StyleBankNetwork
from stylebank.pixels import folders

MakeBank = Callable[..., Bundle]
KERNELS = {"one": 3, "two": 5, "keys": 3}


@pytest.fixture
def network(make_bank: MakeBank) -> StyleBankNetwork:
    """As from a training: its filters are no float16 numbers yet."""
    network = make_bank(KERNELS).build()
    for weight in (*network.filters, *network.revisions):
        weight.mul_(1.0001)
    return network


@pytest.fixture
def bank(network: StyleBankNetwork, make_bank: MakeBank) -> Bundle:
    made = make_bank(KERNELS)
    return bundle.from_network(
        network,
        made.network,
        [entry.style for entry in made.entries],
        {"steps": 7},
        gains=[(entry.gain, entry.revision_gain) for entry in made.entries],
        cards=[entry.card for entry in made.entries if entry.card],
    )


def are_same(one: Arrays, other: Arrays) -> bool:
    """Whether tensors are of equal names, types and bits."""
    return one.keys() == other.keys() and all(
        tensor.dtype == other[name].dtype and np.array_equal(tensor, other[name])
        for name, tensor in one.items()
    )


def test_a_bank_comes_back_as_it_was_written(bank: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path / "bank.safetensors", bank)
    found = bundle.read(tmp_path / "bank.safetensors")
    assert (found.network, found.names, found.training) == (bank.network, tuple(KERNELS), {"steps": 7})
    assert are_same(found.coder, bank.coder)
    for entry, wanted in zip(found.entries, bank.entries, strict=True):
        assert (entry.style, entry.gain, entry.card) == (wanted.style, wanted.gain, wanted.card)
        assert entry.revision_gain == wanted.revision_gain != entry.gain
        assert entry.tensors.keys() == {"filter", "revision"}
        assert are_same(entry.tensors, wanted.tensors)
    assert not np.array_equal(found.entries[0].filter, bank.entries[2].filter), (
        "the control: no two are equal"
    )


def test_a_bank_without_report_cards_comes_back(
    network: StyleBankNetwork, bank: Bundle, tmp_path: Path
) -> None:
    """What a training that was stopped leaves."""
    styles = [entry.style for entry in bank.entries]
    bundle.write(
        tmp_path / "bank",
        bundle.from_network(network, bank.network, styles, {}, gains=[(1.0, 4.0), (2.0, 5.0), (3.0, 6.0)]),
    )
    found = bundle.read(tmp_path / "bank").entries
    assert [entry.card for entry in found] == [None] * 3
    assert [(entry.gain, entry.revision_gain) for entry in found] == [(1.0, 4.0), (2.0, 5.0), (3.0, 6.0)]


def test_tensors_are_named_after_what_they_are(bank: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path / "bank", bank)
    tensors, _ = tensorfile.read(tmp_path / "bank", kind="bank")
    filters = {name for name in tensors if name.startswith("style.")}
    assert filters == {f"style.{name}.{kind}" for name in KERNELS for kind in ("filter", "revision")}
    assert tensors["style.two.filter"].shape == tensors["style.two.revision"].shape == (16, 16, 5, 5)
    assert {tensors[name].dtype for name in filters} == {np.dtype(np.float16)}
    others = tensors.keys() - filters
    assert others == bank.coder.keys()
    assert others
    assert all(name.startswith(("encoder.", "decoder.")) for name in others)


def test_the_built_network_is_the_one_that_was_saved(network: StyleBankNetwork, bank: Bundle) -> None:
    photo = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = network.stylize(photo, [0, 1, 2])
        found = bank.build().stylize(photo, [0, 1, 2])
        swapped = bank.build().stylize(photo, [2, 1, 0])
    assert not torch.equal(wanted, found), "filters are rounded, the others are as they were"
    # Filters are rounded to float16: 2^-11 of each weight, and instance norm keeps that relative size.
    assert (wanted - found).abs().max() < 5e-3
    assert (wanted - swapped).abs().max() > 5e-2, "the control: other filters give other pictures"


@pytest.mark.parametrize("again", [False, True])
def test_the_built_network_has_the_filters_of_the_file(again: bool, bank: Bundle) -> None:
    built = bank.build()
    for place, entry in enumerate(bank.entries):
        weight = (built.revisions if again else built.filters)[place]
        assert np.array_equal(weight.numpy(), entry.tensors["revision" if again else "filter"])


@pytest.mark.parametrize("shape", [Network(), Network(width=8, blocks=0), Network(kind="johnson", width=4)])
def test_the_tensors_that_a_file_must_hold_are_those_of_the_network(shape: Network) -> None:
    network = StyleBankNetwork(shape, [1]).state_dict()
    del network["filters.0"]
    wanted = {name: tuple(tensor.shape) for name, tensor in network.items()}
    assert architecture.coder_shapes(shape) == wanted
    assert {tensor.dtype for tensor in network.values()} == {torch.float32}


def test_a_snapshot_does_not_move_with_the_training(network: StyleBankNetwork, bank: Bundle) -> None:
    before = bank.coder["encoder.0.conv.weight"].copy()
    filter_before, revision_before = (tensor.copy() for tensor in bank.entries[0].tensors.values())
    with torch.no_grad():
        network.encoder[0].conv.weight.add_(1.0)  # type: ignore[operator, union-attr]
        network.filters[0].add_(1.0)
        network.revisions[0].add_(1.0)
    assert np.array_equal(bank.coder["encoder.0.conv.weight"], before)
    assert np.array_equal(bank.entries[0].filter, filter_before)
    assert np.array_equal(bank.entries[0].tensors["revision"], revision_before)


def test_equal_banks_are_equal_files(bank: Bundle, tmp_path: Path) -> None:
    for name in ("a", "b"):
        bundle.write(tmp_path / name, bank)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_growing_a_bank_keeps_the_bytes_of_what_it_held(
    bank: Bundle, make_bank: MakeBank, tmp_path: Path
) -> None:
    bundle.write(tmp_path / "small", bank)
    small = bundle.read(tmp_path / "small")
    bundle.write(
        tmp_path / "grown", replace(small, entries=(*small.entries, *make_bank({"four": 3}).entries))
    )
    before, after = (tensorfile.read(tmp_path / name, kind="bank")[0] for name in ("small", "grown"))
    assert after.pop("style.four.filter").shape == (16, 16, 3, 3)
    assert after.pop("style.four.revision").shape == (16, 16, 3, 3)
    assert are_same(before, after)
    assert bundle.read(tmp_path / "grown").coder_digest() == small.coder_digest()


def test_the_coder_digest_tells_encoders_decoders_and_shapes_apart_and_nothing_else(
    bank: Bundle, make_bank: MakeBank
) -> None:
    own = bank.coder_digest()
    backwards = dict(reversed(list(bank.coder.items())))
    for same in (replace(bank, entries=(), training={}), replace(bank, coder=backwards)):
        assert same.coder_digest() == own
    others = [make_bank(KERNELS, seed=1)]
    others += [replace(bank, network=replace(bank.network, output="linear"))]
    others += [replace(bank, network=replace(bank.network, restore_moments=False))]
    others += [replace(bank, network=replace(bank.network, blocks=3))]
    others += [replace(bank, network=replace(bank.network, outer_kernel=7))]
    for name, weight in bank.coder.items():
        nudged = weight.copy()
        nudged.flat[0] = np.nextafter(nudged.flat[0], np.float32(9))
        others.append(replace(bank, coder={**bank.coder, name: nudged}))
    digests = {other.coder_digest() for other in others}
    assert len(digests) == len(others), "one bit of one weight makes another"
    assert own not in digests


def _entry_changed(bank: Bundle, change: Callable[[Entry], Entry]) -> Bundle:
    return replace(bank, entries=(change(bank.entries[0]), *bank.entries[1:]))


def _without_a_tensor(bank: Bundle) -> Bundle:
    return replace(bank, coder={k: v for k, v in bank.coder.items() if k != "decoder.4.bias"})


def _with_a_stranger(bank: Bundle) -> Bundle:
    return replace(bank, coder={**bank.coder, "style.nobody.filter": np.zeros(1)})


def _with_a_wrong_shape(bank: Bundle) -> Bundle:
    return _entry_changed(bank, lambda entry: replace(entry, filter=np.zeros((2, 2), np.float16)))


def _with_a_style_twice(bank: Bundle) -> Bundle:
    return replace(bank, entries=(*bank.entries, bank.entries[0]))


def _with_a_path_for_a_name(bank: Bundle) -> Bundle:
    return _entry_changed(bank, lambda entry: replace(entry, style=replace(entry.style, name="../one")))


def _with_a_giant_filter(bank: Bundle) -> Bundle:
    return _entry_changed(bank, lambda entry: replace(entry, style=replace(entry.style, kernel=10**6 + 1)))


def _with_an_even_filter(bank: Bundle) -> Bundle:
    return _entry_changed(bank, lambda entry: replace(entry, style=replace(entry.style, kernel=4)))


def _with_a_giant_width(bank: Bundle) -> Bundle:
    return replace(bank, network=replace(bank.network, width=10**6))


def _with_an_even_outer_kernel(bank: Bundle) -> Bundle:
    shape = replace(bank.network, outer_kernel=4)
    shapes = architecture.coder_shapes(shape)
    coder = {name: np.zeros(size, np.float32) for name, size in shapes.items()}
    return replace(bank, network=shape, coder=coder)


def _with_a_revision_of_another_shape(bank: Bundle) -> Bundle:
    return _entry_changed(bank, lambda entry: replace(entry, revision=np.zeros((16, 16, 1, 1), np.float16)))


def _with_a_revision_of_infinities(bank: Bundle) -> Bundle:
    return _entry_changed(bank, lambda entry: replace(entry, revision=entry.filter + np.float16(np.inf)))


def _without_a_revision_gain(bank: Bundle) -> Bundle:
    return _entry_changed(bank, lambda entry: replace(entry, revision_gain=-1.0))


def _without_a_gain(bank: Bundle) -> Bundle:
    return _entry_changed(bank, lambda entry: replace(entry, gain=0.0))


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
        _without_a_gain,
        _with_an_even_outer_kernel,
        _with_a_revision_of_another_shape,
        _with_a_revision_of_infinities,
        _without_a_revision_gain,
    ],
)
def test_a_bank_whose_parts_do_not_fit_is_refused_in_one_line(
    spoil: Callable[[Bundle], Bundle], bank: Bundle, tmp_path: Path
) -> None:
    """Digests are right here: somebody made the file so."""
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


@pytest.mark.parametrize(
    "name", ["style.one.filter", "style.keys.filter", "style.two.revision", "encoder.0.conv.weight"]
)
def test_a_file_without_one_of_its_tensors_is_refused_by_that_tensor(
    name: str, bank: Bundle, tmp_path: Path
) -> None:
    bundle.write(tmp_path / "bank", bank)
    tensors, manifest = tensorfile.read(tmp_path / "bank", kind="bank")
    del tensors[name]
    tensorfile.write(tmp_path / "bank", kind="bank", tensors=tensors, manifest=manifest)
    with pytest.raises(TensorFileError, match=f"tensor '{name}' is missing"):
        bundle.read(tmp_path / "bank")


def test_a_second_filter_that_the_manifest_does_not_know_is_refused(bank: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path / "bank", bank)
    tensors, manifest = tensorfile.read(tmp_path / "bank", kind="bank")
    del manifest["styles"][1]["revision_gain"]
    tensorfile.write(tmp_path / "bank", kind="bank", tensors=tensors, manifest=manifest)
    with pytest.raises(TensorFileError, match=r"tensor 'style\.two\.revision' does not belong"):
        bundle.read(tmp_path / "bank")


def test_a_checkpoint_is_not_taken_for_a_bank(tmp_path: Path) -> None:
    tensorfile.write(tmp_path / "c", kind="checkpoint", tensors={"x": np.zeros(1)}, manifest={})
    with pytest.raises(TensorFileError, match="is a checkpoint file, not a bank"):
        bundle.read(tmp_path / "c")


NO_PYTORCH = """
import sys
from pathlib import Path
from stylebank.bank import bundle, entries, mixture
from stylebank.batch import planning
from stylebank.files import resources
from stylebank.pixels import folders

bank = bundle.read(resources.shipped_bank())
print(*bank.names)
bank.mixed_filter(mixture.parse(f"{bank.names[0]}:1+{bank.names[1]}:2").weights)
jobs = planning.plan([resources.photos_folder()], Path("out"), styles=["x"], force=False).jobs
print(len(jobs), "torch" in sys.modules)
"""


def test_reading_and_listing_a_bank_and_planning_a_batch_need_no_pytorch(tmp_path: Path) -> None:
    """Importing it takes longer than all of that."""
    program = [sys.executable, "-c", NO_PYTORCH]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=True)
    shipped = bundle.read(resources.shipped_bank())
    photos = folders.find_photos(resources.photos_folder())
    assert done.stdout.splitlines() == [" ".join(shipped.names), f"{len(photos)} False"]

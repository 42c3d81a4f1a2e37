"""One entry of a bank: equal after every way through a file, small, and refused if anything about it is off."""

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylebank.bank import bundle, entries
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Card, Entry
from stylebank.config import Network, Style
from stylebank.errors import StyleBankError, TensorFileError
from stylebank.files import tensorfile
from stylebank.training import added, addition

MakeBank = Callable[..., Bundle]
Spoil = Callable[[dict[str, Any]], object]

CODER = "0123456789abcdef" * 4
CARD = Card("added", 300, 71.4, 8, 384, (0.1, 0.2, 0.3, 0.4, 0.5), 0.1 + 0.2, 0.7)
FACTS = {"photos": "a" * 64, "vgg": "b" * 64, "precision": "bfloat16"}


@pytest.fixture(scope="module")
def entry(make_bank: MakeBank) -> Entry:
    """As `add-style` makes it: with a card and the recipe of its training."""
    bank = make_bank({"wave": 3})
    experiment = added.experiment_for(bank, Style("wave", image="wave.jpg"), steps=None, seed=3)
    recipe = json.loads(json.dumps(addition.recipe(experiment, FACTS)))
    return replace(bank.entries[0], card=CARD, recipe=recipe)


@pytest.fixture
def file(entry: Entry, tmp_path: Path) -> Path:
    path = tmp_path / "wave.style.safetensors"
    entries.write(path, entry, coder_digest=CODER)
    return path


def refusal(path: Path) -> str:
    """Why a style file is refused: one printable line that begins with its path."""
    with pytest.raises(TensorFileError) as caught:
        entries.read(path)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    return message


finite = st.floats(allow_nan=False, allow_infinity=False)
cards = st.none() | st.builds(
    Card,
    origin=st.sampled_from(["joint", "added"]),
    steps=st.integers(0, 10**8),
    seconds=finite,
    photos=st.integers(0, 1000),
    side=st.integers(1, 4096),
    style_ratio=st.lists(finite, max_size=5).map(tuple),
    content=finite,
    ssim=finite,
)


gains = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@given(gain=gains, revision_gain=gains, card=cards)
def test_a_manifest_comes_back_exactly(
    gain: float, revision_gain: float, card: Card | None, entry: Entry
) -> None:
    made = replace(entry, gain=gain, revision_gain=revision_gain, card=card)
    found = entries.from_manifest(json.loads(json.dumps(made.to_manifest())), entry.tensors)
    assert (found.style, found.gain, found.card, found.recipe) == (entry.style, gain, card, entry.recipe)
    assert found.revision_gain == revision_gain
    assert repr(found.card) == repr(card), "types too, and the sign of zero"
    assert found.is_same(made)


def test_a_style_file_comes_back_exactly(file: Path, entry: Entry) -> None:
    found, coder = entries.read(file)
    assert coder == CODER
    assert (found.style, found.gain, found.card, found.recipe) == (
        entry.style,
        entry.gain,
        CARD,
        entry.recipe,
    )
    assert found.tensors.keys() == {"filter", "revision"}
    for name, tensor in found.tensors.items():
        assert tensor.dtype == entry.tensors[name].dtype == np.float16
        assert np.array_equal(tensor, entry.tensors[name])
    assert not np.array_equal(found.filter, found.tensors["revision"]), "the control"
    assert found.revision_gain == entry.revision_gain
    assert found.is_same(entry)


def test_entries_that_differ_in_anything_are_not_the_same(entry: Entry) -> None:
    nudged, again = entry.filter.copy(), entry.tensors["revision"].copy()
    for tensor in (nudged, again):
        tensor[0, 0, 0, 0] = np.nextafter(tensor[0, 0, 0, 0], np.float16(9))
    first, *rest = entry.style.layers
    others = [
        replace(entry, filter=nudged),
        replace(entry, gain=entry.gain * (1 + 2**-52)),
        replace(entry, revision=again),
        replace(entry, revision=None),
        replace(entry, revision=entry.filter, filter=again),
        replace(entry, revision_gain=entry.revision_gain * (1 + 2**-52)),
        replace(entry, card=None),
        replace(entry, card=replace(CARD, steps=301)),
        replace(entry, recipe={}),
        replace(entry, style=replace(entry.style, name="other")),
        replace(entry, style=replace(entry.style, layers=(replace(first, weight=0.25), *rest))),
    ]
    assert [entry.is_same(other) for other in others] == [False] * len(others)
    assert entry.is_same(replace(entry, filter=entry.filter.copy())), "the control: equal, not identical"


def test_equal_entries_are_equal_files(file: Path, entry: Entry, tmp_path: Path) -> None:
    again, coder = entries.read(file)
    backwards = replace(again, recipe=dict(reversed(list(again.recipe.items()))))
    for name, same in (("again", again), ("backwards", backwards)):
        entries.write(tmp_path / name, same, coder_digest=coder)
        assert (tmp_path / name).read_bytes() == file.read_bytes()
    entries.write(tmp_path / "other", replace(entry, gain=2.0), coder_digest=coder)
    assert (tmp_path / "other").read_bytes() != file.read_bytes(), "the control"


def test_a_style_without_a_second_filter_comes_back_without_one(entry: Entry, tmp_path: Path) -> None:
    single = replace(entry, revision=None, revision_gain=1.0)
    entries.write(tmp_path / "single", single, coder_digest=CODER)
    found, _ = entries.read(tmp_path / "single")
    assert found.is_same(single)
    assert found.tensors.keys() == {"filter"}
    tensors, manifest = tensorfile.read(tmp_path / "single", kind="style")
    assert tensors.keys() == {"filter"}
    assert set(manifest["entry"]) == set(ENTRY_KEYS), "as files were before there were second filters"


@pytest.mark.parametrize("again", [False, True])
def test_a_style_without_a_second_filter_paints_again_with_its_first(again: bool, entry: Entry) -> None:
    single = replace(entry, revision=None, revision_gain=7.0)
    weight, gain = single.of_pass(again=again)
    assert (weight is single.filter, gain) == (True, single.gain)
    own, gain = entry.of_pass(again=again)
    assert (own is (entry.revision if again else entry.filter)) is True
    assert gain == (entry.revision_gain if again else entry.gain)


def test_a_style_of_full_width_fits_into_240_kb(entry: Entry, tmp_path: Path) -> None:
    layers = tuple(
        replace(
            layer,
            source="The Great Wave off Kanagawa, Katsushika Hokusai.jpg",
            crop=(1024, 1024, 4096, 3072),
            size=(1024, 768),
            weight=0.1 + 0.2,
        )
        for layer in entry.style.layers
    )
    path = tmp_path / "full"
    channels = 4 * Network().width
    weight = np.random.default_rng(0).standard_normal((channels, channels, 3, 3)).astype(np.float16)
    style = replace(entry.style, name="n" * 64, layers=layers)
    entries.write(path, replace(entry, style=style, filter=weight, revision=weight), coder_digest=CODER)
    assert weight.nbytes == 115_200
    assert 2 * weight.nbytes < path.stat().st_size <= 240_000


def test_flipped_bits_are_found_wherever_they_are(file: Path) -> None:
    data, chance = file.read_bytes(), random.Random(0)
    start = 8 + int.from_bytes(data[:8], "little")
    places = [*range(16), *chance.sample(range(16, start), 150), *chance.sample(range(start, len(data)), 50)]
    with file.open("r+b", buffering=0) as opened:
        for place in places:
            for bit in range(8) if place < 16 else [chance.randrange(8)]:
                os.pwrite(opened.fileno(), bytes([data[place] ^ 1 << bit]), place)
                refusal(file)
            os.pwrite(opened.fileno(), data[place : place + 1], place)
    assert entries.read(file), "the control: it was the flips"


def test_a_file_cut_short_or_with_a_tail_is_refused(file: Path) -> None:
    data, chance = file.read_bytes(), random.Random(1)
    for length in [0, 1, 7, 8, 9, len(data) - 1, *chance.sample(range(len(data)), 100)]:
        file.write_bytes(data[:length])
        refusal(file)
    file.write_bytes(data + b"\0")
    refusal(file)
    file.write_bytes(data)
    assert entries.read(file), "the control"


def test_a_bank_is_not_taken_for_a_style_nor_a_style_for_a_bank(
    file: Path, make_bank: MakeBank, tmp_path: Path
) -> None:
    bundle.write(tmp_path / "bank", make_bank({"wave": 3}))
    assert "is a bank file, not a style; give a style file" in refusal(tmp_path / "bank")
    with pytest.raises(TensorFileError, match="is a style file, not a bank; give a bank file"):
        bundle.read(file)


@pytest.mark.parametrize("key", ["gain", "revision_gain"])
@pytest.mark.parametrize("gain", [float("nan"), float("inf"), -float("inf"), 0, -0.0, -1.0, True, 2**70])
def test_a_gain_is_a_positive_number(gain: float, key: str, entry: Entry) -> None:
    with pytest.raises(StyleBankError, match="gain") as caught:
        entries.from_manifest(entry.to_manifest() | {key: gain}, entry.tensors)
    assert str(caught.value).isprintable()
    found = entries.from_manifest(entry.to_manifest() | {key: 2}, entry.tensors)
    value = {"gain": found.gain, "revision_gain": found.revision_gain}[key]
    assert (value, type(value)) == (2.0, float), "the control"


def put(*keys: str | int, value: object) -> Spoil:
    """Change one value, deep in a manifest."""

    def spoil(manifest: Any) -> None:
        for key in keys[:-1]:
            manifest = manifest[key]
        manifest[keys[-1]] = value

    return spoil


def lose(*keys: str) -> Spoil:
    """Take one key away."""

    def spoil(manifest: Any) -> None:
        for key in keys[:-1]:
            manifest = manifest[key]
        del manifest[keys[-1]]

    return spoil


OTHERS: tuple[object, ...] = (None, 5, [CODER], {}, True)
ENTRY_KEYS = ("style", "gain", "card", "recipe")
CARD_KEYS = ("origin", "steps", "seconds", "photos", "side", "style_ratio", "content", "ssim")
WRONG: dict[str, list[object]] = {
    "gain": [0, -0.5, True, "1", None, [1.0], 10**400],
    "revision_gain": [0, True, "1", None],
    "style": [None, [], "wave", {}],
    "recipe": [None, 5, "ab", ["ab1"], True],
    "card": [[], "ab", 1, False, {}],
}
WRONG_IN_CARD: dict[str, list[object]] = {
    "origin": ["borrowed", None, 1, ["added"]],
    "steps": [7.0, "7", True, None],
    "seconds": ["1", True, None, 10**400],
    "photos": [1.5],
    "side": [[384]],
    "style_ratio": [0.5, None, ["a"], [[0.5]], [True], {}],
    "ssim": [True, None, "x" * 100_000, {"x\n": 1}],
}
WRONG_IN_STYLE: dict[str, list[object]] = {
    "name": ["Wave", "../wave", "", 3, None, "wave\n", "n" * 65],
    "kernel": [4, 0, -3, 17, 3.5, "3", None],
    "layers": [[], None, {}, "abc"],
}
SPOILS: dict[str, Spoil] = {
    **{f"entry without {key}": lose("entry", key) for key in (*ENTRY_KEYS, "revision_gain")},
    **{f"card without {key}": lose("entry", "card", key) for key in CARD_KEYS},
    **{f"style without {key}": lose("entry", "style", key) for key in WRONG_IN_STYLE},
    **{f"file without {key}": lose(key) for key in ("coder", "entry")},
    **{
        f"{key} {value!r:.20}": put("entry", *place, key, value=value)
        for place, wrong in (((), WRONG), (("card",), WRONG_IN_CARD), (("style",), WRONG_IN_STYLE))
        for key, values in wrong.items()
        for value in values
    },
    **{f"coder {value!r}": put("coder", value=value) for value in OTHERS},
    **{f"entry {value!r}": put("entry", value=value) for value in OTHERS},
    "unknown key of entry": put("entry", "gains", value=1.0),
    "unknown key of card": put("entry", "card", "psnr", value=1.0),
    "unknown key of style": put("entry", "style", "colour", value="blue"),
    "unknown key of layer": put("entry", "style", "layers", 0, "path", value="/home"),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_manifest_of_another_form_is_refused_in_one_line(spoil: Spoil, file: Path) -> None:
    """Digests are right here: somebody made the file so."""
    tensors, manifest = tensorfile.read(file, kind="style")
    tensorfile.write(file, kind="style", tensors=tensors, manifest=manifest)
    assert entries.read(file), "the control"
    spoil(manifest)
    tensorfile.write(file, kind="style", tensors=tensors, manifest=manifest)
    message = refusal(file)
    assert "is no style of this version" in message
    assert len(message) < len(str(file)) + 400


@pytest.mark.parametrize(
    "names",
    [[], ["weight"], ["filter", "more"], ["filter"], ["revision"], ["filter", "revision", "more"]],
    ids=str,
)
def test_a_style_file_holds_the_filters_that_its_manifest_says(
    names: list[str], file: Path, entry: Entry
) -> None:
    _, manifest = tensorfile.read(file, kind="style")
    tensors = {name: entry.filter.copy() for name in names}
    tensorfile.write(file, kind="style", tensors=tensors, manifest=manifest)
    refusal(file)

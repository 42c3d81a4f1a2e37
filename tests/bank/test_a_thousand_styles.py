"""A bank takes a thousand styles with names and recipes as long as they may be, and says beforehand when it is full."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stylebank.bank import bundle, editing
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.config import Network
from stylebank.errors import OutputError
from stylebank.files import tensorfile


@pytest.fixture(scope="module")
def full(make_bank: Callable[..., Bundle]) -> Bundle:
    """A thousand added styles."""
    bank = make_bank({"wave": 3}, shape=Network(width=1, blocks=0))
    return replace(bank, entries=tuple(entry(bank.entries[0], f"{place:064d}") for place in range(1000)))


def entry(like: Entry, name: str) -> Entry:
    layers = tuple(replace(layer, source="a painting, of some year.jpg") for layer in like.style.layers)
    recipe = {
        "loss": {"layer_weights": [1.0] * 5},
        "training": {"steps": 1000},
        "photos": "0" * 64,
        "x": "y" * 800,
    }
    return replace(like, style=replace(like.style, name=name, layers=layers), recipe=recipe)


def test_a_thousand_styles_are_written_read_and_grown(full: Bundle, tmp_path: Path) -> None:
    started = time.process_time()
    bundle.write(tmp_path / "bank", full)
    found = bundle.read(tmp_path / "bank")
    assert time.process_time() - started < 10, (
        "a second or so; a search through all for each would take minutes"
    )
    assert found.names == full.names
    assert found.entries[999].is_same(full.entries[999])
    editing.check_room(tmp_path / "bank", found, entry(full.entries[0], "new"))
    editing.edit(tmp_path / "bank", editing.renaming(full.names[7], "seven"))
    assert bundle.read(tmp_path / "bank").names[7] == "seven"


def test_the_room_is_known_before_a_file_is_made(full: Bundle) -> None:
    tensors, manifest = bundle.parts(full)
    thought = tensorfile.header_length(kind="bank", tensors=tensors, manifest=manifest)
    written = tensorfile.serialise(kind="bank", tensors=tensors, manifest=manifest)
    # Offsets are thought to be as long as the last one: a few digits less for each of two thousand tensors.
    assert 0 <= thought - int.from_bytes(written[:8], "little") < 0.01 * thought


def test_a_bank_that_is_full_says_so(full: Bundle, tmp_path: Path) -> None:
    endless = replace(full.entries[0], recipe={"x": "y" * (tensorfile.MAX_HEADER // 2)})
    with pytest.raises(
        OutputError, match=r"bank: has no room for another style \(1001 styles; a header of \d+ bytes"
    ):
        editing.check_room(tmp_path / "bank", replace(full, entries=(*full.entries, endless)), endless)

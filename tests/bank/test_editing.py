"""Changing a bank file: what a change does not name keeps every bit, and a refused change leaves no trace."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylebank import StyleBank
from stylebank.bank import bundle, editing, entries
from stylebank.bank.bundle import Bundle
from stylebank.bank.editing import Change
from stylebank.bank.entries import Entry
from stylebank.errors import ConfigError, OutputError, StyleBankError, UnknownStyleError
from stylebank.files import tensorfile

MakeBank = Callable[..., Bundle]
Stored = Mapping[str, tuple[str, list[int], bytes]]

KERNELS = {"wave": 3, "night": 5, "scream": 1}


@pytest.fixture
def contents(make_bank: MakeBank) -> Bundle:
    """Among its weights are the two that arithmetic would lose: minus zero, and less than float32's smallest normal."""
    made = make_bank(KERNELS, training={"steps": 7})
    made.coder["encoder.0.conv.weight"].flat[:2] = -0.0, 1e-45
    made.entries[0].filter.flat[:2] = -0.0, 6e-8
    return made


@pytest.fixture
def bank(contents: Bundle, tmp_path: Path) -> Path:
    """The file alone in a folder."""
    bundle.write(tmp_path / "banks" / "bank", contents)
    return tmp_path / "banks" / "bank"


@pytest.fixture
def new(make_bank: MakeBank) -> Entry:
    return make_bank({"mosaic": 3}).entries[0]


def stored(path: Path) -> Stored:
    """Type, shape and bytes of every tensor, cut out of a file by hand."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    del header["__metadata__"]
    offsets = {name: entry["data_offsets"] for name, entry in header.items()}
    return {
        name: (entry["dtype"], entry["shape"], data[start + offsets[name][0] : start + offsets[name][1]])
        for name, entry in header.items()
    }


def appended(bank: Path, entry: Entry) -> Bundle:
    digest = bundle.read(bank).coder_digest()
    return editing.edit(bank, editing.adding(entry, coder_digest=digest, source="test"))


def folder(path: Path) -> dict[Path, tuple[int, bytes]]:
    """Every file of a folder, hidden ones too, with the time of its last change and its bytes."""
    return {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in path.iterdir()}


def painted(path: Path, *names: str) -> list[torch.Tensor]:
    loaded = StyleBank.load(path, device="cpu")
    photo = torch.rand(2, 3, 32, 36, generator=torch.Generator().manual_seed(0))
    return [loaded.stylize(photo, name) for name in names]


@pytest.mark.parametrize("change", ["add", "remove", "rename", "add, remove, rename"])
def test_what_a_change_does_not_name_keeps_its_bytes_and_its_pictures(
    change: str, bank: Path, new: Entry
) -> None:
    before, pictures = stored(bank), painted(bank, "wave", "scream")
    cards = {entry.name: entry.to_manifest() for entry in bundle.read(bank).entries}
    if "add" in change:
        appended(bank, new)
    if "remove" in change:
        editing.edit(bank, editing.removing(["night"]))
    if "rename" in change:
        editing.edit(bank, editing.renaming("mosaic" if "add" in change else "night", "tiles"))
    after = stored(bank)
    coder = {name for name in before if not name.startswith("style.")}
    frozen = coder | {
        f"style.{name}.{kind}" for name in ("wave", "scream") for kind in ("filter", "revision")
    }
    assert before != after, "the change took place"
    assert {name: after[name] for name in frozen} == {name: before[name] for name in frozen}
    assert before["encoder.0.conv.weight"][2][:8] == b"\0\0\0\x80\1\0\0\0", (
        "minus zero and 1e-45, as they were"
    )
    found = {entry.name: entry.to_manifest() for entry in bundle.read(bank).entries}
    assert [found[name] for name in ("wave", "scream")] == [cards[name] for name in ("wave", "scream")]
    again = painted(bank, "wave", "scream")
    assert all(torch.equal(a, b) for a, b in zip(pictures, again, strict=True))
    assert not torch.equal(pictures[0], pictures[1]), "the control: styles are told apart"


def test_a_renamed_style_is_the_same_in_its_place_under_another_name(bank: Path) -> None:
    before, (picture,) = stored(bank), painted(bank, "night")
    cards = bundle.read(bank).entries
    found = editing.edit(bank, editing.renaming("night", "x-2_"))
    assert found.names == bundle.read(bank).names == ("wave", "x-2_", "scream")
    for kind in ("filter", "revision"):
        assert stored(bank)[f"style.x-2_.{kind}"] == before[f"style.night.{kind}"]
    assert (found.entries[1].gain, found.entries[1].card) == (cards[1].gain, cards[1].card)
    assert found.entries[1].revision_gain == cards[1].revision_gain
    assert torch.equal(painted(bank, "x-2_")[0], picture)


def test_what_was_added_and_removed_again_or_renamed_back_leaves_the_old_bytes(
    bank: Path, new: Entry
) -> None:
    before = bank.read_bytes()
    add = editing.adding(new, coder_digest=bundle.read(bank).coder_digest(), source="test")
    for there, back in (
        (add, editing.removing(["mosaic"])),
        (editing.renaming("wave", "sea"), editing.renaming("sea", "wave")),
    ):
        editing.edit(bank, there)
        assert bank.read_bytes() != before
        editing.edit(bank, back)
        assert bank.read_bytes() == before


def test_the_order_of_additions_changes_the_order_alone(
    bank: Path, contents: Bundle, make_bank: MakeBank, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    bundle.write(other, contents)
    a, b = make_bank({"a": 3, "b": 5}).entries
    for path, order in ((bank, (a, b)), (other, (b, a))):
        for entry in order:
            appended(path, entry)
    one, two = bundle.read(bank), bundle.read(other)
    assert (one.names, two.names) == ((*KERNELS, "a", "b"), (*KERNELS, "b", "a"))
    assert stored(bank) == stored(other)
    assert all(entry.is_same(two.find(entry.name)) for entry in one.entries)
    assert all(
        torch.equal(x, y) for x, y in zip(painted(bank, "a", "b"), painted(other, "a", "b"), strict=True)
    )


def test_several_styles_are_removed_at_once_and_naming_one_twice_does_no_harm(bank: Path) -> None:
    assert editing.edit(bank, editing.removing(["scream", "wave", "scream"])).names == ("night",)
    assert bundle.read(bank).names == ("night",)


def test_a_bank_may_lose_its_last_style_and_grow_again(bank: Path, contents: Bundle, new: Entry) -> None:
    editing.edit(bank, editing.removing(list(KERNELS)))
    empty = bundle.read(bank)
    assert (empty.names, empty.training, empty.network) == ((), {"steps": 7}, contents.network)
    assert empty.coder_digest() == contents.coder_digest()
    with pytest.raises(UnknownStyleError, match="it has no styles"):
        StyleBank(empty).stylize(Image.new("RGB", (20, 17)), "wave")
    assert appended(bank, new).names == ("mosaic",)
    assert painted(bank, "mosaic")


REFUSED: dict[str, tuple[Callable[[Entry, str], Change], type[StyleBankError], str]] = {
    "another coder": (
        lambda new, _: editing.adding(new, coder_digest="f" * 64, source="x.style"),
        OutputError,
        r"^x\.style: .*another encoder and decoder than the bank's \(ffffffffffff, not [0-9a-f]{12}\); use the bank",
    ),
    "added name taken": (
        lambda new, own: editing.adding(editing.renamed(new, "night"), coder_digest=own, source="x.style"),
        OutputError,
        "^style 'night': is in the bank already; choose another name",
    ),
    "new name taken": (
        lambda *_: editing.renaming("wave", "night"),
        OutputError,
        "^style 'night': is in the bank already; choose another name",
    ),
    "rename to itself": (lambda *_: editing.renaming("wave", "wave"), OutputError, "'wave': is in the bank"),
    "rename what is not there": (
        lambda *_: editing.renaming("wvae", "sea"),
        UnknownStyleError,
        r"^style 'wvae': is not in the bank \(did you mean 'wave'\?\); it has wave, night, scream$",
    ),
    "remove what is not there": (
        lambda *_: editing.removing(["wave", "nihgt"]),
        UnknownStyleError,
        r"'nihgt': is not in the bank \(did you mean 'night'\?\)",
    ),
    "far off": (lambda *_: editing.removing(["zzz"]), UnknownStyleError, "'zzz': is not in the bank; it has"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_change_leaves_the_folder_as_it_was(
    case: str, bank: Path, contents: Bundle, new: Entry
) -> None:
    change, error, message = REFUSED[case]
    before = folder(bank.parent)
    with pytest.raises(error, match=message) as caught:
        editing.edit(bank, change(new, contents.coder_digest()))
    assert str(caught.value).isprintable()
    assert folder(bank.parent) == before
    appended(bank, new)
    assert folder(bank.parent) != before, "the control"


@pytest.mark.parametrize("name", ["", "Sea", "../sea", "sea\n", "s" * 65])
def test_a_new_name_is_a_name(name: str, bank: Path, tmp_path: Path) -> None:
    editing.export_style("wave", bank=bank, out=tmp_path / "wave", force=False)
    before = folder(bank.parent)
    with pytest.raises(ConfigError, match="is no style name"):
        editing.renaming("wave", name)
    with pytest.raises(ConfigError, match="is no style name"):
        editing.merge([bank], out=bank, renames=[(bank, "wave", name)], force=False)
    if name:  # an empty one is none
        with pytest.raises(ConfigError, match="is no style name"):
            editing.import_style(tmp_path / "wave", bank=bank, name=name)
    assert folder(bank.parent) == before


def test_a_change_is_made_to_what_the_file_holds_under_the_lock(
    bank: Path, contents: Bundle, make_bank: MakeBank
) -> None:
    """Somebody else's entry comes between the first look and the lock."""
    others, own = make_bank({"theirs": 3, "mine": 3}).entries
    add = editing.adding(own, coder_digest=contents.coder_digest(), source="test")
    seen = []

    def change(found: Bundle) -> Bundle:
        seen.append(found.names)
        if len(seen) == 1:
            bundle.write(bank, replace(found, entries=(*found.entries, others)))
        return add(found)

    assert editing.edit(bank, change).names == (*KERNELS, "theirs", "mine")
    assert bundle.read(bank).names == (*KERNELS, "theirs", "mine")
    assert seen == [tuple(KERNELS), (*KERNELS, "theirs")]


def test_a_style_wanders_through_a_file_into_another_bank_of_its_coder(
    bank: Path, contents: Bundle, make_bank: MakeBank, tmp_path: Path
) -> None:
    editing.export_style("night", bank=bank, out=tmp_path / "night", force=False)
    grown = tmp_path / "grown"
    bundle.write(grown, replace(make_bank({"x": 3}), coder=contents.coder))
    assert editing.import_style(tmp_path / "night", bank=grown).is_same(contents.entries[1])
    renamed = editing.import_style(tmp_path / "night", bank=grown, name="again")
    assert bundle.read(grown).names == ("x", "night", "again")
    assert bundle.read(grown).find("night").is_same(contents.entries[1])
    assert (renamed.name, renamed.gain) == ("again", contents.entries[1].gain)
    (own,), (there, again) = painted(bank, "night"), painted(grown, "night", "again")
    assert torch.equal(own, there)
    assert torch.equal(own, again)
    editing.export_style("night", bank=grown, out=tmp_path / "second", force=False)
    assert (tmp_path / "second").read_bytes() == (tmp_path / "night").read_bytes()


@pytest.mark.parametrize(
    ("kernel", "shape"), [(3, (2, 2, 3, 3)), (3, (4,)), (5, (16, 16, 3, 3)), (9, (16, 16, 9, 9))], ids=str
)
def test_a_filter_that_does_not_fit_the_bank_is_refused(
    kernel: int, shape: tuple[int, ...], bank: Path, contents: Bundle, new: Entry, tmp_path: Path
) -> None:
    """Digests are right here: somebody made the file so."""
    style = replace(new.style, kernel=kernel)
    made = replace(new, style=style, filter=np.zeros(shape, np.float16))
    entries.write(tmp_path / "unfit", made, coder_digest=contents.coder_digest())
    before = bank.read_bytes()
    with pytest.raises(StyleBankError, match="unfit"):
        editing.import_style(tmp_path / "unfit", bank=bank)
    assert bank.read_bytes() == before


def test_what_cannot_be_written_leaves_the_bank_as_it_was(bank: Path, new: Entry) -> None:
    """A header over the limit is found last of all."""
    before = bank.read_bytes()
    with pytest.raises(OutputError, match="header over the limit"):
        appended(bank, replace(new, recipe={"x": "x" * tensorfile.MAX_HEADER}))
    assert bank.read_bytes() == before
    assert not list(bank.parent.glob("*.tmp"))
    assert appended(bank, replace(new, recipe={"x": "x" * 1000})).names[-1] == "mosaic", "the control"


def test_export_leaves_other_files_alone(bank: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("my thesis")
    for out, said in ((tmp_path / "thesis", "another kind of file"), (bank, "is the bank itself")):
        before = out.read_bytes()
        with pytest.raises(OutputError, match=said):
            editing.export_style("wave", bank=bank, out=out, force=False)
        assert out.read_bytes() == before
    with pytest.raises(UnknownStyleError, match=r"'wvae'.*did you mean 'wave'"):
        editing.export_style("wvae", bank=bank, out=tmp_path / "new", force=True)
    assert not (tmp_path / "new").exists()
    editing.export_style("wave", bank=bank, out=tmp_path / "thesis", force=True)
    assert entries.read(tmp_path / "thesis")[0].name == "wave"

"""Merging banks of one encoder and decoder: every style once, none lost, and nothing written if that cannot be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stylebank import StyleBank
from stylebank.bank import bundle, editing
from stylebank.bank.bundle import Bundle
from stylebank.errors import ConfigError, OutputError, StyleBankError, TensorFileError, UnknownStyleError
from stylebank.files import atomic

MakeBank = Callable[..., Bundle]
Rename = tuple[str, str, str]


@pytest.fixture
def home(make_bank: MakeBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: banks `a` and `b` grown from one, `other` from another, `clash` with another "wave"."""
    home = tmp_path / "home"
    bundle.write(home / "a", make_bank({"wave": 3, "night": 5}, training={"bank": "a"}))
    bundle.write(home / "b", make_bank({"scream": 3, "night": 5, "bridge": 1}, training={"bank": "b"}))
    bundle.write(home / "other", make_bank({"x": 3}, seed=1))
    (wave,) = make_bank({"wave": 3}).entries
    bundle.write(home / "clash", replace(make_bank({"y": 3}), entries=(replace(wave, gain=wave.gain * 2),)))
    (home / "thesis").write_text("my thesis")
    monkeypatch.chdir(home)
    return home


def merge(*banks: str, out: str = "new", renames: tuple[Rename, ...] = (), force: bool = False) -> Bundle:
    paths = [Path(bank) for bank in banks]
    named = [(Path(bank), old, new) for bank, old, new in renames]
    return editing.merge(paths, out=Path(out), renames=named, force=force)


def folder() -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path().iterdir()}


def paint(path: str, style: str) -> torch.Tensor:
    photo = torch.rand(3, 32, 36, generator=torch.Generator().manual_seed(0))
    return StyleBank.load(path, device="cpu").stylize(photo, style)


@pytest.mark.usefixtures("home")
def test_a_merged_bank_has_every_style_once_in_the_order_of_the_banks() -> None:
    returned, found = merge("a", "b"), bundle.read(Path("new"))
    assert returned.names == found.names == ("wave", "night", "scream", "bridge")
    assert found.training == {"bank": "a"}
    for name in ("a", "b"):
        source = bundle.read(Path(name))
        assert found.coder_digest() == source.coder_digest()
        assert all(found.find(entry.name).is_same(entry) for entry in source.entries)
    assert torch.equal(paint("new", "bridge"), paint("b", "bridge"))
    assert not torch.equal(paint("new", "wave"), paint("b", "bridge")), "the control"
    assert merge("b", "a", "b", out="turned").names == ("scream", "night", "bridge", "wave")


@pytest.mark.usefixtures("home")
def test_a_bank_merged_with_itself_or_alone_is_that_bank() -> None:
    merge("a", "a", out="twice")
    merge("a", out="alone")
    assert Path("twice").read_bytes() == Path("alone").read_bytes() == Path("a").read_bytes()


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("out", ["a", "b", "./b", "link"])
def test_the_merged_bank_may_replace_one_of_them(out: str) -> None:
    Path("link").symlink_to("b")
    merge("a", "b")
    merge("a", "b", out=out)
    assert Path(out).read_bytes() == Path("new").read_bytes()
    assert Path("link").is_symlink()


@pytest.mark.usefixtures("home")
def test_the_remedy_that_a_clash_names_is_one() -> None:
    with pytest.raises(
        OutputError, match=r"clash: its style 'wave' is another than an earlier bank's"
    ) as caught:
        merge("a", "clash")
    assert str(caught.value).endswith("; add --rename clash:wave=NEWNAME")
    assert merge("a", "clash", renames=(("clash", "wave", "surf"),)).names == ("wave", "night", "surf")
    merged, source = bundle.read(Path("new")), bundle.read(Path("clash")).entries[0]
    assert merged.find("surf").is_same(editing.renamed(source, "surf"))
    assert bundle.read(Path("clash")).names == ("wave",), "only the new file has it under the new name"


@pytest.mark.usefixtures("home")
def test_a_rename_is_of_its_bank_alone_and_may_make_room_for_the_next() -> None:
    found = merge("a", "b", renames=(("a", "night", "dusk"), ("a", "wave", "night"), ("b", "night", "late")))
    assert found.names == ("night", "dusk", "scream", "late", "bridge")
    a, b = bundle.read(Path("a")), bundle.read(Path("b"))
    for new, old, source in (("dusk", "night", a), ("night", "wave", a), ("late", "night", b)):
        assert np.array_equal(found.find(new).filter, source.find(old).filter)


REFUSED: dict[str, tuple[tuple[str, ...], str, tuple[Rename, ...], type[StyleBankError], str]] = {
    "clash": (("a", "clash"), "new", (), OutputError, "^clash: its style 'wave' is another"),
    "clash by rename": (
        ("a", "b"),
        "new",
        (("b", "scream", "wave"),),
        OutputError,
        "^b: its style 'wave' is another",
    ),
    "rename onto its own": (
        ("a", "b"),
        "new",
        (("b", "scream", "night"),),
        OutputError,
        "'night': is in the bank",
    ),
    "unknown": (
        ("a", "b"),
        "new",
        (("b", "scraem", "x"),),
        UnknownStyleError,
        "'scraem'.*did you mean 'scream'",
    ),
    "in no bank": (
        ("a", "b"),
        "new",
        (("clash", "wave", "x"),),
        OutputError,
        "^--rename clash: is none of the banks",
    ),
    "bad name": (("a", "b"), "new", (("b", "scream", "X"),), ConfigError, "^--rename: 'X' is no style name"),
    "coder": (("a", "other"), "new", (), TensorFileError, "^other: has another encoder and decoder than a"),
    "coder, first": (
        ("other", "b"),
        "new",
        (),
        TensorFileError,
        "^b: has another encoder and decoder than other",
    ),
    "out exists": (("a", "b"), "clash", (), OutputError, "^clash: exists and is none of the banks to merge"),
    "out of another": (("a", "b"), "thesis", (), OutputError, "^thesis: exists"),
    "out is a folder": (("a", "b"), "..", (), OutputError, r"^\.\.: "),
    "missing": (("a", "none"), "new", (), TensorFileError, "^none: cannot be read"),
    "no bank": (("thesis", "b"), "new", (), TensorFileError, "^thesis: is no StyleBank file"),
}


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_merge_leaves_the_folder_as_it_was(case: str) -> None:
    banks, out, renames, error, message = REFUSED[case]
    before = folder()
    with pytest.raises(error, match=message) as caught:
        merge(*banks, out=out, renames=renames)
    assert str(caught.value).isprintable()
    assert folder() == before
    merge("a", "b")
    assert folder() != before, "the control"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("out", ["clash", "thesis"])
def test_with_force_another_file_is_replaced(out: str) -> None:
    merge("a", "b", out=out, force=True)
    assert bundle.read(Path(out)).names == ("wave", "night", "scream", "bridge")


@pytest.mark.usefixtures("home")
def test_an_entry_added_to_the_target_before_its_lock_is_merged_too(
    make_bank: MakeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, locked = make_bank({"late": 3}).entries[0], atomic.locked

    def locked_late(path: Path) -> object:
        found = bundle.read(Path("a"))
        bundle.write(Path("a"), replace(found, entries=(*found.entries, late)))
        return locked(path)

    monkeypatch.setattr(atomic, "locked", locked_late)
    assert merge("a", "b", out="a").names == ("wave", "night", "late", "scream", "bridge")

"""The user's own bank: begun by the first change that succeeds, whole or not at all, never over another."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stylebank import StyleBank
from stylebank.bank import bundle, editing, mixture, personal
from stylebank.bank.bundle import Bundle
from stylebank.errors import OutputError, StyleBankError, TensorFileError
from stylebank.files import resources

MakeBank = Callable[..., Bundle]


@pytest.fixture
def shipped(tmp_path: Path, make_bank: MakeBank, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small bank in the place of the one that comes along, in a folder that nothing may change."""
    path = tmp_path / "package" / "bank.safetensors"
    bundle.write(path, make_bank({"wave": 3, "night": 5}))
    monkeypatch.setattr(resources, "weights_folder", lambda: path.parent)
    return path


@pytest.fixture
def own(shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's own bank is to be: no folder of the way is there yet, and its name is no plain one."""
    assert shipped.exists()
    path = tmp_path / "my d\u00e4ta" / "deep" / "\u9752 bank.safetensors"
    monkeypatch.setenv("STYLEBANK_BANK", str(path))
    return path


def bake(path: Path, name: str, note: editing.Note = lambda _: None) -> Bundle:
    return editing.edit(path, editing.baking(name, mixture.parse("wave:1+night:1")), note=note)


def test_the_first_change_begins_it_and_says_so_once(own: Path, shipped: Path) -> None:
    before, said = shipped.read_bytes(), list[str]()
    assert personal.read(None).names == ("wave", "night")
    assert personal.to_change(None) == own
    bake(own, "one", said.append)
    bake(own, "two", said.append)
    assert said == [f"your own bank is made: {own} (from the one that comes with StyleBank)"]
    assert personal.read(None).names == ("wave", "night", "one", "two")
    assert StyleBank.load(device="cpu").styles == ("wave", "night", "one", "two")
    assert StyleBank.load("shipped", device="cpu").styles == ("wave", "night")
    assert personal.read("shipped").names == ("wave", "night")
    assert shipped.read_bytes() == before
    assert [path.name for path in shipped.parent.iterdir()] == [shipped.name], "no lock file either"


def test_what_is_copied_is_the_same_to_the_last_bit(own: Path, shipped: Path) -> None:
    bake(own, "one")
    editing.edit(own, editing.removing(["one"]))
    assert own.read_bytes() == shipped.read_bytes()


REFUSED = {
    "nobody": editing.removing(["nope"]),
    "taken": editing.renaming("wave", "night"),
    "unknown": editing.renaming("nope", "x"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_change_that_is_refused_leaves_nothing_behind(why: str, own: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StyleBankError):
        editing.edit(own, REFUSED[why])
    assert sorted(tmp_path.rglob("*")) == before


CHANGE = """
import os, sys
from pathlib import Path
from stylebank.bank import editing, mixture
from stylebank.files import resources
resources.weights_folder = lambda: Path(sys.argv[1])
if "kill" in sys.argv:
    os.replace = lambda *_: os.kill(os.getpid(), 9)
said = []
baking = editing.baking(sys.argv[2], mixture.parse("wave:1+night:1"))
editing.edit(resources.own_bank(), baking, note=said.append)
print(len(said))
"""


def start(shipped: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHANGE, str(shipped.parent), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)


def test_of_first_changes_at_once_one_begins_the_bank_and_none_is_lost(own: Path, shipped: Path) -> None:
    names = [f"s{place}" for place in range(4)]
    running = [start(shipped, name) for name in names]
    said = [int(process.communicate()[0]) for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert sorted(said) == [0, 0, 0, 1], "one line in all"
    assert set(bundle.read(own).names) == {"wave", "night", *names}


def test_killed_in_the_first_change_there_is_no_bank_and_the_next_change_clears_up(
    own: Path, shipped: Path
) -> None:
    killed = start(shipped, "lost", "kill")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not own.exists()
    assert list(own.parent.glob(".*.tmp")), "the control: it was killed while it wrote"
    assert personal.read(None).names == ("wave", "night")
    bake(own, "next")
    assert personal.read(None).names == ("wave", "night", "next")
    assert list(own.parent.glob(".*.tmp")) == []


def test_an_upgrade_leaves_the_user_s_bank_in_use_and_says_what_is_new(
    own: Path, shipped: Path, make_bank: MakeBank
) -> None:
    bake(own, "one")
    editing.edit(own, editing.renaming("wave", "tide"))
    assert personal.notes(own, bundle.read(own)) == [f"your own bank: {own}"], "renamed is not missed"
    bundle.write(shipped, make_bank({"wave": 3, "night": 5, "scream": 3}))
    (line,) = personal.notes(resources.default_bank(), personal.read(None))
    assert "has 1 that yours has not (scream)" in line
    assert f"stylebank merge '{own}' {shipped} -o '{own}'" in line
    bundle.write(shipped, make_bank({"wave": 3}, seed=1))
    (line,) = personal.notes(own, bundle.read(own))
    assert "is another than it was made from (1 styles, other encoder and decoder)" in line
    shipped.write_bytes(b"damaged")
    assert personal.notes(own, bundle.read(own)) == [f"your own bank: {own}"]
    assert personal.read(None).names == ("tide", "night", "one")


def test_a_name_without_a_file_is_said(own: Path, shipped: Path) -> None:
    (line,) = personal.notes(resources.default_bank(), bundle.read(shipped))
    assert line == f"STYLEBANK_BANK: there is no {own} yet; these come with StyleBank"


@pytest.mark.parametrize("content", [b"", b"damaged", "cut"])
def test_a_damaged_one_is_neither_passed_over_nor_replaced(
    content: bytes | str, own: Path, shipped: Path
) -> None:
    own.parent.mkdir(parents=True)
    own.write_bytes(content if isinstance(content, bytes) else shipped.read_bytes()[:-9])
    before = own.read_bytes()
    for changing in (False, True):
        with pytest.raises(TensorFileError) as caught:
            bake(own, "one") if changing else personal.read(None)
        assert str(caught.value).startswith(f"{own}: ")
        assert str(caught.value).endswith(
            "to begin a new one, or read the one that comes along with --bank shipped"
        )
    assert own.read_bytes() == before
    assert personal.read("shipped").names == ("wave", "night")


def test_a_bank_that_is_not_the_user_s_own_is_not_begun(own: Path, tmp_path: Path) -> None:
    with pytest.raises(TensorFileError, match="cannot be read") as caught:
        bake(tmp_path / "other", "one")
    assert "your own bank" not in str(caught.value)
    assert not own.exists()


def test_the_bank_that_comes_along_is_changed_only_by_its_path(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match=r"^--bank shipped: is the bank that comes with StyleBank"):
        personal.to_change("shipped")
    monkeypatch.setenv("STYLEBANK_BANK", str(shipped))
    with pytest.raises(OutputError, match=r"^STYLEBANK_BANK: is the bank that comes with StyleBank"):
        personal.to_change(None)
    assert personal.to_change(shipped) == shipped


def test_a_bank_that_is_protected_is_refused_with_a_way_out(shipped: Path) -> None:
    shipped.chmod(0o444)
    with pytest.raises(OutputError, match=r"is protected from writing; copy it .* --bank$"):
        bake(shipped, "one")
    shipped.chmod(0o644)
    assert "one" in bake(shipped, "one").names, "the control"


@pytest.mark.parametrize("what", ["closed folder", "file for a folder"])
def test_where_nothing_can_be_written_the_variable_is_named(
    what: str, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "closed folder":
        monkeypatch.setattr(os, "access", lambda *_: False)  # modes do not hold root back
    else:
        own.parent.parent.write_bytes(b"")
    with pytest.raises(OutputError, match=r"cannot be changed .*; name a file .* STYLEBANK_BANK"):
        bake(own, "one")
    assert not own.exists()


def test_a_copy_of_a_protected_bank_can_be_written(own: Path, shipped: Path) -> None:
    shipped.chmod(0o444)
    bake(own, "one")
    bake(own, "two")
    assert replace(bundle.read(own), entries=()).coder_digest() == bundle.read(shipped).coder_digest()

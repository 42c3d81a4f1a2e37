"""Commands without --bank: what they read, what they change, and what they say of it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.files import resources

Run = Callable[[str], tuple[object, str, str]]


@pytest.fixture
def own(tmp_path: Path, make_bank: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's own bank is to be; the bank that comes along is a small one."""
    package = tmp_path / "package"
    bundle.write(package / "bank.safetensors", make_bank({"wave": 3, "night": 5}))
    monkeypatch.setattr(resources, "weights_folder", lambda: package)
    monkeypatch.setenv("STYLEBANK_BANK", str(tmp_path / "data" / "bank.safetensors"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data" / "bank.safetensors"


CHANGES = {
    "bake dream --mix wave=1": "has 'dream' now",
    "remove-style wave": "night",
    "rename-style wave tide": "tide, night",
    "import-style x.style.safetensors --name x": "has 'x' now",
}


@pytest.mark.parametrize("line", CHANGES)
def test_each_command_that_changes_begins_the_user_s_bank_and_says_so(
    line: str, own: Path, command_line: Run
) -> None:
    shipped = resources.shipped_bank().read_bytes()
    assert command_line("export-style wave -o x.style.safetensors")[0] == 0
    assert not own.exists(), "to export is no change"
    code, out, err = command_line(line)
    assert (code, out) == (0, f"{own}: {CHANGES[line]}{', wave' if 'bake' in line else ''}\n")
    assert err == f"note: your own bank is made: {own} (from the one that comes with StyleBank)\n"
    assert resources.shipped_bank().read_bytes() == shipped
    listed = [entry["name"] for entry in json.loads(command_line("list --json")[1])]
    assert tuple(listed) == bundle.read(own).names != ("wave", "night")
    assert [entry["name"] for entry in json.loads(command_line("list --bank shipped --json")[1])] == [
        "wave",
        "night",
    ]


MISTAKES = {
    "bake night --mix wave=1": "'night': is in the bank already",
    "remove-style nope": "'nope': is not in the bank",
    "rename-style wave night": "'night': is in the bank already",
    "import-style none": "none: cannot be read",
    "bake x --mix wave=1 --bank shipped": "--bank shipped: is the bank that comes with StyleBank",
    "add-style x none.png": "none.png",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_refused_first_change_leaves_nothing(line: str, own: Path, command_line: Run) -> None:
    code, out, err = command_line(line)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"stylebank: error: .+\n", err)
    assert MISTAKES[line] in err
    assert not own.parent.exists()


def test_list_is_for_people_and_tells_whose_bank_it_is(own: Path, command_line: Run) -> None:
    code, out, err = command_line("list")
    assert (code, out) == (0, "wave   layered  (wave.jpg)\nnight  layered  (night.jpg)\n")
    assert err == f"note: STYLEBANK_BANK: there is no {own} yet; these come with StyleBank\n"
    assert command_line("list --bank shipped")[2] == ""
    command_line("bake dream --mix wave=1")
    assert command_line("list dream") == (0, "dream  mixture  1 wave\n", f"note: your own bank: {own}\n")
    code, out, err = command_line("list nothing-like-it")
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_of_many_styles_a_line_says_how_many(
    own: Path, command_line: Run, make_bank: Callable[..., Bundle]
) -> None:
    bundle.write(own, make_bank({f"s{place}": 3 for place in range(30)}))
    assert command_line("remove-style s7")[1] == f"{own}: 29 styles, see 'stylebank list'\n"
    assert "it has 29 styles, see 'stylebank list'" in command_line("remove-style s7")[2]

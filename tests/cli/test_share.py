"""Commands that keep and share: what each does to a bank, and one line when it cannot."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from stylebank import StyleBank
from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle

Run = Callable[[str], tuple[object, str, str]]
"""A command line -> exit code, standard output, standard error."""

# Command line -> what its one line of complaint must say; all are run beside banks "a" and "b" that share E and D.
MISTAKES = {
    "remove-style nihgt --bank a": r"style 'nihgt': is not in the bank \(did you mean 'night'\?\); it has wave, night",
    "remove-style --bank a": "Missing argument",
    "rename-style wave night --bank a": "'night': is in the bank already",
    "rename-style wave ../x --bank a": "'../x' is no style name",
    "rename-style wave nul --bank a": "^new name: 'nul' is a device on Windows",
    "rename-style nope x --bank a": "'nope': is not in the bank",
    "export-style nope --bank a": "'nope': is not in the bank",
    "export-style wave --bank a -o thesis": "thesis: exists and is another kind of file",
    "export-style wave --bank a -o a": "a: is the bank itself",
    "export-style wave --bank a -o a --force": "a: is the bank itself",
    "export-style night --bank a -o wave.style": "wave.style: exists and is another",
    "import-style a --bank b": "a: is a bank file, not a style",
    "import-style none --bank b": "none: cannot be read",
    "import-style thesis --bank b": "thesis: is no StyleBank file",
    "import-style wave.style --bank a": "'wave': is in the bank already",
    "import-style wave.style --bank a --name A": "'A' is no style name",
    "import-style wave.style --bank other": r"wave.style: was trained against another encoder and decoder",
    "merge a b -o a --rename b:wave": r"--rename b:wave: has another form; write BANK:OLD=NEW",
    "merge a c -o new --rename b:wave=x": "--rename b: is none of the banks",
    "merge a c -o new": r"c: its style 'wave' is another .* add --rename c:wave=NEWNAME",
    "merge a other -o new": "other: has another encoder and decoder than a",
    "merge a b -o c": "c: exists and is none of the banks to merge",
    "merge a b -o thesis": "thesis: exists and is none of the banks to merge",
    "merge a b -o thesis/new": "thesis",
    "merge a none -o new": "none: cannot be read",
    "merge a b": "Missing option",
    "add-style wave paint.png --bank a": "'wave': is in the bank already",
    "add-style WAVE paint.png --bank a": "'WAVE' is no style name",
    "add-style x paint.png": "paint.png",
    "add-style x": "Missing argument",
    "add-style x p.png p.png --bank a": "has 2 images; give one for all layers, or five",
    "add-style x none.png --bank a": "none.png: is no file",
    "add-style x none.toml --bank a": "none.toml: cannot be read",
    "add-style x p.png --bank none": "none: cannot be read",
    "add-style x p.png --bank a --kernel 4": "kernel 4 of 'x' is no filter's",
    "add-style x p.png --bank a --kernel 9": "'--kernel'",
    "add-style x p.png --bank a --steps 0": "'--steps'",
    "add-style x p.png --bank a --content none": "none: is not a folder",
    "add-style x p.png --bank a --content nothing": "nothing: holds no photos",
    "add-style x p.png --bank a --vgg thesis": "thesis: is no StyleBank file",
    "add-style x p.png --bank a --run a": "a: can be no folder",
    "add-style x p.png --bank a --device gpu": "'gpu': is unknown",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, make_bank: Callable[..., Bundle]) -> Path:
    """A folder with banks a, b (other styles, the same E and D), c (clashes with a) and other (other E and D)."""
    home = tmp_path_factory.mktemp("shelf")
    a = make_bank({"wave": 3, "night": 5})
    bundle.write(home / "a", a)
    bundle.write(home / "b", make_bank({"scream": 3}))
    other = make_bank({"wave": 3}, seed=1)
    bundle.write(home / "c", replace(a, entries=other.entries))
    bundle.write(home / "other", other)
    (home / "thesis").write_bytes(b"my thesis")
    (home / "nothing").mkdir()
    Image.effect_noise((40, 40), 60).convert("RGB").save(home / "p.png")
    return home


@pytest.fixture
def run(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: Run) -> Run:
    """Run a command line in a copy of the folder, as the current one."""
    monkeypatch.chdir(shutil.copytree(template, tmp_path / "shelf"))
    return command_line


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_and_changes_nothing(line: str, run: Run) -> None:
    if "wave.style" in line:
        run("export-style wave --bank a -o wave.style")
    before = contents()
    code, out, err = run(line)
    assert code == 2
    assert out == ""
    said = re.fullmatch(r"stylebank: error: (\S.*)\n", err)
    assert said, "one line and no more"
    assert re.search(MISTAKES[line], said[1])
    assert contents() == before


def test_a_style_travels_from_bank_to_bank_as_a_file(run: Run) -> None:
    assert run("export-style night --bank a")[0] == 0
    assert run("verify night.style.safetensors")[1].startswith(
        "night.style.safetensors: intact style, sha256 "
    )
    assert run("import-style night.style.safetensors --bank b") == (0, "b: has 'night' now\n", "")
    assert run("import-style night.style.safetensors --bank b --name dusk") == (0, "b: has 'dusk' now\n", "")
    photo = torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(0))
    ours, theirs = (StyleBank.load(name, device="cpu") for name in ("a", "b"))
    assert theirs.styles == ("scream", "night", "dusk")
    for name in ("night", "dusk"):
        assert torch.equal(theirs.stylize(photo, name), ours.stylize(photo, "night"))
    assert not torch.equal(theirs.stylize(photo, "scream"), ours.stylize(photo, "night")), "the control"


def test_banks_merge_and_a_clash_is_settled_by_a_new_name(run: Run) -> None:
    assert run("merge a b a -o new") == (0, "new: wave, night, scream\n", "")
    assert run("merge a c -o a --rename c:wave=tide") == (0, "a: wave, night, tide\n", "")
    assert bundle.read(Path("a")).names == ("wave", "night", "tide")


def test_the_bank_that_comes_along_merges_and_is_verified_by_its_word(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stylebank.files.resources.shipped_bank", lambda: Path("c"))
    assert run("merge a shipped -o new --rename shipped:wave=tide") == (0, "new: wave, night, tide\n", "")
    assert bundle.read(Path("new")).names == ("wave", "night", "tide")
    assert run("verify shipped")[1].startswith("c: intact bank, sha256 ")


def test_styles_are_renamed_and_removed_down_to_none(run: Run) -> None:
    assert run("rename-style wave tide --bank a") == (0, "a: tide, night\n", "")
    assert run("remove-style tide night --bank a") == (0, "a: no styles\n", "")
    assert run("list --bank a")[:2] == (0, "no styles\n")
    code, _, err = run("stylize p.png --style tide --bank a")
    assert (code, err.count("\n")) == (2, 1)


def test_list_shows_the_report_cards(run: Run) -> None:
    code, out, err = run("list --long --bank a")
    assert (code, err) == (0, "")
    header, wave, night = out.splitlines()[:3]
    assert header.split()[2:8] == ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1", "content"]
    assert [wave.split()[0], night.split()[0]] == ["wave", "night"]
    card = json.loads(run("list --bank a --json")[1])[0]["card"]
    assert f"{card['content']:.3f}" in wave
    assert f"{card['origin']}, {card['steps']} steps" in wave

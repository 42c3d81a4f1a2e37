"""Completion in shells: names of styles, and one line where it cannot be had."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.cli import app


@pytest.fixture
def bank(tmp_path: Path, make_bank: Callable[..., Bundle]) -> Path:
    bundle.write(tmp_path / "bank", make_bank({"wave": 3, "night": 5, "water": 3}))
    (tmp_path / "damaged").write_bytes(b"thesis")
    return tmp_path / "bank"


def completed(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    words = line.split(" ")
    environment = os.environ | {
        "_STYLEBANK_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    command = [sys.executable, "-X", "importtime", "-m", "stylebank"]
    return subprocess.run(
        command, cwd=folder, env=environment | more, capture_output=True, text=True, check=False
    )


def test_names_of_the_bank_s_styles_are_completed_without_the_heavy_libraries(bank: Path) -> None:
    done = completed("stylebank stylize a.jpg --bank bank --style wa", bank.parent)
    assert done.stdout.split() == ["wave", "water"]
    imported = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
    assert "stylebank.files.tensorfile" in imported
    assert not {"torch", "PIL"} & imported
    shares = completed("stylebank bake x --bank bank --mix w", bank.parent)
    assert shares.stdout.split() == ["wave=", "water="]
    own = completed("stylebank rename-style nig", bank.parent, STYLEBANK_BANK=str(bank))
    assert own.stdout.split() == ["night"]


@pytest.mark.parametrize("name", ["none", "damaged", "."])
def test_a_bank_that_cannot_be_read_completes_nothing_in_silence(name: str, bank: Path) -> None:
    done = completed(f"stylebank stylize --bank {name} --style wa", bank.parent)
    assert (done.returncode, done.stdout.strip()) == (0, "")
    assert [row for row in done.stderr.splitlines() if not row.startswith("import time:")] == []


def shell(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: found)
    monkeypatch.setattr("typer._completion_shared._get_shell_name", lambda: found)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish", "pwsh"])
def test_a_shell_s_script_is_shown(
    name: str, monkeypatch: pytest.MonkeyPatch, command_line: Callable[[str], tuple[object, str, str]]
) -> None:
    shell(monkeypatch, name)
    code, out, err = command_line("--show-completion")
    assert (code, err) == (0, "")
    assert "_STYLEBANK_COMPLETE" in out


def test_it_is_installed_into_the_user_s_home(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command_line: Callable[[str], tuple[object, str, str]],
) -> None:
    shell(monkeypatch, "bash")
    monkeypatch.setenv("HOME", str(tmp_path))
    code, out, err = command_line("--install-completion")
    assert (code, err) == (0, "")
    assert str(tmp_path) in out
    assert "stylebank" in (tmp_path / ".bashrc").read_text()
    monkeypatch.setenv("HOME", str(tmp_path / ".bashrc"))
    code, out, err = command_line("--install-completion")
    assert (code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("option", ["--install-completion", "--show-completion"])
def test_an_unknown_shell_is_one_line(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell(monkeypatch, None)
    with pytest.raises(SystemExit) as leaving:
        app.main([option])
    out, err = capsys.readouterr()
    assert (leaving.value.code, out) == (2, "")
    assert (
        err
        == f"stylebank: error: {option}: finds no shell that it knows; run it in bash, zsh, fish or PowerShell\n"
    )

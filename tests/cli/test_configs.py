"""`stylebank configs`, and experiments by name, from a folder that holds nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stylebank.files import experiments

Run = Callable[[str], tuple[object, str, str]]


@pytest.fixture
def run(command_line: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    return command_line


def test_list_names_each_with_what_it_is(run: Run) -> None:
    code, out, err = run("configs")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == experiments.names()


def test_one_is_printed_or_copied(run: Run) -> None:
    code, out, _ = run("configs smoke")
    assert (code, out) == (0, experiments.text("smoke"))
    code, out, _ = run("configs smoke mine")
    assert (code, out.splitlines()[0]) == (0, str(Path("mine/smoke.toml")))
    assert Path("mine/styles/mosaic/1_relu1_1.png").is_file()
    Path("mine/smoke.toml").write_text("other")
    code, out, err = run("configs smoke mine")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert run("configs smoke mine --force")[0] == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("configs smok", "config 'smok': none comes along (did you mean 'smoke'?)"),
        ("train smok --content . --run r --out o", "config 'smok': is no file, and none that comes along"),
        ("train smoke --content photos --run r --out o", "photos: holds no photos"),
        ("train configs/smoke.toml --content photos --run r --out o", "photos: holds no photos"),
        ("optimize photo.png styles/mosaic.toml", "photo.png: "),
        ("add-style tiles styles/mosaic.toml --content .", ".: holds no photos"),
    ],
)
def test_experiments_and_sets_are_found_by_name(run: Run, line: str, said: str) -> None:
    code, _, err = run(line)
    assert (code, err.splitlines()[-1].partition("error: ")[2][: len(said)]) == (2, said)

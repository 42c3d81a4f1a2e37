"""`stylebank train --from BANK`: goes on from a bank's weights, leaves it as it is; says in a line why it cannot."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Network
from stylebank.files import tensorfile
from stylebank.training import joint, report

Run = Callable[[str], tuple[object, str, str]]

CONFIG = """
[network]
width = 4
blocks = 2
[training]
steps = 2
batch = 2
crop = 32
precision = "float32"
learning_rate = 1e-8
[report]
held_back = 1
[[style]]
name = "wave"
image = "paint.png"
size = 32
"""
TRAIN = "train tiny.toml --content photos --device cpu --run run --out new --vgg {}"


@pytest.fixture
def bank(make_bank: Callable[..., Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """Of the config's network, as `bank` in the current folder, beside photos, a painting and a config."""
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 40, 48, 3), np.uint8)
    for place, name in enumerate(["paint", *(f"photos/{number}" for number in range(4))]):
        Image.fromarray(pixels[place]).save(tmp_path / f"{name}.png")
    (tmp_path / "tiny.toml").write_text(CONFIG)
    bundle.write(tmp_path / "bank", made := make_bank({"night": 3, "wave": 3}))
    bundle.write(tmp_path / "wide", make_bank({"wave": 3}, shape=Network(width=8, blocks=2)))
    tensorfile.write(tmp_path / "checkpoint", kind="checkpoint", tensors={}, manifest={})
    (tmp_path / "thesis").write_text("my thesis")
    (tmp_path / "cut").write_bytes((tmp_path / "bank").read_bytes()[:-100])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "PREVIEW_SIDE", 64)
    return made


def test_a_training_goes_on_from_a_bank(bank: Bundle, vgg_file: Path, command_line: Run) -> None:
    before = Path("bank").read_bytes()
    code, out, _ = command_line(f"{TRAIN.format(vgg_file)} --from bank")
    assert code == 0
    assert "new: 1 styles, 2 steps" in out
    assert Path("bank").read_bytes() == before
    found, wave = bundle.read(Path("new")), bank.find("wave")
    # Two steps of a rate of 1e-8, and filters are rounded.
    for name, tensor in bank.coder.items():
        assert np.allclose(found.coder[name], tensor, rtol=0, atol=1e-6)
    assert np.array_equal(found.find("wave").filter, wave.filter)
    assert np.array_equal(found.find("wave").tensors["revision"], wave.tensors["revision"])
    command_line(f"{TRAIN.format(vgg_file).replace('--run run', '--run other')} --force")
    anew = bundle.read(Path("new"))
    assert not np.allclose(
        anew.coder["encoder.0.conv.weight"], bank.coder["encoder.0.conv.weight"], atol=0.1
    ), "the control"


def test_without_the_option_there_is_no_start(
    bank: Bundle, vgg_file: Path, command_line: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Bundle | None] = []

    def train(*_: Any, start: Bundle | None, **__: Any) -> joint.Outcome:
        given.append(start)
        return joint.Outcome(1, 0.0, None, Path("new"))

    monkeypatch.setattr(joint, "train", train)
    command_line(TRAIN.format(vgg_file))
    command_line(f"{TRAIN.format(vgg_file)} --from bank")
    none, some = given
    assert none is None
    assert some
    assert some.digest() == bank.digest()


@pytest.mark.usefixtures("bank")
@pytest.mark.parametrize(
    ("start", "why"),
    [
        ("none", r"^none: cannot be read"),
        ("photos", r"^photos: "),
        ("thesis", r"^thesis: is no StyleBank file"),
        ("checkpoint", r"^checkpoint: is a checkpoint file, not a bank"),
        ("cut", r"^cut: "),
        (
            "wide",
            r"^--from: its network is another \(.*8, 2, 5.*, not .*4, 2, 5.*\); use a \[network\] like it$",
        ),
        ("new", r"^new: is the bank to go on from; choose another --out$"),
        ("link", r"^new: is the bank to go on from; choose another --out$"),
    ],
)
def test_a_bank_that_nothing_can_go_on_from_is_said_in_one_line(
    start: str, why: str, vgg_file: Path, command_line: Run
) -> None:
    Path("new").write_bytes(Path("bank").read_bytes())
    Path("link").symlink_to("new")
    code, out, err = command_line(f"{TRAIN.format(vgg_file)} --from {start}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.search(why, err.removeprefix("stylebank: error: ").rstrip("\n"))
    assert Path("new").read_bytes() == Path("bank").read_bytes()
    assert not Path("run").exists()


def test_help_says_what_it_is(command_line: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = command_line("train --help")
    assert code == 0
    assert "A bank of the same network, or 'shipped', to go on from." in out

"""kill -9 at random instants of a training: nothing unreadable, nothing lost but the steps since the checkpoint.

A handful of kills here; `scripts/soak` raises the number.
"""

import hashlib
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import bundle, editing, mixture
from stylebank.persistence import checkpoint

from .conftest import Program, Start

KILLS = int(os.environ.get("STYLEBANK_KILLS", "4"))
STEPS = 24
EVERY = 2  # steps between checkpoints

PROGRAM = "import sys; from stylebank.cli import app; app.main(sys.argv[1:])"

CONFIG = f"""
[network]
width = 4
[training]
steps = {STEPS}
batch = 2
crop = 32
precision = "float32"
[report]
checkpoint_every = {EVERY}
preview_every = 1000
held_back = 1
[[style]]
name = "noise"
image = "style.png"
size = 32
"""


@pytest.fixture
def command(tmp_path: Path, vgg_file: Path) -> list[str]:
    """A training of a few seconds, without its output files."""
    random_pixels = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for place in range(6):
        pixels = random_pixels.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{place}.png")
    Image.effect_noise((48, 48), 80).convert("RGB").save(tmp_path / "style.png")
    (tmp_path / "tiny.toml").write_text(CONFIG)
    words = ["train", str(tmp_path / "tiny.toml"), "--content", str(tmp_path / "photos")]
    return [*words, "--vgg", str(vgg_file), "--device", "cpu"]


def ended(program: Program) -> Program:
    """A program that has come to its end."""
    assert program.returncode == 0, program.stderr
    return program


def outputs(folder: Path, name: str) -> list[str]:
    return ["--run", str(folder / f"{name}-run"), "--out", str(folder / f"{name}.safetensors")]


@pytest.mark.timeout(120 + 30 * KILLS)
def test_a_training_killed_at_random_instants_ends_in_the_same_bytes(
    command: list[str], tmp_path: Path, start: Start
) -> None:
    started = time.monotonic()
    ended(start(PROGRAM, *command, *outputs(tmp_path, "whole")))
    seconds = time.monotonic() - started
    killed, steps = 0, 0
    instants = random.Random(0)
    saved, bank = tmp_path / "cut-run" / "checkpoint.safetensors", tmp_path / "cut.safetensors"
    while killed < KILLS:
        program = start(PROGRAM, *command, *outputs(tmp_path, "cut"))
        if not program.ends(instants.uniform(0.1, 1.0) * seconds):
            program.kill()
            killed += 1
        if saved.exists():
            found = checkpoint.read(saved).step
            assert found >= steps, "a later kill never loses what an earlier one left"
            steps = found
        if bank.exists():
            assert bundle.read(bank).entries
        if program.returncode == 0 and killed < KILLS:
            assert digest(bank) == digest(tmp_path / "whole.safetensors")
            saved.unlink()
            bank.unlink()
            steps = 0
    ended(start(PROGRAM, *command, *outputs(tmp_path, "cut")))
    assert digest(bank) == digest(tmp_path / "whole.safetensors")
    assert not list(tmp_path.rglob("*.tmp")), "the last writer sweeps up after those that were killed"


# The training, which kills itself where a bank is about to be written under its lock, or has just been.
KILLED = """
import os, signal, sys
from stylebank.bank import bundle, editing, mixture
from stylebank.cli import app
write = bundle.write
def killed(path, bank):
    if sys.argv[1] == "after":
        write(path, bank)
    os.kill(os.getpid(), signal.SIGKILL)
bundle.write = killed
app.main(sys.argv[2:])
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_the_writing_of_the_bank_loses_neither_it_nor_what_was_added(
    when: str, command: list[str], tmp_path: Path, start: Start
) -> None:
    out = outputs(tmp_path, "cut")
    killed = start(KILLED, when, *command, *out)
    assert killed.returncode == -signal.SIGKILL
    bank = tmp_path / "cut.safetensors"
    assert bank.exists() == (when == "after")
    if when == "after":
        editing.edit(bank, editing.baking("added", mixture.of({"noise": 1.0})))
    again = ended(start(PROGRAM, *command, *out))
    assert ("done already" in again.stdout) == (when == "after")
    assert bundle.read(bank).names == (("noise", "added") if when == "after" else ("noise",))


def test_two_trainings_at_once_with_one_place_leave_two_banks(
    command: list[str], tmp_path: Path, start: Start
) -> None:
    for seed in (1, 2):
        (tmp_path / f"{seed}.toml").write_text(CONFIG.replace("batch", f"seed = {seed}\nbatch"))

    def words(seed: int) -> list[str]:
        places = ["--run", str(tmp_path / f"run{seed}"), "--out", str(tmp_path / "one.safetensors")]
        return [command[0], str(tmp_path / f"{seed}.toml"), *command[2:], *places]

    programs = [start(PROGRAM, *words(seed)) for seed in (1, 2)]
    codes = sorted(program.returncode for program in programs)
    said = [program.stdout for program in programs]
    banks = sorted(tmp_path.glob("*.safetensors"))
    seeds = {bundle.read(bank).training["config"]["training"]["seed"] for bank in banks}
    if codes == [0, 2]:  # the second was late, and saw the first one's bank before its first step
        assert len(seeds) == 1
    else:
        assert (codes, seeds) == ([0, 0], {1, 2})
        assert ["one-2.safetensors: 1 styles" in text for text in said].count(True) == 1


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

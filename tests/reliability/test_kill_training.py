"""kill -9 at random instants of a training: nothing unreadable, nothing lost but the steps since the checkpoint.

A handful of kills here; `scripts/soak` raises the number.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import bundle, editing, mixture
from stylebank.persistence import checkpoint

KILLS = int(os.environ.get("STYLEBANK_KILLS", "4"))
STEPS = 24
EVERY = 2  # steps between checkpoints

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
    program = [sys.executable, "-m", "stylebank", "train", str(tmp_path / "tiny.toml")]
    return [*program, "--content", str(tmp_path / "photos"), "--vgg", str(vgg_file), "--device", "cpu"]


def outputs(folder: Path, name: str) -> list[str]:
    return ["--run", str(folder / f"{name}-run"), "--out", str(folder / f"{name}.safetensors")]


@pytest.mark.timeout(120 + 30 * KILLS)
def test_a_training_killed_at_random_instants_ends_in_the_same_bytes(
    command: list[str], tmp_path: Path
) -> None:
    started = time.monotonic()
    subprocess.run([*command, *outputs(tmp_path, "whole")], check=True, capture_output=True)
    seconds = time.monotonic() - started
    killed, steps = 0, 0
    instants = random.Random(0)
    saved, bank = tmp_path / "cut-run" / "checkpoint.safetensors", tmp_path / "cut.safetensors"
    while killed < KILLS:
        process = subprocess.Popen(
            [*command, *outputs(tmp_path, "cut")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=instants.uniform(0.3, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        if saved.exists():
            found = checkpoint.read(saved).step
            assert found >= steps, "a later kill never loses what an earlier one left"
            steps = found
        if bank.exists():
            assert bundle.read(bank).entries
        if process.returncode == 0 and killed < KILLS:
            assert digest(bank) == digest(tmp_path / "whole.safetensors")
            saved.unlink()
            bank.unlink()
            steps = 0
    subprocess.run([*command, *outputs(tmp_path, "cut")], check=True, capture_output=True)
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
    when: str, command: list[str], tmp_path: Path
) -> None:
    words, out = command[3:], outputs(tmp_path, "cut")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, when, *words, *out], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    bank = tmp_path / "cut.safetensors"
    assert bank.exists() == (when == "after")
    if when == "after":
        editing.edit(bank, editing.baking("added", mixture.of({"noise": 1.0})))
    again = subprocess.run([*command, *out], check=True, capture_output=True, text=True)
    assert ("done already" in again.stdout) == (when == "after")
    assert bundle.read(bank).names == (("noise", "added") if when == "after" else ("noise",))


def test_two_trainings_at_once_with_one_place_leave_two_banks(command: list[str], tmp_path: Path) -> None:
    for seed in (1, 2):
        (tmp_path / f"{seed}.toml").write_text(CONFIG.replace("batch", f"seed = {seed}\nbatch"))

    def places(seed: int) -> list[str]:
        return ["--run", str(tmp_path / f"run{seed}"), "--out", str(tmp_path / "one.safetensors")]

    processes = [
        subprocess.Popen(
            [*command[:4], str(tmp_path / f"{seed}.toml"), *command[5:], *places(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for seed in (1, 2)
    ]
    said = [process.communicate(timeout=100)[0] for process in processes]
    codes = sorted(process.returncode for process in processes)
    banks = sorted(tmp_path.glob("*.safetensors"))
    seeds = {bundle.read(bank).training["config"]["training"]["seed"] for bank in banks}
    if codes == [0, 2]:  # the second was late, and saw the first one's bank before its first step
        assert len(seeds) == 1
    else:
        assert (codes, seeds) == ([0, 0], {1, 2})
        assert ["one-2.safetensors: 1 styles" in text for text in said].count(True) == 1


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

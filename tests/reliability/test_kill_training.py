"""kill -9 at random instants of a training: nothing unreadable, nothing lost but the steps since the checkpoint.

A handful of kills here; `scripts/soak` raises the number.
"""

import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import bundle
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


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""kill -9 at random instants of an addition: the bank is always whole, and ends with the entry of an undisturbed run.

A handful of kills here; `STYLEBANK_KILLS` raises the number.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.persistence import checkpoint

from .conftest import Program, Start

KILLS = int(os.environ.get("STYLEBANK_KILLS", "3"))
STEPS = 24  # of each of a style's two filters

# The program itself, with smaller crops than anybody would choose; its own process may be asked to stop: by the
# signal in the first word, after the step in the second. A background job would ignore SIGINT without this handler.
PROGRAM = """
import os, signal, sys
from dataclasses import replace
from stylebank.cli import app
from stylebank.training import added, incremental, report, warm_start
signal.signal(signal.SIGINT, signal.default_int_handler)
added._TRAINING = replace(added._TRAINING, crop=32, precision="float32")
added._REPORT = replace(added._REPORT, checkpoint_every=4, held_back=1)
added.POOL, warm_start.STEPS, report.PREVIEW_SIDE = 8, 2, 64
advance = incremental.FilterTrainer.advance
def asked(trainer):
    step = trainer.step + OF_THE_FIRST * trainer.trains(trainer.network.revisions[0])
    if int(sys.argv[1]) and step == int(sys.argv[2]):
        os.kill(os.getpid(), int(sys.argv[1]))
    advance(trainer)
incremental.FilterTrainer.advance = asked
app.main(sys.argv[3:])
""".replace("OF_THE_FIRST", str(STEPS))


class Desk:
    """A bank, photos and a painting; runs the program on them."""

    def __init__(self, folder: Path, vgg: Path, contents: Bundle, start: Start) -> None:
        self.folder, self.vgg, self.contents, self._start = folder, vgg, contents, start
        self.bank = folder / "bank"
        bundle.write(self.bank, contents)
        (folder / "photos").mkdir()
        pixels = np.random.default_rng(0).integers(0, 256, (6, 40, 48, 3), np.uint8)
        for place, name in enumerate(["paint", *(f"photos/{number}" for number in range(5))]):
            Image.fromarray(pixels[place]).save(folder / f"{name}.png")

    def start(self, run: str, ask: int = 0, after: int = 0) -> Program:
        words = ["add-style", "new", self.folder / "paint.png", "--bank", self.bank, "--vgg", self.vgg]
        words += ["--content", self.folder / "photos", "--run", self.folder / run, "--device", "cpu"]
        return self._start(PROGRAM, ask, after, *words, "--steps", STEPS, "--size", 48)

    def run(self, run: str, ask: int = 0, after: int = 0) -> Program:
        program = self.start(run, ask, after)
        assert program.ends()
        return program

    def checked(self) -> Bundle:
        """What the bank holds: the old styles as they were, and at most the new one."""
        found = bundle.read(self.bank)
        old = len(self.contents.entries)
        assert found.names in (self.contents.names, (*self.contents.names, "new"))
        assert found.coder_digest() == self.contents.coder_digest()
        assert all(
            one.is_same(other) for one, other in zip(found.entries[:old], self.contents.entries, strict=True)
        )
        return found

    def new_entry(self) -> Entry | None:
        """The new style, if it is there, without what no two runs have in common."""
        entry = self.checked().entries[-1]
        if entry.name != "new":
            return None
        assert entry.card
        return replace(entry, card=replace(entry.card, seconds=0.0))

    def taken_out(self) -> None:
        bundle.write(self.bank, self.contents)


@pytest.fixture(scope="module")
def desk(
    tmp_path_factory: pytest.TempPathFactory, vgg_file: Path, make_bank: Callable[..., Bundle], start: Start
) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"), vgg_file, make_bank({"wave": 3, "night": 3}), start)


@pytest.fixture(scope="module")
def whole(desk: Desk) -> tuple[Entry, float]:
    """The entry of an undisturbed run, and how many seconds that took."""
    started = time.monotonic()
    ended = desk.run("whole-run")
    seconds = time.monotonic() - started
    assert ended.returncode == 0, ended.stderr
    entry = desk.new_entry()
    assert entry
    return entry, seconds


@pytest.mark.timeout(120 + 30 * KILLS)
def test_an_addition_killed_at_random_instants_ends_in_the_same_entry(
    desk: Desk, whole: tuple[Entry, float]
) -> None:
    wanted, seconds = whole
    desk.taken_out()
    killed, steps = 0, 0
    instants = random.Random(0)
    folders = desk.folder / "cut-run", desk.folder / "cut-run" / "revision"
    while killed < KILLS:
        program = desk.start("cut-run")
        if program.ends(instants.uniform(0.2, 1.0) * seconds):
            assert program.returncode == 0, "nothing but a kill ends it early"
        else:
            program.kill()
            killed += 1
        saved = [path for folder in folders if (path := folder / "checkpoint.safetensors").exists()]
        found = sum(checkpoint.read(path).step for path in saved)
        assert found >= steps, "a later kill never loses what an earlier one left"
        steps = found
        entry = desk.new_entry()
        assert entry is None or entry.is_same(wanted)
        if entry:  # as far as it goes; from the start, then
            desk.taken_out()
            shutil.rmtree(folders[0])
            steps = 0
    ended = desk.run("cut-run")
    assert ended.returncode == 0, ended.stderr
    entry = desk.new_entry()
    assert entry
    assert entry.is_same(wanted)
    assert not list(desk.folder.rglob("*.tmp")), "the last writer sweeps up after those that were killed"


def test_an_addition_asked_to_stop_leaves_the_bank_and_continues_to_the_same_entry(
    desk: Desk, whole: tuple[Entry, float]
) -> None:
    desk.taken_out()
    before = desk.bank.read_bytes()
    stops = ((signal.SIGINT, 130, 3), (signal.SIGTERM, 143, 9), (signal.SIGTERM, 143, 30))
    for number, code, step in stops:
        stopped = desk.run("asked-run", int(number), step)
        assert stopped.returncode == code
        *_, last = stopped.stderr.splitlines()
        assert last == f"stopped at step {step + 1}; {desk.bank} is as it was; run again to continue"
        assert (f"continuing at step {4 if step == 9 else 10}" in stopped.stderr) == (step > 3)
        assert "Traceback" not in stopped.stderr
        assert desk.bank.read_bytes() == before
    continued = desk.run("asked-run")
    assert continued.returncode == 0, continued.stderr
    assert f"asked-run: continuing at step {STEPS}\n" in continued.stderr, "the first filter is done"
    assert f"revision: continuing at step {31 - STEPS}\n" in continued.stderr
    entry = desk.new_entry()
    assert entry
    assert entry.is_same(whole[0])

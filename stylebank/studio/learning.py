"""A new style, learnt in a program of its own: what starts, hears and stops it, and what that program does.

The child is told what to do by a line on its standard input and answers by lines of JSON. It stops when that input
ends, whatever became of the studio: before the first step at once, for nothing is lost, later when it has saved. So it
is on every system; signals that a terminal sends to both ask the same of it.
"""

import hashlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

from stylebank.config import Style
from stylebank.errors import StyleBankError
from stylebank.studio.jobs import Job

CHILD = ("-P", "-m", "stylebank.studio.learning")
"""What Python runs: this module, whatever the current folder holds."""

_PATIENCE = 60.0
"""Seconds that a child may take to save before it is ended."""

_SHOWN = ("total", "content")


@dataclass(frozen=True)
class Lesson:
    """What is to be learnt.

    Attributes:
        style: what it is made of, in files of a private folder.
        bank: the file that grows.
        run: folder of the run, private too.
        content: folder of photos to learn on.
        vgg: a VGG file.
        steps: of each filter; None until the loss no longer falls.
        device: see `devices.choose_device`.
    """

    style: Style
    bank: Path
    run: Path
    content: Path
    vgg: Path
    steps: int | None = None
    device: str = "auto"

    def to_line(self) -> str:
        """What the child is told."""
        found = {key: str(value) if isinstance(value, Path) else value for key, value in vars(self).items()}
        return json.dumps(found | {"style": asdict(self.style)})

    @classmethod
    def of_line(cls, line: str) -> "Lesson":
        """What the child hears."""
        found: dict[str, Any] = json.loads(line)
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in found.pop("style").items()
        }
        paths = {key: Path(found.pop(key)) for key in ("bank", "run", "content", "vgg")}
        return cls(**(found | {"style": Style(**given)} | paths))


class Learning(Job):
    """A style that is being learnt.

    Args:
        lesson: see there.
        learnt: called when the bank has it.
    """

    kind = "style"

    def __init__(self, lesson: Lesson, learnt: Callable[[], object]) -> None:
        super().__init__()
        self.lesson, self._learnt = lesson, learnt
        self._child: subprocess.Popen[str] | None = None
        self._step, self._first, self._expected = 0, (0, 0.0), 0
        self._losses: list[list[float]] = []
        self._stage, self._notes, self._warning, self._end = "", list[str](), "", ""
        self._asked = False  # to end

    def start(self) -> None:
        """Begin, or go on where it stopped."""
        self.state, self.error, self._end, self._first = "running", "", "", (0, 0.0)
        self._asked = False
        self.begun = time.monotonic()
        folder = str(Path(__file__).resolve().parents[2])
        known = [folder, os.environ.get("PYTHONPATH", "")]
        self._child = subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, *CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, known))},
        )
        assert self._child.stdin
        try:
            self._child.stdin.write(self.lesson.to_line() + "\n")
            self._child.stdin.flush()
        except OSError:
            pass  # it has ended already, and what it says is heard below
        Thread(target=self._hear, args=(self._child,), name="listener", daemon=True).start()

    def stop(self) -> None:
        """Let it save and end; it can go on later."""
        child = self._child
        if child is None or child.poll() is not None:
            return
        self._asked = True
        _shut(child.stdin)
        Thread(target=_ended, args=(child, _PATIENCE), daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended; then end it."""
        if self._child:
            self._asked = True
            _ended(self._child, seconds)

    def picture(self) -> Path | None:
        """The newest preview's file; None if there is none yet."""
        found = [self.lesson.run / "preview.png", self.lesson.run / "revision" / "preview.png"]
        there = [path for path in found if path.exists()]
        return max(there, key=lambda path: path.stat().st_mtime_ns, default=None)

    def left(self) -> float | None:
        """Seconds at most, by the pace since the first step."""
        step, then = self._first
        if self.state != "running" or not then or self._step <= step:
            return None
        return (time.monotonic() - then) / (self._step - step) * max(0, self._expected - self._step)

    def to_json(self) -> dict[str, Any]:
        """What the page is told."""
        preview = self.picture()
        facts = f"{preview}{preview.stat().st_mtime_ns}" if preview else ""
        return super().to_json() | {
            "name": self.lesson.style.name,
            "step": self._step,
            "steps": self._expected,
            "stage": self._stage,
            "losses": self._losses,
            "preview": hashlib.sha256(facts.encode()).hexdigest()[:16] if preview else None,
            "notes": self._notes,
            "warning": self._warning or None,
        }

    def _hear(self, child: "subprocess.Popen[str]") -> None:
        assert child.stdout
        with child.stdout as lines:
            for line in lines:
                self._heard(json.loads(line))
        code = child.wait()  # only then is its run free for another
        _shut(child.stdin)
        if self._end == "done":
            self._learnt()
            self.share = 1.0
        broke = not self._end and (code > 0 or (code < 0 and not self._asked))
        if broke:
            how = f"code {code}" if code > 0 else f"signal {-code}, perhaps for want of memory"
            self.error = f"learning: ended by itself ({how}); try again"
        self.state = self._end or ("failed" if broke else "stopped")

    def _heard(self, said: Mapping[str, Any]) -> None:
        if "step" in said:
            self._step, self._stage = said["step"], ""
            if not self._first[1]:
                self._first = self._step, time.monotonic()
            self.share = min(0.99, self._step / max(1, self._expected))
            row = [float(self._step), *(said[name] for name in _SHOWN if name in said)]
            if len(row) == 1 + len(_SHOWN) and self._losses[-1:] != [row]:
                self._losses = [each for each in self._losses if each[0] < row[0]] + [row]
        self._expected = said.get("expected", self._expected)
        self._stage = said.get("stage", self._stage)
        if "note" in said and len(self._notes) < 50:
            self._notes = [*self._notes, said["note"].replace(f"{self.lesson.run}: ", "")]
        if "error" in said:
            self.error, self._end = said["error"], "failed"
        if "warning" in said:
            self._warning, self._end = said["warning"], "done"
        if said.get("stopped"):
            self._end = "stopped"


def _shut(file: IO[str] | None) -> None:
    try:
        if file:
            file.close()
    except OSError:
        pass


def _ended(child: "subprocess.Popen[str]", seconds: float) -> None:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.terminate()


def learn(lesson: Lesson, say: Callable[[Mapping[str, Any]], None], stop: Callable[[], bool]) -> None:
    """Do a lesson and say how it goes; an error that the user can correct is said too."""
    from stylebank.persistence.session import Callbacks
    from stylebank.training import added

    latest: dict[str, float] = {}

    def progress(step: int, losses: Mapping[str, float]) -> None:
        known = {name: losses[name] for name in _SHOWN if name in losses and math.isfinite(losses[name])}
        say({"step": step} | (known if known != latest else {}))
        latest.update(known)

    def stage(what: str, done: int, of: int) -> None:
        say({"stage": f"{what} {done}/{of}"})

    try:
        say({"expected": added.FILTERS * (lesson.steps or added.MOST_STEPS)})
        outcome = added.add_style(
            lesson.style,
            bank=lesson.bank,
            content=lesson.content,
            run=lesson.run,
            callbacks=Callbacks(lambda line: say({"note": line}), progress, stop, stage),
            vgg_weights=lesson.vgg,
            steps=lesson.steps,
            device=lesson.device,
        )
        say({"warning": outcome.warning} if outcome.entry else {"stopped": True})
    except StyleBankError as error:
        say({"error": " ".join(str(error).split())})


def main() -> None:
    """What the child does."""
    from stylebank.machine.interrupts import StopRequest

    lesson = Lesson.of_line(sys.stdin.readline())
    ended, begun = Event(), Event()

    def watch() -> None:
        sys.stdin.read()
        ended.set()
        if not begun.is_set():
            os._exit(0)  # there is nothing to save yet, and the main thread may be busy for a minute

    def say(what: Mapping[str, Any]) -> None:
        if "step" in what:
            begun.set()
        try:
            sys.stdout.write(json.dumps(what) + "\n")
            sys.stdout.flush()
        except OSError:  # nobody listens any more
            ended.set()

    Thread(target=watch, daemon=True).start()
    with StopRequest() as asked:
        learn(lesson, say, lambda: ended.is_set() or asked())


if __name__ == "__main__":
    main()

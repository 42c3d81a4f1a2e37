"""What a terminal shows of a long job: a progress bar with losses and time left, and notes."""

import math
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from stylebank.machine.distributed import ALONE, Group
from stylebank.machine.interrupts import LeaveAtOnce, StopRequest, is_interrupt

if TYPE_CHECKING:
    from rich.progress import Progress

_SHOWN = ("total", "held_back", "content", "identity")
_PLAIN_EVERY = 30.0  # seconds between lines where the output is no terminal
_PATIENCE = (
    1.0  # seconds before what is being prepared is said there: whoever is refused at once needs one line
)


class Watch:
    """Context manager around a job: draws its progress on standard error, hears Ctrl-C.

    Args:
        steps: how many; None if it is not known yet, see `expect`.
        what: the job, in a word.
        at_most: whether it may end before.
        kept: what is said of a job that is interrupted before its first step.
        group: the processes that do it together: they stop together, one draws, and each note is printed once.
    """

    def __init__(
        self, steps: int | None, *, what: str, at_most: bool = False, kept: str = "", group: Group = ALONE
    ) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._left = "left at most" if at_most else "left"
        self._group = group
        self.stop = StopRequest(group.largest)
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeRemainingColumn(),
            TextColumn(self._left),
            console=self._console,
            disable=not (self._console.is_terminal and group.is_main),
        )
        self._steps, self._what, self._kept = steps or 0, what, kept
        self._early = LeaveAtOnce()
        self._patience = threading.Timer(_PATIENCE, self._say_preparing)
        self._patience.daemon = True
        self._stage, self._made = "", time.monotonic()
        self._task = self._bar.add_task(what, total=steps, losses="")
        self._first: tuple[int, float] | None = None
        self._spoke = 0.0

    def __enter__(self) -> "Watch":
        self._early.__enter__()
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._patience.cancel()
        self._bar.stop()
        self._early.__exit__(kind, error, trace)
        self.stop.__exit__(kind, error, trace)
        if is_interrupt(error) and self._early.signal and self._first is None:
            if self._kept and self._group.is_main:
                self._print(self._kept)
            raise SystemExit(128 + self._early.signal)

    def expect(self, steps: int) -> None:
        """Say how many steps there are, now that it is known."""
        self._steps = steps
        self._bar.update(self._task, total=steps)

    def preparing(self) -> None:
        """Say that the job is being prepared, if it is not refused within a second or two: refusals are one line."""
        self._patience.start()

    def _say_preparing(self) -> None:
        self.note(f"{self._what}: preparing; the first step comes in a minute or two ...")

    def stage(self, what: str, done: int, of: int) -> None:
        """Show what is being prepared, and how much of it is done."""
        self._bar.update(self._task, description=f"{self._what}: {what} {done}/{of}")
        now, is_new = time.monotonic(), what != self._stage
        if self._console.is_terminal or not self._group.is_main or now - self._made < _PATIENCE:
            return
        if is_new or now - self._spoke >= _PLAIN_EVERY:
            self._stage, self._spoke = what, now
            self._print(f"{self._what}: {what}{'' if is_new else f' {done}/{of}'} ...")

    def note(self, line: str) -> None:
        """Print a line above the bar."""
        if self._group.is_first(line):
            self._print(line)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, emoji=False, soft_wrap=True)

    def progress(self, step: int, losses: Mapping[str, float]) -> None:
        """Move the bar; without a terminal, print a line now and then."""
        known = {name: value for name, value in losses.items() if not math.isnan(value)}
        shown = "  ".join(f"{name} {known[name]:.3g}" for name in _SHOWN if name in known)
        self._bar.update(self._task, completed=step, losses=shown, description=self._what)
        now = time.monotonic()
        if self._first is None:
            self._first = (step, now)
            self._patience.cancel()
            self._spoke = 0.0
            self._early.__exit__(None, None, None)
            self.stop.__enter__()  # before the first step there is nothing to save: Ctrl-C leaves at once
        first_step, started = self._first
        if not self._group.is_main:
            return
        if self._console.is_terminal or now - self._spoke < _PLAIN_EVERY or step == first_step:
            return
        self._spoke = now
        pace = (now - started) / (step - first_step)
        left = pace * (self._steps - step)
        self.note(
            f"{self._what} {step}/{self._steps}  {shown}  {pace:.3f} s/step, {left / 60:.0f} min {self._left}"
        )


class FrameBar:
    """Context manager around the frames of a clip: shows how many are done, how fast, and hears Ctrl-C.

    Args:
        what: the clip, in a word or two.
        total: frames; None if nobody knows.
        done: of these already.
        stop: see there.
    """

    def __init__(self, what: str, total: int | None, done: int, stop: StopRequest) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
            speed_estimate_period=120,
        )
        self._task = self._bar.add_task(what, total=total, completed=done, pace="")
        self._what, self._total, self._before, self.stop = what, total, done, stop
        self._began = self._spoke = time.monotonic()

    def __enter__(self) -> "FrameBar":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, done: int) -> None:
        """Move the bar; without a terminal, print a line now and then."""
        now = time.monotonic()
        pace = (done - self._before) / max(now - self._began, 1e-6)
        self._bar.update(self._task, completed=done, pace=f"{pace:.2g} frames/s")
        if self._console.is_terminal or now - self._spoke < _PLAIN_EVERY:
            return
        self._spoke = now
        known = self._total is not None and done <= self._total
        left = f", {(self._total - done) / pace / 60:.0f} min left" if known and self._total else ""
        of = f"/{self._total}" if known else ""
        line = f"{self._what} {done}{of} frames  {pace:.2g} a second{left}"
        self._console.print(line, markup=False, emoji=False, soft_wrap=True)


class TileBar:
    """Context manager that shows on a terminal how far painting in tiles is, one photo after another.

    The bar appears with a photo's first tile and goes with its last; without a terminal there is nothing to see.
    """

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def __enter__(self) -> "TileBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, done: float, total: float) -> None:
        """Move the bar."""
        self._bar = self._bar or _tile_progress(total)
        self._bar.update(self._bar.task_ids[0], completed=done)
        if done > total * (1 - 1e-9):
            self._bar.stop()
            self._bar = None


def _tile_progress(total: float) -> "Progress":
    """A bar on standard error, started; its libraries are loaded only when there are tiles."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=120,
    )
    bar.add_task("painting in tiles", total=total)
    bar.start()
    return bar

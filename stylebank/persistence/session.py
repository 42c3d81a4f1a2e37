"""A run: one folder, continued where it stopped; steps, saves and shows itself until done or asked to stop.

The folder holds `checkpoint.safetensors` (all that a run needs to continue), `preview.png`, `curves.png` and
`losses.csv`. What a step does is the process's business: `algorithm.Trainer` or `incremental.FilterTrainer`.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from stylebank.config import Report
from stylebank.errors import RunError
from stylebank.machine.distributed import ALONE, Group
from stylebank.persistence import checkpoint, continuing, curves
from stylebank.persistence.checkpoint import Checkpoint
from stylebank.supervision.verdicts import Watchdog

HISTORY_EVERY = 10
"""Steps averaged into one point of the loss curves."""


@dataclass(frozen=True)
class Callbacks:
    """How a run talks to its owner.

    Attributes:
        note: takes one line of text, each line once.
        progress: takes (steps done, latest losses by name) after each step.
        stop: says whether to save and leave.
        stage: takes (what is being prepared, how much of it is done, of how much) before the first step.
    """

    note: Callable[[str], None]
    progress: Callable[[int, Mapping[str, float]], None]
    stop: Callable[[], bool]
    stage: Callable[[str, int, int], None] = lambda _what, _done, _of: None

    def after(self, steps: int) -> "Callbacks":
        """The same for a part of a run that so many steps went before."""
        return replace(self, progress=lambda step, losses: self.progress(steps + step, losses))

    def without_repeats(self) -> "Callbacks":
        """The same, saying each line only the first time: a broken photo may be met in several places."""
        said: set[str] = set()

        def note(line: str) -> None:
            if line not in said:
                said.add(line)
                self.note(line)

        return replace(self, note=note)


class Process(curves.Losses, Protocol):
    """What a session runs: something with a state that advances by steps."""

    step: int

    def advance(self) -> None:
        """Do one step."""

    def is_done(self) -> bool:
        """Whether the last step has been done."""

    def is_finite(self) -> bool:
        """Whether no weight has become NaN or infinite."""

    def flush_history(self) -> dict[str, float]:
        """Average the losses since the last call into one row of the history, and return it by name."""

    def state(self, experiment: Mapping[str, Any], seconds: float) -> Checkpoint:
        """What `restore` needs to continue bit-exactly."""

    def restore(self, saved: Checkpoint) -> None:
        """Continue from a checkpoint; KeyError or RuntimeError if it is of another network."""


class Session:
    """A process from its last checkpoint until it is done or asked to stop.

    Args:
        process: what advances.
        folder: the run's.
        experiment: what must be equal for a run to be the same.
        every: how often to save and to show.
        unstyled: what the loss is of an unstyled photo, about.
        callbacks: see `Callbacks`.
        preview: writes a picture to a path.
        board: TensorBoard, if wanted.
        group: the processes that run it together; one of them writes.

    Attributes:
        continued: the experiment as the checkpoint has it that it goes on from; None if it begins.

    Raises:
        RunError: the folder holds a run of another experiment.
        TensorFileError: its checkpoint is damaged.
    """

    def __init__(
        self,
        process: Process,
        folder: Path,
        experiment: Mapping[str, Any],
        *,
        every: Report,
        unstyled: float,
        callbacks: Callbacks,
        preview: Callable[[Path], None],
        board: curves.TensorBoard | None = None,
        group: Group = ALONE,
    ) -> None:
        self._process, self._folder, self._experiment = process, folder, experiment
        self._every, self._callbacks, self._draw, self._board = every, callbacks, preview, board
        self._group = group
        self._started, self._seconds_before = time.monotonic(), 0.0
        self._watchdog = Watchdog(unstyled, folder)
        self.continued: Mapping[str, Any] | None = None
        if saved := continuing.find(folder, experiment):
            try:
                process.restore(saved)
            except (KeyError, RuntimeError) as error:
                raise RunError(
                    f"{folder}: its checkpoint is of another network ({error}); start anew in another --run folder"
                ) from error
            self._seconds_before, self.continued = saved.seconds, saved.experiment
            for line in continuing.notes(folder, saved, experiment):
                callbacks.note(line)
        group.check_same({"step of the checkpoint": process.step})

    @property
    def seconds(self) -> float:
        """Computing time of this and all earlier sessions of the run."""
        return self._seconds_before + time.monotonic() - self._started

    def loop(self) -> None:
        """Step, log, save, show, until the last step or until asked to stop."""
        process, every = self._process, self._every
        latest: dict[str, float] = {}
        while not process.is_done() and not self._callbacks.stop():
            process.advance()
            if process.step % HISTORY_EVERY == 0:
                latest = process.flush_history()
                self._check_finite()
                if self._board:
                    self._board.log(latest)
                if line := self._watchdog.bark(process.step, latest.get("total", math.nan)):
                    self._callbacks.note(line)
            try:
                self._callbacks.progress(process.step, latest)
            except (OSError, SystemExit):  # nobody reads any more what it says
                self.save()
                raise
            if process.step % every.checkpoint_every == 0:
                self.save()
            if process.step % every.preview_every == 0:
                self.preview()
        self.save()

    def save(self) -> None:
        """Write checkpoint, curves and table."""
        self._check_finite()
        self._process.flush_history()
        if not self._group.is_main:
            return
        checkpoint.write(
            continuing.checkpoint_path(self._folder), self._process.state(self._experiment, self.seconds)
        )
        curves.draw_curves(self._process, self._folder / "curves.png")

    def preview(self) -> None:
        """Write the contact sheet."""
        if self._group.is_main:
            self._draw(self._folder / "preview.png")

    def _check_finite(self) -> None:
        """A single NaN spoils every weight: stop before it is saved."""
        if not self._process.is_finite():
            raise RunError(
                f"{self._folder}: the weights are no longer finite at step {self._process.step}; lower "
                "learning_rate and start anew in another --run folder"
            )

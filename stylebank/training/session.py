"""A run: one folder, continued where it stopped; steps, saves and shows itself until done or asked to stop.

The folder holds `checkpoint.safetensors` (all that a run needs to continue), `preview.png`, `curves.png` and
`losses.csv`. What a step does is the process's business: `algorithm.Trainer` or `incremental.FilterTrainer`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from stylebank.bank import bundle
from stylebank.config import Report
from stylebank.errors import OutputError, RunError
from stylebank.files import atomic, tensorfile
from stylebank.machine.distributed import ALONE, Group
from stylebank.training import checkpoint, report
from stylebank.training.checkpoint import Checkpoint

HISTORY_EVERY = 10
"""Steps averaged into one point of the loss curves."""


@dataclass(frozen=True)
class Callbacks:
    """How a run talks to its owner.

    Attributes:
        note: takes one line of text, each line once.
        progress: takes (steps done, latest losses by name) after each step.
        stop: says whether to save and leave.
    """

    note: Callable[[str], None]
    progress: Callable[[int, Mapping[str, float]], None]
    stop: Callable[[], bool]

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


class Process(report.Losses, Protocol):
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
        callbacks: see `Callbacks`.
        preview: writes a picture to a path.
        board: TensorBoard, if wanted.
        group: the processes that run it together; one of them writes.

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
        callbacks: Callbacks,
        preview: Callable[[Path], None],
        board: report.TensorBoard | None = None,
        group: Group = ALONE,
    ) -> None:
        self._process, self._folder, self._experiment = process, folder, experiment
        self._every, self._callbacks, self._draw, self._board = every, callbacks, preview, board
        self._group = group
        self._started, self._seconds_before = time.monotonic(), 0.0
        saved = _find_checkpoint(folder, experiment)
        if saved:
            try:
                process.restore(saved)
            except (KeyError, RuntimeError) as error:
                raise RunError(
                    f"{folder}: its checkpoint is of another network ({error}); start anew in another --run folder"
                ) from error
            self._seconds_before = saved.seconds
            callbacks.note(f"{folder}: continuing at step {saved.step}")
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
            self._callbacks.progress(process.step, latest)
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
        checkpoint.write(checkpoint_path(self._folder), self._process.state(self._experiment, self.seconds))
        report.draw_curves(self._process, self._folder / "curves.png")

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


def check_places(folder: Path, *, content: Path, out: Path, resume: bool, force: bool) -> None:
    """Check that a run's folder, its photos and the bank to write do not get in each other's way.

    Raises:
        OutputError: `out` is no bank, or the run's own.
        RunError: the folder lies among the photos, or has nothing to resume.
    """
    atomic.refuse_foreign(out, lambda path: tensorfile.kind_of(path) == bundle.KIND, force=force)
    if out.resolve() == folder.resolve():
        raise OutputError(f"{out}: is the run's folder; give the bank a file name of its own")
    if out.resolve() == checkpoint_path(folder).resolve():
        raise OutputError(f"{out}: is the run's checkpoint; give the bank a file name of its own")
    if folder.resolve().is_relative_to(content.resolve()):
        raise RunError(
            f"{folder}: lies in the content folder, and its pictures are no photos; choose another --run"
        )
    if resume and not checkpoint_path(folder).exists():
        raise RunError(f"{folder}: holds no checkpoint to resume; leave out --resume to start")


def checkpoint_path(folder: Path) -> Path:
    """Where a run keeps all that it needs to continue."""
    return folder / "checkpoint.safetensors"


def _find_checkpoint(folder: Path, experiment: Mapping[str, Any]) -> Checkpoint | None:
    """The folder's checkpoint, which must be of the same experiment."""
    path = checkpoint_path(folder)
    if not path.exists():
        return None
    saved = checkpoint.read(path)
    for part in {**saved.experiment, **experiment}:
        if saved.experiment.get(part) != experiment.get(part):
            raise RunError(
                f"{folder}: its {_EXPERIMENT_WORDS.get(part, part)} changed since; restore what was, or "
                "start anew in another --run folder"
            )
    return saved


_EXPERIMENT_WORDS = {
    "config": "config (or options: steps, size, kernel, seed)",
    "styles": "style images",
    "photos": "content folder",
    "vgg": "VGG weights",
    "precision": "precision",
    "from": "bank to go on from",
    "bank": "bank's encoder and decoder",
    "stop": "number of steps",
}

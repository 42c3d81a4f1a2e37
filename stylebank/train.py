"""A training run: one folder, continued where it stopped, ending in one bank.

The run folder holds `checkpoint.safetensors` (all that a run needs to continue), `preview.png`, `curves.png` and
`losses.csv`. The loop is in `algorithm`; what a person sees is drawn by `report`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from stylebank import bundle, checkpoint, data, files, metrics, report, tensorfile
from stylebank.algorithm import Trainer
from stylebank.checkpoint import Checkpoint
from stylebank.config import Config
from stylebank.devices import choose_device
from stylebank.errors import OutputError, RunError, TensorFileError
from stylebank.material import Material, gather
from stylebank.metrics import BankFigures

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


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `figures` are None if it was stopped before its last step."""

    step: int
    seconds: float
    figures: BankFigures | None


def train(
    config: Config,
    *,
    content: Path,
    run: Path,
    out: Path,
    callbacks: Callbacks,
    device: str = "auto",
    vgg_weights: Path | str,
    resume: bool = False,
    tensorboard: bool = False,
    force: bool = False,
) -> Outcome:
    """Train a bank, or continue training it, and write it.

    Args:
        config: the experiment.
        content: folder of photos, nested, any sizes and formats.
        run: folder of this run; made if missing, continued if it holds a checkpoint.
        out: the bank; written when the run ends or is asked to stop.
        callbacks: see `Callbacks`.
        device: "auto", "cpu" or "cuda".
        vgg_weights: a VGG file, or "torchvision".
        resume: insist that there is a run to continue.
        tensorboard: also log to `run`/tensorboard, with the extra of that name.
        force: replace `out` even if it is no bank.

    Raises:
        StyleBankError: something the user can correct, found before any training where it can be.
    """
    files.refuse_foreign(out, lambda path: tensorfile.kind_of(path) == bundle.KIND, force=force)
    if out.resolve() == run.resolve():
        raise OutputError(f"{out}: is the run's folder; give the bank a file name of its own")
    if out.resolve() == _checkpoint(run).resolve():
        raise OutputError(f"{out}: is the run's checkpoint; give the bank a file name of its own")
    if run.resolve().is_relative_to(content.resolve()):
        raise RunError(
            f"{run}: lies in the content folder, and its pictures are no photos; choose another --run"
        )
    if resume and not _checkpoint(run).exists():
        raise RunError(f"{run}: holds no checkpoint to resume; leave out --resume to start")
    if tensorboard:
        report.TensorBoard.require()
    target = choose_device(device)
    callbacks = replace(callbacks, note=_once(callbacks.note))
    material = gather(config, content, target, vgg_weights, callbacks.note)
    with files.locked(run / "run", wait=False):
        saved = _find_checkpoint(run, material.experiment)
        board = report.TensorBoard(run / "tensorboard") if tensorboard else None
        session = _Session(config, material, run, callbacks, board, saved)
        try:
            session.loop()
        finally:
            session.close()
        return session.finish(out)


class _Session:
    """A run from its last checkpoint until it ends or is asked to stop."""

    def __init__(
        self,
        config: Config,
        material: Material,
        folder: Path,
        callbacks: Callbacks,
        board: report.TensorBoard | None,
        saved: Checkpoint | None,
    ) -> None:
        self.config, self.material, self.folder = config, material, folder
        self.callbacks, self.board = callbacks, board
        training = config.training
        self.stream = data.ContentStream(
            material.photos,
            crop=training.crop,
            batch=training.batch,
            zoom=training.zoom,
            seed=training.seed,
            report=callbacks.note,
        )
        self.trainer = Trainer(
            config,
            self.stream,
            material.objective(material.precision),
            device=material.device,
            precision=material.precision,
        )
        self._started, self._seconds_before = time.monotonic(), 0.0
        if saved:
            try:
                self.trainer.restore(saved)
            except (KeyError, RuntimeError) as error:
                raise RunError(
                    f"{folder}: its checkpoint is of another network ({error}); start anew in another --run folder"
                ) from error
            self._seconds_before = saved.seconds
            callbacks.note(f"{folder}: continuing at step {saved.step} of {training.steps}")

    @property
    def seconds(self) -> float:
        """Computing time of this and all earlier sessions of the run."""
        return self._seconds_before + time.monotonic() - self._started

    def loop(self) -> None:
        """Step, log, save, show, until the last step or until asked to stop."""
        trainer, every = self.trainer, self.config.report
        steps = self.config.training.steps
        latest: dict[str, float] = {}
        while trainer.step < steps and not self.callbacks.stop():
            trainer.advance()
            if trainer.step % HISTORY_EVERY == 0:
                latest = trainer.flush_history()
                self._check_finite()
                if self.board:
                    self.board.log(latest)
            self.callbacks.progress(trainer.step, latest)
            if trainer.step % every.checkpoint_every == 0:
                self.save()
            if trainer.step % every.preview_every == 0:
                self.preview()
        self.save()

    def save(self) -> None:
        """Write checkpoint, curves and table."""
        self._check_finite()
        self.trainer.flush_history()
        checkpoint.write(_checkpoint(self.folder), self.trainer.state(self.material.experiment, self.seconds))
        report.draw_curves(self.trainer, self.folder / "curves.png")

    def preview(self) -> None:
        """Write the contact sheet."""
        photos = self.material.held_back[: report.PREVIEW_PHOTOS]
        report.draw_preview(self.trainer.network, self.material.emblems, photos, self.folder / "preview.png")

    def finish(self, out: Path) -> Outcome:
        """Write the bank; after the last step also measure what was written."""
        step, config, material = self.trainer.step, self.config, self.material
        origin = {key: material.experiment[key] for key in ("config", "photos", "vgg", "precision")}
        training = origin | {"steps": step}
        bank = bundle.from_network(self.trainer.network, config.network, material.styles, training)
        if step < config.training.steps:
            if _is_another_bank(out, origin["config"]):
                self.callbacks.note(f"{out}: kept, it is another bank; this one is not finished")
            else:
                bundle.write(out, bank)
            return Outcome(step, self.seconds, None)
        bundle.write(out, bank)
        self.preview()
        photos = material.held_back.to(material.device)
        network = bank.build().to(material.device)
        return Outcome(
            step, self.seconds, metrics.measure(network, material.objective(torch.float32), photos)
        )

    def close(self) -> None:
        """Stop the decoding threads, write the last of the log."""
        self.stream.close()
        if self.board:
            self.board.close()

    def _check_finite(self) -> None:
        """A single NaN spoils every weight: stop before it is saved."""
        if not self.trainer.is_finite():
            raise RunError(
                f"{self.folder}: the weights are no longer finite at step {self.trainer.step}; lower "
                "learning_rate and start anew in another --run folder"
            )


def _once(note: Callable[[str], None]) -> Callable[[str], None]:
    """Say a line only the first time: a broken photo may be met in several places."""
    said: set[str] = set()

    def say(line: str) -> None:
        if line not in said:
            said.add(line)
            note(line)

    return say


def _find_checkpoint(folder: Path, experiment: Mapping[str, Any]) -> Checkpoint | None:
    """The folder's checkpoint, which must be of the same experiment."""
    path = _checkpoint(folder)
    if not path.exists():
        return None
    saved = checkpoint.read(path)
    for part, wanted in experiment.items():
        if saved.experiment.get(part) != wanted:
            raise RunError(
                f"{folder}: its {_EXPERIMENT_WORDS[part]} changed since; restore what was, or "
                "start anew in another --run folder"
            )
    return saved


def _is_another_bank(path: Path, config: Mapping[str, Any]) -> bool:
    """Whether a file is a bank, sound or not, that another experiment made."""
    if tensorfile.kind_of(path) != bundle.KIND:
        return False
    try:
        return bool(bundle.read(path).training.get("config") != config)
    except TensorFileError:
        return True


_EXPERIMENT_WORDS = {
    "config": "config",
    "styles": "style images",
    "photos": "content folder",
    "vgg": "VGG weights",
    "precision": "precision",
}


def _checkpoint(folder: Path) -> Path:
    return folder / "checkpoint.safetensors"

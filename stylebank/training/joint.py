"""A training run of a whole bank: encoder, decoder and all filters together, from photos and styles to one file.

The loop is in `session`, a step in `algorithm`; what a person sees is drawn by `report`.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Card
from stylebank.config import Config
from stylebank.errors import TensorFileError
from stylebank.files import atomic, tensorfile
from stylebank.machine.devices import choose_device
from stylebank.machine.distributed import ALONE, Group
from stylebank.supervision import metrics
from stylebank.supervision.metrics import BankFigures
from stylebank.training import data, report, revision
from stylebank.training.algorithm import Trainer, check_start
from stylebank.training.material import Material, gather
from stylebank.training.session import Callbacks, Session, check_places


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
    start: Bundle | None = None,
    group: Group = ALONE,
) -> Outcome:
    """Train a bank, or continue training it, and write it.

    Args:
        config: the experiment.
        content: folder of photos, nested, any sizes and formats.
        run: folder of this run; made if missing, continued if it holds a checkpoint.
        out: the bank; written when the run ends or is asked to stop.
        callbacks: see `Callbacks`.
        device: see `devices.choose_device`.
        vgg_weights: a VGG file, or "torchvision".
        resume: insist that there is a run to continue.
        tensorboard: also log to `run`/tensorboard, with the extra of that name.
        force: replace `out` even if it is no bank.
        start: a bank to go on from, see `Trainer`.
        group: the processes that train it together, each on its part of every batch; all get the same outcome.

    Raises:
        StyleBankError: something the user can correct, found before any training where it can be.
    """
    check_places(run, content=content, out=out, resume=resume, force=force)
    if start:
        check_start(start, config)
    if tensorboard:
        report.TensorBoard.require()
    places = group.places(config.training.batch)
    target = group.own_device(choose_device(device))
    callbacks = callbacks.without_repeats()
    material = gather(config, content, target, vgg_weights, callbacks.note)
    if start:
        material.experiment["from"] = start.digest()
    with ExitStack() as stack:
        if group.is_main:
            stack.enter_context(atomic.locked(run / "run", wait=False))
        group.check_same(material.experiment)  # and none reads the run before it is locked
        board = report.TensorBoard(run / "tensorboard") if tensorboard and group.is_main else None
        if board:
            stack.callback(board.close)
        how, pinned = config.training, target.type == "cuda"
        stream = data.ContentStream.of(
            how, material.photos, report=callbacks.note, places=places, pinned=pinned
        )
        stack.callback(stream.close)
        return _run(config, material, stream, start, run, out, callbacks, board, group)


def _run(
    config: Config,
    material: Material,
    stream: data.ContentStream,
    start: Bundle | None,
    folder: Path,
    out: Path,
    callbacks: Callbacks,
    board: report.TensorBoard | None,
    group: Group,
) -> Outcome:
    """Step until the end, or until asked to stop; then write the bank."""
    objective = material.objective(material.precision)
    trainer = Trainer(
        config,
        stream,
        objective,
        device=material.device,
        precision=material.precision,
        start=start,
        group=group,
    )

    def preview(path: Path) -> None:
        photos = material.held_back[: report.PREVIEW_PHOTOS]
        trainer.begin_revisions()
        report.draw_preview(trainer.network, material.emblems, photos, path)

    session = Session(
        trainer,
        folder,
        material.experiment,
        every=config.report,
        callbacks=callbacks,
        preview=preview,
        board=board,
        group=group,
    )
    session.loop()
    return _finish(session, trainer, material, start, out, callbacks, group)


def _finish(
    session: Session,
    trainer: Trainer,
    material: Material,
    start: Bundle | None,
    out: Path,
    callbacks: Callbacks,
    group: Group,
) -> Outcome:
    """Write the bank; after the last step, with figures of what is written."""
    origin = {key: material.experiment[key] for key in ("config", "photos", "vgg", "precision")}
    if start:
        origin["from"] = dict(start.training)
    network, photos = trainer.network, material.held_back.to(material.device)
    trainer.begin_revisions()

    def snapshot(
        cards: Sequence[Card] | None = None, gains: Sequence[tuple[float, float]] | None = None
    ) -> Bundle:
        return bundle.from_network(
            network,
            trainer.config.network,
            material.styles,
            origin | {"steps": trainer.step},
            gains=gains,
            cards=cards,
        )

    rounded = snapshot().build().to(material.device)  # as the file will have it
    gains = [revision.gains(rounded, photos, style) for style in range(len(material.styles))]
    if not trainer.is_done():
        if _is_another_bank(out, origin["config"]):
            callbacks.note(f"{out}: kept, it is another bank; this one is not finished")
        elif group.is_main:
            bundle.write(out, snapshot(gains=gains))
        return Outcome(trainer.step, session.seconds, None)
    figures = metrics.measure(rounded, material.objective(torch.float32), photos)
    cards = [report.card(style, photos, origin="joint", steps=trainer.step) for style in figures.styles]
    if group.is_main:
        bundle.write(out, snapshot(cards, gains))
    session.preview()
    return Outcome(trainer.step, session.seconds, figures)


def _is_another_bank(path: Path, config: Mapping[str, Any]) -> bool:
    """Whether a file is a bank, sound or not, that another experiment made."""
    if tensorfile.kind_of(path) != bundle.KIND:
        return False
    try:
        return bool(bundle.read(path).training.get("config") != config)
    except TensorFileError:
        return True

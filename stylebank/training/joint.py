"""A training run of a whole bank: encoder, decoder and all filters together, from photos and styles to one file.

The loop is in `session`, a step in `algorithm`; what a person sees is drawn by `report`, what may be replaced is for
`outlet` to say.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Card
from stylebank.config import Config
from stylebank.files import atomic
from stylebank.machine.devices import choose_device
from stylebank.machine.distributed import ALONE, Group
from stylebank.persistence import continuing
from stylebank.persistence.curves import TensorBoard
from stylebank.persistence.outlet import Outlet, check_places, refuse_inputs
from stylebank.persistence.session import Callbacks, Session
from stylebank.supervision import metrics, verdicts
from stylebank.supervision.metrics import BankFigures
from stylebank.training import data, material, report, revision
from stylebank.training.algorithm import Trainer
from stylebank.training.material import Found, Material
from stylebank.training.start import check_start


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        step: steps done.
        seconds: computing time.
        figures: of what was written; None if it was stopped before its last step, or had been done before.
        out: where the bank is; another place than asked for if something came there that must not be replaced.
        warning: what is wrong with it by its figures, in a line; empty if nothing is.
        before: what there is to say of a run that had been done before, in a line; else empty.
    """

    step: int
    seconds: float
    figures: BankFigures | None
    out: Path
    warning: str = ""
    before: str = ""


@dataclass(frozen=True)
class _Run:
    """What the parts of a run share."""

    config: Config
    folder: Path
    outlet: Outlet
    callbacks: Callbacks
    start: Bundle | None
    group: Group


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
        force: replace `out` whatever it is, with styles that were added to it.
        start: a bank to go on from, see `Trainer`.
        group: the processes that train it together, each on its part of every batch; all get the same outcome.

    Raises:
        StyleBankError: something the user can correct, found before any training where it can be.
    """
    check_places(run, content=content, out=out, resume=resume, force=force)
    if start:
        check_start(start, config)
    if tensorboard:
        TensorBoard.require()
    places = group.places(config.training.batch)
    target = group.own_device(choose_device(device))
    callbacks = callbacks.without_repeats()
    found = material.find(config, content, target, vgg_weights)
    if start:
        known = tuple(entry for entry in start.entries if entry.name in {x.name for x in config.styles})
        found.experiment["from"] = replace(
            start, entries=known
        ).digest()  # what it has besides decides nothing
    refuse_inputs(out, found.inputs if vgg_weights == "torchvision" else [*found.inputs, Path(vgg_weights)])
    outlet, outcome = _place(found, run, out, force=force, group=group)
    if outcome:
        return outcome
    shared = _Run(config, run, outlet, callbacks, start, group)
    return _begin(shared, found, places, tensorboard=tensorboard)


def _begin(run: _Run, found: Found, places: range, *, tensorboard: bool) -> Outcome:
    """Read what the run needs, under its lock, and train."""
    group = run.group
    with ExitStack() as stack:
        if group.is_main:
            stack.enter_context(atomic.locked(run.folder / "run", wait=False))
        group.check_same(found.experiment)  # and none reads the run before it is locked
        board = TensorBoard(run.folder / "tensorboard") if tensorboard and group.is_main else None
        if board:
            stack.callback(board.close)
        gathered = material.read(found, run.callbacks)
        stream = data.ContentStream.of(
            run.config.training,
            gathered.photos,
            report=run.callbacks.note,
            places=places,
            pinned=found.device.type == "cuda",
        )
        stack.callback(stream.close)
        return _train(run, gathered, stream, board, unstyled=found.unstyled_loss())


def _place(found: Found, run: Path, out: Path, *, force: bool, group: Group) -> tuple[Outlet, Outcome | None]:
    """Where the bank goes, which one process decides for all; an outcome if the run had been done before.

    Raises:
        RunError: the run is of another experiment.
        OutputError: something would be lost.
    """
    saved = continuing.find(run, found.experiment)
    step = saved.step if saved else 0
    outlet = Outlet(out, run, styles=found.styles, experiment=found.experiment, step=step, force=force)
    done = outlet.done() if group.is_main and not force and step == found.config.training.steps else None
    if done is None and group.is_main:
        outlet.check()
    if not group.largest(int(done is not None)):
        return outlet, None
    before = f"{out}: done already ({step} steps)"
    if done and (lacking := outlet.lacking(done)):
        before += f"; {', '.join(lacking)} removed or renamed since: remove the file to have it written anew"
    return outlet, Outcome(step, saved.seconds if saved else 0.0, None, out, before=before)


def _train(
    run: _Run, gathered: Material, stream: data.ContentStream, board: TensorBoard | None, *, unstyled: float
) -> Outcome:
    """Step until the end, or until asked to stop; then write the bank."""
    trainer = Trainer(
        run.config,
        stream,
        gathered.objective(gathered.precision),
        device=gathered.device,
        precision=gathered.precision,
        start=run.start,
        group=run.group,
    )

    def preview(path: Path) -> None:
        photos = gathered.held_back[: report.PREVIEW_PHOTOS]
        trainer.begin_revisions()
        report.draw_preview(trainer.network, gathered.emblems, photos, path)

    session = Session(
        trainer,
        run.folder,
        gathered.experiment,
        every=run.config.report,
        unstyled=unstyled,
        callbacks=run.callbacks,
        preview=preview,
        board=board,
        group=run.group,
    )
    session.loop()
    return _finish(run, session, trainer, gathered)


def _finish(run: _Run, session: Session, trainer: Trainer, gathered: Material) -> Outcome:
    """Write the bank; after the last step, with figures of what is written."""
    origin = {key: gathered.experiment[key] for key in ("config", "photos", "vgg", "precision")}
    if run.start:
        origin["from"] = dict(run.start.training)
    network, photos = trainer.network, gathered.held_back.to(gathered.device)
    trainer.begin_revisions()

    def snapshot(
        cards: Sequence[Card] | None = None, gains: Sequence[tuple[float, float]] | None = None
    ) -> Bundle:
        return bundle.from_network(
            network,
            trainer.config.network,
            gathered.styles,
            origin | {"steps": trainer.step},
            gains=gains,
            cards=cards,
        )

    rounded = snapshot().build().to(gathered.device)  # as the file will have it
    gains = [revision.gains(rounded, photos, style) for style in range(len(gathered.styles))]
    if not trainer.is_done():
        return Outcome(trainer.step, session.seconds, None, _write(run, snapshot(gains=gains)))
    figures = metrics.measure(rounded, gathered.objective(torch.float32), photos)
    cards = [report.card(style, photos, origin="joint", steps=trainer.step) for style in figures.styles]
    out = _write(run, snapshot(cards, gains))
    session.preview()
    return Outcome(trainer.step, session.seconds, figures, out, _verdict(trainer, gathered, figures))


def _write(run: _Run, bank: Bundle) -> Path:
    """Where the bank is written, by one process."""
    if not run.group.is_main:
        return run.outlet.path
    out = run.outlet.write(bank)
    if out != run.outlet.path:
        why = run.outlet.standing().why
        run.callbacks.note(f"{run.outlet.path}: {why}, and is kept; this run's bank is {out}")
    return out


def _verdict(trainer: Trainer, gathered: Material, figures: BankFigures) -> str:
    config = trainer.config
    named = dict(zip((style.name for style in gathered.styles), figures.styles, strict=True))
    return verdicts.verdict(
        named,
        {style.name: [image.weight for image in style.layers] for style in gathered.styles},
        one_colour=gathered.one_colour,
        losses=[row[trainer.columns.index("total")] for row in trainer.history],
        steps=trainer.step,
        learning_rate=config.training.learning_rate,
        psnr=figures.psnr if config.network.is_bank and config.training.balance > 0 else None,
    )

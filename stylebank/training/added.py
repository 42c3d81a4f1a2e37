"""A new bank entry with encoder and decoder frozen: from a style to a longer bank file, in minutes.

The run folder is as a training's. The bank is locked only while the finished entry is appended: many can be trained for
one bank at once. How a step goes is `incremental`'s, where it starts `warm_start`'s business.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mode

import numpy as np

from stylebank import config
from stylebank.bank import editing, entries, personal
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Card, Entry
from stylebank.config import Config, Loss, Report, Style, Training
from stylebank.errors import ConfigError, OutputError, TensorFileError
from stylebank.files import atomic
from stylebank.machine.devices import choose_device
from stylebank.persistence import continuing
from stylebank.persistence.outlet import check_places, refuse_inputs
from stylebank.persistence.session import Callbacks, Session
from stylebank.supervision import verdicts
from stylebank.supervision.metrics import StyleFigures
from stylebank.training import data, material
from stylebank.training.addition import Addition, recipe
from stylebank.training.incremental import FilterTrainer
from stylebank.training.material import Found

FILTERS = 2
"""That a style has, trained one after the other."""

_SECOND = "revision"  # the second filter's folder, below the first's

MOST_STEPS = 1000
"""Where the training of a filter ends that nothing else has ended: eight minutes or so on two cores."""

POOL = 256  # crops: a few hundred steps see each several times, and a larger pool showed no smaller loss
_TRAINING = Training(
    batch=2,  # half the price of a step of 4, and more than half as far
    crop=256,  # at 192 the large forms of relu5_1 come slower, by the clock too
    zoom=1.5,
    learning_rate=6e-3,
    warmup=10,
    schedule="inverse",  # needs no last step known before
    decay_every=150,
)
_REPORT = Report(checkpoint_every=50, preview_every=50)


@dataclass(frozen=True)
class Outcome:
    """How an addition ended.

    Attributes:
        step: steps done, of both filters.
        seconds: computing time.
        entry: what the bank has now; None if it was stopped before its end.
        warning: what is wrong with it by its figures, in a line; empty if nothing is.
    """

    step: int
    seconds: float
    entry: Entry | None
    warning: str = ""


def add_style(
    style: Style,
    *,
    bank: Path,
    content: Path,
    run: Path,
    callbacks: Callbacks,
    vgg_weights: Path | str,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Outcome:
    """Train a new entry for a bank, or continue training it, and append it to the file.

    Args:
        style: what it is made of; its size is the bank's own if 0.
        bank: the file that grows.
        content: folder of photos, nested, any sizes and formats.
        run: folder of this run; made if missing, continued if it holds a checkpoint.
        callbacks: see `Callbacks`.
        vgg_weights: a VGG file, or "torchvision".
        steps: how many; None trains until the loss on photos held back no longer falls.
        seed: of everything random.
        device: see `devices.choose_device`.

    Raises:
        StyleBankError: something the user can correct, found before any training where it can be.
    """
    contents, found = _found(style, bank, content, run, vgg_weights, steps=steps, seed=seed, device=device)
    callbacks = callbacks.without_repeats()
    with atomic.locked(run / "run", wait=False), ExitStack() as stack:
        gathered = material.read(found, callbacks)
        stream = data.ContentStream.of(found.config.training, gathered.photos, batch=1, report=callbacks.note)
        stack.callback(stream.close)
        addition = Addition(
            contents,
            found.config,
            gathered,
            stream,
            run,
            until_flat=steps is None,
            pool=POOL,
            stage=callbacks.stage,
        )
        outcome = _train(addition, run, found, callbacks, one_colour=gathered.one_colour)
        if outcome.entry:
            _commit(outcome.entry, bank, run, contents.coder_digest(), callbacks)
    return outcome


def _found(
    style: Style,
    bank: Path,
    content: Path,
    run: Path,
    vgg_weights: Path | str,
    *,
    steps: int | None,
    seed: int,
    device: str,
) -> tuple[Bundle, Found]:
    """The bank and what the addition is made of; refuses all that can be refused before minutes are spent."""
    _check_arguments(style, steps, seed)
    contents = personal.contents(bank)
    editing.check_free(contents, style.name)
    personal.check_open(bank)
    if not contents.network.is_bank:
        raise ConfigError(f"{bank}: is a johnson network, which has one style for ever; choose a bank")
    check_places(run, content=content, out=bank, resume=False, force=False)
    experiment = experiment_for(contents, style, steps=steps, seed=seed)
    found = material.find(experiment, content, choose_device(device), vgg_weights)
    refuse_inputs(bank, found.inputs)
    editing.check_room(bank, contents, _placeholder(contents, found))
    found.experiment["bank"] = contents.coder_digest()
    for folder in (run, run / _SECOND):
        continuing.find(folder, found.experiment)
    with atomic.locked(bank):
        pass  # a folder that cannot be written is found now, not after the training
    return contents, found


def _train(
    addition: Addition, run: Path, found: Found, callbacks: Callbacks, *, one_colour: frozenset[str]
) -> Outcome:
    """Each filter in a session of its own, the second's in a folder below the first's."""
    seconds, done = 0.0, 0
    losses: list[float] = []
    has_moved = False
    for name, trainer in addition.trainers():
        session = Session(
            trainer,
            run if name == "filter" else run / name,
            found.experiment,
            every=_REPORT,
            unstyled=found.unstyled_loss(),
            callbacks=callbacks.after(done),
            preview=partial(addition.preview, trainer),
        )
        before, begun = session.continued, trainer.step
        if before and (has_moved or before.get("photos") != found.experiment.get("photos")):
            trainer.judge_anew()
        session.loop()
        has_moved = before is not None and trainer.step > begun
        trainer.check_frozen()
        seconds, done = seconds + session.seconds, done + trainer.step
        losses = losses or _losses(trainer)
        if not trainer.is_done():
            return Outcome(done, seconds, None)
        session.preview()
    entry, figures = addition.entry(steps=done, seconds=seconds)
    return Outcome(done, seconds, entry, _verdict(entry, figures, losses, done, one_colour))


def _commit(entry: Entry, bank: Path, run: Path, coder_digest: str, callbacks: Callbacks) -> None:
    """Append the finished entry; if the bank no longer takes it, keep it as a file of its own.

    Raises:
        OutputError, TensorFileError: the bank is gone, another one, full, or has the name by now.
    """
    try:
        adding = editing.adding(entry, coder_digest=coder_digest, source=entry.name)
        editing.edit(bank, adding, note=lambda line: callbacks.note(f"note: {line}"))
    except (OutputError, TensorFileError) as error:
        kept = run / f"{entry.name}.style.safetensors"
        entries.write(kept, entry, coder_digest=coder_digest)
        raise type(error)(f"{error}; the finished style is in {kept}") from error


def _losses(trainer: FilterTrainer) -> list[float]:
    return [row[trainer.columns.index("total")] for row in trainer.history]


def _verdict(
    entry: Entry, figures: StyleFigures, losses: Sequence[float], steps: int, one_colour: frozenset[str]
) -> str:
    return verdicts.verdict(
        {entry.name: figures},
        {entry.name: [image.weight for image in entry.style.layers]},
        one_colour=one_colour,
        losses=losses,
        steps=steps,
        learning_rate=_TRAINING.learning_rate,
    )


def _placeholder(contents: Bundle, found: Found) -> Entry:
    """As large an entry as the new one will be in the bank's header."""
    style, channels = found.styles[0], 4 * contents.network.width
    nothing = np.zeros((channels, channels, style.kernel, style.kernel), np.float16)
    ratios = (-9999.9999,) * len(style.layers)
    card = Card("added", 10**6, 10.0**6, 10**6, 10**6, ratios, -9999.9999, -9999.9999)
    made = recipe(found.config, found.experiment)
    return Entry(style, nothing, 1.0 / 3, card, recipe=made, revision=nothing, revision_gain=1.0 / 3)


def _check_arguments(style: Style, steps: int | None, seed: int) -> None:
    config.check_style(style, where=f"style '{style.name}'")
    if (steps is not None and steps < 1) or not 0 <= seed < 2**31:
        raise ConfigError(
            f"steps {steps}, seed {seed}: are out of range; use 1 or more, and 0 to {2**31 - 1}"
        )


def experiment_for(contents: Bundle, style: Style, *, steps: int | None, seed: int) -> Config:
    """The experiment of an addition: the loss, and the size of style images, are those the bank was trained with.

    Raises:
        ConfigError: the bank's own experiment is not of this version.
    """
    joint = [entry.style for entry in contents.entries if entry.is_joint]
    sizes = [max(image.size) for style_set in joint for image in style_set.layers]
    if style.size == 0:
        style = replace(style, size=mode(sizes) if sizes else Style("").size)
    return Config(
        network=contents.network,
        training=replace(_TRAINING, steps=steps or MOST_STEPS, seed=seed),
        loss=contents.trained_with(Loss, "loss"),
        report=_REPORT,
        styles=(style,),
    )

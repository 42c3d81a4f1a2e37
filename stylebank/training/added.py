"""A new bank entry with encoder and decoder frozen: from a style to a longer bank file, in minutes.

The run folder is as a training's. The bank is locked only while the finished entry is appended: many can be trained for
one bank at once. How a step goes is `incremental`'s, where it starts `warm_start`'s business.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mode
from typing import Any

import torch
from torch import Tensor

from stylebank import config
from stylebank.bank import bundle, editing
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.config import Config, Loss, Report, Style, Training
from stylebank.errors import ConfigError
from stylebank.files import atomic
from stylebank.machine.devices import choose_device
from stylebank.network.model import identity_filter
from stylebank.network.tensors import to_torch
from stylebank.supervision import metrics
from stylebank.training import data, report, warm_start
from stylebank.training.feature_pool import FeaturePool, Features
from stylebank.training.incremental import FilterTrainer
from stylebank.training.material import Material, gather
from stylebank.training.session import Callbacks, Session, check_places

MOST_STEPS = 1000
"""Where a training ends that nothing else has ended: eight minutes or so on two cores."""

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
    """How an addition ended: `entry` is None if it was stopped before its end."""

    step: int
    seconds: float
    entry: Entry | None


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
        device: "auto", "cpu" or "cuda".

    Raises:
        StyleBankError: something the user can correct, found before any training where it can be.
    """
    _check_arguments(style, steps, seed)
    contents = bundle.read(bank)
    editing.check_free(contents, style.name)
    if not contents.network.is_bank:
        raise ConfigError(f"{bank}: is a johnson network, which has one style for ever; choose a bank")
    check_places(run, content=content, out=bank, resume=False, force=False)
    experiment = experiment_for(contents, style, steps=steps, seed=seed)
    callbacks = callbacks.without_repeats()
    material = gather(experiment, content, choose_device(device), vgg_weights, callbacks.note)
    with atomic.locked(bank):
        pass  # a folder that cannot be written is found now, not after the training
    stop = "when flat" if steps is None else "fixed"
    identity = material.experiment | {"bank": contents.coder_digest(), "stop": stop}
    with atomic.locked(run / "run", wait=False), ExitStack() as stack:
        stream = data.ContentStream.of(experiment.training, material.photos, batch=1, report=callbacks.note)
        stack.callback(stream.close)
        trainer = _trainer(contents, experiment, material, stream, until_flat=steps is None, folder=run)

        def preview(path: Path) -> None:
            shown = contents_with(contents, material, trainer.average).build().to(material.device)
            report.draw_preview(shown, material.emblems, material.held_back[: report.PREVIEW_PHOTOS], path)

        session = Session(trainer, run, identity, every=_REPORT, callbacks=callbacks, preview=preview)
        session.loop()
        trainer.check_frozen()
        if not trainer.is_done():
            return Outcome(trainer.step, session.seconds, None)
        session.preview()
        entry = _entry(contents, material, trainer, seconds=session.seconds)
    editing.edit(bank, editing.adding(entry, coder_digest=contents.coder_digest(), source=style.name))
    return Outcome(trainer.step, session.seconds, entry)


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


def _trainer(
    contents: Bundle,
    experiment: Config,
    material: Material,
    stream: data.ContentStream,
    *,
    until_flat: bool,
    folder: Path,
) -> FilterTrainer:
    objective = material.objective(material.precision)
    kernel = material.styles[0].kernel
    identity = identity_filter(4 * contents.network.width, kernel)
    network = contents_with(contents, material, identity).build().to(material.device)
    network = network.to(memory_format=torch.channels_last)
    network.precision = material.precision

    def features(photos: Tensor) -> Features:
        photos = photos.to(material.device, memory_format=torch.channels_last)
        with torch.no_grad():
            return network.encode(photos), objective.content_features(photos)

    training = experiment.training
    pool = FeaturePool(
        lambda number: features(stream.batch(number)),
        size=POOL,
        batch=training.batch,
        seed=training.seed,
        folder=folder,
    )
    mixed = warm_start.candidates(contents.entries, channels=identity.shape[0], kernel=kernel)
    return FilterTrainer(
        experiment,
        network,
        to_torch(contents.coder),
        objective=objective,
        pool=pool,
        held_back=features(material.held_back),
        start=lambda: warm_start.best_mixture(network, objective, pool, mixed),
        until_flat=until_flat,
    )


def contents_with(contents: Bundle, material: Material, weight: Tensor) -> Bundle:
    """The bank's encoder and decoder with the new filter alone, rounded as its file will have it."""
    entry = Entry(style=material.styles[0], filter=bundle.stored(weight), gain=1.0)
    return replace(contents, entries=(entry,))


def _entry(contents: Bundle, material: Material, trainer: FilterTrainer, *, seconds: float) -> Entry:
    """The finished entry, measured as the file will have it."""
    finished = contents_with(contents, material, trainer.best)
    network = finished.build().to(material.device)
    photos = material.held_back.to(material.device)
    figures = metrics.style_figures(network, material.objective(torch.float32), photos, 0)
    return replace(
        finished.entries[0],
        gain=metrics.filter_gain(network, photos, 0),
        card=report.card(figures, photos, origin="added", steps=trainer.step, seconds=seconds),
        recipe=_recipe(trainer.config, material.experiment),
    )


def _recipe(experiment: Config, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody needs to make the same entry again; style and network stand beside it."""
    return {
        "loss": experiment.to_manifest()["loss"],
        "training": asdict(experiment.training),
        **{key: facts[key] for key in ("photos", "vgg", "precision")},
    }

"""A new bank entry with encoder and decoder frozen: from a style to a longer bank file, in minutes.

The run folder is as a training's. The bank is locked only while the finished entry is appended: many can be trained for
one bank at once. How a step goes is `incremental`'s, where it starts `warm_start`'s business.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mode
from typing import Any

import torch
from torch import Tensor, nn

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
from stylebank.supervision.objective import Terms
from stylebank.training import data, report, revision, warm_start
from stylebank.training.feature_pool import FeaturePool, Features
from stylebank.training.incremental import FilterTrainer
from stylebank.training.material import Material, gather
from stylebank.persistence.session import Callbacks, Session, check_places

FILTERS = 2
"""That a style has, trained one after the other."""

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
        addition = Addition(contents, experiment, material, stream, run, until_flat=steps is None)
        outcome = _train(addition, run, identity, callbacks)
    if entry := outcome.entry:
        editing.edit(bank, editing.adding(entry, coder_digest=contents.coder_digest(), source=style.name))
    return outcome


def _train(addition: "Addition", run: Path, identity: Mapping[str, Any], callbacks: Callbacks) -> Outcome:
    """Each filter in a session of its own, the second's in a folder below the first's."""
    seconds, done = 0.0, 0
    for name, trainer in addition.trainers():
        session = Session(
            trainer,
            run if name == "filter" else run / name,
            identity,
            every=_REPORT,
            callbacks=callbacks.after(done),
            preview=partial(addition.preview, trainer),
        )
        session.loop()
        trainer.check_frozen()
        seconds, done = seconds + session.seconds, done + trainer.step
        if not trainer.is_done():
            return Outcome(done, seconds, None)
        session.preview()
    return Outcome(done, seconds, addition.entry(steps=done, seconds=seconds))


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


class Addition:
    """A new entry as it is trained: its first filter, then its second, each from where a bank already is.

    Args:
        contents: the bank.
        experiment: loss and training.
        material: of the run.
        stream: crops, one at a time.
        folder: the run's.
        until_flat: see `FilterTrainer`.
    """

    def __init__(
        self,
        contents: Bundle,
        experiment: Config,
        material: Material,
        stream: data.ContentStream,
        folder: Path,
        *,
        until_flat: bool,
    ) -> None:
        self._contents, self._experiment, self._material = contents, experiment, material
        self._stream, self._folder, self._until_flat = stream, folder, until_flat
        self._objective = material.objective(material.precision)
        self._identity = identity_filter(4 * contents.network.width, material.styles[0].kernel)
        self._network = self._bundle(self._identity, self._identity).build().to(material.device)
        self._network = self._network.to(memory_format=torch.channels_last)
        self._network.precision = material.precision
        self._filter, self._revision = self._network.filters[0], self._network.revisions[0]

    def trainers(self) -> Iterator[tuple[str, FilterTrainer]]:
        """The first filter's, and when that has been trained the second's; their names are those of tensors."""
        mixed = warm_start.candidates(
            self._contents.entries, channels=len(self._identity), kernel=self._material.styles[0].kernel
        )
        trainer = self._trainer(
            self._filter,
            self._objective,
            self._features(lambda crops, _: crops),
            lambda pool: warm_start.best_mixture(self._network, self._objective, pool, mixed),
        )
        yield "filter", trainer
        for weight in (self._filter, self._revision):  # where the second starts
            weight.requires_grad_(False).copy_(trainer.best)
        trainer = self._trainer(
            self._revision,
            self._objective.revision,
            self._features(self._ground),
            lambda _: self._filter.clone(),
        )
        yield "revision", trainer
        self._revision.requires_grad_(False).copy_(trainer.best)

    def preview(self, trainer: FilterTrainer, path: Path) -> None:
        """Write a sheet of photos as the entry would paint them now; the first filter does all at first."""
        weight = self._filter if trainer.trains(self._revision) else trainer.average
        shown = self._bundle(weight, trainer.average).build().to(self._material.device)
        photos = self._material.held_back[: report.PREVIEW_PHOTOS]
        report.draw_preview(shown, self._material.emblems, photos, path)

    def entry(self, *, steps: int, seconds: float) -> Entry:
        """The finished entry, measured as the file will have it."""
        finished = self._bundle(self._filter, self._revision)
        network = finished.build().to(self._material.device)
        photos = self._material.held_back.to(self._material.device)
        figures = metrics.style_figures(network, self._material.objective(torch.float32), photos, 0)
        gain, revision_gain = revision.gains(network, photos, 0)
        return replace(
            finished.entries[0],
            gain=gain,
            revision_gain=revision_gain,
            card=report.card(figures, photos, origin="added", steps=steps, seconds=seconds),
            recipe=_recipe(self._experiment, self._material.experiment),
        )

    def _trainer(
        self,
        trained: nn.Parameter,
        objective: Callable[[Tensor, Tensor, Sequence[int]], Terms],
        features: Callable[[Tensor, int], Features],
        start: Callable[[FeaturePool], Tensor],
    ) -> FilterTrainer:
        training = self._experiment.training
        pool = FeaturePool(
            lambda number: features(self._stream.batch(number), number),
            size=POOL,
            batch=training.batch,
            seed=training.seed,
            folder=self._folder,
        )
        return FilterTrainer(
            self._experiment,
            self._network,
            trained,
            to_torch(self._contents.coder),
            objective=objective,
            pool=pool,
            held_back=features(self._material.held_back, POOL),
            start=lambda: start(pool),
            until_flat=self._until_flat,
        )

    def _features(self, paint_over: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor, int], Features]:
        """What frozen networks make of crops, or of what is painted over them."""

        def features(photos: Tensor, number: int) -> Features:
            photos = photos.to(self._material.device, memory_format=torch.channels_last)
            with torch.no_grad():
                over = paint_over(photos, number)
                return self._network.encode(over), self._objective.content_features(over)

        return features

    def _ground(self, crops: Tensor, number: int) -> Tensor:
        training = self._experiment.training
        key = f"{training.seed} ground {number}"
        return revision.ground(self._network, crops, [0] * len(crops), chained=training.chained, key=key)

    def _bundle(self, weight: Tensor, again: Tensor) -> Bundle:
        """The bank's encoder and decoder with the new entry alone, rounded as its file will have it."""
        style = self._material.styles[0]
        entry = Entry(style=style, filter=bundle.stored(weight), gain=1.0, revision=bundle.stored(again))
        return replace(self._contents, entries=(entry,))


def _recipe(experiment: Config, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody needs to make the same entry again; style and network stand beside it."""
    return {
        "loss": experiment.to_manifest()["loss"],
        "training": asdict(experiment.training),
        **{key: facts[key] for key in ("photos", "vgg", "precision")},
    }

"""A style as it is added to a bank, or trained further: its first filter, then its second."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.config import Config
from stylebank.network.model import identity_filter
from stylebank.network.tensors import to_torch
from stylebank.supervision import metrics
from stylebank.supervision.metrics import StyleFigures
from stylebank.supervision.objective import Kept, Terms
from stylebank.training import data, report, revision, warm_start
from stylebank.training.feature_pool import FeaturePool, Features
from stylebank.training.incremental import FilterTrainer
from stylebank.training.material import Material


class Addition:
    """An entry as it is trained: its first filter, then its second, each from where a bank already is.

    Args:
        contents: the bank.
        experiment: loss and training.
        material: of the run.
        stream: crops, one at a time.
        folder: the run's.
        until_flat: see `FilterTrainer`.
        pool: crops in the pool of features.
        stage: see `Callbacks`.
        before: the entry to go on from; a mixture of the bank's own, and the first filter for the second, if None.
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
        pool: int,
        stage: Callable[[str, int, int], None],
        before: Entry | None = None,
    ) -> None:
        self._pool, self._stage, self._before = pool, stage, before
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
        trainer = self._trainer(
            self._filter,
            self._objective,
            self._features(
                lambda crops, _: (self._network.shown(crops, self._experiment.training.grain), crops)
            ),
            self._start,
        )
        yield "filter", trainer
        for weight in (self._filter, self._revision):  # where the second starts
            weight.requires_grad_(False).copy_(trainer.best)
        trainer = self._trainer(
            self._revision,
            self._objective.revision,
            self._features(self._ground),
            lambda _: self._start_again(),
        )
        yield "revision", trainer
        self._revision.requires_grad_(False).copy_(trainer.best)

    def preview(self, trainer: FilterTrainer, path: Path) -> None:
        """Write a sheet of photos as the entry would paint them now; the first filter does all at first."""
        weight = self._filter if trainer.trains(self._revision) else trainer.average
        shown = self._bundle(weight, trainer.average).build().to(self._material.device)
        photos = self._material.held_back[: report.PREVIEW_PHOTOS]
        report.draw_preview(shown, self._material.emblems, photos, path)

    def entry(self, *, steps: int, seconds: float) -> tuple[Entry, StyleFigures]:
        """The finished entry, measured as the file will have it, and its figures."""
        finished = self._bundle(self._filter, self._revision)
        network = finished.build().to(self._material.device)
        photos = self._material.held_back.to(self._material.device)
        figures = metrics.style_figures(network, self._material.objective(torch.float32), photos, 0)
        gain, revision_gain = revision.gains(network, photos, 0)
        entry = replace(
            finished.entries[0],
            gain=gain,
            revision_gain=revision_gain,
            card=report.card(figures, photos, origin="added", steps=steps, seconds=seconds),
            recipe=recipe(self._experiment, self._material.experiment),
        )
        return entry, figures

    def _start(self, pool: FeaturePool) -> Tensor:
        """Where the first filter starts."""
        if self._before:
            return _weight(self._before.filter)
        mixed = warm_start.candidates(
            self._contents.entries, channels=len(self._identity), kernel=self._material.styles[0].kernel
        )
        return warm_start.best_mixture(
            self._network, self._objective, pool, mixed, progress=self._start_progress
        )

    def _start_again(self) -> Tensor:
        """Where the second filter starts."""
        if self._before and self._before.revision is not None:
            return _weight(self._before.revision)
        same: Tensor = self._filter.clone()
        return same

    def _start_progress(self, done: int, of: int) -> None:
        self._stage("mixing the bank's styles to start from", done, of)

    def _trainer(
        self,
        trained: nn.Parameter,
        objective: Callable[[Tensor, Kept, Sequence[int]], Terms],
        features: Callable[[Tensor, int], Features],
        start: Callable[[FeaturePool], Tensor],
    ) -> FilterTrainer:
        training = self._experiment.training
        pool = FeaturePool(
            lambda number: features(self._stream.batch(number), number),
            size=self._pool,
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
            held_back=features(self._material.held_back, self._pool),
            start=lambda: start(pool),
            until_flat=self._until_flat,
        )

    def _features(
        self, prepared: Callable[[Tensor, int], tuple[Tensor, Tensor]]
    ) -> Callable[[Tensor, int], Features]:
        """What frozen networks make of crops prepared as what is painted over, and as what pictures are to keep."""

        def features(photos: Tensor, number: int) -> Features:
            photos = photos.to(self._material.device, memory_format=torch.channels_last)
            with torch.no_grad():
                over, judged_by = prepared(photos, number)
                return Features(self._network.encode(over), *self._objective.kept(judged_by, photos))

        return features

    def _ground(self, crops: Tensor, number: int) -> tuple[Tensor, Tensor]:
        training = self._experiment.training
        over = revision.ground(
            self._network,
            crops,
            [0] * len(crops),
            grain=training.grain,
            chained=training.chained,
            key=f"{training.seed} ground {number}",
        )
        return over, over

    def _bundle(self, weight: Tensor, again: Tensor) -> Bundle:
        """The bank's encoder and decoder with the new entry alone, rounded as its file will have it."""
        style = self._material.styles[0]
        entry = Entry(style=style, filter=bundle.stored(weight), gain=1.0, revision=bundle.stored(again))
        return replace(self._contents, entries=(entry,))


def _weight(stored: NDArray[np.float16]) -> Tensor:
    return torch.from_numpy(stored.astype(np.float32))


def recipe(experiment: Config, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody needs to make the same entry again; style and network stand beside it."""
    return {
        "loss": experiment.to_manifest()["loss"],
        "training": asdict(experiment.training),
        **{key: facts[key] for key in ("photos", "vgg", "precision")},
    }

"""Incremental training of one filter, all else frozen (section 3.3 of the paper).

Differs from the paper: E(I), content targets and Grams are computed once; the filter starts from a mixture of others;
what is kept is a running average of it; and no number of steps is set before: by default the training ends when the
average's loss on photos held back no longer falls.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from stylebank.config import Config
from stylebank.errors import RunError
from stylebank.network.model import StyleBankNetwork, apply_filters
from stylebank.persistence import checkpoint
from stylebank.persistence.checkpoint import Checkpoint
from stylebank.supervision.objective import Kept, Terms
from stylebank.training.algorithm import learning_rate
from stylebank.training.feature_pool import FeaturePool, Features

EVALUATE_EVERY = 25  # steps
PATIENCE = 4  # evaluations
LEAST_GAIN = 0.005
"""The loss no longer falls if `PATIENCE` evaluations did not bring the best of them down by this share."""

_MEMORY = 0.98  # of the running average: it looks back some fifty steps
_BETAS = (0.9, 0.99)  # a few hundred steps in all: Adam's usual thousand would never forget the start

COLUMNS = ("step", "total", "content", "tv", "held_back", "learning_rate")
"""Figures of a history row; one more per style layer follows."""


class FilterTrainer:
    """The state of one filter's training and its step.

    Args:
        config: loss and training; `training.steps` is the last step at the latest.
        network: a bank's, on the device to train on.
        trained: the filter of it that is trained.
        coder: encoder and decoder as the bank's file has them, which they must stay.
        objective: the loss for this one style, see `Objective`.
        pool: training crops.
        held_back: features of photos to judge by.
        start: makes the filter's first value, (C, C, k, k), when the first step is done.
        until_flat: whether to stop when the loss on `held_back` no longer falls.
    """

    def __init__(
        self,
        config: Config,
        network: StyleBankNetwork,
        trained: torch.nn.Parameter,
        coder: Mapping[str, Tensor],
        *,
        objective: Callable[[Tensor, Kept, Sequence[int]], Terms],
        pool: FeaturePool,
        held_back: Features,
        start: Callable[[], Tensor],
        until_flat: bool,
    ) -> None:
        self.config, self.network, self.objective = config, network, objective
        self.step = 0
        self.history: list[list[float]] = []
        self._rows: list[Tensor] = []
        self._coder, self._pool, self._held_back = coder, pool, held_back
        self._start, self._until_flat = start, until_flat
        self._filter = trained.requires_grad_(True)
        self.average = self._filter.detach().clone()
        self.best = self.average.clone()
        self.evaluations: list[float] = []
        self._adam = torch.optim.Adam([self._filter], lr=config.training.learning_rate, betas=_BETAS)

    def advance(self) -> None:
        """Do one step on the filter; now and then judge the average of all so far."""
        if self.step == 0:
            start = self._start()
            with torch.no_grad():
                self._filter.copy_(start)
                self.average.copy_(start)
        for group in self._adam.param_groups:
            group["lr"] = learning_rate(self.config.training, self.step)
        self._adam.zero_grad(set_to_none=True)
        crops = self._pool.batch(self.step)
        painted = self._paint(self._filter, crops.encoded)
        terms = self.objective(painted, crops.kept, [0] * len(painted))
        terms.total.backward()
        self._adam.step()
        self.step += 1
        with torch.no_grad():
            memory = min(_MEMORY, self.step / (self.step + 9))  # short at first: the start is soon forgotten
            self.average.lerp_(self._filter, 1 - memory)
        nan = terms.total.new_tensor(math.nan)
        averages = (terms.total, terms.content.mean(), terms.tv.mean(), nan, nan)
        self._rows.append(torch.cat([torch.stack(averages), terms.style.mean(dim=0)]).detach())
        if self.step % EVALUATE_EVERY == 0 or self.step == self.config.training.steps:
            self._evaluate()

    def trains(self, weight: Tensor) -> bool:
        """Whether this is the filter that it trains."""
        return weight is self._filter

    def is_done(self) -> bool:
        """Whether the last step has been done, or the loss on photos held back no longer falls."""
        if self.step >= self.config.training.steps:
            return True
        earlier, latest = self.evaluations[:-PATIENCE], self.evaluations[-PATIENCE:]
        return self._until_flat and bool(earlier) and min(latest) > (1 - LEAST_GAIN) * min(earlier)

    def is_finite(self) -> bool:
        """Whether no weight has become NaN or infinite."""
        return bool(self._filter.isfinite().all())

    def check_frozen(self) -> None:
        """Make sure that encoder and decoder are still those of the bank, to the last bit.

        Raises:
            RunError: naming a tensor that changed.
        """
        live = self.network.state_dict()
        for name, tensor in self._coder.items():
            if not torch.equal(live[name].cpu(), tensor):
                raise RunError(
                    f"{name}: changed while the new style was trained; nothing was written; this is a defect, report it"
                )

    def flush_history(self) -> dict[str, float]:
        """Average the losses since the last call into one row of the history, and return it by name."""
        if self._rows:
            means = torch.stack(self._rows).nanmean(dim=0).tolist()
            self._rows.clear()
            row = [float(self.step), *means]
            row[COLUMNS.index("held_back")] = self.evaluations[-1] if self.evaluations else math.nan
            row[COLUMNS.index("learning_rate")] = learning_rate(self.config.training, self.step - 1)
            self.history.append(row)
        return dict(zip(self.columns, self.history[-1], strict=True)) if self.history else {}

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of a history row's figures."""
        return (*COLUMNS, *self.config.loss.style_layers)

    @property
    def panels(self) -> Sequence[tuple[str, Sequence[str]]]:
        """Titles of plots and the columns that each shows."""
        return (
            ("loss on crops, and of the average filter on photos held back", ("total", "held_back")),
            ("content distance and total variation", ("content", "tv")),
            ("relative style loss per layer", self.config.loss.style_layers),
        )

    def state(self, experiment: Mapping[str, Any], seconds: float) -> Checkpoint:
        """What `restore` needs to continue bit-exactly.

        Raises:
            RunError: encoder or decoder changed.
        """
        self.check_frozen()
        return Checkpoint(
            step=self.step,
            experiment=experiment,
            stylizing_norm=0.0,
            seconds=seconds,
            model={
                "filter": self._filter,
                "average": self.average,
                "best": self.best,
                "evaluations": torch.tensor(self.evaluations, dtype=torch.float64),
            },
            adam=checkpoint.adam_tensors(self._adam, self.network),
            history=torch.tensor(self.history).reshape(-1, len(self.columns)),
        )

    def restore(self, saved: Checkpoint) -> None:
        """Continue from a checkpoint of the same experiment.

        Raises:
            RuntimeError, KeyError: its tensors are not those of this network.
        """
        self.step = saved.step
        with torch.no_grad():
            self._filter.copy_(saved.model["filter"])
            self.average.copy_(saved.model["average"])
            self.best.copy_(saved.model["best"])
        self.evaluations = saved.model["evaluations"].tolist()
        checkpoint.restore_adam(self._adam, self.network, saved.adam)
        self.history = saved.history.reshape(-1, len(self.columns)).tolist()

    def judge_anew(self) -> None:
        """Forget how good it was: on other photos, or over another first filter, no figure compares with those."""
        self.evaluations.clear()
        self.best.copy_(self.average)

    def _evaluate(self) -> None:
        with torch.no_grad():
            losses = [
                self.objective(self._paint(self.average, photo.encoded), photo.kept, [0]).total
                for photo in self._held_back.split()
            ]
        loss = float(torch.stack(losses).mean())
        if loss < min(self.evaluations, default=math.inf):
            self.best.copy_(self.average)
        self.evaluations.append(loss)

    def _paint(self, weight: Tensor, features: Tensor) -> Tensor:
        return self.network.decode(apply_filters(features, [weight] * len(features)))

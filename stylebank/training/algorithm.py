"""Algorithm 1 of the paper: T stylizing steps, then one auto-encoder step, over and over.

A stylizing step draws m crops and m styles Y and updates E, D and {K_j : j in Y} by L_K; an auto-encoder step updates
E and D by L_I, its gradient rescaled to lambda times the norm of the last stylizing gradient:

    grad_I <- lambda * ||grad_K|| / ||grad_I|| * grad_I        (norms over the weights of E and D)

Past the paper, a share of the stylizing steps trains the styles' second filters R_j, as `revision` says: none in the
first part of a run, which R_j then begin as copies of K_j. The others see photos with the grain that painting gives
flat parts; the photos that outputs are compared with have none.

Public re-implementations leave that balance out. Everything random is a function of (seed, step).
"""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from stylebank.bank.bundle import Bundle
from stylebank.config import Config, Training
from stylebank.machine.distributed import ALONE, Group
from stylebank.network.instance_norm import watched_peaks
from stylebank.persistence import checkpoint
from stylebank.persistence.checkpoint import Checkpoint
from stylebank.supervision import losses
from stylebank.supervision.objective import Objective
from stylebank.training.data import ContentStream, draw_styles
from stylebank.training.revision import ground
from stylebank.training.start import go_on_from, new_network

COLUMNS = ("step", "total", "content", "tv", "revision", "identity", "learning_rate")
"""Figures of a history row; one more per style layer follows."""


class Trainer:
    """The state of a training and its step.

    Args:
        config: the experiment; its S styles are those of `objective`.
        stream: content batches, or this rank's part of them.
        objective: the stylizing branch's loss, on the device to train on.
        device: where the network is made.
        precision: of the network's convolutions.
        start: a bank to go on from instead of from nothing; its styles go on by their names, and R from the first step.
        group: the processes that train together.

    Raises:
        ConfigError: that bank has another network.
    """

    def __init__(
        self,
        config: Config,
        stream: ContentStream,
        objective: Objective,
        *,
        device: torch.device,
        precision: torch.dtype,
        start: Bundle | None = None,
        group: Group = ALONE,
    ) -> None:
        self.config = config
        self.step = 0
        self.stylizing_norm = torch.zeros((), device=device)
        self.history: list[list[float]] = []
        self._rows: list[Tensor] = []
        self._stream, self.objective, self._device = stream, objective, device
        network = new_network(config, objective.kernels)
        if start:
            go_on_from(start, network, config)
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.precision = precision
        self._group, self._model = group, group.averaging(self.network)
        self._shared = [*self.network.encoder.parameters(), *self.network.decoder.parameters()]
        self._revises_from = 0 if start else round(config.training.revise_after * config.training.steps)
        self._copies_at = None if start else self._revises_from
        trained = [weight for weight in self.network.parameters() if weight.requires_grad]
        self._adam = torch.optim.Adam(trained, lr=config.training.learning_rate, fused=device.type == "cuda")

    def advance(self) -> None:
        """Do one step, stylizing or auto-encoder, as its number says."""
        training = self.config.training
        if self.step == self._copies_at:
            self.begin_revisions()
        for group in self._adam.param_groups:
            group["lr"] = learning_rate(training, self.step)
        self._adam.zero_grad(set_to_none=True)
        content = self._placed(self._stream.batch(self.step))
        cycle, place = divmod(self.step, training.stylizing_steps + 1)
        if not self.config.network.is_bank:  # there is nothing but the stylizing branch
            self._stylizing_gradient(content, self.step)
        elif place < training.stylizing_steps:
            self._stylizing_gradient(content, cycle * training.stylizing_steps + place)
            if place == training.stylizing_steps - 1:
                self.stylizing_norm = gradient_norm(self._shared)
        else:
            self._identity_gradient(content)
        self._adam.step()
        self.step += 1

    def begin_revisions(self) -> None:
        """Let R that have not been trained yet be K: what they begin with, and what paints as well until then."""
        if self._copies_at is not None and self.step <= self._copies_at:
            with torch.no_grad():
                for revision, first in zip(self.network.revisions, self.network.filters, strict=False):
                    revision.copy_(first)

    def _stylizing_gradient(self, content: Tensor, number: int) -> None:
        training = self.config.training
        styles = draw_styles(
            len(self.network.filters), batch=training.batch, seed=training.seed, number=number
        )
        places = self._group.places(training.batch)
        styles = [styles[place] for place in places]
        again = self._is_revision(number)
        if again:
            key = f"{training.seed} ground {number}"
            seen = over = ground(
                self.network,
                content,
                styles,
                grain=training.grain,
                chained=training.chained,
                key=key,
            )
        else:
            seen, over = self.network.shown(content, training.grain), content
        kept = self.objective.kept(over, content)
        loss = self.objective.revision if again else self.objective
        weights = self.config.loss
        watched = watched_peaks(self.network.decoder) if weights.peaks else nullcontext(list[Tensor]())
        with watched as peaks:
            output = self._model(seen, styles, again=again)
        terms = loss(output, kept, styles)
        total = terms.total
        if weights.peaks:
            total = total + weights.peaks * torch.stack(peaks).mean()
        total.backward()
        row = self._row(revision=terms.total)
        if not again:
            row = self._row(total=terms.total, content=terms.content.mean(), tv=terms.tv.mean())
            row[len(COLUMNS) - 1 :] = terms.style.mean(dim=0).detach()
        self._rows.append(row)

    def _placed(self, batch: Tensor) -> Tensor:
        return batch.to(self._device, non_blocking=True, memory_format=torch.channels_last)

    def _is_revision(self, number: int) -> bool:
        """Whether a stylizing step is one of R; equal on all ranks."""
        chance = random.Random(f"{self.config.training.seed} revision {number}")
        started = self.step >= self._revises_from and len(self.network.revisions) > 0
        return started and chance.random() < self.config.training.revisions

    def _row(self, **figures: Tensor) -> Tensor:
        """A history row without its step: NaN where there is no figure."""
        row = torch.full((len(COLUMNS) - 1 + len(self.objective.grams),), math.nan, device=self._device)
        for name, figure in figures.items():
            row[COLUMNS.index(name) - 1] = figure.detach()
        return row

    def _identity_gradient(self, content: Tensor) -> None:
        training = self.config.training
        output = self._model(content)
        identity = losses.identity_distance(output, content).mean()
        identity.backward()
        rescale_gradient(self._shared, training.balance * self.stylizing_norm)
        self._rows.append(self._row(identity=identity))

    def flush_history(self) -> dict[str, float]:
        """Average the losses since the last call into one row of the history, and return it by name."""
        if self._rows:
            means = self._group.mean(torch.stack(self._rows).nanmean(dim=0)).tolist()
            self._rows.clear()
            row = [float(self.step), *means]
            row[COLUMNS.index("learning_rate")] = learning_rate(self.config.training, self.step - 1)
            self.history.append(row)
        return dict(zip(self.columns, self.history[-1], strict=True)) if self.history else {}

    def is_finite(self) -> bool:
        """Whether no weight has become NaN or infinite."""
        return bool(torch.stack([weight.isfinite().all() for weight in self.network.parameters()]).all())

    def is_done(self) -> bool:
        """Whether the last step has been done."""
        return self.step >= self.config.training.steps

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of a history row's figures."""
        return (*COLUMNS, *self.config.loss.style_layers)

    @property
    def panels(self) -> Sequence[tuple[str, Sequence[str]]]:
        """Titles of plots and the columns that each shows."""
        return (
            ("stylizing branch", ("total", "revision", "content", "tv")),
            ("relative style loss per layer", self.config.loss.style_layers),
            ("auto-encoder branch, mean squared error", ("identity",)),
        )

    def state(self, experiment: Mapping[str, Any], seconds: float) -> Checkpoint:
        """What `restore` needs to continue bit-exactly."""
        return Checkpoint(
            step=self.step,
            experiment=experiment,
            stylizing_norm=float(self.stylizing_norm),
            seconds=seconds,
            model=self.network.state_dict(),
            adam=checkpoint.adam_tensors(self._adam, self.network),
            history=torch.tensor(self.history).reshape(-1, len(self.columns)),
        )

    def restore(self, saved: Checkpoint) -> None:
        """Continue from a checkpoint of the same experiment, which may have had another number of steps.

        Raises:
            RuntimeError, KeyError: its tensors are not those of this network.
        """
        self.step = saved.step
        self.stylizing_norm = torch.tensor(saved.stylizing_norm, device=self._device)
        self.network.load_state_dict(saved.model)
        checkpoint.restore_adam(self._adam, self.network, saved.adam)
        self.history = saved.history.reshape(-1, len(self.columns)).tolist()
        if self._copies_at is not None:
            self._keep_revisions(saved)

    def _keep_revisions(self, saved: Checkpoint) -> None:
        """R that has been trained goes on where another number of steps would begin it anew, or have begun it."""
        before = saved.experiment.get("config", {}).get("training", {}).get("steps")
        if any(name.startswith("revisions.") for name in saved.adam):
            self._revises_from, self._copies_at = min(self._revises_from, self.step), None
        elif before not in (None, self.config.training.steps):
            self._revises_from = self._copies_at = max(self._revises_from, self.step)


def learning_rate(training: Training, step: int) -> float:
    """Adam's step size: a linear warm-up, then held and by a cosine to zero, a staircase, or an inverse of time."""
    warm = min(1.0, (step + 1) / (training.warmup + 1))
    if training.schedule == "staircase":
        return float(training.learning_rate * warm * training.decay ** (step // training.decay_every))
    if training.schedule == "inverse":
        return training.learning_rate * warm / (1 + step / training.decay_every)
    fallen = max(0.0, step / training.steps - training.hold) / (1 - training.hold)
    return training.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * fallen))


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Euclidean norm over all gradients together."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def rescale_gradient(parameters: Sequence[nn.Parameter], norm: Tensor | float) -> None:
    """Scale all gradients together to the given norm; gradients of exactly zero stay."""
    # 1e-20 is far below any gradient of an image that differs from its target by one 8-bit level.
    factor = norm / gradient_norm(parameters).clamp_min(1e-20)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(factor)

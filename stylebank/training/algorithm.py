"""Algorithm 1 of the paper: T stylizing steps, then one auto-encoder step, over and over.

A stylizing step draws m crops and m styles Y and updates E, D and {K_j : j in Y} by L_K; an auto-encoder step updates
E and D by L_I, its gradient rescaled to lambda times the norm of the last stylizing gradient:

    grad_I <- lambda * ||grad_K|| / ||grad_I|| * grad_I        (norms over the weights of E and D)

Public re-implementations leave that balance out. Everything random is a function of (seed, step).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stylebank.config import Config, Training
from stylebank.machine.distributed import ALONE, Group
from stylebank.network.model import StyleBankNetwork
from stylebank.supervision import losses
from stylebank.supervision.objective import Objective
from stylebank.training import checkpoint
from stylebank.training.checkpoint import Checkpoint
from stylebank.training.data import ContentStream, draw_styles

COLUMNS = ("step", "total", "content", "tv", "identity", "learning_rate")
"""Figures of a history row; one more per style layer follows."""


class Trainer:
    """The state of a training and its step.

    Args:
        config: the experiment; its S styles are those of `objective`.
        stream: content batches, or this rank's part of them.
        objective: the stylizing branch's loss, on the device to train on.
        device: where the network is made.
        precision: of the network's convolutions.
        group: the processes that train together.
    """

    def __init__(
        self,
        config: Config,
        stream: ContentStream,
        objective: Objective,
        *,
        device: torch.device,
        precision: torch.dtype,
        group: Group = ALONE,
    ) -> None:
        self.config = config
        self.step = 0
        self.stylizing_norm = 0.0
        self.history: list[list[float]] = []
        self._rows: list[Tensor] = []
        self._stream, self.objective, self._device = stream, objective, device
        self.network = new_network(config, objective.kernels).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.precision = precision
        self._group, self._model = group, group.averaging(self.network)
        self._shared = [*self.network.encoder.parameters(), *self.network.decoder.parameters()]
        trained = [weight for weight in self.network.parameters() if weight.requires_grad]
        self._adam = torch.optim.Adam(trained, lr=config.training.learning_rate)

    def advance(self) -> None:
        """Do one step, stylizing or auto-encoder, as its number says."""
        training = self.config.training
        for group in self._adam.param_groups:
            group["lr"] = learning_rate(training, self.step)
        self._adam.zero_grad(set_to_none=True)
        content = self._stream.batch(self.step).to(
            self._device, non_blocking=True, memory_format=torch.channels_last
        )
        cycle, place = divmod(self.step, training.stylizing_steps + 1)
        if not self.config.network.is_bank:  # there is nothing but the stylizing branch
            self._stylizing_gradient(content, self.step)
        elif place < training.stylizing_steps:
            self._stylizing_gradient(content, cycle * training.stylizing_steps + place)
            if place == training.stylizing_steps - 1:
                self.stylizing_norm = float(gradient_norm(self._shared))
        else:
            self._identity_gradient(content)
        self._adam.step()
        self.step += 1

    def _stylizing_gradient(self, content: Tensor, number: int) -> None:
        training = self.config.training
        styles = draw_styles(
            len(self.network.filters), batch=training.batch, seed=training.seed, number=number
        )
        styles = [styles[place] for place in self._group.places(training.batch)]
        features = self.objective.content_features(content)
        terms = self.objective(self._model(content, styles), features, styles)
        terms.total.backward()
        nan = terms.total.new_tensor(math.nan)
        averages = (terms.total, terms.content.mean(), terms.tv.mean(), nan, nan)
        self._rows.append(torch.cat([torch.stack(averages), terms.style.mean(dim=0)]).detach())

    def _identity_gradient(self, content: Tensor) -> None:
        training = self.config.training
        output = self._model(content)
        identity = losses.identity_distance(output, content).mean()
        identity.backward()
        rescale_gradient(self._shared, training.balance * self.stylizing_norm)
        row = torch.full((len(COLUMNS) - 1 + len(self.objective.grams),), math.nan, device=self._device)
        row[COLUMNS.index("identity") - 1] = identity.detach()
        self._rows.append(row)

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
        return all(bool(parameter.isfinite().all()) for parameter in self.network.parameters())

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
            ("stylizing branch", ("total", "content", "tv")),
            ("relative style loss per layer", self.config.loss.style_layers),
            ("auto-encoder branch, mean squared error", ("identity",)),
        )

    def state(self, experiment: Mapping[str, Any], seconds: float) -> Checkpoint:
        """What `restore` needs to continue bit-exactly."""
        return Checkpoint(
            step=self.step,
            experiment=experiment,
            stylizing_norm=self.stylizing_norm,
            seconds=seconds,
            model=self.network.state_dict(),
            adam=checkpoint.adam_tensors(self._adam, self.network),
            history=torch.tensor(self.history).reshape(-1, len(self.columns)),
        )

    def restore(self, saved: Checkpoint) -> None:
        """Continue from a checkpoint of the same experiment.

        Raises:
            RuntimeError, KeyError: its tensors are not those of this network.
        """
        self.step, self.stylizing_norm = saved.step, saved.stylizing_norm
        self.network.load_state_dict(saved.model)
        checkpoint.restore_adam(self._adam, self.network, saved.adam)
        self.history = saved.history.reshape(-1, len(self.columns)).tolist()


def new_network(config: Config, kernels: Sequence[int]) -> StyleBankNetwork:
    """The network before its first step, a function of the experiment's seed and the filters' sizes alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        shape = config.network
        return StyleBankNetwork(
            width=shape.width,
            kernels=kernels,
            output=shape.output,
            restore_moments=shape.restore_moments,
            kind=shape.kind,
        )


def learning_rate(training: Training, step: int) -> float:
    """Adam's step size: a linear warm-up, then a cosine to zero, the paper's staircase, or an inverse of time."""
    warm = min(1.0, (step + 1) / (training.warmup + 1))
    if training.schedule == "staircase":
        return float(training.learning_rate * warm * training.decay ** (step // training.decay_every))
    if training.schedule == "inverse":
        return training.learning_rate * warm / (1 + step / training.decay_every)
    return training.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / training.steps))


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Euclidean norm over all gradients together."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def rescale_gradient(parameters: Sequence[nn.Parameter], norm: float) -> None:
    """Scale all gradients together to the given norm; gradients of exactly zero stay."""
    # 1e-20 is far below any gradient of an image that differs from its target by one 8-bit level.
    factor = norm / gradient_norm(parameters).clamp_min(1e-20)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(factor)

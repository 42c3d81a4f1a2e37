"""Per-image optimisation: the image itself is the unknown. The slow reference that banks are measured by.

With one style image it is Gatys, Ecker, Bethge, "A neural algorithm of artistic style" (arXiv 1508.06576); with a
layered set of five it is LayerNeuralStylize. VGG, losses and style sets are those of the training.

Differs from both: each layer's loss is divided by the photo's own, so that one set of weights serves all styles
(`objective`); L-BFGS is the default, for it needs half the steps (`adam` is the seed system's schedule); large photos
go from coarse to fine, as strokes of a fixed size are found fastest on a small image.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from stylebank import config
from stylebank.config import MINIMUM_SIDE, Loss, Style
from stylebank.errors import ConfigError, ImageError, too_large
from stylebank.files import toml
from stylebank.machine import memory
from stylebank.machine.devices import choose_device
from stylebank.network.tensors import resized
from stylebank.reference.footprint import HISTORY
from stylebank.supervision import styleset, vgg
from stylebank.supervision.objective import Objective, check_layers

Method = Literal["lbfgs", "adam"]
Start = Literal["photo", "noise"]

COARSE_SIDE = 512
"""Pixels of the long side that the first scale has at most; each further one is twice as large."""

STYLE_WEIGHT = 20.0
"""Of the style loss, against content's 1: that of the released bank."""

_ADAM_RATE = 2.0 / 255  # 2.0 in levels of 255, as in neural-art-tf
_ADAM_DECAY, _ADAM_DECAY_EVERY = 0.94, 100  # staircase, as there


@dataclass(frozen=True)
class Settings:
    """How an image is optimised.

    Attributes:
        steps: evaluations of the loss, over all scales.
        method: "lbfgs", or "adam" with the seed system's learning rate.
        start: from the photo or from noise.
        seed: of the noise.
        coarse_to_fine: whether a large photo is begun small; else all steps see it at its own size.
    """

    steps: int = field(default=300, metadata={"low": 1, "high": 10**6})
    method: Method = "lbfgs"
    start: Start = "photo"
    seed: int = field(default=0, metadata={"low": 0, "high": 2**31 - 1})
    coarse_to_fine: bool = True


def read_experiment(path: Path, *, styles_folder: Path | None = None) -> tuple[Settings, Loss, Style]:
    """Read an experiment of one optimised image from a TOML file with the tables [optimize], [loss] and [style].

    Args:
        path: the file.
        styles_folder: where relative paths of style images start; by default the folder of the file.

    Raises:
        ConfigError: the file cannot be read, or a value is missing, unknown, mistyped or out of range.
    """
    table = toml.read(path)
    toml.reject_unknown(table, ("optimize", "loss", "style"), str(path))
    folder = styles_folder or path.parent
    loss = toml.section(Loss, table, "loss", where=str(path))
    config.check_loss(loss, where=str(path))
    return (
        toml.section(Settings, table, "optimize", where=str(path)),
        loss,
        config.style_from_table(table.get("style"), where=f"{path}: [style]", folder=folder),
    )


class UnfinishedError(ImageError):
    """Memory ran out all the same.

    Attributes:
        image: what there was, (1, 3, H, W) as large as the photo: the best of the last scale that went well.
    """

    def __init__(self, message: str, image: Tensor) -> None:
        super().__init__(message)
        self.image = image


@dataclass(frozen=True)
class Progress:
    """One step's image and losses.

    Attributes:
        step: from 1.
        image: (1, 3, h, w) in [0, 1], of the scale that is worked on; what the losses were measured on.
        total, content, style: losses; style is the mean of the layers, weighted.
    """

    step: int
    image: Tensor
    total: float
    content: float
    style: float


def paint(
    photo: Tensor,
    style: Style,
    loss: Loss,
    settings: Settings,
    *,
    device: str = "auto",
    vgg_weights: Path | str,
    working: tuple[int, int] | None = None,
    report: Callable[[Progress], bool] = lambda _: True,
) -> Tensor:
    """Optimise an image for a style as it was written down; see `optimize`.

    Args:
        photo: (1, 3, H, W) in [0, 1], sRGB.
        style: of size 0: as large as the photo on the coarsest scale.
        loss: weights and layers.
        settings: see `Settings`.
        device: see `devices.choose_device`.
        vgg_weights: a VGG file, or "torchvision".
        working: size (h, w) to paint at, where there is no memory for the photo's own; the result is enlarged.
        report: see `optimize`.

    Raises:
        StyleBankError: an image, the style or VGG cannot be read, or a value is out of range.
        UnfinishedError: see `optimize`.
    """
    own = (photo.shape[2], photo.shape[3])
    if min(own) < MINIMUM_SIDE:
        raise ImageError(f"photo: is {own[1]} x {own[0]} px; give one of at least {MINIMUM_SIDE} px a side")
    check_layers(loss)
    size = working or own
    coarse = scales(size)[0]
    resolved = styleset.resolve(
        replace(style, size=style.size or max(coarse)), loss.style_layers, loss.layer_weights
    )
    target = choose_device(device)
    network = vgg.load(vgg_weights).to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = Objective(network, loss, [resolved], resized(photo, coarse), precision=torch.float32)
    try:
        return resized(optimize(objective, resized(photo, size).to(target), settings, report=report), own)
    except UnfinishedError as error:
        raise UnfinishedError(str(error), resized(error.image, own)) from error


def optimize(
    objective: Objective,
    photo: Tensor,
    settings: Settings,
    *,
    style: int = 0,
    report: Callable[[Progress], bool] = lambda _: True,
) -> Tensor:
    """Optimise an image towards a photo's content and a style.

    Args:
        objective: with the style.
        photo: (1, 3, H, W) in [0, 1], sRGB, on the objective's device; sides at least 16 px.
        settings: see `Settings`.
        style: place of the style in the objective.
        report: called after each step; False ends the work.

    Returns:
        The image of the lowest loss at the finest scale that was reached, as large as the photo, in [0, 1].

    Raises:
        ConfigError: there are fewer steps than scales.
        UnfinishedError: memory ran out, after a step that went well; before that it is an ImageError.
    """
    size = (photo.shape[2], photo.shape[3])
    sizes = scales(size) if settings.coarse_to_fine else [size]
    shares = steps_by_scale(settings.steps, len(sizes))
    generator = torch.Generator().manual_seed(settings.seed)
    image = (
        torch.rand(photo.shape, generator=generator).to(photo.device) if settings.start == "noise" else photo
    )
    done, goes_on = 0, True
    for size, steps in zip(sizes, shares, strict=True):
        work, ran_out = None, False
        try:
            work = _Scale(objective, style, resized(photo, size), resized(image, size), settings.method)
            while goes_on and work.steps < steps:
                goes_on = report(work.step(done + work.steps + 1))
        except (MemoryError, RuntimeError) as error:
            if not memory.ran_out(error):
                raise
            ran_out = True
        if work:
            image, done = work.best, done + work.steps
        if ran_out:
            del work  # and the error has gone: what they held is free
            raise _unfinished(size, done, image, sizes[-1])
        if not goes_on:
            break
    return resized(image, sizes[-1])


def _unfinished(
    size: tuple[int, int], done: int, image: Tensor, whole: tuple[int, int]
) -> UnfinishedError | ImageError:
    """What to raise where memory ran out at a size, after so many steps."""
    if not done:
        return too_large(width=size[1], height=size[0])
    return UnfinishedError(
        f"image: memory ran out at {size[1]} x {size[0]} px after {done} steps (what there was is kept); make the "
        "photo smaller, or give --max-memory",
        resized(image, whole),
    )


class _Scale:
    """The work on one scale: an image, its optimizer, and the best image so far."""

    def __init__(
        self, objective: Objective, style: int, photo: Tensor, image: Tensor, method: Method
    ) -> None:
        self._style = [style]
        self._objective, self._kept = objective, objective.kept(photo)
        self._image = image.clone().requires_grad_()
        self._lowest, self.best = float("inf"), image
        self.steps = 0
        self._optimizer: torch.optim.Optimizer
        if method == "adam":
            self._optimizer = torch.optim.Adam([self._image], lr=_ADAM_RATE)
        else:
            # One evaluation of the loss for each step; no line search: it costs evaluations and gains nothing here.
            self._optimizer = torch.optim.LBFGS(
                [self._image], max_iter=1, history_size=HISTORY, tolerance_grad=0, tolerance_change=0
            )
        self._is_adam = method == "adam"

    def step(self, number: int) -> Progress:
        """Measure the image, then move it."""
        found: list[Progress] = []

        def measure() -> Tensor:
            terms = self._objective(self._image, self._kept, self._style)
            (gradient,) = torch.autograd.grad(terms.total, self._image)
            self._image.grad = gradient
            style = self._objective.weighted_style(terms.style, self._style)
            figures = (terms.total.item(), terms.content.item(), style.item())
            found.append(Progress(number, self._image.detach().clone(), *figures))
            return terms.total.detach()

        if self._is_adam:
            rate = _ADAM_RATE * _ADAM_DECAY ** (self.steps // _ADAM_DECAY_EVERY)
            self._optimizer.param_groups[0]["lr"] = rate
        self._optimizer.step(measure)  # type: ignore[arg-type]
        with torch.no_grad():
            self._image.clamp_(0, 1)
        if found[0].total < self._lowest:
            self._lowest, self.best = found[0].total, found[0].image
        self.steps += 1
        return found[0]


def scales(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Sizes (H, W) from coarse to fine, each twice the one before; the last is `size`."""
    found = [size]
    while max(found[0]) > COARSE_SIDE:
        height, width = found[0]
        found.insert(0, (max(16, (height + 1) // 2), max(16, (width + 1) // 2)))
    return found


def steps_by_scale(steps: int, count: int) -> list[int]:
    """Half of the steps on the coarsest scale, half of the rest on the next, and so on: a step there costs a quarter.

    Raises:
        ConfigError: there are fewer steps than scales.
    """
    if steps < count:
        raise ConfigError(f"{steps} steps: are too few for {count} scales; give more")
    shares: list[int] = []
    for left in range(count, 0, -1):
        share = steps - sum(shares)
        shares.append(share if left == 1 else max(1, min(share // 2, share - left + 1)))
    return shares

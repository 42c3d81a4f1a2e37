"""What the figures of a training say of it: whether it diverged, has not begun to paint, or paints one colour.

A training that ends is no success by that. Here figures become a line to read, or none; who prints it is for others
to say.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import mean, median

from stylebank.config import Loss
from stylebank.supervision.metrics import StyleFigures

FLAT = 0.02
"""Deviation of a picture's pixels, of 1, below which it is of one colour: five levels of 255."""

POOR = 10.0
"""PSNR in dB that a mere mean colour reaches: an auto-encoder below has learnt nothing, or lost it."""

_EXPLODED = (
    10.0  # times the loss of an unstyled photo, or the smallest so far: no schedule comes back from there
)
_ROWS = 5  # of the history, in a row: one bad batch is no divergence
_FEW = 100  # steps in which nobody should expect a style
_MOVED = 0.05  # by which steps must have moved a weight, about its own size, to have ruined anything


class Watchdog:
    """Notices, while a training goes, that its loss has exploded; says so once.

    Args:
        unstyled: what the loss is of an unstyled photo, about.
        folder: the run's, for the message.
    """

    def __init__(self, unstyled: float, folder: Path) -> None:
        self._lowest, self._folder = unstyled, folder
        self._rows, self._said = 0, False

    def bark(self, step: int, total: float) -> str:
        """What to say after a row of the history with this loss; mostly nothing."""
        if math.isnan(total):  # a row without a stylizing step
            return ""
        self._lowest = min(self._lowest, total)
        self._rows = self._rows + 1 if total > _EXPLODED * self._lowest else 0
        if self._rows < _ROWS or self._said:
            return ""
        self._said = True
        return (
            f"{self._folder}: the training diverges, its loss is over {_EXPLODED:.0f} times what it was "
            f"({total:.3g} at step {step}, {self._lowest:.3g} before); stop it, lower learning_rate, and start anew "
            "in another --run folder"
        )


def unstyled_loss(loss: Loss, weights: Sequence[Sequence[float]]) -> float:
    """What a loss is, about, of pictures that have neither the style (distances of 1) nor the photo's content (1)."""
    return loss.content + loss.style * mean(mean(own) for own in weights) + loss.tv + loss.tone + loss.color


def verdict(
    figures: Mapping[str, StyleFigures],
    weights: Mapping[str, Sequence[float]],
    *,
    one_colour: Collection[str],
    losses: Sequence[float],
    steps: int,
    learning_rate: float,
    psnr: float | None = None,
) -> str:
    """What is wrong with a training by its figures, in a line; empty if nothing is.

    Args:
        figures: of styles, by name.
        weights: of the layers in each style's loss.
        one_colour: styles whose pictures may be of one colour: their images are, or the photos.
        losses: the total over the run, by rows of its history.
        steps: done.
        learning_rate: of the training.
        psnr: of the auto-encoder branch, in dB; None if there is none, or nothing trained it.
    """
    ratios = {
        name: median(
            ratio for ratio, weight in zip(found.style_ratio, weights[name], strict=True) if weight > 0
        )
        for name, found in figures.items()
    }
    worse = {name: ratio for name, ratio in ratios.items() if not ratio <= 1}
    flat = [name for name, style in figures.items() if not style.spread >= FLAT and name not in one_colour]
    found = []
    if worse:
        found.append(
            f"{len(worse)} of {len(ratios)} styles are worse than the unstyled photo ({_listed(worse)}; 1 is unstyled)"
        )
    if flat:
        found.append(f"{len(flat)} of {len(ratios)} styles paint one colour ({', '.join(flat[:5])})")
    if psnr is not None and psnr < POOR:
        found.append(f"the auto-encoder gives no photo back ({psnr:.1f} dB)")
    if not found:
        return ""
    return f"{'; '.join(found)}; {_advice(losses, steps, learning_rate, worst=max(ratios.values()))}"


def _advice(losses: Sequence[float], steps: int, learning_rate: float, *, worst: float) -> str:
    """What to try: less haste if the loss rose or is far off, more steps if it was still falling."""
    known = [loss for loss in losses if math.isfinite(loss)]
    rose = len(known) > 1 and mean(known[-max(1, len(known) // 4) :]) > min(known[: max(1, len(known) // 4)])
    # Adam moves a weight by the learning rate in a step, at most: what is far off after a few small ones began there.
    if (rose or worst > _EXPLODED) and steps * learning_rate > _MOVED:
        return f"the training diverged: lower learning_rate ({learning_rate:g}) and start anew"
    few = f"{steps} steps are few" if steps < _FEW else f"not trained after {steps} steps"
    return f"{few}: train longer, or lower learning_rate ({learning_rate:g}) if the curves do not fall"


def _listed(ratios: Mapping[str, float]) -> str:
    shown = [f"{name}: {ratio:.2g}" for name, ratio in list(ratios.items())[:5]]
    return ", ".join([*shown, "..."] if len(ratios) > 5 else shown)

"""Instance norm whose statistics are an image's own, collected, injected, or told apart by masks.

Instance norm is the one place where distant pixels of this network meet: the statistics of the whole image shift and
scale every cell. Whoever paints an image in parts (regions in different styles, tiles, frames of a video) decides here
which statistics each part gets; everything else in the network sees 20 pixels around itself.

Legend: x (B, C, h, w); a cell's output is weight * (x - mean) / sqrt(variance + eps) + bias.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm with a learnt weight and bias per channel, and no running averages."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def as_affine(self, statistics: "Statistics") -> tuple[Tensor, Tensor]:
        """Normalisation by given statistics (B, C) as a scale and a shift, (B, C) each, float32."""
        scale = self.weight / torch.sqrt(statistics.variance + self.eps)
        return scale, self.bias - statistics.mean * scale


Normalize = Callable[[InstanceNorm, Tensor], Tensor]
"""How a pass through E or D normalises: what an `InstanceNorm` makes of x (B, C, h, w)."""


def own(norm: InstanceNorm, x: Tensor) -> Tensor:
    """Normalise each image by its own statistics: the ordinary instance norm."""
    normalised: Tensor = norm(x)
    return normalised


@dataclass(frozen=True)
class Statistics:
    """Mean and variance (biased) of each channel, (B, C) float32 each; or (R, C), of R regions."""

    mean: Tensor
    variance: Tensor


def statistics_of(x: Tensor, masks: Tensor | None = None) -> Statistics:
    """Statistics of x (B, C, h, w); with masks (R, h, w) those of the regions of one image (B = 1), (R, C).

    A region without a single cell gets the image's own statistics.
    """
    x = x.float()
    if masks is None:
        variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
        return Statistics(mean, variance)
    flat, weights = x[0].flatten(1), masks.flatten(1)
    weights = torch.where(weights.sum(1, keepdim=True) > 0, weights, 1.0)
    weights = weights / weights.sum(1, keepdim=True)
    mean = weights @ flat.T
    # Around the image's mean, so that the difference of squares loses no digits.
    centre = flat.mean(1)
    squares = weights @ (flat - centre[:, None]).square().T
    return Statistics(mean, (squares - (mean - centre).square()).clamp_min(0))


@dataclass
class Collected:
    """Normalise each image by its own statistics and keep them, by layer."""

    found: dict[InstanceNorm, Statistics] = field(default_factory=dict)

    def __call__(self, norm: InstanceNorm, x: Tensor) -> Tensor:
        """See `Normalize`."""
        self.found[norm] = statistics_of(x)
        return own(norm, x)


@dataclass(frozen=True)
class Blended:
    """Normalise by each region's injected statistics and blend the results by masks.

    Attributes:
        regions: R times statistics (1, C) by layer; one region is plain injection.
        masks: (R, H, W) float32, 1 in sum at each pixel; a layer of h x w cells sees them averaged over its cells.
    """

    regions: Sequence[dict[InstanceNorm, Statistics]]
    masks: Tensor

    def __call__(self, norm: InstanceNorm, x: Tensor) -> Tensor:
        """See `Normalize`; one image, B = 1."""
        affines = [norm.as_affine(statistics[norm]) for statistics in self.regions]
        scales, shifts = (torch.cat(part) for part in zip(*affines, strict=True))
        return blend_affine(x, scales, shifts, at_cells(self.masks, x))


@dataclass(frozen=True)
class PerRegion:
    """Normalise each region of an image by the statistics that x has inside it; masks as in `Blended`."""

    masks: Tensor

    def __call__(self, norm: InstanceNorm, x: Tensor) -> Tensor:
        """See `Normalize`; one image, B = 1."""
        masks = at_cells(self.masks, x)
        return blend_affine(x, *norm.as_affine(statistics_of(x, masks)), masks)


def at_cells(masks: Tensor, x: Tensor) -> Tensor:
    """Masks (R, H, W) averaged over the cells of x (1, C, h, w), H and W being multiples of h and w: (R, h, w)."""
    step = masks.shape[-1] // x.shape[-1]
    return F.avg_pool2d(masks, step) if step > 1 else masks


def blend_affine(x: Tensor, scales: Tensor, shifts: Tensor, masks: Tensor) -> Tensor:
    """Blend R affine versions of one image: sum_r masks_r * (x * scales_r + shifts_r), in the precision of x.

    Args:
        x: (1, C, h, w).
        scales: (R, C).
        shifts: (R, C).
        masks: (R, h, w), 1 in sum at each cell.
    """
    scale, shift = (torch.einsum("rc,rhw->chw", part, masks) for part in (scales, shifts))
    return torch.addcmul(shift, x.float(), scale).to(x.dtype)

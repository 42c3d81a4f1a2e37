"""Instance norm whose statistics are an image's own, collected, injected, or told apart by masks.

Instance norm is the one place where distant pixels of this network meet: the statistics of the whole image shift and
scale every cell. Whoever paints an image in parts (regions in different styles, tiles, frames of a video) decides here
which statistics each part gets; everything else in the network sees 20 pixels around itself.

Legend: x (B, C, h, w); a cell's output is weight * (x - mean) / sqrt(variance + eps) + bias.
"""

from collections.abc import Callable, Mapping, Sequence
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
    gathered = Gathered(x.shape[1], len(masks))
    gathered.add(x, masks)
    return gathered.statistics(x.device)


class Gathered:
    """Statistics of one image that is seen in parts, or of its regions: float64 sums, each cell added once.

    Args:
        channels: C.
        regions: R; 0 for the image as a whole.
    """

    def __init__(self, channels: int, regions: int = 0) -> None:
        self._weight = torch.zeros(regions + 1, 1, dtype=torch.float64)  # the last row is the whole image
        self._centre = torch.zeros(channels, 1, dtype=torch.float64)
        self._first, self._second = torch.zeros(2, regions + 1, channels, dtype=torch.float64)

    def add(self, x: Tensor, masks: Tensor | None = None) -> None:
        """Add a part x (1, C, h, w) and its regions' masks (R, h, w)."""
        cells = x[0].flatten(1)
        if not self._weight[-1]:
            # Sums of squares around the first part's mean: the difference below loses no digits.
            self._centre = cells.float().mean(1, keepdim=True).cpu().double()
        centre = self._centre.to(x.device)
        weights = x.new_ones(1, cells.shape[1])
        if masks is not None:
            weights = torch.cat([masks.flatten(1), weights])
        for block, weight in zip(cells.split(_BLOCK, 1), weights.split(_BLOCK, 1), strict=True):
            offset, share = block.double() - centre, weight.double()
            self._weight += share.sum(1, keepdim=True).cpu()
            self._first += (share @ offset.T).cpu()
            self._second += (share @ offset.square_().T).cpu()

    def statistics(self, device: torch.device) -> Statistics:
        """Those of the image (1, C), or of its regions (R, C); a region without a single cell gets the image's own."""
        empty = self._weight <= 0
        rows = [torch.where(empty, part[-1], part) for part in (self._weight, self._first, self._second)]
        weight, first, second = (part[: max(1, len(part) - 1)] for part in rows)
        weight = weight.clamp_min(1e-300)
        shift = first / weight
        variance = (second / weight - shift.square()).clamp_min(0)
        return Statistics((shift + self._centre.T).float().to(device), variance.float().to(device))


_BLOCK = 1 << 15  # cells whose float64 copies are alive at once


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
        masks: (R, H, W) float32, 1 in sum at each pixel; a layer of h x w cells sees them averaged over its cells. A
            single region needs none.
    """

    regions: Sequence[Mapping[InstanceNorm, Statistics]]
    masks: Tensor | None = None

    def __call__(self, norm: InstanceNorm, x: Tensor) -> Tensor:
        """See `Normalize`; one image, B = 1."""
        affines = [norm.as_affine(statistics[norm]) for statistics in self.regions]
        scales, shifts = (torch.cat(part) for part in zip(*affines, strict=True))
        return blend_affine(x, scales, shifts, None if self.masks is None else at_cells(self.masks, x))


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


def blend_affine(x: Tensor, scales: Tensor, shifts: Tensor, masks: Tensor | None) -> Tensor:
    """Blend R affine versions of one image: sum_r masks_r * (x * scales_r + shifts_r), in the precision of x.

    Args:
        x: (1, C, h, w).
        scales: (R, C).
        shifts: (R, C).
        masks: (R, h, w), 1 in sum at each cell; None for a single region everywhere.
    """
    if masks is None:
        scale, shift = scales[0, :, None, None], shifts[0, :, None, None]
    else:
        scale, shift = (torch.einsum("rc,rhw->chw", part, masks) for part in (scales, shifts))
    return torch.addcmul(shift, x.float(), scale).to(x.dtype)

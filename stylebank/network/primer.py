"""`priming.ground` once more, for crops on a GPU, which would wait for the processor: the same sums on tensors.

Resampling is a product with a matrix, whose rows are Pillow's own weights. Legend: B photos, H x W their pixels, h x w
the places of the grain, one for two pixels.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stylebank.network import tensors
from stylebank.priming import flow, grain, ground

if TYPE_CHECKING:
    from PIL.Image import Resampling


def primed(photos: Tensor, share: float) -> Tensor:
    """Photos (B, 3, H, W) in [0, 1] as first passes want them, in float32 and without gradient; see `ground.primed`.

    For crops: what depends on their size alone is kept. With products in TF32, which PyTorch does not use unless told
    to, it would be 0.03 off.
    """
    photos = photos.detach().float()
    contrast = _contrast(photos)
    luma = tensors.luma(photos)
    height, width = luma.shape[1:]
    luma = luma - luma.mean(dim=(1, 2), keepdim=True)
    cells = max(1, round(height / ground.CELL)), max(1, round(width / ground.CELL))
    mean, square = (_resized(x, cells, ground.BOX) for x in (luma, luma * luma))
    variance = _resized((square - mean * mean).clamp_min(0), (height, width), ground.BILINEAR)
    flatness = torch.exp(-variance / (2 * (contrast * ground.FLAT).square()).clamp_min(1e-12))
    change = contrast * ground.GRAIN * _grain(luma, contrast) * flatness
    return (photos + share * change[:, None]).clamp(0, 1)


def _contrast(photos: Tensor) -> Tensor:
    """That of each photo against an ordinary one's, (B, 1, 1) in [0, 1]."""
    variances = (photos - photos[:, :, :1, :1]).var(dim=(2, 3), correction=0)
    return (variances.mean(dim=1).sqrt() / ground.FAINT_PHOTO).clamp_max(1)[:, None, None]


def _grain(luma: Tensor, contrast: Tensor) -> Tensor:
    height, width = luma.shape[1:]
    odd = (0, width % ground.HALF, 0, height % ground.HALF)  # to whole places
    padded = F.pad(luma[:, None], odd, "replicate")[:, 0]
    whole = padded.shape[1], padded.shape[2]
    half = whole[0] // ground.HALF, whole[1] // ground.HALF
    steps = _steps(_resized(padded, half, ground.BOX), contrast)
    strokes = _drawn_out(_noise(*half, luma.device), steps) / ground.FADED
    return _resized(strokes, whole, ground.BICUBIC)[:, :height, :width]


def _steps(luma: Tensor, contrast: Tensor) -> Tensor:
    """See `flow.steps`: (B, h, w) -> (2, B, h, w) int64."""
    down, right = tensors.slopes(luma)
    strength = (contrast * flow.FAINT_FORM).square()
    blown = _wind(luma.shape[1], luma.shape[2], luma.device)
    forms = _seen(right * right - down * down), _seen(2 * right * down)
    cos, sin = (strength * air - form for air, form in zip(blown, forms, strict=True))
    cos = cos / ((cos * cos + sin * sin).sqrt() + 1e-30)
    across = ((1 - cos).clamp_min(0) / 2).sqrt()
    halves = torch.where(sin < 0, -across, across), ((1 + cos).clamp_min(0) / 2).sqrt()
    return (grain.UNIT * torch.stack(halves)).round().long()


def _seen(values: Tensor) -> Tensor:
    """The sum of the means over all neighbourhoods."""
    height, width = values.shape[1:]
    total = torch.zeros_like(values)
    for side in flow.NEIGHBOURHOODS:
        cells = max(1, round(height / side)), max(1, round(width / side))
        total += _resized(_resized(values, cells, ground.BOX), (height, width), ground.BICUBIC)
    return total


def _drawn_out(noise: Tensor, steps: Tensor) -> Tensor:
    """See `grain.drawn_out`: noise (h, w), steps (2, B, h, w) -> (B, h, w)."""
    height, width = noise.shape
    middle, flat, moves = grain.UNIT // 2, noise.flatten(), steps.flatten(2)
    start = grain.UNIT * _places(height, width, noise.device) + middle
    last = start[:, :, -1:]
    total = flat.expand(steps.shape[1], -1).clone()
    for sign in (1, -1):
        at, ahead = start.expand_as(moves), sign * moves
        for weight in grain.FADING.tolist():
            at = torch.minimum((at + ahead).clamp_min(middle), last)
            cell = torch.div(at, grain.UNIT, rounding_mode="floor")
            index = cell[0] * width + cell[1]
            total += weight * flat[index]
            further = moves.gather(2, index.expand_as(moves))
            ahead = torch.where((ahead * further).sum(dim=0) < 0, -further, further)
    whole = float(1 + 2 * grain.FADING.sum())
    return (total / whole).view(-1, height, width)


def _resized(values: Tensor, size: tuple[int, int], how: "Resampling") -> Tensor:
    """Images (B, H, W) at a size (H', W')."""
    down, across = (
        _weights(length, wanted, how, values.device)
        for length, wanted in zip(values.shape[1:], size, strict=True)
    )
    return down @ values @ across.T


# What depends on sizes alone stays on the device: ten matrices a size, and a training has thirteen sizes.


@lru_cache(maxsize=256)
def _weights(length: int, wanted: int, how: "Resampling", device: torch.device) -> Tensor:
    """What each of `wanted` pixels takes of `length`: (wanted, length)."""
    return torch.from_numpy(ground.resampling_weights(length, wanted, how).copy()).to(device)


@lru_cache(maxsize=16)
def _noise(height: int, width: int, device: torch.device) -> Tensor:
    return torch.from_numpy(grain.smooth(height, width, ground.DAB).copy()).to(device)


@lru_cache(maxsize=16)
def _wind(height: int, width: int, device: torch.device) -> Tensor:
    """See `flow.wind`: cosine and sine of twice the angle, (2, h, w)."""
    return torch.from_numpy(np.stack(flow.wind(height, width))).to(device)


@lru_cache(maxsize=16)
def _places(height: int, width: int, device: torch.device) -> Tensor:
    """Row and column of each place: (2, 1, h w) int64."""
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij")).flatten(1)[:, None]

"""Seams: colours along a photo's strong edges that neither side of the edge has in the picture.

What `reference.blemishes.halo` looks for, as a loss: on tensors, with a gradient, and of crops. Only what is lighter or
of more colour than the nearest mixture of both sides counts: outlines are dark. Legend: B photos, N places on edges.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from stylebank.network.tensors import luma, slopes

PLACES = 192
"""N: of the places on a crop's edges, so many are looked at."""
STEP = 0.2
"""Of luma, from one side of an edge to the other, that makes it a strong one."""
REACH, AWAY = 6, 14
"""Pixels from an edge within which seams lie, and at which colours are those of its two sides, from REACH + 2."""
SEEN = 0.1
"""Difference of colour, sRGB in [0, 1], that is a plain seam."""

_NEAR = slice(AWAY - REACH, AWAY + REACH + 1)  # of a profile
_FEWEST = 24  # places: a photo with less of an edge has less of a seam
_CALM = STEP / 4  # of luma: each side differs by less
_ALONG = 16  # pixels to both sides along an edge, in steps of 4, whose mean is looked at: texture goes


def edges(photos: Tensor) -> Tensor:
    """Places on the strong edges of photos (B, 3, H, W) in [0, 1], without gradient.

    Returns:
        (B, N, 6): of each place its row and column; the row and column of its normal, of length 1, to the lighter side;
        its share, 1 on an edge and 0 where there were not so many; how far the photo's own colours lie outside.
    """
    with torch.no_grad():
        photos = photos.float()
        smooth = _smoothed(luma(photos))
        down, right = slopes(smooth)
        steep = torch.hypot(down, right)
        # A step of height d, blurred by a deviation of 1.1 pixels or so, is d / 3 steep.
        ridge = (steep > STEP / 6) & (steep >= 0.98 * F.max_pool2d(steep[:, None], 3, 1, 1)[:, 0])
        ridge &= _inside(*steep.shape[1:], steep.device)
        order = ridge * _scattered(*steep.shape[1:], steep.device)
        shares, chosen = order.flatten(1).topk(min(PLACES, order[0].numel()))
        rows, columns = chosen // steep.shape[2], chosen % steep.shape[2]
        places = torch.stack([rows, columns], dim=2).float()
        normals = torch.stack([x.flatten(1).gather(1, chosen) for x in (down, right)], dim=2)
        normals = normals / normals.norm(dim=2, keepdim=True).clamp_min(1e-6)
        found = torch.cat(
            [places, normals, (shares > 0)[..., None], torch.zeros_like(shares)[..., None]], dim=2
        )
        levels = _profiles(smooth[:, None], found, 0)[:, 0]
        near, far = AWAY - 4, AWAY + 4
        sides = [(levels[..., a] - levels[..., b]).abs() for a, b in ((0, near), (far, 2 * AWAY))]
        calm = torch.maximum(*sides) < _CALM
        found[..., 4] *= calm & (levels[..., far] - levels[..., near] > STEP)
        outside = _outside(_profiles(photos, found, _ALONG))
        found[..., 5] = outside[..., _NEAR].amax(dim=2)
        return found


def seam_distance(output: Tensor, edges: Tensor) -> Tensor:
    """How plain the seams of outputs (B, 3, H, W) are along edges (B, N, 6): (B,), 0 none.

    The mean over the places of the squared distances, in units of SEEN, between the colours within REACH of an edge and
    the line from one side's colour to the other's; over what the photo has itself or, where that is more, what lies
    outside at a distance from edges, which is texture.
    """
    outside = _outside(_profiles(output.float(), edges, _ALONG))
    near = outside[..., _NEAR]
    far = torch.cat([outside[..., : AWAY - REACH], outside[..., AWAY + REACH + 1 :]], dim=2)
    usual = torch.maximum(far.detach().amax(dim=2), edges[..., 5])
    excess = (near - usual[..., None]).clamp_min(0) / SEEN
    shares = edges[..., 4]
    return (excess.square().sum(dim=2) * shares).sum(dim=1) / shares.sum(dim=1).clamp_min(_FEWEST)


def _outside(profiles: Tensor) -> Tensor:
    """How far profiles (B, 3, N, P) across edges lie outside of the line between their sides' colours: (B, N, P)."""
    profiles = _opponent(profiles).permute(0, 2, 3, 1)
    width = AWAY - REACH - 1
    sides = profiles[:, :, :width].mean(dim=2), profiles[:, :, -width:].mean(dim=2)
    first, way = sides[0][:, :, None], (sides[1] - sides[0])[:, :, None]
    long = way.square().sum(dim=3, keepdim=True).clamp_min(1e-4)
    share = ((profiles - first) * way).sum(dim=3, keepdim=True) / long
    nearest = first + share.clamp(0, 1) * way
    apart = profiles - nearest
    lighter = apart[..., 0].clamp_min(0)
    stronger = profiles[..., 1:].square().sum(dim=3) > nearest[..., 1:].square().sum(dim=3)
    found: Tensor = lighter.square() + stronger * apart[..., 1:].square().sum(dim=3)
    return (found + 1e-8).sqrt()


def _profiles(images: Tensor, found: Tensor, along: int) -> Tensor:
    """Colours across edges, from -AWAY to AWAY, means of parallel lines: (B, C, H, W) -> (B, C, N, 2 AWAY + 1)."""
    height, width = images.shape[-2:]
    places, normals = found[..., :2], found[..., 2:4]
    tangents = torch.stack([-normals[..., 1], normals[..., 0]], dim=2)
    across = torch.arange(-AWAY, AWAY + 1, device=images.device).float()
    lines = torch.arange(-along, along + 1, 4, device=images.device).float()
    points = (
        places[:, :, None, None]
        + normals[:, :, None, None] * across[:, None, None]
        + tangents[:, :, None, None] * lines[:, None]
    )  # (B, N, P, T, 2)
    down, right = (points[..., axis] * (2 / (side - 1)) - 1 for axis, side in enumerate((height, width)))
    grid = torch.stack([right, down], dim=-1).flatten(2, 3)
    seen = F.grid_sample(images, grid, padding_mode="border", align_corners=True)
    means: Tensor = seen.unflatten(3, (len(across), len(lines))).mean(dim=4)
    return means


def _opponent(colours: Tensor) -> Tensor:
    """Luma, red less luma and blue less luma: (B, 3, ...) to the same."""
    light = luma(colours)
    return torch.stack([light, colours[:, 0] - light, colours[:, 2] - light], dim=1)


def _smoothed(plane: Tensor) -> Tensor:
    """By a Gaussian of one pixel: (B, H, W)."""
    kernel = _gaussian(plane.device)
    padded = F.pad(plane[:, None], (3, 3, 3, 3), "reflect")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 7, 1)), kernel.view(1, 1, 1, 7))[:, 0]


@lru_cache(maxsize=4)
def _gaussian(device: torch.device) -> Tensor:
    taps = [math.exp(-(place**2) / 2) for place in range(-3, 4)]
    return torch.tensor(taps, device=device) / sum(taps)


@lru_cache(maxsize=16)
def _inside(height: int, width: int, device: torch.device) -> Tensor:
    found = torch.zeros(height, width, dtype=torch.bool, device=device)
    found[AWAY + 1 : -AWAY - 1, AWAY + 1 : -AWAY - 1] = True
    return found


@lru_cache(maxsize=16)
def _scattered(height: int, width: int, device: torch.device) -> Tensor:
    """Numbers in (0, 1] whose largest lie evenly over an image: interleaved gradient noise (Jimenez, SIGGRAPH 2014)."""
    rows, columns = torch.arange(height).double()[:, None], torch.arange(width).double()
    inner = (0.06711056 * columns + 0.00583715 * rows) % 1
    found: Tensor = 1 - (52.9829189 * inner) % 1
    return found.float().clamp_min(1e-6).to(device)

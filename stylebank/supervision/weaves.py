"""Weaves: regular patterns on a photo's flat ground, which its style's own images have not.

What `reference.spectra.weave` looks for, as a loss: narrow peaks of the spectrum over windows in which the photo is
flat, of luma and of how fast it changes, at full and at half size. Legend: B photos, W windows, F frequencies.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from stylebank.network.tensors import luma, slopes

SIDE, STRIDE = 64, 32
"""Of windows, in pixels, and from one to the next."""
FLAT = 4.0
"""Deviation of a photo's luma, in levels, slopes apart, below which a window is flat."""
FLOOR = 4.0
"""Deviation, in levels, of white noise that is added to every spectrum: what is fainter nobody sees."""
LONGEST = 16.0
"""Period in pixels of the widest weave; the finest is a checkerboard."""
LEAST = 2.0
"""dB by which a peak may exceed the style's own, of many windows; `_CHANCE` / sqrt(n) more of n."""

_CHANCE = 8.0  # dB: the highest of noise stays below
_FEWEST = 6  # windows
_NEAR, _FAR = 2, 6  # bins from a peak at which its background begins and ends


def flat_windows(photos: Tensor) -> Tensor:
    """Which windows of photos (B, 3, H, W) in [0, 1] are flat but for a slope: (B, 2, W) of 0 and 1, at both sizes."""
    with torch.no_grad():
        found = [_flatness(_windows(plane)) for plane in _sizes(photos)]
        width = found[0].shape[1]
        return torch.stack([F.pad(flags, (0, width - flags.shape[1])) for flags in found], dim=1)


def own_weave(images: list[Tensor]) -> float:
    """The highest peak of a style's images (1, 3, H, W) as if they were flat ground, in dB; 0 of small ones."""
    highest = [0.0]
    with torch.no_grad():
        for image in images:
            for peaks, count in views(image, None):
                if float(count[0]) >= _FEWEST:
                    highest.append(float(peaks.max()))
    return max(highest)


def weave_distance(output: Tensor, flat: Tensor, own: Tensor) -> Tensor:
    """How plain the weaves of outputs (B, 3, H, W) are: (B,), 0 none, some 3 a plain wave 10 dB too high.

    Args:
        output: in [0, 1], or near.
        flat: (B, 2, W), see `flat_windows`.
        own: (B,), of the styles, see `own_weave`.
    """
    total = torch.zeros_like(own)
    for peaks, count in views(output, flat):
        limit = own + LEAST + _CHANCE / count.clamp_min(1).sqrt()
        excess = (peaks - limit[:, None]).clamp_min(0) / 10
        total = total + (count >= _FEWEST) * excess.square().sum(dim=1)
    return total


def views(images: Tensor, flat: Tensor | None) -> list[tuple[Tensor, Tensor]]:
    """Peaks in dB (B, F), and of how many windows (B,), for each view that has any."""
    found = []
    for size, plane in enumerate(_sizes(images)):
        if min(plane.shape[-2:]) < SIDE:
            continue
        for seen in (plane, _change(plane)):
            windows = _windows(seen)
            whole = torch.ones_like(windows[..., 0, 0])
            shares = whole if flat is None else flat[:, size, : windows.shape[1]]
            count = shares.sum(dim=1)
            levels = torch.einsum("bwyx,bw->byx", _levels(windows), shares / count.clamp_min(1)[:, None])
            found.append((_peaks(levels), count))
    return found


def _sizes(images: Tensor) -> tuple[Tensor, Tensor]:
    """Luma in levels, (B, 1, H, W), and at half the size."""
    plane = 255 * luma(images.float())[:, None]
    return plane, F.avg_pool2d(plane, 2)


def _levels(windows: Tensor) -> Tensor:
    """Power in dB over white noise of one level: (B, W, SIDE, SIDE) to the same."""
    taper = _taper(windows.device)
    waves = torch.fft.fft2((windows - windows.mean(dim=(2, 3), keepdim=True)) * taper)
    power = (waves.real.square() + waves.imag.square()) / taper.square().sum()
    found: Tensor = 10 * (power + FLOOR**2).log10()
    return found


def _peaks(levels: Tensor) -> Tensor:
    """How far frequencies stand over a ring of others, or over those on one side of them on a line.

    Args:
        levels: (B, SIDE, SIDE).

    Returns:
        (B, F), of the frequencies of weaves, each once and not as its negative too.
    """
    levels = levels.flatten(1)
    rings, radius = _rings(levels.device)
    known = F.pad(levels.detach(), (0, 1), value=math.nan)
    slope = known[:, rings].nanmedian(dim=2).values
    rest = levels - slope[:, radius]
    chosen, neighbours = _frequencies(levels.device)
    # Of an even number the upper one, as of SciPy.
    medians = [-(-rest.detach()[:, shape]).median(dim=1).values for shape in neighbours]
    return rest[:, chosen] - torch.stack(medians).amax(dim=0)


def _windows(plane: Tensor) -> Tensor:
    """All windows of planes (B, 1, H, W): (B, W, SIDE, SIDE); none of smaller ones."""
    if min(plane.shape[-2:]) < SIDE:
        return plane.new_zeros((len(plane), 0, SIDE, SIDE))
    return plane[:, 0].unfold(1, SIDE, STRIDE).unfold(2, SIDE, STRIDE).flatten(1, 2)


def _flatness(windows: Tensor) -> Tensor:
    if not windows.numel():
        return windows.new_zeros(windows.shape[:2])
    axis = torch.linspace(-1, 1, SIDE, device=windows.device)
    axis = axis / axis.square().mean().sqrt()
    slopes = [(windows * line).mean(dim=(2, 3)) for line in (axis[:, None], axis)]
    variance = windows.var(dim=(2, 3), correction=0) - slopes[0].square() - slopes[1].square()
    return (variance < FLAT**2).float()


def _change(plane: Tensor) -> Tensor:
    """How fast planes (B, 1, H, W) change: their gradients' length, over two pixels."""
    padded = F.pad(plane, (1, 1, 1, 1), "replicate")
    smooth = F.avg_pool2d(padded, 3, 1)
    down, right = slopes(smooth)
    return (down.square() + right.square() + 1e-4).sqrt()


@lru_cache(maxsize=4)
def _taper(device: torch.device) -> Tensor:
    hann = torch.hann_window(SIDE, periodic=True, device=device)
    return torch.outer(hann, hann)


@lru_cache(maxsize=4)
def _rings(device: torch.device) -> tuple[Tensor, Tensor]:
    """The frequencies of each radius (rings, most of one), SIDE^2 for none; and each frequency's ring (SIDE^2,)."""
    places = torch.fft.fftfreq(SIDE, 1 / SIDE)
    # In the corners there are too few of one radius.
    radius = torch.hypot(places[:, None], places).round().clamp_max(SIDE // 2 + 4).long().flatten()
    members = [(radius == ring).nonzero()[:, 0] for ring in range(int(radius.max()) + 1)]
    rings = torch.nn.utils.rnn.pad_sequence(members, batch_first=True, padding_value=SIDE**2)
    return rings.to(device), radius.to(device)


@lru_cache(maxsize=4)
def _frequencies(device: torch.device) -> tuple[Tensor, list[Tensor]]:
    """Those of weaves (F,), and their neighbours (n, F) in a ring and in both halves of rows, columns and diagonals."""
    places = torch.fft.fftfreq(SIDE, 1 / SIDE).long()
    down, right = torch.meshgrid(places, places, indexing="ij")
    once = (right > 0) | (right == -SIDE // 2) | ((right == 0) & (down <= 0))
    chosen = (once & (torch.hypot(down.float(), right.float()) >= SIDE / LONGEST)).flatten().nonzero()[:, 0]
    rows, columns = chosen // SIDE, chosen % SIDE
    steps = torch.arange(-_FAR, _FAR + 1)
    y, x = (axis.flatten() for axis in torch.meshgrid(steps, steps, indexing="ij"))
    ring = torch.maximum(y.abs(), x.abs()) > _NEAR
    first = (y > 0) | ((y == 0) & (x > 0))
    halves = [ring & line & half for line in (y == 0, x == 0, y == x, y == -x) for half in (first, ~first)]
    neighbours = [
        (rows + y[shape][:, None]) % SIDE * SIDE + (columns + x[shape][:, None]) % SIDE
        for shape in (ring, *halves)
    ]
    return chosen.to(device), [places.to(device) for places in neighbours]

"""Grids and weaves in pictures: narrow peaks of the spectrum, which a painting's broad texture has not.

Spectra are means of the logarithms over windows, so that a fence in one of them does not count as a grid in all. A
peak is told in dB over the median of the frequencies around it, whatever the texture there is. Two planes are looked
at: luma, where a checkerboard shows; and how fast luma changes, where blobs show that sit on a lattice but are now
lighter, now darker than what is around them, which leaves no peak in luma itself.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from stylebank.photos.srgb import LUMA

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

SIDE = 64
"""Of windows, in pixels: periods of 2, 4 and 8 px are whole numbers of waves in it."""
STEP = 32
"""From one window to the next, in pixels."""
FLAT = 4.0
"""Deviation of luma, in levels, below which a photo's window is flat: a clear sky has 1 to 3, skin 5."""
FLOOR = 4.0
"""Deviation, in levels, of white noise that is added to every spectrum: what is fainter than that nobody sees."""
PERIODS = (2, 4, 8)
"""In pixels: of a decoder that enlarges by two twice, and of the pass before, enlarged by two."""
WEAVES = (3.0, 16.0)
"""Periods of weaves, in pixels; of twice that in the picture at half its size."""
_NEAR, _FAR = (
    2,
    6,
)  # bins from a peak at which its background begins (a Hann window's lobe is as wide) and ends
_FEWEST = 6  # windows: a mean over fewer has peaks by chance


def luma(picture: NDArray[np.uint8]) -> Floats:
    """Luma (H, W) in levels, 0 to 255, of a picture (H, W, 3)."""
    return picture.astype(np.float32) @ np.asarray(LUMA, np.float32)


def halved(plane: Floats) -> Floats:
    """Means of 2 x 2 pixels."""
    height, width = (length // 2 * 2 for length in plane.shape)
    found: Floats = plane[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return found


def flat_windows(photo: Floats) -> Flags:
    """Which windows (N,) of a photo's luma are flat but for a slope."""
    windows = _windows(photo)
    if not len(windows):
        return np.zeros(0, bool)
    axis = np.linspace(-1, 1, SIDE, dtype=np.float32)
    axis /= np.sqrt(np.square(axis).mean())
    slopes = [(windows * line).mean((1, 2)) for line in (axis[:, None], axis[None, :])]
    found: Flags = windows.var((1, 2)) - np.square(slopes).sum(0) < FLAT**2
    return found


def spectrum(plane: Floats, chosen: Flags | None = None) -> Floats | None:
    """Mean logarithm of the power (SIDE, SIDE) in dB over white noise of one level; None of too few windows.

    Args:
        plane: (H, W).
        chosen: the windows (N,) that count; None for all.
    """
    windows = _windows(plane)
    if chosen is not None:
        windows = windows[chosen]
    if len(windows) < _FEWEST:
        return None
    hann = np.hanning(SIDE + 1)[:SIDE].astype(np.float32)
    taper = np.outer(hann, hann)
    waves = fft.fft2((windows - windows.mean((1, 2), keepdims=True)) * taper)
    power = np.square(np.abs(waves)) / np.square(taper).sum()
    found: Floats = (10 * np.log10(power + FLOOR**2)).mean(0).astype(np.float32)
    return found


def peaks(levels: Floats) -> Floats:
    """How far each frequency of a spectrum stands over those around it, in dB; its slope from coarse to fine apart.

    Around it are all those in a ring, or those on one side of it on a line, whichever are stronger: strokes of one
    direction have a ridge in the spectrum, which falls off, and no peak.
    """
    places = np.fft.fftfreq(SIDE, 1 / SIDE)
    # In the corners there are too few of one radius.
    radius = np.hypot(*np.meshgrid(places, places, indexing="ij")).round().clip(max=SIDE // 2 + 4).astype(int)
    slope = ndimage.median(levels, radius, np.arange(radius.max() + 1))
    rest = levels - np.asarray(slope, np.float32)[radius]
    around = [ndimage.median_filter(rest, footprint=shape, mode="wrap") for shape in _shapes()]
    found: Floats = rest - np.max(around, 0)
    return found


def _shapes() -> list[Flags]:
    """A ring of frequencies, and both halves of lines along rows, columns and diagonals; all far from their middle."""
    down, right = np.mgrid[-_FAR : _FAR + 1, -_FAR : _FAR + 1]
    ring = np.maximum(abs(down), abs(right)) > _NEAR
    lines = (down == 0, right == 0, down == right, down == -right)
    first = (down > 0) | ((down == 0) & (right > 0))
    return [ring, *(ring & line & half for line in lines for half in (first, ~first))]


def on_grid() -> Flags:
    """The frequencies (SIDE, SIDE) of PERIODS along rows, columns and both."""
    bins = {0} | {sign * SIDE // period for period in PERIODS for sign in (1, -1)}
    hit = np.isin(np.fft.fftfreq(SIDE, 1 / SIDE).astype(int), list(bins))
    found = np.logical_and.outer(hit, hit)
    found[0, 0] = False
    return found


def of_weaves() -> Flags:
    """The frequencies (SIDE, SIDE) of WEAVES."""
    places = np.fft.fftfreq(SIDE)
    radius = np.hypot(*np.meshgrid(places, places, indexing="ij"))
    found: Flags = (radius >= 1 / WEAVES[1]) & (radius <= 1 / WEAVES[0])
    return found


def contrast(plane: Floats) -> Floats:
    """How fast luma changes: the gradient's length, from Gaussians of one pixel."""
    found: Floats = ndimage.gaussian_gradient_magnitude(plane, 1.0)
    return found


def grid(plane: Floats) -> float:
    """The highest peak of luma at the periods 2, 4 and 8 px, in dB; 0 of less than a few windows."""
    levels = spectrum(plane)
    return 0.0 if levels is None else float(peaks(levels)[on_grid()].max())


def weave(plane: Floats, photo: Floats | None) -> float | None:
    """The highest peak on flat ground at periods of 3 to 32 px, of luma or of its change, in dB; None without ground.

    Args:
        plane: luma of a picture.
        photo: luma of its photo, which says where ground is flat; None if all of the picture is ground.
    """
    found = []
    for _ in range(2):
        chosen = None if photo is None else flat_windows(photo)
        levels = [spectrum(seen, chosen) for seen in (plane, contrast(plane))]
        found += [float(peaks(level)[of_weaves()].max()) for level in levels if level is not None]
        plane, photo = halved(plane), None if photo is None else halved(photo)
    return max(found, default=None)


def _windows(plane: Floats) -> Floats:
    """All windows (N, SIDE, SIDE) of a plane; none of a smaller one."""
    if min(plane.shape) < SIDE:
        return np.empty((0, SIDE, SIDE), np.float32)
    views = np.lib.stride_tricks.sliding_window_view(plane, (SIDE, SIDE))[::STEP, ::STEP]
    return views.reshape(-1, SIDE, SIDE)

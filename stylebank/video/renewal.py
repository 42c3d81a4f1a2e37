"""Where carried paint gives way to fresh paint, and what it takes on of it elsewhere.

Maps are (h, w) at half the size of the frame; a share is that of fresh paint, in [0, 1].
"""

import math
from functools import lru_cache, reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from stylebank.video.motion import Floats, Motion

_PART = 8, 3.0  # pixels of a part whose light counts, and deviation, in parts, of the window
_CELL = 8  # half-size pixels from a cell to the next
FRAMES = 3
"""In which paint is renewed: a third, a half, all."""


def light(change: Floats) -> Floats:
    """The part of a frame's change (h, w, 3) that is a change of light: the same over a large window."""
    return np.asarray(cv2.GaussianBlur(change.clip(-40, 40), (0, 0), 12), np.float32)


def large(change: Floats) -> Floats:
    """A change (H, W, 3) as it is over large parts."""
    height, width = change.shape[:2]
    parts = max(1, width // _PART[0]), max(1, height // _PART[0])
    small = cv2.GaussianBlur(cv2.resize(change, parts, interpolation=cv2.INTER_AREA), (0, 0), _PART[1])
    return np.asarray(cv2.resize(small, (width, height)), np.float32)


_LEAST = 6.0  # levels by which a thing may have changed
_GRAIN = 25  # times the squared error of motion, which is smoothed, that a sensor's noise makes
_EDGE = 0.6  # half-size pixels by which edges may have strayed


def enlarged(share: Floats, size: tuple[int, ...]) -> Floats:
    """A map at the size (H, W) of the frame."""
    return np.asarray(cv2.resize(share, (size[1], size[0])), np.float32)


def strayed(now: Floats, seen: Floats, lit: Floats, moved: Motion) -> Floats:
    """Whether (h, w) paint shows no longer what is there, in [0, 1]."""
    change = now - seen
    change[..., :3] -= lit
    off = cv2.GaussianBlur(_largest(np.square(change)), (0, 0), 1.5)
    x, y = (cv2.Sobel(now, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((1, 0), (0, 1)))
    slope = cv2.GaussianBlur(
        _largest(np.square(np.asarray(x, np.float32))) + _largest(np.square(np.asarray(y, np.float32))),
        (0, 0),
        1.5,
    )
    allowed = _LEAST**2 + _GRAIN * float(np.median(moved.error)) + _EDGE**2 * slope
    return np.asarray(((off / allowed - 1) / 2).clip(0, 1), np.float32)


_THICK = 16.0  # half-size pixels
_WAIT = 24  # frames


def is_ripe(wet: Floats, count: int) -> bool:
    """Whether a region that was painted bit by bit is wide enough, or old enough, to be painted again at once.

    Of a strip that a moving camera shows a little more of with each frame, paint consists of slices, each of another
    picture: streaks. So when the strip is wider than a mark, it gets the paint of one picture.
    """
    if not wet.any():
        return False
    thick = cv2.distanceTransform((wet > 0.5).astype(np.uint8), cv2.DIST_C, 3)
    return bool(thick.max() >= _THICK) or count % _WAIT == 0


def _largest(values: Floats) -> Floats:
    """Of (h, w, C) the largest channel's; NumPy is slow to reduce a short last axis."""
    return reduce(np.maximum, (values[..., place] for place in range(values.shape[2])))


def sharpened(painted: Floats, fresh: Floats) -> Floats:
    """Carried paint (H, W, 3), as sharp as fresh paint is: each move takes a little."""
    fine = painted - cv2.GaussianBlur(painted, (0, 0), 1.0)
    wanted = fresh - cv2.GaussianBlur(fresh, (0, 0), 1.0)
    lack = 1 - float(np.abs(fine).mean()) / max(float(np.abs(wanted).mean()), 1e-3)
    return painted + np.float32(min(max(lack, 0), _SHARPER)) * fine if lack > 0 else painted


_SHARPER = 0.1  # of the finest part of carried paint, at most, that is added with each frame


def turns(size: tuple[int, ...], count: int, rate: float) -> Floats:
    """The share (h, w) of fresh paint in cells whose turn it is: a third, a half, all."""
    if not rate:
        return np.zeros(size, np.float32)
    phase, cells = _cells(*size)
    left = np.floor(((phase + count * rate) % 1.0) / rate)
    frames = math.ceil(min(FRAMES, max(1, 0.5 / rate)))
    share = np.where(left < frames, 1 / np.maximum(frames - left, 1), 0).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(share[cells], (0, 0), 1.0), np.float32)


@lru_cache(maxsize=2)
def _cells(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """When it is each cell's turn, (N,) in [0, 1), and the number (h, w) of the cell that a pixel is in.

    A pixel is in the cell whose centre is nearest; centres lie at random places, one in each square of a grid.
    """
    rows, columns = (-(-length // _CELL) + 2 for length in (height, width))
    phase, y, x = np.random.Generator(np.random.Philox(key=height << 16 | width)).random((3, rows, columns))
    centres = (
        np.stack([x, y], -1) + np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1) - 1
    ) * _CELL
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
    square = places // _CELL + 1
    nearest = np.full((height, width), np.inf)
    cells = np.zeros((height, width), np.int64)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            row, column = square[..., 1] + down, square[..., 0] + right
            inside = (row < rows) & (column < columns)
            row, column = np.minimum(row, rows - 1), np.minimum(column, columns - 1)
            away = np.where(inside, np.square(centres[row, column] - places).sum(-1), np.inf)
            cells = np.where(away < nearest, row * columns + column, cells)
            nearest = np.minimum(nearest, away)
    return phase.ravel(), cells

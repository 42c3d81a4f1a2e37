"""Noise that is the same everywhere and every time, and noise drawn out along strokes."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Steps = NDArray[np.int32]

_BITS = 6
UNIT = 1 << _BITS
"""Parts of a place's side in which steps are counted: whole numbers, so that every machine walks the same way."""

_REACH = 7  # steps of about one place each, that a stroke goes either way
FADING = np.cos(np.pi / 2 * np.arange(1, _REACH + 1) / (_REACH + 1)).astype(np.float32)
_BAND = 2**17  # places that are walked from at a time


def smooth(height: int, width: int, cell: float) -> Floats:
    """Smooth noise of mean 0 and about the deviation 1; `cell` pixels from one number to the next.

    What is at a place does not depend on height and width.
    """
    box = (0.0, 0.0, width / cell, height / cell)
    table = _table(int(max(box)) + 4)
    return np.asarray(Image.fromarray(table).resize((width, height), Image.Resampling.BICUBIC, box=box))


def drawn_out(noise: Floats, steps: Steps) -> Floats:
    """Means of noise along strokes: line integral convolution (Cabral and Leedom, 1993), the ends of strokes faded.

    Args:
        noise: (H, W).
        steps: (2, H, W), down and to the right, in `UNIT`ths; of either sign, since strokes have no beginning.

    Returns:
        (H, W); at the borders strokes stay there.
    """
    height, width = noise.shape
    rows = max(1, _BAND // width)
    bands = [
        _band(noise.ravel(), steps.reshape(2, -1), range(top, min(height, top + rows)), noise.shape)
        for top in range(0, height, rows)
    ]
    return np.concatenate(bands)


def _band(noise: Floats, steps: Steps, rows: range, size: tuple[int, int]) -> Floats:
    height, width = size
    start = np.indices((len(rows), width), np.int32).reshape(2, -1)
    start[0] += rows.start
    own = start[0] * width + start[1]
    total = noise.take(own)
    middle = UNIT // 2
    for sign in (1, -1):
        y, x = UNIT * start + middle
        down, right = (sign * each.take(own) for each in steps)
        for weight in FADING:
            y += down
            x += right
            y.clip(middle, UNIT * (height - 1) + middle, out=y)
            x.clip(middle, UNIT * (width - 1) + middle, out=x)
            at = (y >> _BITS) * width + (x >> _BITS)
            total += weight * noise.take(at)
            further = [each.take(at) for each in steps]
            turn = ((down * further[0] + right * further[1]) >> 31) | 1  # -1 where it points back, else 1
            down, right = (turn * each for each in further)
    found: Floats = total.reshape(len(rows), width) / np.float32(1 + 2 * FADING.sum())
    return found


@lru_cache(maxsize=4)
def _table(side: int) -> Floats:
    """Normal numbers (side, side), each a function of its place alone: tables of other sizes agree with it."""
    generators = (np.random.Generator(np.random.Philox(key=row)) for row in range(side))
    return np.stack([each.standard_normal(side, np.float32) for each in generators])

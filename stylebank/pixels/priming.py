"""What flat parts of a photo lack for strokes to begin on: a tooth, as primed canvas has it.

Networks with instance norms paint nothing where there is nothing. So the first pass is over a photo whose flat parts
have a faint grain. It is the same for pictures of all sizes, relative to the strokes, so that a preview and its final
look alike. A faint photo, in fog or at night, has the less of it, so that it is painted as if it had full contrast; a
wholly flat one stays flat.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylebank.photos.srgb import LUMA

Floats = NDArray[np.float32]

_CELL = 8  # pixels from one grain to the next
_GRAIN = 0.08  # deviation, of full scale
_FLAT = 0.06  # deviation within cells at which there is two thirds of it: faces keep their features
_FAINT = 0.1  # deviation of a photo below which all of that shrinks with it; 99 of 100 photos have more


def primed(photo: Floats, share: float) -> Floats:
    """A photo (3, H, W) in [0, 1], sRGB, as a first pass wants it.

    Args:
        photo: at the size of that pass.
        share: of the style against the photo, in [0, 1]; at 0 the photo stays as it is.
    """
    contrast = _contrast(photo)
    if not contrast:
        return photo.copy()
    # No matrix product: threads of NumPy's library would spin on the cores that the engine is to have next.
    luma: Floats = LUMA[0] * photo[0] + LUMA[1] * photo[1] + LUMA[2] * photo[2]
    height, width = luma.shape
    luma = luma - luma.mean()  # so that the squares of a faint one keep their digits
    cells = max(1, round(width / _CELL)), max(1, round(height / _CELL))
    mean, square = (_resized(x, cells, Image.Resampling.BOX) for x in (luma, luma * luma))
    variance = _resized(np.maximum(square - mean * mean, 0), (width, height), Image.Resampling.BILINEAR)
    change = contrast * _GRAIN * _grain(height, width) * np.exp(-variance / (2 * (contrast * _FLAT) ** 2))
    found: Floats = (photo + np.float32(share) * change).clip(0, 1)
    return found


def _contrast(photo: Floats) -> np.float32:
    """That of a photo in any of its colours against an ordinary one's, in [0, 1]."""
    # Less its first pixel: then a flat photo has none, to the last digit. One by one, since photos lie channels last.
    variances = [(channel - channel[0, 0]).var() for channel in photo]
    return np.float32(min(1.0, np.sqrt(np.mean(variances)) / _FAINT))


def _grain(height: int, width: int) -> Floats:
    """Smooth noise of mean 0 and much the same deviation as its cells, 1."""
    box = (0.0, 0.0, width / _CELL, height / _CELL)
    table = _table(int(max(box)) + 2)
    return np.asarray(Image.fromarray(table).resize((width, height), Image.Resampling.BICUBIC, box=box))


@lru_cache(maxsize=4)
def _table(side: int) -> Floats:
    """Normal numbers (side, side), each a function of its place alone: tables of other sizes agree with it."""
    generators = (np.random.Generator(np.random.Philox(key=row)) for row in range(side))
    return np.stack([each.standard_normal(side, np.float32) for each in generators])


def _resized(values: Floats, size: tuple[int, int], how: Image.Resampling) -> Floats:
    return np.asarray(Image.fromarray(values).resize(size, how))

"""A photo as a first pass wants it: with a tooth where it is flat, as primed canvas has it.

Networks with instance norms paint nothing where there is nothing. So the first pass is over a photo whose flat parts
have a faint grain, drawn out along the forms around them, which strokes then follow. It has one size, relative to the
strokes, in pictures of all sizes, so that a preview and its final look alike. A faint photo, in fog or at night, has
the less of it, so that it is painted as if it had full contrast; a wholly flat one stays flat.
"""

import numpy as np
from PIL import Image

from stylebank.photos.srgb import LUMA
from stylebank.priming import flow, grain
from stylebank.priming.grain import Floats

BOX, BILINEAR, BICUBIC = Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC

CELL = 8  # pixels of the sides of the squares in which detail is measured
GRAIN = 0.08  # deviation, of full scale
FLAT = 0.06  # deviation within cells at which there is two thirds of it: faces keep their features
FAINT_PHOTO = 0.1  # deviation of a photo below which all of that shrinks with it; 99 of 100 photos have more
HALF = 2  # pixels from one place of the grain to the next
DAB = 3.0  # places from one of its numbers to the next: half of a stroke's width
FADED = 0.44  # deviation of that grain once it is drawn out, against ordinary noise's 1; measured on photos


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
    cells = max(1, round(width / CELL)), max(1, round(height / CELL))
    mean, square = (_resized(x, cells, BOX) for x in (luma, luma * luma))
    variance = _resized(np.maximum(square - mean * mean, 0), (width, height), BILINEAR)
    change = contrast * GRAIN * _grain(luma, contrast) * np.exp(-variance / (2 * (contrast * FLAT) ** 2))
    found: Floats = (photo + np.float32(share) * change).clip(0, 1)
    return found


def _contrast(photo: Floats) -> np.float32:
    """That of a photo in any of its colours against an ordinary one's, in [0, 1]."""
    # Less its first pixel: then a flat photo has none, to the last digit. One by one, since photos lie channels last.
    variances = [(channel - channel[0, 0]).var() for channel in photo]
    return np.float32(min(1.0, np.sqrt(np.mean(variances)) / FAINT_PHOTO))


def _grain(luma: Floats, contrast: np.float32) -> Floats:
    """Noise of mean 0 and about the deviation 1, drawn out along the forms of a photo."""
    height, width = luma.shape
    luma = np.pad(luma, ((0, height % HALF), (0, width % HALF)), "edge")  # to whole places
    half = luma.shape[0] // HALF, luma.shape[1] // HALF
    steps = flow.steps(_resized(luma, half[::-1], BOX), contrast)
    strokes = grain.drawn_out(grain.smooth(*half, DAB), steps) / np.float32(FADED)
    return _resized(strokes, luma.shape[::-1], BICUBIC)[:height, :width]


def _resized(values: Floats, size: tuple[int, int], how: Image.Resampling) -> Floats:
    return np.asarray(Image.fromarray(values).resize(size, how))


def resampling_weights(length: int, wanted: int, how: Image.Resampling) -> Floats:
    """What each of `wanted` pixels takes of `length` when a line is resized: (wanted, length)."""
    return _resized(np.eye(length, dtype=np.float32), (length, wanted), how)

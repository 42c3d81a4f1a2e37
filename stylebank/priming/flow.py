"""Where strokes run: along the forms of a photo, and where it has none as wind would, in waves and eddies.

The tangents of edges come from the structure tensor (Förstner and Gülch, 1987), whose squares and products are means
over three neighbourhoods: an edge nearby, with its far larger gradients, outdoes what is seen from afar.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylebank.priming import grain
from stylebank.priming.grain import Floats, Steps

NEIGHBOURHOODS = (4, 12, 32)  # sides of the means, in places
_EDDY = 36.0  # places from one eddy to the next
_WIND = np.float32(
    1
)  # of the wind that blows to the right, against its eddies; fewer close the more there is
FAINT_FORM = 0.01
"""Difference of neighbours at which a form draws as the wind does: noise of a sensor has less."""


def steps(luma: Floats, contrast: np.float32) -> Steps:
    """Steps along strokes (2, H, W), down and to the right, of length 1 in `grain.UNIT`ths; signs mean nothing.

    Args:
        luma: (H, W).
        contrast: of the whole photo against an ordinary one's, in (0, 1]: a faint one has fainter forms.
    """
    down, right = _slopes(luma)
    # Twice the angle of the tangent, so that opposite directions are one.
    along = _seen(right * right - down * down), _seen(2 * right * down)
    strength = (contrast * np.float32(FAINT_FORM)) ** 2
    cos, sin = (strength * blown - form for blown, form in zip(wind(*luma.shape), along, strict=True))
    cos /= np.sqrt(cos * cos + sin * sin) + np.float32(1e-30)
    halves = (
        np.sqrt((1 - cos).clip(0) / 2) * np.where(sin < 0, np.float32(-1), np.float32(1)),
        np.sqrt((1 + cos).clip(0) / 2),
    )
    return np.rint(np.float32(grain.UNIT) * np.stack(halves)).astype(np.int32)


def wind(height: int, width: int) -> tuple[Floats, Floats]:
    """Twice the angle at which wind blows, cosine and sine: across the slopes of hills, so that it never ends."""
    down, right = _slopes(grain.smooth(height, width, _EDDY))
    across: Floats = np.float32(_EDDY) * down + _WIND
    descent: Floats = np.float32(-_EDDY) * right
    square: Floats = across * across + descent * descent + np.float32(1e-9)
    cos: Floats = (across * across - descent * descent).astype(np.float32) / square
    sin: Floats = 2 * across * descent / square
    return cos, sin


def _slopes(values: Floats) -> tuple[Floats, Floats]:
    """Half of the differences of neighbours, downwards and to the right; at the borders none across them."""
    down, right = np.zeros_like(values), np.zeros_like(values)
    down[1:-1] = (values[2:] - values[:-2]) * np.float32(0.5)
    right[:, 1:-1] = (values[:, 2:] - values[:, :-2]) * np.float32(0.5)
    return down, right


def _seen(values: NDArray[np.float32]) -> Floats:
    """The sum of the means over all neighbourhoods."""
    height, width = values.shape
    image, total = Image.fromarray(values), np.zeros_like(values)
    for side in NEIGHBOURHOODS:
        cells = max(1, round(width / side)), max(1, round(height / side))
        means = image.resize(cells, Image.Resampling.BOX)
        total += np.asarray(means.resize((width, height), Image.Resampling.BICUBIC))
    return total

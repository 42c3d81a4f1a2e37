"""From coarse to fine: the sizes at which a picture is painted one after another, so that strokes go by its own size.

A style's marks and forms have a size in pixels. A picture is painted small at first, where they are large in it; then
it is enlarged and painted again, step by step, which keeps the forms and gives them fine marks. A photo that is
smaller than its strokes ask is painted enlarged, and the picture is shrunk. Legend: s stroke, L long side of the
picture; the first pass is at FIRST / s pixels, give or take a quarter of an octave.
"""

import math
from collections.abc import Iterable

FIRST = 600
"""Pixels of the long side of the first pass at stroke 1."""

_LEAST = 1.25  # what a pass enlarges by at least
_STEP = 2.0  # what a pass enlarges by at most: revisions are trained up to there
_SPARE = 0.25  # octaves by which a first pass is larger than asked rather than after another one

Size = tuple[int, int]


def painted_size(size: Size, strokes: Iterable[float]) -> Size:
    """The size (H, W) of the last pass: the photo's own, or what the finest of the strokes needs if that is more."""
    long = max(size)
    wanted = max(FIRST / stroke for stroke in strokes)
    return size if wanted <= long * 2**_SPARE else _scaled(size, wanted / long)


def sizes(size: Size, stroke: float, *, again: bool = False) -> list[Size]:
    """The sizes (H, W) of all passes to a picture of `size`, the last, each at most twice the one before.

    With `again` there are two at least.
    """
    ratio = max(size) * stroke / FIRST
    later = max(int(again), math.ceil(math.log2(ratio) - _SPARE))
    factor = min(_STEP, max(_LEAST, ratio ** (1 / later))) if later else 1.0
    return [*(_scaled(size, factor**-place) for place in range(later, 0, -1)), size]


def _scaled(size: Size, factor: float) -> Size:
    height, width = (max(1, round(length * factor)) for length in size)
    return height, width

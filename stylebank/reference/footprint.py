"""How much memory optimising an image takes, and at which size it fits: known before the work.

Measured on a CPU in float32, one thread, layers up to relu5_1: 0.91 GB for 0.26 megapixels, 4.1 GB for 1.5 (address
space 1.03 and 4.2), 0.16 GB more for 30 steps of L-BFGS, which remembers two images of each of the last twenty.
"""

from dataclasses import dataclass

from stylebank.config import MINIMUM_SIDE
from stylebank.errors import ImageError

HISTORY = 20
"""Steps that L-BFGS remembers."""

SHARE = 0.8
"""Of the memory that is free, without `--max-memory`."""

_PER_PIXEL = 2_600
"""Bytes: VGG's features, their gradients, and what convolutions lay out anew."""

_IMAGE = 12
"""Bytes of a pixel of an image in float32."""

_WHOLE_IMAGES = 4
"""Of the photo's own size: it, the start, the result, and one on its way to a file."""

_FIXED = 400_000_000
"""Bytes, whatever the size: weights laid out anew, threads."""

_SMALLEST = 128
"""Pixels of the long side below which it is no picture of the photo."""

_STYLE_PER_PIXEL = 800
"""Bytes for a style image, through VGG without a gradient."""


@dataclass(frozen=True)
class Footprint:
    """What an optimisation takes.

    Attributes:
        size: the photo's (H, W).
        steps: evaluations of the loss on the finest scale, at most.
        method: "lbfgs" or "adam".
        style_side: long side of style images; 0 where they are no larger than the photo.
    """

    size: tuple[int, int]
    steps: int
    method: str
    style_side: int = 0

    def needed(self, size: tuple[int, int] | None = None) -> int:
        """Bytes, if it is painted at its own size or another (H, W)."""
        height, width = size or self.size
        remembered = 2 * min(HISTORY, self.steps) + 10 if self.method == "lbfgs" else 4
        return int(height * width * (_PER_PIXEL + _IMAGE * remembered)) + self._rest()

    def fitting(self, limit: int) -> tuple[int, int]:
        """The largest size (H, W) of the photo's shape that a limit of bytes has room for; its own if that fits.

        Raises:
            ImageError: not even a small one fits, or no style image.
        """
        found = self.size if self.needed() <= limit else self._smaller(limit)
        if self.style_side and self._style() > limit:
            raise ImageError(
                f"style images: {self.style_side} px a side need {amount(self._style())} of memory (room for "
                f"{amount(limit)}); give a smaller --size, or close other programs"
            )
        return found

    def _smaller(self, limit: int) -> tuple[int, int]:
        height, width = self.size
        share = (max(0, limit - self._rest()) / (self.needed() - self._rest())) ** 0.5
        found = (max(MINIMUM_SIDE, int(height * share)), max(MINIMUM_SIDE, int(width * share)))
        if max(found) < min(_SMALLEST, max(self.size)) or self.needed(found) > limit:
            raise ImageError(
                f"photo: {width} x {height} px need {amount(self.needed())} of memory, and {_SMALLEST} px a side "
                f"do not fit either (room for {amount(limit)}); close other programs, or raise --max-memory"
            )
        return found

    def note(self, size: tuple[int, int], limit: int) -> str:
        """What to tell the user before a photo is painted at another size than its own."""
        (height, width), (own_height, own_width) = size, self.size
        return (
            f"photo: {own_width} x {own_height} px would take {amount(self.needed())} of memory (room for "
            f"{amount(limit)}): painted at {width} x {height} px, enlarged to its size"
        )

    def _style(self) -> int:
        return self.style_side**2 * _STYLE_PER_PIXEL + _FIXED

    def _rest(self) -> int:
        return _FIXED + _WHOLE_IMAGES * _IMAGE * self.size[0] * self.size[1]


def amount(count: int) -> str:
    """Bytes as people say them: 31 GB, 4.4 GB, 800 MB."""
    count = max(0, count)
    if count < 10**9:
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e9:.1f} GB" if count < 10**10 else f"{count / 1e9:.0f} GB"

"""Label images: the region of each pixel by palette entry, grey level, number or colour, soft edges settled.

What a file holds is data: no profile, no gamma. Which pixels belong to no label, and where they go, see `edges`.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from stylebank.errors import ImageError, nearest
from stylebank.pixels import edges
from stylebank.pixels.edges import Floats, Integers

NOWHERE = -1
"""In the place of a label: the pixel is transparent, or not a number, and belongs to no region."""

_SHOWN = 12
_TYPED = 24  # how far off files that change colours may be from the one that was meant; Euclidean, in levels


@dataclass(frozen=True)
class Labels:
    """A label image: an integer per pixel.

    Attributes:
        source: what to call it in complaints.
        values: (H, W) int64: palette indices, grey levels, numbers, or colours as 0xRRGGBB; negative: no label.
        are_colours: whether the values are colours.
        colours: (N, 3) uint8, those of palette entries or grey levels; None: numbers without colours.
        is_lossy: whether it comes from a file that holds no exact values.
    """

    source: str
    values: Integers
    are_colours: bool
    colours: NDArray[np.uint8] | None = None
    is_lossy: bool = False

    def found(self) -> list[int]:
        """The labels there are, the most frequent first."""
        values, counts = np.unique(self.values[self.values >= 0], return_counts=True)
        return [int(values[i]) for i in np.argsort(-counts, kind="stable")]

    def meant(self, key: str) -> tuple[int, ...]:
        """The labels that a word means: "3", or where there are colours "#ff0000" or "red".

        Of a palette, a colour means each entry of it. Of a colour image, a number is an id R + 256 G + 65536 B (COCO).

        Raises:
            ImageError: the image has no such label; the message says which it has.
        """
        number = int(key) if key.isdecimal() and len(key) < 12 else None
        found = self._coloured(self._colour_meant(key, number))
        if number is not None and not self.are_colours and not found:
            found = [label for label in self._possible().tolist() if label == number]
        if not found:
            raise ImageError(self._unknown(key))
        return tuple(found)

    def mask(self, *labels: int) -> Floats:
        """The pixels of labels as a mask (H, W)."""
        found: Floats = np.isin(self.values, labels).astype(np.float32)
        return found

    def settled(self, assigned: Collection[int] = ()) -> "Labels":
        """The same image, pixels of soft edges and of noise given to the labels that they stand between; see `edges`.

        Args:
            assigned: labels that count in any case.
        """
        if self._kind == "numbers":
            return self
        values = edges.settled(
            self.values,
            self._survey,
            assigned,
            self._rgb,
            near=self._survey.is_rough or self._kind == "palette",
        )
        return replace(self, values=values)

    def resized(self, size: tuple[int, int]) -> "Labels":
        """The nearest label at each pixel of another size (H, W)."""
        rows, columns = (
            (np.arange(wanted) + 0.5) * length // wanted
            for wanted, length in zip(size, self.values.shape, strict=True)
        )
        return replace(self, values=self.values[rows.astype(int)[:, None], columns.astype(int)])

    def shown(self, label: int) -> str:
        """A label as a user writes it, that of a palette with its colour."""
        if self.are_colours:
            return f"#{label:06x}"
        red, green, blue = (label,) * 3 if self.colours is None else self.colours[label].tolist()
        return str(label) if red == green == blue == label else f"{label} (#{red:02x}{green:02x}{blue:02x})"

    @cached_property
    def _survey(self) -> edges.Survey:
        return edges.survey(self.values, self._rgb, is_lossy=self.is_lossy)

    @cached_property
    def _kind(self) -> Literal["colours", "numbers", "greys", "palette"]:
        if self.colours is None:
            return "colours" if self.are_colours else "numbers"
        return "greys" if (self.colours == np.arange(len(self.colours))[:, None]).all() else "palette"

    def _rgb(self, labels: Integers) -> Floats:
        """Colours (n, 3) of labels (n)."""
        if self.are_colours:
            return np.stack([labels >> 16, labels >> 8 & 255, labels & 255], -1).astype(np.float32)
        assert self.colours is not None
        return self.colours[labels].astype(np.float32)

    def _possible(self) -> Integers:
        return np.array(self.found(), np.int64) if self._kind == "numbers" else self._survey.possible()

    def _colour_meant(self, key: str, number: int | None) -> int | None:
        """The colour that a word means, or the number that it is, where numbers stand for colours."""
        if number is None:
            return _colour(key) if self._kind != "numbers" else None
        if self._kind == "colours" and number < 1 << 24 and not self._survey.is_rough:
            return int(of_rgb(np.array([number & 255, number >> 8 & 255, number >> 16])))
        if self._kind == "greys" and number < 256 and self._survey.is_rough:
            return int(of_rgb(np.full(3, number)))
        return None

    def _coloured(self, colour: int | None) -> list[int]:
        """The labels of a colour; in files that change colours, the nearest one of its own right."""
        if colour is None:
            return []
        possible, own = self._possible(), self._survey.own
        exact: list[int] = possible[of_rgb(self._rgb(possible)) == colour].tolist()
        may_differ = self._survey.is_rough or self._kind == "palette"
        if not len(own) or not may_differ or (exact and not self._survey.is_rough):
            return exact
        wanted = np.array([colour >> 16, colour >> 8 & 255, colour & 255])
        distances = np.linalg.norm(self._rgb(own) - wanted, axis=1)
        return [int(own[distances.argmin()])] if distances.min() <= _TYPED else exact

    def _unknown(self, key: str) -> str:
        labels = self.settled()
        known = [labels.shown(label) for label in labels.found()]
        words = [word.strip("()") for label in known for word in label.split()]
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        return (
            f"{self.source}: has no label '{key}'{nearest(key, words)}; "
            f"it has {', '.join(known[:_SHOWN]) or 'none'}{more}"
        )


def of_rgb(colours: Floats | Integers) -> Integers:
    """0xRRGGBB of colours (..., 3)."""
    red, green, blue = np.moveaxis(colours.astype(np.int64), -1, 0)
    found: Integers = (red << 16) + (green << 8) + blue
    return found


def _colour(key: str) -> int | None:
    try:
        return int(of_rgb(np.array(ImageColor.getrgb(key)[:3])))
    except ValueError:
        return None

"""Label images: the region of each pixel by palette entry, grey level, number or colour, soft edges settled.

What a file holds is data: no profile, no gamma. Anti-aliasing and lossy files leave pixels of colours that nobody meant
as labels; they go to the regions that they stand between, by this rule.

A label is of its own right if somewhere it fills a square of 3 x 3 pixels, or if it is assigned. Every other pixel
looks in eight directions for the first one of such a label, 3 pixels far, then 8, 24 and 64:

- If its colour lies between two that it sees, at most a quarter of their distance beside the line, it is of an edge and
  goes to the nearer. The two must be 24 apart, so that the numbers 1 and 2 of grey labels never count as an edge of 0
  and 3.
- If the image is rough, which JPEG is, and others whose colours beside those of labels are more than the labels,
  colours within 12 of one that it sees are that one: noise, such as fills some squares by chance. So are, where it sees
  labels on opposite sides, those within 48 (ringing), and rare ones.
- A rare colour where three labels meet goes to the nearest of them.
- What is left is a label too: a line of one pixel, say, of a colour that lies between none.

Numbers of more than 8 bits are taken as they are. Distances are Euclidean, in levels of R, G and B.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from stylebank.errors import ImageError, nearest

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

NOWHERE = -1
"""In the place of a label: the pixel is transparent, or not a number, and belongs to no region."""

_SHOWN = 12
_REACHES = (3, 8, 24, 64)
_APART, _NEAR, _RINGING, _TYPED = 24.0, 12.0, 48.0, 24.0
_DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))  # opposite ones 4 apart
_CHUNK = 1 << 17


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
        colour = _colour(key)
        if self.are_colours and number is not None:
            colour = of_rgb(np.array([number & 255, number >> 8 & 255, number >> 16])).item()
            number = None
        has_colours = self.are_colours or self.colours is not None
        found = [] if number is None else [number] if (self.values == number).any() else []
        if number is None and colour is not None and has_colours:
            present = np.array(self.found(), np.int64)
            exact = present[of_rgb(self._rgb(present)) == colour].tolist()
            close = self._close(colour)
            found = (close or exact) if self._survey.is_rough else (exact or close)
        if not found:
            raise ImageError(self._unknown(key))
        return tuple(found)

    def mask(self, *labels: int) -> Floats:
        """The pixels of labels as a mask (H, W)."""
        found: Floats = np.isin(self.values, labels).astype(np.float32)
        return found

    def settled(self, assigned: Collection[int] = ()) -> "Labels":
        """The same image, pixels of soft edges and of noise given to the labels they stand between; see the module.

        Args:
            assigned: labels that count in any case.
        """
        if self.colours is None and not self.are_colours:
            return self
        own = np.union1d(self._survey.own, np.array(list(assigned), np.int64))
        place = np.searchsorted(own, self.values).clip(max=len(own) - 1) if len(own) else self.values
        if not len(own):
            return self
        place = np.where((self.values >= 0) & (own[place] == self.values), place, -1)
        rows, columns = np.nonzero((place < 0) & (self.values >= 0))
        if not len(rows):
            return self
        padded = np.pad(place.astype(np.int32), _REACHES[-1], constant_values=-1)
        values, colours = self.values.copy(), self._rgb(own)
        for start in range(0, len(rows), _CHUNK):
            y, x = rows[start : start + _CHUNK], columns[start : start + _CHUNK]
            stray = self.values[y, x]
            goes = _settle(padded, y, x, self._rgb(stray), colours, self._survey, self._survey.rare(stray))
            values[y, x] = np.where(goes < 0, stray, own[goes])
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
    def _survey(self) -> "_Survey":
        return _surveyed(self)

    def _rgb(self, labels: Integers) -> Floats:
        """Colours (n, 3) of labels (n)."""
        if self.are_colours:
            return np.stack([labels >> 16, labels >> 8 & 255, labels & 255], -1).astype(np.float32)
        assert self.colours is not None
        return self.colours[labels].astype(np.float32)

    def _close(self, colour: int) -> list[int]:
        """The label of its own right nearest to a colour, if files that change colours may have made it of that."""
        own = self._survey.own
        if not len(own) or (self.are_colours and not self._survey.is_rough):
            return []
        wanted = np.array([colour >> 16, colour >> 8 & 255, colour & 255])
        distances = np.linalg.norm(self._rgb(own) - wanted, axis=1)
        return [int(own[distances.argmin()])] if distances.min() <= _TYPED else []

    def _unknown(self, key: str) -> str:
        labels = self.settled()
        known = [labels.shown(label) for label in labels.found()]
        words = [word.strip("()") for label in known for word in label.split()]
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        return (
            f"{self.source}: has no label '{key}'{nearest(key, words)}; "
            f"it has {', '.join(known[:_SHOWN]) or 'none'}{more}"
        )


@dataclass(frozen=True)
class _Survey:
    """What there is in a label image: the labels of their own right, whether it is rough, which colours are frequent."""

    own: Integers
    is_rough: bool
    frequent: Integers

    def rare(self, labels: Integers) -> NDArray[np.bool_]:
        return ~np.isin(labels, self.frequent)


def _surveyed(labels: Labels) -> _Survey:
    values = labels.values
    padded, inside = np.pad(values, 1, mode="edge"), values >= 0
    for y, x in _DIRECTIONS:
        inside &= padded[1 + y : 1 + y + values.shape[0], 1 + x : 1 + x + values.shape[1]] == values
    own, areas = np.unique(values[inside], return_counts=True)
    strays, counts = np.unique(values[(values >= 0) & ~np.isin(values, own)], return_counts=True)
    frequent = strays[counts >= max(16, values.size / 2000)]
    if labels.colours is None and not labels.are_colours:
        return _Survey(own, False, frequent)
    cores = _cores(labels._rgb(own), areas)
    near = 0
    if len(own) and len(strays):
        from scipy.spatial import cKDTree

        distances, _ = cKDTree(labels._rgb(own)).query(labels._rgb(strays), distance_upper_bound=_NEAR)
        near = int(np.isfinite(distances).sum())
    is_rough = labels.is_lossy or near > max(16, 2 * int(cores.sum()))
    if is_rough:
        large = cores & (areas >= max(4, values.size / 5000))
        own = own[large if large.any() else cores]
    return _Survey(own, is_rough, frequent)


def _cores(colours: Floats, areas: Integers) -> NDArray[np.bool_]:
    """Which colours (n, 3) are not within `_NEAR` of one that fills eight times as much."""
    found = np.zeros(len(areas), bool)
    for label in np.argsort(-areas, kind="stable"):
        near = np.linalg.norm(colours[found] - colours[label], axis=1) <= _NEAR
        found[label] = not (near & (areas[found] >= 8 * areas[label])).any()
    return found


def _settle(
    padded: NDArray[np.int32],
    rows: Integers,
    columns: Integers,
    colours: Floats,
    own: Floats,
    survey: _Survey,
    rare: NDArray[np.bool_],
) -> Integers:
    """Which label of its own right each of n pixels goes to, -1 where to none.

    Args:
        padded: places in `own`, or -1; wider than the image by the last of `_REACHES` on each side.
        rows: (n), of the pixels in the image.
        columns: (n), likewise.
        colours: (n, 3) of the pixels.
        own: (K, 3), colours of the labels of their own right.
        survey: of the image.
        rare: (n), whether few pixels have the colour.
    """
    goes, seen = np.full(len(rows), -1), np.full((len(rows), 8), -1)
    open_, done = np.arange(len(rows)), 0
    for reach in _REACHES:
        for step in range(done + 1, reach + 1):
            for way, (y, x) in enumerate(_DIRECTIONS):
                here = rows[open_] + _REACHES[-1] + y * step, columns[open_] + _REACHES[-1] + x * step
                seen[open_, way] = np.where(seen[open_, way] < 0, padded[here], seen[open_, way])
        done = reach
        sees = seen[open_]
        goes[open_] = _between(colours[open_], sees, own)
        distances = np.linalg.norm(own[sees] - colours[open_, None], axis=2)
        distances[sees < 0] = np.inf
        best = distances.argmin(1)
        closest, distance = (np.take_along_axis(found, best[:, None], 1)[:, 0] for found in (sees, distances))
        enclosed = ((sees[:, :4] >= 0) & (sees[:, 4:] >= 0)).any(1)
        last = enclosed | (reach == _REACHES[-1])
        few = rare[open_]
        if survey.is_rough:
            takes = (distance <= _NEAR) | (last & (closest >= 0) & ((distance <= _RINGING) | few))
        else:
            ordered = np.sort(sees, 1)
            kinds = ((np.diff(ordered, axis=1) > 0) & (ordered[:, 1:] >= 0)).sum(1) + (ordered[:, 0] >= 0)
            takes = last & few & (kinds >= 3)
        goes[open_] = np.where((goes[open_] < 0) & takes, closest, goes[open_])
        open_ = open_[(goes[open_] < 0) & ~last]
        if not len(open_):
            break
    return goes


def _between(colours: Floats, seen: Integers, own: Floats) -> Integers:
    """Of the two labels between whose colours a pixel's lies the nearer, -1 where there are no such two."""
    goes, best = np.full(len(colours), -1), np.full(len(colours), np.inf, np.float32)
    for one in range(8):
        for other in range(one + 1, 8):
            first, second = seen[:, one], seen[:, other]
            way = own[second] - own[first]
            length = np.linalg.norm(way, axis=1)
            pair = (first >= 0) & (second >= 0) & (length >= _APART)
            offset = colours - own[first]
            # A little further than the ends: resampling overshoots.
            share = ((offset * way).sum(1) / np.maximum(length, 1) ** 2).clip(-0.15, 1.15)
            beside = np.linalg.norm(offset - share[:, None] * way, axis=1)
            better = pair & (beside <= np.maximum(6, length / 4)) & (beside < best)
            goes = np.where(better, np.where(share < 0.5, first, second), goes)
            best = np.where(better, beside, best)
    return goes


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

"""Soft edges of label images, and noise of lossy ones: to which of the regions around it each such pixel goes.

Anti-aliasing, blurs and lossy files leave pixels of colours that nobody meant as labels. The rule:

A label is of its own right if somewhere it fills a square of 3 x 3 pixels, or if it is assigned. Every other pixel
looks in eight directions for the first one of such a label, 3 pixels far, then 8, 24 and 64; it looks further while
nothing is decided and it does not see labels on opposite sides.

- If its colour is within 12 of a label's that it sees, it is that label's. This holds for palettes and for rough images
  only: the numbers 1 and 2 of grey labels are not near.
- If its colour lies between those of two labels that it sees, beside their line by a quarter of their distance at most,
  as blends in linear light do, it goes to the nearer. The two must be 24 apart, for the sake of such numbers too.
- A rare colour where three labels meet goes to the nearest of them; of a rough image any rare one does, and any within
  48, as ringing is.
- What else has a colour whose pixels have gone elsewhere, more than half of them, goes to the nearest that it sees.
- At the image's border, where a blend's other half may lie outside, one label that it sees and any other will do for
  those that its colour lies between.
- What is left is a label as well: a line of one pixel, say, of a colour that lies between no others.

Rough are lossy files, and images with more stray colours than twice their labels. Of their labels those within 12 of a
larger one are it, those that fill less than 1 / 20000 of the image are none, and pixels outside of all filled squares
are looked at like the others, so that an edge from black to white leaves no line of the label grey.

Measured on ellipses, polygons and a strip in six sets of 2 to 4 colours, 240 x 160 and 1200 x 800, reduced or blurred,
as PNG, GIF of 256 colours, WebP of quality 80 and JPEG of 50 to 90: all pixels find a label, at most 2 % another one
than without softness. Some are left over where Gaussians of 8 pixels blur the smaller size, and of rings in palettes of
8 colours.

Distances are Euclidean, in levels of R, G and B.
"""

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

Colours = Callable[[Integers], Floats]
"""Labels (n) -> their colours (n, 3)."""

_REACHES = (3, 8, 24, 64)
_APART, _NEAR, _RINGING = 24.0, 12.0, 48.0
_DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))  # opposite ones 4 apart
_CHUNK = 1 << 17
_EDGE = 8  # pixels from the border
_MOST_PAIRS = 1000


@dataclass(frozen=True)
class Survey:
    """What there is in a label image.

    Attributes:
        present: (n) the labels, ascending.
        is_rare: (n) whether few pixels have them.
        own: (k) those of their own right, ascending.
        is_rough: see the module.
    """

    present: Integers
    is_rare: NDArray[np.bool_]
    own: Integers
    is_rough: bool

    def possible(self) -> Integers:
        """The labels that somebody may mean: of a rough image none that it has only at edges, by chance."""
        return np.union1d(self.own, self.present[~self.is_rare]) if self.is_rough else self.present


def survey(values: Integers, rgb: Colours, *, is_lossy: bool) -> Survey:
    """What there is in a label image (H, W), negative where there is no label."""
    present, counts = np.unique(values[values >= 0], return_counts=True)
    own, areas = np.unique(values[_inside(values)], return_counts=True)
    colours = rgb(own)
    cores = _cores(colours, areas, larger=8)
    if not is_lossy and len(present) - len(own) <= max(16, 2 * int(cores.sum())):
        return Survey(present, counts < max(16, values.size / 2000), own, is_rough=False)
    cores = _cores(colours, areas, larger=1)
    large = cores & (areas >= max(4, values.size / 20000))
    is_rare = (counts < max(64, values.size / 1000)) | is_lossy
    return Survey(present, is_rare, own[large if large.any() else cores], is_rough=True)


def settled(
    values: Integers, found: Survey, assigned: Collection[int], rgb: Colours, *, near: bool
) -> Integers:
    """A label image (H, W) without soft edges and noise.

    Args:
        values: labels, negative where there are none.
        found: in them.
        assigned: labels that count in any case.
        rgb: the colours of labels.
        near: whether colours may be those of labels that they are near to.
    """
    own = np.union1d(found.own, np.array(list(assigned), np.int64))
    if not len(own):
        return values
    home = _homes(found.present, own, rgb, near=near)
    at = np.searchsorted(found.present, values).clip(0)
    place = np.where(values >= 0, home[at], -1)
    kept = np.isin(values, own if not found.is_rough else np.setdiff1d(own, found.own))
    place = np.where(kept | _opened(place) if found.is_rough else kept, place, -1)
    wanted = np.where(place >= 0, own[place], values)
    rows, columns = np.nonzero((place < 0) & (values >= 0))
    padded = np.pad(place.astype(np.int32), _REACHES[-1], constant_values=-1)
    rays = _Rays(padded, rgb(own), found.is_rough)
    stray, goes, closest = at[rows, columns], np.full(len(rows), -1), np.full(len(rows), -1)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        y, x, label = rows[part], columns[part], stray[part]
        sees = rays.settle(y, x, rgb(found.present[label]), home[label], is_rare=found.is_rare[label])
        goes[part], closest[part] = sees
    # What for the most part is an edge is no label.
    total, left = (np.bincount(each, minlength=len(home)) for each in (stray, stray[goes < 0]))
    goes = np.where((goes < 0) & (2 * left < total)[stray], closest, goes)
    height, width = values.shape
    at_border = (rows < _EDGE) | (columns < _EDGE) | (rows >= height - _EDGE) | (columns >= width - _EDGE)
    for pixels, seen in _pairs(np.flatnonzero(at_border & (goes < 0) & (closest >= 0)), stray, closest):
        colour = rgb(found.present[stray[pixels[:1]]]).repeat(len(own), 0)
        beside = np.stack([np.full(len(own), seen), np.arange(len(own))], 1)
        goes[pixels] = seen if (rays.between(colour, beside) >= 0).any() else -1
    wanted[rows, columns] = np.where(goes < 0, wanted[rows, columns], own[goes])
    return wanted


def _pairs(pixels: Integers, stray: Integers, seen: Integers) -> Iterator[tuple[Integers, int]]:
    """Pixels by their colour and by the label that they see, each with the latter."""
    kinds, which = np.unique(np.stack([stray[pixels], seen[pixels]]), axis=1, return_inverse=True)
    for number in range(min(kinds.shape[1], _MOST_PAIRS)):
        yield pixels[which.ravel() == number], int(kinds[1, number])


def _homes(present: Integers, own: Integers, rgb: Colours, *, near: bool) -> Integers:
    """The place in `own` of each label present, or of the nearest by colour if that is near enough; else -1."""
    from scipy.spatial import cKDTree

    place = np.searchsorted(own, present).clip(max=len(own) - 1)
    home = np.where(own[place] == present, place, -1)
    others = home < 0
    if near and others.any():
        found = cKDTree(rgb(own)).query(rgb(present[others]), distance_upper_bound=_NEAR)[1]
        home[others] = np.where(found < len(own), found, -1)
    return home


def _cores(colours: Floats, areas: Integers, *, larger: float) -> NDArray[np.bool_]:
    """Which colours (n, 3) are not within `_NEAR` of one that fills so many times as much."""
    found = np.zeros(len(areas), bool)
    for label in np.argsort(-areas, kind="stable"):
        near = np.linalg.norm(colours[found] - colours[label], axis=1) <= _NEAR
        found[label] = not (near & (areas[found] >= larger * areas[label])).any()
    return found


def _inside(values: Integers) -> NDArray[np.bool_]:
    """Where a label fills 3 x 3 pixels; those beyond the border are as those at it."""
    found, padded = values >= 0, np.pad(values, 1, mode="edge")
    for y, x in _DIRECTIONS:
        found &= padded[1 + y : 1 + y + values.shape[0], 1 + x : 1 + x + values.shape[1]] == values
    return found


def _opened(values: Integers) -> NDArray[np.bool_]:
    """The pixels of all squares of 3 x 3 that a label fills."""
    from scipy import ndimage

    found: NDArray[np.bool_] = ndimage.binary_dilation(_inside(values), np.ones((3, 3), bool))
    return found


@dataclass(frozen=True)
class _Rays:
    """What pixels see of labels of their own right.

    Attributes:
        place: which of these a pixel has, or -1; wider than the image by the last of `_REACHES` on each side.
        own: (K, 3), their colours.
        is_rough: see the module.
    """

    place: NDArray[np.int32]
    own: Floats
    is_rough: bool

    def settle(
        self,
        rows: Integers,
        columns: Integers,
        colours: Floats,
        home: Integers,
        *,
        is_rare: NDArray[np.bool_],
    ) -> tuple[Integers, Integers]:
        """Which label (n) each of n pixels goes to, and which it sees is nearest by colour, -1 where there is none.

        Args:
            rows: (n), of the pixels in the image.
            columns: (n), likewise.
            colours: (n, 3).
            home: (n), the label that the colour is near to, or -1.
            is_rare: (n), whether few pixels have the colour.
        """
        seen, goes, closest = np.full((len(rows), 8), -1), np.full(len(rows), -1), np.full(len(rows), -1)
        left, done = np.arange(len(rows)), 0
        for reach in _REACHES:
            for step in range(done + 1, reach + 1):
                for way, (y, x) in enumerate(_DIRECTIONS):
                    here = rows[left] + _REACHES[-1] + y * step, columns[left] + _REACHES[-1] + x * step
                    seen[left, way] = np.where(seen[left, way] < 0, self.place[here], seen[left, way])
            done, sees = reach, seen[left]
            enclosed = ((sees[:, :4] >= 0) & (sees[:, 4:] >= 0)).any(1)
            is_last = enclosed & (done > _REACHES[1 if self.is_rough else 0]) | (done == _REACHES[-1])
            kinds = _distinct(sees)
            at_home = (home[left] >= 0) & (kinds == home[left, None]).any(1)
            found = np.where(at_home, home[left], self.between(colours[left], kinds))
            closest[left], may = self._nearest(colours[left], kinds, is_rare[left])
            found = np.where((found < 0) & is_last & may, closest[left], found)
            goes[left] = found
            left = left[(found < 0) & ~is_last]
        return (goes if not self.is_rough else np.where(goes < 0, home, goes)), closest

    def between(self, colours: Floats, kinds: Integers) -> Integers:
        """Of the two labels seen between whose colours a pixel's lies the nearer, -1 where there are no such two."""
        goes, best = np.full(len(colours), -1), np.full(len(colours), np.inf, np.float32)
        for one, other in itertools.combinations(range(kinds.shape[1]), 2):
            at = np.flatnonzero(kinds[:, other] >= 0)
            first, second = kinds[at, one], kinds[at, other]
            offset, way = colours[at] - self.own[first], self.own[second] - self.own[first]
            length = np.linalg.norm(way, axis=1)
            # A little further than the ends: resampling overshoots.
            share = ((offset * way).sum(1) / np.maximum(length, 1) ** 2).clip(-0.15, 1.15)
            beside = np.linalg.norm(offset - share[:, None] * way, axis=1)
            better = (length >= _APART) & (beside <= np.maximum(6, length / 4)) & (beside < best[at])
            goes[at] = np.where(better, np.where(share < 0.5, first, second), goes[at])
            best[at] = np.where(better, beside, best[at])
        return goes

    def _nearest(
        self, colours: Floats, kinds: Integers, is_rare: NDArray[np.bool_]
    ) -> tuple[Integers, NDArray[np.bool_]]:
        """The label seen whose colour is nearest, and whether it will do for want of a better."""
        distances = np.linalg.norm(self.own[kinds] - colours[:, None], axis=2)
        distances[kinds < 0] = np.inf
        best = distances.argmin(1)[:, None]
        closest, distance = (np.take_along_axis(found, best, 1)[:, 0] for found in (kinds, distances))
        may = is_rare | (distance <= _RINGING) if self.is_rough else is_rare & (kinds[:, 2] >= 0)
        return closest, may


def _distinct(seen: Integers) -> Integers:
    """The first four different labels (n, 4) that pixels see, -1 where there are no more."""
    found = np.sort(seen, axis=1)[:, ::-1].copy()
    found[:, 1:][found[:, 1:] == found[:, :-1]] = -1
    return np.sort(found, axis=1)[:, :-5:-1]

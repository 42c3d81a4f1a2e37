"""What the four drawn sets share: fields, cells, ribbons, and the way from a large drawing to 512 x 512 px.

Lengths are in pixels of the finished picture. Drawings are made OVER times larger and averaged down, which is
all the anti-aliasing there is. Fields are (WIDE, WIDE) float64 arrays, periodic where that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

SIDE = 512
OVER = 3
WIDE = SIDE * OVER

Array = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Rgb = tuple[int, int, int]
Picture = Callable[[np.random.Generator], Image.Image]


@dataclass(frozen=True)
class DrawnSet:
    """One artwork family: what it looks like, and for each of the five layers a caption and who draws it."""

    about: str
    seed: int
    pictures: tuple[tuple[str, Picture], ...]

    def draw(self, layer: int) -> Image.Image:
        """The picture for layer 1 (finest marks) to 5 (largest forms), always the same: (SIDE, SIDE), palette."""
        return self.pictures[layer - 1][1](np.random.default_rng([self.seed, layer]))


def finish(drawing: Image.Image, colours: Sequence[Rgb]) -> Image.Image:
    """Average a (WIDE, WIDE) RGB drawing down to (SIDE, SIDE), in the colours and their half-way mixtures.

    One fixed palette for all five pictures keeps their colours equal and the PNG files small.
    """
    mixtures = [tuple((a + b) // 2 for a, b in zip(p, q, strict=True)) for p, q in combinations(colours, 2)]
    entries = [*colours, *mixtures]
    assert len(entries) <= 256
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for entry in entries for channel in entry])
    return drawing.reduce(OVER).quantize(palette=palette, dither=Image.Dither.NONE)


def grid() -> tuple[Array, Array]:
    """Pixel centres of the large drawing: x to the right and y down, both in [0, SIDE)."""
    y, x = np.mgrid[0:WIDE, 0:WIDE]
    return (x + 0.5) / OVER, (y + 0.5) / OVER


def noise(rng: np.random.Generator, scale: float, stretch: float = 1.0) -> Array:
    """Periodic (SIDE, SIDE) Gaussian noise of mean 0 and deviation 1.

    Its blobs are about `scale` pixels high and `stretch` times as wide.
    """
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], stretch * np.fft.rfftfreq(SIDE)[None, :])
    white = np.fft.rfft2(rng.random((SIDE, SIDE)) - 0.5)
    field = np.fft.irfft2(white * np.exp(-2.0 * (frequency * scale) ** 2), s=(SIDE, SIDE))
    field -= field.mean()
    return np.asarray(field / field.std())


def enlarge(field: Array) -> Array:
    """A (SIDE, SIDE) field at the size of the large drawing, (WIDE, WIDE)."""
    picture = Image.fromarray(field.astype(np.float32))
    return np.asarray(picture.resize((WIDE, WIDE), Image.Resampling.BICUBIC), dtype=np.float64)


def chance(ids: Ids, salt: int) -> Array:
    """A number in [0, 1) for every integer id: the same id and salt always give the same (SplitMix64's mixing)."""
    h = (ids.astype(np.uint64) + np.uint64(salt * 0x9E3779B9 + 1)) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(((h ^ (h >> np.uint64(32))) >> np.uint64(11)).astype(np.float64) / 2.0**53)


def cells(rng: np.random.Generator, x: Array, y: Array, pitch: float) -> tuple[Ids, Array, Array, Array]:
    """Voronoi cells of a shaken grid: the id, the offset (dx, dy) from the cell's seed, and the way to its edge."""
    n = round(SIDE / pitch)
    shift = 0.5 + 0.75 * (rng.random((2, n, n)) - 0.5)
    column, row = np.floor(x / pitch).astype(np.int64), np.floor(y / pitch).astype(np.int64)
    best, second = np.full(x.shape, np.inf), np.full(x.shape, np.inf)
    ids, dx, dy = np.zeros(x.shape, np.int64), np.zeros(x.shape), np.zeros(x.shape)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            seed = (row + j) % n * n + (column + i) % n
            ex = x - (column + i + shift[0].ravel()[seed]) * pitch
            ey = y - (row + j + shift[1].ravel()[seed]) * pitch
            distance = np.hypot(ex, ey)
            near = distance < best
            second = np.where(near, best, np.minimum(second, distance))
            best = np.where(near, distance, best)
            ids, dx, dy = np.where(near, seed, ids), np.where(near, ex, dx), np.where(near, ey, dy)
    return ids, dx, dy, (second - best) / 2


def scatter(rng: np.random.Generator, count: int) -> Array:
    """`count` points (count, 2) on the periodic sheet, each the loneliest of twenty candidates: no heaps, no gaps."""
    points = rng.random((1, 2)) * SIDE
    while len(points) < count:
        tries = rng.random((20, 2)) * SIDE
        apart = np.abs(tries[:, None] - points[None])
        nearest = np.hypot(*np.moveaxis(np.minimum(apart, SIDE - apart), 2, 0)).min(1)
        points = np.concatenate([points, tries[nearest.argmax()][None]])
    return points


def window(centre: Array, reach: float) -> tuple[tuple[Ids, Ids], Array, Array]:
    """The square of +-`reach` px about a point of the periodic sheet: its index, and dx, dy from the point."""
    corner = np.floor((centre - reach) * OVER).astype(np.int64)
    steps = np.arange(min(int(2 * reach * OVER) + 2, WIDE))
    dx, dy = ((corner[axis] + steps + 0.5) / OVER - centre[axis] for axis in (0, 1))
    index = ((corner[1] + steps)[:, None] % WIDE, (corner[0] + steps)[None, :] % WIDE)
    return index, dx[None, :], dy[:, None]


def paint(index: Ids, colours: Sequence[Rgb]) -> Image.Image:
    """An RGB drawing from an array of colour numbers."""
    return Image.fromarray(np.array(colours, np.uint8)[index])


def normals(path: Array) -> Array:
    """Unit vectors (T, 2) that stand to the right of a (T, 2) path, y down."""
    along = np.gradient(path, axis=0)
    return np.asarray(
        np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    )


def ribbon(path: Array, width: Array) -> list[tuple[float, float]]:
    """The outline of a band around a (T, 2) path, `width` (T,) wide at each point, for ImageDraw.polygon."""
    side = normals(path) * (width / 2)[:, None]
    outline = np.concatenate([path + side, (path - side)[::-1]]) * OVER
    return [(float(x), float(y)) for x, y in outline]


def streamlines(field: Array, seeds: Array, length: float, points: int) -> Array:
    """Paths (N, points, 2) of the given length through a periodic (2, SIDE, SIDE) direction field.

    Seeds (N, 2) lie in the middle of their paths, so that strokes spread evenly over the picture.
    """
    step = length / (points - 1)
    halves = []
    for sign in (-1.0, 1.0):
        at, path = seeds.copy(), [seeds.copy()]
        for _ in range(points // 2):
            column, row = (np.floor(at).astype(np.int64) % SIDE).T
            at = at + sign * step * field[:, row, column].T
            path.append(at)
        halves.append(np.stack(path, 1))
    return np.concatenate([halves[0][:, :0:-1], halves[1]], 1)


def blank(colour: Rgb) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty large drawing and the pen for it."""
    picture = Image.new("RGB", (WIDE, WIDE), colour)
    return picture, ImageDraw.Draw(picture)

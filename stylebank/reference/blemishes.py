"""What a picture has where its photo has nothing: haloes along edges, borders, bare or busy ground, black, patches.

Colours are CIELAB, (H, W, 3), so that figures are differences that one sees: 2 side by side, 10 at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stylebank.painting.segmentation import lab
from stylebank.reference.spectra import Flags, Floats

Pixels = NDArray[np.uint8]
"""An image (H, W, 3), sRGB."""

CELL = 16
"""Side in pixels of the squares whose deviation is the ground's, and the width of a border."""
FLAT = 2.0
"""Deviation of L*, in a photo's square, below which it is flat."""
DARK, DIM = 15.0, 30.0
"""L* below which a picture is black, and below which a photo is dark already."""
STILL = 2.0
"""Deviation of L* over 9 pixels below which nothing is painted."""
STEP = 20.0
"""Of L*, from one side of an edge to the other, that makes it a strong one."""
REACH, AWAY = 6, 14
"""Pixels from an edge within which haloes lie, and at which colours are those of its two sides, to REACH + 2."""
_FAR = (
    1 / 50
)  # of the long side, deviation of the blur of a picture seen from afar: smaller things are strokes
_COARSE = 4  # pixels that are one where only what is much larger counts
_PIECE = 48  # pixels
_FEWEST = 24  # pixels of an edge that are averaged: texture has gone from their mean


def colours(picture: Pixels) -> Floats:
    """CIELAB (H, W, 3) of a picture."""
    return lab(picture.astype(np.float32) / np.float32(255))


def deviations(lightness: Floats) -> Floats:
    """Standard deviation of L* in each square of CELL pixels: (H // CELL, W // CELL)."""
    rows, columns = (length // CELL for length in lightness.shape)
    cells = lightness[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL)
    found: Floats = cells.std((1, 3))
    return found


def ground(picture: Floats, photo: Floats) -> float | None:
    """Median deviation of a picture's L* where its photo is flat; None if that is less than a fiftieth of it."""
    flat = deviations(photo[..., 0]) < FLAT
    return float(np.median(deviations(picture[..., 0])[flat])) if flat.mean() > 0.02 else None


@dataclass(frozen=True)
class Edge:
    """A straight piece of a strong edge whose two sides are calm.

    Attributes:
        rows: of its N pixels.
        columns: of them.
        normal: (y, x) of length 1, to the lighter side.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    normal: tuple[float, float]

    def profile(self, image: Floats) -> Floats:
        """Mean colours (2 AWAY + 1, 3) across it."""
        places = np.arange(-AWAY, AWAY + 1)
        points = [
            line[:, None] + way * places
            for line, way in zip((self.rows, self.columns), self.normal, strict=True)
        ]
        planes = np.moveaxis(image, -1, 0)
        return np.stack([ndimage.map_coordinates(plane, points, order=1).mean(0) for plane in planes], -1)


def edges(photo: Floats) -> list[Edge]:
    """The strong edges of a photo, in pieces of at most _PIECE pixels."""
    smooth = ndimage.gaussian_filter(photo[..., 0], 1.0)
    down, right = np.gradient(smooth)
    steep = np.hypot(down, right)
    # A step of height d, blurred by a deviation of 1.1 pixels or so, is d / 3 steep.
    ridge = (steep > STEP / 6) & (steep >= 0.98 * ndimage.maximum_filter(steep, 3))
    inside = np.zeros_like(ridge)
    inside[AWAY + 1 : -AWAY - 1, AWAY + 1 : -AWAY - 1] = True
    rows, columns = np.nonzero(ridge & inside)
    normals = np.stack([down, right])[:, rows, columns] / np.maximum(steep[rows, columns], 1e-6)
    points = [
        line[:, None] + way[:, None] * [-AWAY, -4, 4, AWAY]
        for line, way in zip((rows, columns), normals, strict=True)
    ]
    levels = ndimage.map_coordinates(smooth, points, order=1)
    calm = (np.abs(levels[:, [0, 2]] - levels[:, [1, 3]]) < STEP / 4).all(1)
    strong = calm & (levels[:, 2] - levels[:, 1] > STEP)
    turn = (np.arctan2(*normals) / (np.pi / 8)).round().astype(int) % 16
    piece = (rows // _PIECE * (smooth.shape[1] // _PIECE + 1) + columns // _PIECE) * 16 + turn
    found = []
    for number in np.unique(piece[strong]):
        mine = strong & (piece == number)
        if mine.sum() >= _FEWEST:
            down_mean, right_mean = normals[:, mine].mean(1)
            long = np.hypot(down_mean, right_mean)
            found.append(Edge(rows[mine], columns[mine], (down_mean / long, right_mean / long)))
    return found


def halo(picture: Floats, photo: Floats, lines: Sequence[Edge]) -> float | None:
    """How far colours along strong edges lie outside of those on the edges' two sides: the upper quartile over edges.

    Only what is lighter or of more colour counts: outlines are dark. Nor does what the photo has itself, or what lies
    as far outside at a distance from edges, which is texture. None without edges.

    Args:
        picture: see above.
        photo: its photo.
        lines: the photo's edges.
    """
    found = [_overshoot(line.profile(picture)) - _overshoot(line.profile(photo)) for line in lines]
    return max(0.0, float(np.quantile(found, 0.75))) if found else None


def _overshoot(profile: Floats) -> float:
    """How far a profile (2 AWAY + 1, 3) across an edge lies outside of the line between its sides' colours."""
    sides = profile[: AWAY - REACH - 1].mean(0), profile[AWAY + REACH + 2 :].mean(0)
    way = sides[1] - sides[0]
    share = ((profile - sides[0]) @ way / max(float(way @ way), 1e-6)).clip(0, 1)
    nearest = sides[0] + share[:, None] * way
    lighter = (profile - nearest)[:, 0].clip(0)
    chroma = [np.linalg.norm(colour[:, 1:], axis=1) for colour in (profile - nearest, profile, nearest)]
    outside = np.hypot(lighter, np.where(chroma[1] > chroma[2], chroma[0], 0))
    near = np.abs(np.arange(-AWAY, AWAY + 1)) <= REACH
    return float(outside[near].max() - outside[~near].max())


def border(picture: Floats, inner: Floats) -> float:
    """Colour difference of a picture's border to what is there in a larger picture: the mean over its four sides.

    Less that of strips further inside, the largest of three depths: strokes fall elsewhere in a larger picture, there
    as well.

    Args:
        picture: of a photo.
        inner: the same part of the picture of that photo continued by its mirror image.
    """
    rest = picture - inner
    inward = min(3 * CELL, min(rest.shape[:2]) // 4)
    outer, *others = (_strips(rest, depth) for depth in (0, *range(inward, inward + 3 * CELL, CELL)))
    return max(0.0, outer - max(others))


def _strips(rest: Floats, depth: int) -> float:
    """Mean length of the mean colours of four strips of CELL pixels, `depth` pixels from the border."""
    place = slice(depth, depth + CELL)
    strips = (rest[place], rest[::-1][place], rest[:, place], rest[:, ::-1][:, place])
    return float(np.mean([np.linalg.norm(strip.mean((0, 1))) for strip in strips]))


def black(picture: Floats, photo: Floats) -> float:
    """Share, in percent, of a picture that is black and empty where its photo is not dark."""
    lightness = ndimage.uniform_filter(photo[..., 0], 9)
    return 100 * float((empty_black(picture) & (lightness > DIM)).mean())


def empty_black(picture: Floats) -> Flags:
    """Where (H, W) a picture is black and nothing is painted."""
    lightness = picture[..., 0]
    mean, square = (ndimage.uniform_filter(plane, 9) for plane in (lightness, np.square(lightness)))
    found: Flags = (mean < DARK) & (square - np.square(mean) < STILL**2)
    return found


def patch(picture: Floats, photo: Floats) -> float | None:
    """The largest colour difference on flat ground, seen from afar, that the photo's colour does not explain.

    None if there is no ground, as in `ground`.
    """
    cells = CELL // _COARSE
    flat = np.kron(deviations(photo[..., 0]) < FLAT, np.ones((cells, cells), bool))
    flat = ndimage.binary_erosion(flat, iterations=cells // 2)
    if flat.mean() < 0.02:
        return None
    blur = _FAR * max(photo.shape) / _COARSE
    far, seen = (ndimage.gaussian_filter(_coarse(image), (blur, blur, 0))[flat] for image in (picture, photo))
    terms = np.concatenate([np.ones_like(seen[:, :1]), seen, np.square(seen)], 1)
    terms /= np.abs(terms).max(0) + 1e-6
    rest = far - terms @ np.linalg.lstsq(terms, far, rcond=1e-4)[0]
    return float(np.quantile(np.linalg.norm(rest, axis=1), 0.99))


def _coarse(image: Floats) -> Floats:
    """Means of _COARSE x _COARSE pixels, of the part that whole squares of CELL pixels cover."""
    rows, columns = (length // CELL * CELL // _COARSE for length in image.shape[:2])
    part = image[: rows * _COARSE, : columns * _COARSE]
    found: Floats = part.reshape(rows, _COARSE, columns, _COARSE, -1).mean((1, 3))
    return found

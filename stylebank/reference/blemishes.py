"""What a picture has where its photo has nothing: haloes along edges, borders, bare or busy ground, black, patches.

Colours are CIELAB, so that figures are differences that one sees: about 2 is just visible side by side, 10 at once.
"""

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
DARK, DIM = 12.0, 25.0
"""L* below which a picture is black, and below which a photo is dark already."""
STILL = 1.0
"""Deviation of L* over 9 pixels below which nothing is painted."""
STEP = 20.0
"""Of L*, from one side of an edge to the other, that makes it a strong one."""
REACH, AWAY = 6, 14
"""Pixels from an edge within which haloes lie, and at which colours are those of its two sides, to REACH + 2."""
_BLUR = 10.0  # pixels: what is smaller is a stroke, no patch
_FEWEST = 24  # pixels of an edge that are averaged: texture has gone from their mean


def colours(picture: Pixels) -> Floats:
    """CIELAB (H, W, 3) of a picture."""
    return lab(picture.astype(np.float32) / 255)


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


def halo(picture: Floats, photo: Floats) -> float:
    """How far colours along strong edges lie outside of those on the edges' two sides: median over edges, in a*b*.

    What is greyer than both sides does not count: outlines are black. Nor does what the photo has itself, or what lies
    as far outside at a distance from edges, which is texture.
    """
    lines = _edges(photo[..., 0])
    found = []
    for rows, columns, normal in lines:
        places = np.arange(-AWAY, AWAY + 1)
        points = rows[:, None] + normal[0] * places, columns[:, None] + normal[1] * places
        profiles = [
            np.stack([ndimage.map_coordinates(image[..., k], points, order=1).mean(0) for k in (1, 2)], -1)
            for image in (picture, photo)
        ]
        found.append(_overshoot(profiles[0]) - _overshoot(profiles[1]))
    return max(0.0, float(np.median(found))) if found else 0.0


def _overshoot(profile: Floats) -> float:
    """How far a profile (2 AWAY + 1, 2) of a*b* across an edge lies outside of the line between its sides."""
    sides = profile[: AWAY - REACH - 1].mean(0), profile[AWAY + REACH + 2 :].mean(0)
    way = sides[1] - sides[0]
    share = ((profile - sides[0]) @ way / max(float(way @ way), 1e-6)).clip(0, 1)
    nearest = sides[0] + share[:, None] * way
    outside = np.linalg.norm(profile - nearest, axis=1)
    outside[np.linalg.norm(profile, axis=1) < np.linalg.norm(nearest, axis=1)] = 0
    near = np.abs(np.arange(-AWAY, AWAY + 1)) <= REACH
    return float(outside[near].max() - outside[~near].max())


def _edges(lightness: Floats) -> list[tuple[NDArray[np.int64], NDArray[np.int64], tuple[float, float]]]:
    """Straight pieces of strong edges with calm sides: rows and columns of their pixels, and a normal (y, x)."""
    height, width = lightness.shape
    smooth = ndimage.gaussian_filter(lightness, 1.0)
    down, right = np.gradient(smooth)
    steep = np.hypot(down, right)
    ridge = (steep > STEP / 6) & (steep >= ndimage.maximum_filter(steep, 3) * 0.98)
    ridge[: AWAY + 1] = ridge[-AWAY - 1 :] = ridge[:, : AWAY + 1] = ridge[:, -AWAY - 1 :] = False
    rows, columns = np.nonzero(ridge)
    if not len(rows):
        return []
    angle = np.arctan2(down, right)[rows, columns]
    normals = np.sin(angle), np.cos(angle)
    steps = np.array([-AWAY, -4, 4, AWAY])
    sides = ndimage.map_coordinates(
        smooth, [rows[:, None] + normals[0][:, None] * steps, columns[:, None] + normals[1][:, None] * steps], order=1
    )
    calm = (np.abs(sides[:, 0] - sides[:, 1]) < STEP / 4) & (np.abs(sides[:, 2] - sides[:, 3]) < STEP / 4)
    strong = calm & (sides[:, 2] - sides[:, 1] > STEP)
    turn = (np.round(angle / (np.pi / 8)).astype(int)) % 16
    piece = (rows // 48 * (width // 48 + 1) + columns // 48) * 16 + turn
    found = []
    for number in np.unique(piece[strong]):
        mine = strong & (piece == number)
        if mine.sum() >= _FEWEST:
            direction = float(normals[0][mine].mean()), float(normals[1][mine].mean())
            long = float(np.hypot(*direction))
            found.append((rows[mine], columns[mine], (direction[0] / long, direction[1] / long)))
    return found


def border(picture: Floats, inner: Floats) -> float:
    """Colour difference, at the side where it is largest, of a picture's border to what is there in a larger picture.

    Args:
        picture: of a photo.
        inner: the same part of the picture of that photo continued by its mirror image.
    """
    return max(
        float(np.linalg.norm((a - b).mean((0, 1)))) for a, b in zip(_sides(picture), _sides(inner), strict=True)
    )


def _sides(image: Floats) -> list[Floats]:
    return [image[:CELL], image[-CELL:], image[:, :CELL], image[:, -CELL:]]


def black(picture: Floats, photo: Floats) -> float:
    """Share, in percent, of a picture that is black and empty where its photo is not dark."""
    lightness = ndimage.uniform_filter(photo[..., 0], 9)
    return 100 * float((empty_black(picture) & (lightness > DIM)).mean())


def empty_black(picture: Floats) -> Flags:
    """Where (H, W) a picture is black and nothing is painted."""
    lightness = picture[..., 0]
    mean, square = (ndimage.uniform_filter(plane, 9) for plane in (lightness, np.square(lightness)))
    return (mean < DARK) & (square - np.square(mean) < STILL**2)


def patch(picture: Floats, photo: Floats) -> float | None:
    """The largest colour difference on flat ground, seen from afar, that the photo's colour does not explain.

    None if there is no ground, as in `ground`.
    """
    flat = np.repeat(np.repeat(deviations(photo[..., 0]) < FLAT, CELL, 0), CELL, 1)
    flat = np.pad(flat, [(0, n - m) for n, m in zip(photo.shape[:2], flat.shape, strict=True)])
    flat = ndimage.binary_erosion(flat, iterations=CELL // 2)
    if flat.mean() < 0.02:
        return None
    far, seen = (ndimage.gaussian_filter(image, (_BLUR, _BLUR, 0))[flat][::7] for image in (picture, photo))
    terms = np.concatenate([np.ones_like(seen[:, :1]), seen, np.square(seen)], 1)
    terms /= np.abs(terms).max(0) + 1e-6
    rest = far - terms @ np.linalg.lstsq(terms, far, rcond=1e-4)[0]
    return float(np.quantile(np.linalg.norm(rest, axis=1), 0.99))

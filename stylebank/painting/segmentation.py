"""Masks with nobody painting them: a photo's things, by what VGG-16 sees in it, along the photo's own edges.

Superpixels (Achanta et al., "SLIC superpixels", 2012) are joined by normalized cuts (Shi and Malik, 2000) where they
are alike: where their features point the same way and their colours are near. Colour alone parts a table top in two,
and relu5_1 alone has no edges. A guided filter (He, Sun and Tang, 2013) then lays the borders on the photo's.
`scripts/bench segment` has what else was tried, and its figures.

It knows no names: two chairs may be one region, and of a count too large things fall into parts.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, ndimage, sparse
from scipy.cluster import vq

from stylebank.pixels import resampling

LONG_SIDE = 512
"""Pixels of the long side that a photo is looked at with: regions are large, and time goes by pixels."""

FINE_SIDE = 1024
"""Pixels of the long side at most that borders are drawn with; beyond, they are enlarged."""

MOST_REGIONS = 12

Floats = NDArray[np.float32]

COLOUR = 22.0
"""Deviation in units of CIELAB: how far a colour is from being another."""

SUPERPIXELS = 400
"""About so many pieces a photo is made of."""

_COMPACT = 10.0  # weight of the place in superpixels: units of CIELAB for a superpixel's side
_ROUNDS = 6  # of k-means, of superpixels
_LEAST = 3e-5  # likeness of everything to everything: keeps the graph in one piece
_STARTS = 8  # of k-means, of which the best counts
_REACH = 16  # pixels at `LONG_SIDE`: radius of the guided filter
_FLATNESS = 1e-3  # variance of colours in [0, 1] below which the guided filter sees no edge
_BLUR = 3  # pixels: reach of the blur that takes the stairs off borders
_SQUARE = 64  # pixels: side of what is enlarged at a time
_ISLAND = 0.01  # parts of a region below this share of the image go to their surroundings


def segment(
    features: Floats, look: Floats, fine: Floats, count: int, *, size: tuple[int, int], seed: int = 0
) -> NDArray[np.uint8]:
    """Divide a photo into things.

    Args:
        features: relu5_1 (C, h, w) of `look`.
        look: the photo (h', w', 3) in [0, 1], sRGB, best about `LONG_SIDE` pixels long.
        fine: the same at the size that borders are drawn with.
        count: of regions, 2 to `MOST_REGIONS`.
        size: of the result, (H, W).
        seed: of k-means.

    Returns:
        size, 1 for the largest region, 2 for the next; at most `count` of them, as two may become one.
    """
    colours = lab(look)
    places = superpixels(ndimage.gaussian_filter(colours, (0.7, 0.7, 0)), SUPERPIXELS)
    alike = likeness(pooled(features, places), means(colours, places))
    areas = np.bincount(places.ravel()).astype(np.float64)
    labels = without_islands(clusters(normalized_cuts(alike, areas, count), count, seed)[places])
    return _by_area(enlarged(without_islands(along_edges(labels, look, fine)), size))


def lab(photo: Floats) -> Floats:
    """CIELAB (H, W, 3) of a photo in [0, 1], sRGB, of white D65."""
    linear = np.where(photo <= 0.04045, photo / 12.92, ((photo + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ (to_xyz / to_xyz.sum(1, keepdims=True)).T
    x, y, z = np.moveaxis(np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)


def superpixels(colours: Floats, count: int) -> NDArray[np.int64]:
    """About `count` small pieces that follow edges, (H, W) from 0: k-means by colour and place, each centre nearby."""
    height, width, _ = colours.shape
    step = np.sqrt(height * width / count)
    rows, columns = (max(1, round(side / step)) for side in (height, width))
    down, right = np.indices((height, width), np.float32)
    weight = np.float32(_COMPACT / step)
    points = np.concatenate([colours, weight * down[..., None], weight * right[..., None]], -1)
    places: NDArray[np.int64] = (down * rows / height).astype(np.int64) * columns + (
        right * columns / width
    ).astype(np.int64)
    centres = means(points, places)
    reach = int(np.ceil(step))
    for _ in range(_ROUNDS):
        nearest = np.full((height, width), np.inf, np.float32)
        for place, centre in enumerate(centres.astype(np.float32)):
            top, left = (int(max(0, value / weight - reach)) for value in centre[3:])
            window = np.s_[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
            distance = np.square(points[window] - centre).sum(-1)
            closer = distance < nearest[window]
            nearest[window][closer] = distance[closer]
            places[window][closer] = place
        numbers = np.cumsum(np.bincount(places.ravel()) > 0) - 1  # some may have lost all their pixels
        places = numbers[places]
        centres = means(points, places)
    return places


def likeness(features: Floats, colours: Floats, *, sharpness: float = 5) -> NDArray[np.float64]:
    """How alike (N, N), up to 1, pieces are of features (N, C) and colours (N, 3), CIELAB.

    `sharpness` is a power of the cosine of features: how fast likeness falls.
    """
    directions = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)
    cosines = np.maximum(directions @ directions.T, 0)
    squares = np.square(colours).sum(1)
    distances = np.maximum(squares[:, None] + squares - 2 * colours @ colours.T, 0)
    found: NDArray[np.float64] = (cosines**sharpness * np.exp(-distances / (2 * COLOUR**2))).astype(
        np.float64
    )
    found += _LEAST
    return found


def normalized_cuts(
    alike: NDArray[np.float64], areas: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Where each piece is, (N, count) of length 1, in the space in which cuts between alike pieces are costly."""
    roots = np.sqrt(areas)
    alike = alike * roots[:, None] * roots
    inverse = 1 / np.sqrt(alike.sum(1))
    last = len(alike) - 1
    _, vectors = linalg.eigh(
        alike * inverse[:, None] * inverse, subset_by_index=[max(0, last - count + 1), last]
    )
    # A vector's sign is the library's whim.
    vectors *= np.sign(vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])])
    found: NDArray[np.float64] = vectors * inverse[:, None]
    found /= np.linalg.norm(found, axis=0)
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    return found


def clusters(points: NDArray[np.float64], count: int, seed: int) -> NDArray[np.int64]:
    """Labels (N,) of points (N, D): the best of several k-means."""
    rng = np.random.default_rng(seed)
    best, found = np.inf, np.zeros(len(points), np.int64)
    count = min(count, len(np.unique(points.round(6), axis=0)))
    if count == 1:
        return found
    for _ in range(_STARTS):
        try:
            centres, labels = vq.kmeans2(points, count, iter=30, minit="++", rng=rng, missing="raise")
        except vq.ClusterError:  # fewer things than clusters, by this start
            continue
        spread = float(np.square(points - centres[labels]).sum())
        if spread < best:
            best, found = spread, labels.astype(np.int64)
    return found


def along_edges(labels: NDArray[np.int64], look: Floats, fine: Floats) -> NDArray[np.int64]:
    """The regions of `look` at the size of `fine`, their borders on its edges: of each a guided filter.

    A pixel is of the region whose filter is the largest there.

    Its lines are fitted on the small photo and drawn on the large one (He and Sun, "Fast guided filter", 2015).
    """
    mean = _box(look)
    pairs = [
        _box(look[..., i] * look[..., j]) - mean[..., i] * mean[..., j] for i in range(3) for j in range(3)
    ]
    spread = np.stack(pairs, -1).reshape(*look.shape, 3) + _FLATNESS * np.eye(3, dtype=np.float32)
    inverse = np.linalg.inv(spread)
    size = fine.shape[:2]
    best, found = np.full(size, -np.inf, np.float32), np.zeros(size, np.int64)
    for label in np.unique(labels):
        share = (labels == label).astype(np.float32)
        average = _box(share)
        together = _box(look * share[..., None]) - mean * average[..., None]
        slopes = np.einsum("hwij,hwj->hwi", inverse, together)
        lines = _box(np.concatenate([slopes, (average - (slopes * mean).sum(-1))[..., None]], -1))
        *parts, height = (
            resampling.resized_floats(np.ascontiguousarray(line), size) for line in np.moveaxis(lines, -1, 0)
        )
        value = height + sum(part * fine[..., place] for place, part in enumerate(parts))
        found[value > best] = label
        best = np.maximum(best, value)
    return found


def _box(values: Floats) -> Floats:
    """Means over squares, of (H, W) or each channel of (H, W, C)."""
    side = 2 * _REACH + 1
    found: Floats = ndimage.uniform_filter(values, (side, side, 1)[: values.ndim])
    return found


def pooled(features: Floats, places: NDArray[np.int64]) -> Floats:
    """Mean features (N, C) of pieces; features (C, h, w) of length 1 are interpolated to the pieces' pixels."""
    cells = features.reshape(len(features), -1).T
    cells = cells / np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-6)
    (rows, upper, down), (columns, left, right) = (
        _between(*sides) for sides in zip(places.shape, features.shape[1:], strict=True)
    )
    pieces = int(places.max()) + 1
    weights = sparse.csr_array((pieces, len(cells)), dtype=np.float32)
    for row, vertical in ((rows, upper), (np.minimum(rows + 1, features.shape[1] - 1), down)):
        for column, horizontal in ((columns, left), (np.minimum(columns + 1, features.shape[2] - 1), right)):
            at = (row[:, None] * features.shape[2] + column).ravel()
            shares = (vertical[:, None] * horizontal).ravel()
            weights = (
                weights + sparse.coo_array((shares, (places.ravel(), at)), shape=(pieces, len(cells))).tocsr()
            )
    found: Floats = weights @ cells / weights.sum(1)[:, None]
    return found


def _between(pixels: int, cells: int) -> tuple[NDArray[np.int64], Floats, Floats]:
    """For each pixel of a side the cell before it, that cell's share and the next one's."""
    at = ((np.arange(pixels) + 0.5) * cells / pixels - 0.5).clip(0, cells - 1)
    before = at.astype(np.int64)
    share = (at - before).astype(np.float32)
    return before, 1 - share, share


def means(values: Floats, places: NDArray[np.int64]) -> Floats:
    """Means (N, C) of (H, W, C) over pieces."""
    at = places.ravel()
    sums = [np.bincount(at, channel.ravel()) for channel in np.moveaxis(values, -1, 0)]
    return (np.stack(sums, -1) / np.bincount(at)[:, None]).astype(np.float32)


def enlarged(labels: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The same regions at another size (H, W), without stairs.

    By squares: most hold one region or two, and to enlarge each region as a whole takes seconds.
    """
    if labels.shape == size:
        return labels.astype(np.uint8)
    found = np.empty(size, np.uint8)
    tall, wide = (side / cells for side, cells in zip(size, labels.shape, strict=True))
    reach = _BLUR + 1 + int(np.ceil(max(1, 1 / tall, 1 / wide)))  # of the blur and of linear interpolation
    for rows in _stretches(labels.shape[0], size[0]):
        for columns in _stretches(labels.shape[1], size[1]):
            top, left = max(0, int(rows[0] / tall) - reach), max(0, int(columns[0] / wide) - reach)
            bottom, right = int(rows[1] / tall) + reach + 1, int(columns[1] / wide) + reach + 1
            box = (
                columns[0] / wide - left,
                rows[0] / tall - top,
                columns[1] / wide - left,
                rows[1] / tall - top,
            )
            found[slice(*rows), slice(*columns)] = _enlarged(
                labels[top:bottom, left:right], (rows[1] - rows[0], columns[1] - columns[0]), box
            )
    return found


def _stretches(cells: int, pixels: int) -> list[tuple[int, int]]:
    """First and last pixel but one of stretches of at most `_SQUARE` cells of a side."""
    edges = [min(cell, cells) * pixels // cells for cell in range(0, cells + _SQUARE, _SQUARE)]
    return [(first, last) for first, last in pairwise(edges) if last > first]


def _enlarged(
    labels: NDArray[np.int64], size: tuple[int, int], box: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    """What is in a box (left, top, right, bottom) of the labels, at a size (H, W)."""
    present = np.unique(labels)
    best, found = np.zeros(size, np.float32), np.full(size, present[0], np.uint8)
    for label in present if len(present) > 1 else ():
        soft = ndimage.gaussian_filter((labels == label).astype(np.float32), 0.7, radius=_BLUR)
        larger = resampling.resized_floats(soft, size, box)
        np.copyto(found, label, where=larger > best, casting="unsafe")
        np.maximum(best, larger, out=best)
    return found


def without_islands(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give parts that are too small to the label of the nearest larger part."""
    small = np.zeros(labels.shape, bool)
    for label in np.unique(labels):
        parts, _ = ndimage.label(labels == label)
        sizes = np.bincount(parts.ravel())
        few = sizes < _ISLAND * labels.size
        few[0] = False
        small |= few[parts]
    if small.all() or not small.any():
        return labels
    rows, columns = ndimage.distance_transform_edt(small, return_distances=False, return_indices=True)
    found: NDArray[np.int64] = labels[rows, columns]
    return found


def _by_area(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same regions, numbered from 1, the largest first."""
    counts = [np.count_nonzero(labels == label) for label in range(int(labels.max()) + 1)]
    numbers = np.empty(len(counts), np.uint8)
    numbers[np.argsort([-count for count in counts], kind="stable")] = np.arange(1, len(counts) + 1)
    return numbers[labels]

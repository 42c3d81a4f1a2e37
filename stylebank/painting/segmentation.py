"""Masks with nobody painting them: clusters of the encoder's features, by which the paper shows what a filter learnt.

Cells that E sees alike (colour, texture) make one region: k-means, seeded, on smoothed features; islands go to their
surroundings. It knows no objects: sky, water, wall and foliage part well, a face and a hand do not.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster import vq

from stylebank.config import STRIDE
from stylebank.pixels import resampling

LONG_SIDE = 512
"""Pixels of the long side that a photo is clustered at: regions are large, and time goes by pixels."""

MOST_REGIONS = 12

_SMOOTH = 0.012  # deviation of the smoothing, in units of the long side
_POSITION = 1.0  # weight of a cell's place against its features: keeps regions together
_ISLAND = 0.01  # parts of a region below this share of the image go to their surroundings


def segment(
    features: NDArray[np.float32], count: int, *, size: tuple[int, int], seed: int = 0
) -> NDArray[np.uint8]:
    """Divide a photo into regions that the encoder sees alike.

    Args:
        features: F (C, h, w) of a photo best about `LONG_SIDE` pixels long, its sides divisible by 4.
        count: of clusters, 2 to `MOST_REGIONS`.
        size: of the result, (H, W).
        seed: of k-means.

    Returns:
        size, 1 for the largest region, 2 for the next; at most `count` of them, as two may become one.
    """
    cells = _descriptors(features.astype(np.float64))
    height, width, channels = cells.shape
    points = cells.reshape(-1, channels)
    _, labels = vq.kmeans2(points, count, minit="++", rng=np.random.default_rng(seed))
    photo = (STRIDE * height, STRIDE * width)
    regions = _without_islands(_smooth(labels.reshape(height, width).astype(np.int64), photo))
    return _by_area(_smooth(regions, size))


def _smooth(labels: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.int64]:
    """The same regions at another size (H, W), their borders rounded."""
    radius = _SMOOTH / 2 * max(labels.shape)
    best, found = np.full(size, -1.0, np.float32), np.zeros(size, np.int64)
    for label in range(int(labels.max()) + 1):
        soft = ndimage.gaussian_filter((labels == label).astype(np.float32), radius)
        larger = np.asarray(resampling.resized_floats(soft, size))
        found[larger > best] = label
        best = np.maximum(best, larger)
    return found


def _descriptors(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """F (C, h, w) as (h, w, C + 2): smoothed features of unit variance in all, and the place."""
    radius = _SMOOTH * max(found.shape[1:])
    smooth = np.stack([ndimage.gaussian_filter(channel, radius) for channel in found])
    smooth -= smooth.mean((1, 2), keepdims=True)
    smooth /= np.sqrt(smooth.var((1, 2)).sum()) or 1.0
    rows, columns = np.indices(found.shape[1:]) / max(found.shape[1:]) - 0.5
    return np.concatenate([smooth, _POSITION * np.stack([rows, columns])]).transpose(1, 2, 0)


def _without_islands(labels: NDArray[np.int64]) -> NDArray[np.int64]:
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


def _by_area(labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The same regions, numbered from 1, the largest first."""
    counts = np.bincount(labels.ravel())
    order = np.argsort(-counts, kind="stable")
    numbers = np.empty(len(counts), np.uint8)
    numbers[order] = np.arange(1, len(counts) + 1)
    return numbers[labels]

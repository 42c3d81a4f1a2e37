"""What an engine computes of a network: its parts, on windows of an image, by own statistics or by given ones.

Instance norm is the one place where distant pixels of a network meet: the statistics of the whole image shift and scale
every cell. Who paints an image in windows, or in several styles, decides by whose statistics its norms work; all else
that a part computes of a pixel depends on some pixels around it.

Features, and what lies between a part's layers, lack what they are of a flat photo; see `network.centring`.

Legend: B images of one size, C channels, h x w cells; R regions. Arrays are the engine's own, NumPy's or PyTorch's,
float32 or the engine's precision; both know slices, arithmetic, `sum` and `clip`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from stylebank.network.architecture import Part

Array = Any
"""An engine's array; see the legend."""

Floats = NDArray[np.float32]

Pixels = NDArray[np.uint8]
"""Images of one size, (B, H, W, 3), sRGB."""

EPSILON = 1e-5
"""Of instance norms, beside the variance."""


@dataclass(frozen=True)
class Moments:
    """How values are distributed in each row's cells: those of an image of a batch, or of a region.

    Attributes:
        weight: (rows, 1) cells, or the sum of their shares.
        mean: (rows, C).
        square: (rows, C), sum of the squared distances from the mean.
    """

    weight: NDArray[np.float64]
    mean: NDArray[np.float64]
    square: NDArray[np.float64]

    @property
    def variance(self) -> NDArray[np.float64]:
        """(rows, C), biased."""
        return self.square / np.maximum(self.weight, 1e-300)

    def row(self, place: int) -> "Moments":
        """Those of one image or region."""
        return Moments(*(part[place : place + 1] for part in (self.weight, self.mean, self.square)))

    def __add__(self, other: "Moments") -> "Moments":
        """Those of both parts' cells together (Chan, Golub, LeVeque 1983): no digits are lost."""
        weight = self.weight + other.weight
        share = other.weight / np.maximum(weight, 1e-300)
        distance = other.mean - self.mean
        square = self.square + other.square + distance**2 * self.weight * share
        return Moments(weight, self.mean + distance * share, square)


class Affine(NamedTuple):
    """A norm by given statistics: x * scale + shift, (R, C) float32 each."""

    scale: Floats
    shift: Floats


@dataclass(frozen=True)
class Given:
    """By whose statistics the norms of a part work, where not by a window's own.

    Attributes:
        norms: of the part's norms from the first on.
        masks: shares of the R regions, (R, n h, n w) float32, 1 in sum, for h x w cells of the part's input; None for
            one region. A norm sees them averaged over its cells.
    """

    norms: Sequence[Affine]
    masks: Floats | None = None

    def cells(self, height: int) -> Floats | None:
        """The masks at a map of so many rows."""
        return None if self.masks is None else averaged(self.masks, self.masks.shape[1] // height)


class Crop(NamedTuple):
    """The part of a window whose statistics count, in cells of the map that they are taken of."""

    top: int
    left: int
    bottom: int
    right: int


class Stages(Protocol):
    """An engine with a bank's encoder and decoder; any number of threads may call it at the same time.

    Attributes:
        workers: threads that it is set up to serve best.
        device_type: "cpu", "cuda" or "mps".
        device_name: the same, or one of several, as in "cuda:1".
        bytes_per_pixel: memory that a whole picture takes, measured; with regions, `bytes_by_region` more for each.
        bytes_per_tile: that of a pixel in tiles, for all of an engine's passes.
        together: images that it likes to be given at a time.
    """

    workers: int
    device_type: str
    device_name: str
    bytes_per_pixel: int
    bytes_per_tile: int
    bytes_by_region: int
    together: int

    def array(self, values: Any) -> Array:
        """Floats of any shape as an array: NumPy's, or a tensor of PyTorch's."""

    def numpy(self, x: Array) -> Floats:
        """An array as NumPy's, float32."""

    def photo(self, pixels: Pixels) -> Array:
        """(B, 3, H, W) in [0, 1] of pixels."""

    def pixels(self, picture: Array) -> Pixels:
        """Pixels of (B, 3, H, W) in [0, 1], levels rounded."""

    def filter(self, x: Array, kernel: Floats) -> Array:
        """Convolve (B, C, h, w), border mirrored, with (C', C, k, k), k odd: (B, C', h, w)."""

    def paint(self, x: Array, kernel: Floats) -> Array:
        """The pictures (B, 3, H, W) of photos (B, 3, H, W), by their own statistics: `encode`, then `decode`."""

    def encode(self, x: Array) -> Array:
        """The features (B, C, h, w) of photos, by their own statistics: what `run` makes of the encoder's parts.

        Of photos less their mean colours, which the first norm takes away, and a reduced precision rounds first.
        """

    def decode(self, x: Array, kernel: Floats) -> Array:
        """The pictures of features: what `run` makes of the decoder's parts, the filter before the first."""

    def run(self, part: Part, x: Array, *, kernel: Floats | None = None, given: Given | None = None) -> Array:
        """What a part makes of x.

        Args:
            part: of the network.
            x: (B, C, h, w); B = 1 if statistics are given.
            kernel: of a filter that stands before the part; see `filter`.
            given: None for each image's own statistics; where there are fewer than norms, the result is what enters the
                first norm that has none.
        """

    def measure(self, part: Part, x: Array, *, given: Given, crop: Crop | None = None) -> list[Moments]:
        """Moments of what enters the norms that no statistics are given of.

        Args:
            part: see `run`.
            x: see `run`; B = 1.
            given: see `run`.
            crop: cells of the first such norm's map that count, and moments of that norm alone; None for all cells and
                all such norms, each working by what was found of it.
        """

    def release(self) -> None:
        """Give back the memory that images of sizes seen so far took."""

    def trace(self, part: Part, x: Array) -> tuple[list[Moments], Array]:
        """Moments of what enters a part's norms, which work by them, and what the part makes of x, B = 1."""


def affine(moments: Moments, weight: Floats, bias: Floats) -> Affine:
    """The norm with these weights by those statistics."""
    scale = weight / np.sqrt(moments.variance + EPSILON)
    return Affine(scale.astype(np.float32), (bias - moments.mean * scale).astype(np.float32))


def moments(x: NDArray[np.floating[Any]], masks: Floats | None = None) -> Moments:
    """Moments of x (B, C, h, w), a row for each image.

    With masks (R, h, w), of one image: a row for each region, and a last one for the image as a whole.
    """
    if masks is None:
        # Contiguous: then NumPy adds up pairwise, and loses no digits of float32 sums.
        flat = np.ascontiguousarray(x).reshape(*x.shape[:2], -1)
        mean = flat.mean(2, keepdims=True)
        square = np.square(flat - mean).sum(2, dtype=np.float64)
        return Moments(
            np.full((len(x), 1), flat.shape[2], np.float64), mean[:, :, 0].astype(np.float64), square
        )
    shares = np.concatenate([masks.reshape(len(masks), -1), np.ones((1, masks[0].size), np.float32)])
    flat = x[0].reshape(x.shape[1], -1)
    total: Moments | None = None
    for start in range(0, shares.shape[1], _BLOCK):
        share = shares[:, start : start + _BLOCK].astype(np.float64)
        cells = flat[:, start : start + _BLOCK].astype(np.float64)
        weight = share.sum(1, keepdims=True)
        mean = share @ cells.T / np.maximum(weight, 1e-300)
        # Sums of squares around the image's mean, then around each region's: no digits are lost where they are alike.
        centre = cells.mean(1)
        square = share @ np.square(cells - centre[:, None]).T - weight * np.square(mean - centre)
        part = Moments(weight, mean, np.maximum(square, 0))
        total = part if total is None else total + part
    assert total, "an image has cells"
    return total


_BLOCK = 1 << 15  # cells whose float64 copies are alive at once


def averaged(masks: Floats, step: int) -> Floats:
    """Masks (R, H, W) averaged over squares of `step` pixels, a power of two which divides H and W."""
    while step > 1:
        rows = masks[:, ::2] + masks[:, 1::2]
        masks = (rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)
        step //= 2
    return masks

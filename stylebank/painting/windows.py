"""Geometry of painting: windows of feature cells, and how much around one a chain of layers needs to see."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stylebank.config import MINIMUM_SIDE, STRIDE
from stylebank.engines.stages import Array, Crop
from stylebank.network.architecture import Layer, Part


@dataclass(frozen=True)
class Window:
    """A part of an image, in feature cells of STRIDE x STRIDE pixels: rows top to bottom, columns left to right."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows of cells."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns of cells."""
        return self.right - self.left

    def grown(self, halo: int, cells: tuple[int, int]) -> "Window":
        """The window and `halo` cells around it, as far as an image of (h, w) cells goes."""
        top, left = max(0, self.top - halo), max(0, self.left - halo)
        return Window(top, left, min(cells[0], self.bottom + halo), min(cells[1], self.right + halo))

    def crop(self, around: "Window", step: int) -> Crop:
        """This window's place in a map of step x step values for each cell of the window `around`."""
        top, left = (self.top - around.top) * step, (self.left - around.left) * step
        return Crop(top, left, top + self.height * step, left + self.width * step)

    def cut(self, x: Array, around: "Window") -> Array:
        """This window's part of x (..., n h, n w), which holds n x n values for each cell of the window `around`."""
        if self == around:
            return x
        top, left, bottom, right = self.crop(around, x.shape[-1] // around.width)
        return x[..., top:bottom, left:right]


def places(start: int, end: int, length: int) -> NDArray[np.int64]:
    """Which of `length` pixels the cells from `start` to `end` show: past the last one they are mirrored in it.

    And mirrored again where there are fewer than are missing.
    """
    found: NDArray[np.int64] = np.arange(STRIDE * start, STRIDE * end) % max(2 * (length - 1), 1)
    last = length - 1
    return last - np.abs(last - found)


def cells_of(size: tuple[int, int]) -> tuple[int, int]:
    """Feature cells (h, w) that an image of (H, W) pixels is extended to, at the right and the bottom."""
    height, width = (max(MINIMUM_SIDE, length) for length in size)
    return -(-height // STRIDE), -(-width // STRIDE)


def tiles(cells: tuple[int, int], side: int) -> list[Window]:
    """Windows of at most side x side cells that cover an image of (h, w) cells, all of much the same size."""
    rows, columns = (_parts(length, side) for length in cells)
    return [Window(top, left, bottom, right) for top, bottom in rows for left, right in columns]


def _parts(length: int, side: int) -> list[tuple[int, int]]:
    count = -(-length // side)
    edges = [length * place // count for place in range(count + 1)]
    return list(itertools.pairwise(edges))


@dataclass(frozen=True)
class Shape:
    """What is known of a map before there is one.

    Attributes:
        channels: C.
        step: values along the side of a cell: 4 of pixels, 1 of features.
        wrong: how many values from an inner edge of a window differ from those of the whole image, because layers take
            an edge for the image's border.
        work: multiplications for each cell, since the map that is at hand.
    """

    channels: int
    step: int
    wrong: int = 0
    work: float = 0.0

    @property
    def halo(self) -> int:
        """Cells around a window that must be seen for the window to be right."""
        return -(-self.wrong // self.step)


def filtered(shape: Shape, kernel: NDArray[np.float32]) -> Shape:
    """A map after a filter (C', C, k, k)."""
    return replace(
        shape,
        channels=kernel.shape[0],
        wrong=shape.wrong + kernel.shape[-1] // 2,
        work=shape.work + kernel.size * shape.step**2,
    )


def convolved(shape: Shape, layers: Iterable[Layer]) -> Shape:
    """A map after the convolutions of some layers."""
    for layer in layers:
        weights = layer.outputs * layer.inputs * layer.kernel**2
        if layer.upsampling:
            # Four convolutions of 2 x 2 on the small map, see `graphs`.
            work = shape.work + 16 / 9 * weights * shape.step**2
            shape = Shape(layer.outputs, 2 * shape.step, 2 * shape.wrong + 1, work)
        else:
            work = shape.work + weights * (shape.step / layer.stride) ** 2
            wrong = -(-(shape.wrong + layer.kernel // 2) // layer.stride)
            shape = Shape(layer.outputs, shape.step // layer.stride, wrong, work)
    return shape


_KEPT_STEP = 1
"""Values along the side of a cell up to which outputs of convolutions are kept: larger ones are sooner made again."""


def stretches(part: Part, step: int) -> list[Part]:
    """A part cut behind the layers whose outputs are kept; `step` is that of its input."""
    found: list[list[Layer]] = [[]]
    for layer in part.layers:
        found[-1].append(layer)
        step = 2 * step if layer.upsampling else step // layer.stride
        if step <= _KEPT_STEP:
            found.append([])
    return [Part(part.name, tuple(layers)) for layers in found if layers]


_READING = 64
"""What reading a value costs, in multiplications."""


def read_again(shape: Shape) -> Shape:
    """Of a map that is kept."""
    return replace(shape, wrong=0, work=_READING * shape.channels * shape.step**2)


PIXELS = Shape(3, STRIDE)
"""Of photos and of outputs that are at hand."""

"""Geometry of painting in tiles: windows of feature cells, and how much around one a chain of layers needs to see."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from stylebank.config import MINIMUM_SIDE, STRIDE
from stylebank.network.instance_norm import InstanceNorm
from stylebank.network.layers import Conv, UpsampleConv
from stylebank.network.model import mirrored


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

    def cut(self, x: Tensor, around: "Window") -> Tensor:
        """This window's part of x (..., n h, n w), which holds n x n values for each cell of the window `around`."""
        step = x.shape[-1] // around.width
        rows = slice((self.top - around.top) * step, (self.bottom - around.top) * step)
        return x[..., rows, (self.left - around.left) * step : (self.right - around.left) * step]


def places(window: Window, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Rows and columns of an image of (H, W) pixels that a window shows: past the border, those of `pad_to_stride`."""
    rows, columns = (
        mirrored(torch.arange(STRIDE * start, STRIDE * end) % max(2 * (length - 1), 1), length)
        for start, end, length in (
            (window.top, window.bottom, size[0]),
            (window.left, window.right, size[1]),
        )
    )
    return rows, columns


def cells_of(size: tuple[int, int]) -> tuple[int, int]:
    """Feature cells (h, w) of an image of (H, W) pixels after `pad_to_stride`."""
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


def convolved(shape: Shape, weight: Tensor) -> Shape:
    """A map after a convolution of stride 1 with (C', C, k, k)."""
    return replace(
        shape,
        channels=weight.shape[0],
        wrong=shape.wrong + weight.shape[-1] // 2,
        work=shape.work + weight.numel() * shape.step**2,
    )


def traced(layers: Iterable[nn.Module], shape: Shape) -> Iterator[tuple[Conv | InstanceNorm, Shape]]:
    """Follow a map through layers of E or D: each convolution and norm in turn, and the shape of what it gives."""
    for module in (part for layer in layers for part in layer.modules()):
        if isinstance(module, UpsampleConv):
            work = shape.work + 16 / 9 * module.weight.numel() * shape.step**2
            shape = Shape(module.out_channels, 2 * shape.step, 2 * shape.wrong + 1, work)
        elif isinstance(module, Conv):
            dense, stride = convolved(shape, module.weight), module.stride[0]
            work = shape.work + (dense.work - shape.work) / stride**2
            shape = Shape(dense.channels, shape.step // stride, -(-dense.wrong // stride), work)
        if isinstance(module, Conv | InstanceNorm):
            yield module, shape


PIXELS = Shape(3, STRIDE)
"""Of photos and of outputs that are at hand."""

"""Gram matrices of pictures of any size: VGG's features tile by tile, their sums those of the whole.

The features of a 4096 px picture take 3 GB at relu1_1 alone, and the pass to relu5_1 several times that. A Gram matrix
is a sum over cells: each tile adds those of its core, computed with all that they see around it.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from stylebank.network.tensors import in_float64
from stylebank.pixels import images
from stylebank.supervision.vgg import VGG

if TYPE_CHECKING:
    from PIL.Image import Image

TILE = 1024
"""Largest side of a core, in pixels; its pass takes about 1 GB."""

_GRID = 16  # pixels of a cell of relu5_1: cuts lie between cells of every layer
# Pixels around a core that its cells see, or more: where a tile ends, the zeros of padding reach 2 rows of block 1, so
# 1 + 2 = 3 of block 2, 2 + 3 = 5 of block 3, 3 + 3 = 6 of block 4 and 3 + 1 = 4 of relu5_1, which are 64 px.
_HALO = 64

Span = tuple[int, int, int, int]
"""Start and end of a tile, start and end of its core, in pixels of a side."""


def grams(network: VGG, picture: "Image", layers: Sequence[str], *, tile: int = TILE) -> list[Tensor]:
    """Gram matrices as of `losses.gram`, to the rounding of float32.

    Args:
        network: VGG; it computes on its own device, in its own precision.
        picture: RGB, sRGB, sides at least 16 px.
        layers: L names out of `vgg.LAYERS`.
        tile: largest side of a core in pixels, at least 16.

    Returns:
        L tensors (C_l, C_l) float32 on VGG's device, in layer order.
    """
    sums: dict[str, Tensor] = {}
    for top, bottom, *rows in _spans(picture.height, tile):
        for left, right, *columns in _spans(picture.width, tile):
            pixels = images.to_tensor(picture.crop((left, top, right, bottom))).to(network.mean.device)
            features = network(pixels, layers)
            del pixels
            for layer in layers:
                stride = _stride(layer)
                inside_y = _cells(rows, top, picture.height, stride)
                inside_x = _cells(columns, left, picture.width, stride)
                flat = features.pop(layer)[0, :, inside_y, inside_x].flatten(1)
                # Over tiles in float64: a large picture's sums are to be as good as a small one's.
                sums[layer] = sums.get(layer, 0) + in_float64(flat @ flat.T)
    cells = {layer: _whole(picture.height, layer) * _whole(picture.width, layer) for layer in layers}
    return [(sums[layer] / cells[layer]).float().to(network.mean.device) for layer in layers]


def _spans(length: int, tile: int) -> Iterator[Span]:
    """The tiles along a side, their cores of about one length and without gap."""
    count = -(-length // tile)
    step = -(-length // (count * _GRID)) * _GRID
    for start in range(0, length, step):
        end = min(length, start + step)
        yield max(0, start - _HALO), min(length, end + _HALO), start, end


def _cells(core: Sequence[int], begin: int, length: int, stride: int) -> slice:
    """The core's cells among those of a tile that begins at pixel `begin`; poolings drop what is no whole cell."""
    start, end = core
    last = length // stride if end == length else end // stride
    return slice((start - begin) // stride, last - begin // stride)


def _whole(length: int, layer: str) -> int:
    return length // _stride(layer)


def _stride(layer: str) -> int:
    """Pixels of a cell: 1 in block 1, 16 in block 5."""
    return 1 << (int(layer.removeprefix("relu")[0]) - 1)

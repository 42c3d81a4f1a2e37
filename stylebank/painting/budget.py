"""Whether a photo is painted whole or in tiles, by what its painting takes of memory."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from stylebank.config import STRIDE
from stylebank.errors import ImageError
from stylebank.machine import memory
from stylebank.machine.memory import SMALLEST_TILE, Tiling
from stylebank.network.instance_norm import InstanceNorm
from stylebank.network.layers import ConvBlock, UpsampleConv
from stylebank.network.model import StyleBankNetwork
from stylebank.painting.windows import PIXELS, Shape, convolved, traced

_BEST_TILE = {"cpu": 512, "cuda": 2048}
"""Sides that are as fast as larger ones and need less memory."""

_PICTURE = 11
"""Bytes for each pixel of a painted picture: Pillow's own 4, 4 of the copy that is encoded, 3 of the file."""

_FLOATS = 24
"""Bytes for each pixel of photo and output where they are whole."""

_MASK = 12
"""Bytes for each pixel and region while masks are laid out: given, divided, softened."""

_ALLOCATOR = 1.15
"""What allocators and convolutions' own scratch space add; see `scripts/bench tiled`."""


def tile_side(
    tiling: Tiling, network: StyleBankNetwork, size: tuple[int, int], *, regions: int, device: torch.device
) -> int | None:
    """The side of tiles to paint an image of (H, W) in, in feature cells; None to paint it whole.

    Args:
        tiling: what is wanted.
        network: E and D.
        size: of the image, which is in memory already.
        regions: R of a fusion; 0 for one style.
        device: where it is painted.

    Raises:
        ImageError: the smallest tiles take more than `max_memory`.
    """
    if tiling.tile == "off":
        return None
    if tiling.tile != "auto":
        return None if max(size) <= int(tiling.tile) else int(tiling.tile) // STRIDE
    pixels = size[0] * size[1]
    each = bytes_per_pixel(network, regions=regions)
    on_cpu = device.type == "cpu"
    lasting = pixels * (_PICTURE + _MASK * regions) if on_cpu else 0
    taken = memory.resident() if on_cpu else 0
    limit = tiling.limit(device.type, taken)
    if taken + pixels * (each + _FLOATS) + lasting <= limit:
        return None
    side = math.isqrt(max(0, int((limit - taken - lasting) / each)))
    smallest = 4 * SMALLEST_TILE
    if side < smallest:
        needed = taken + lasting + smallest**2 * each
        raise ImageError(
            f"image: a photo of {size[1]} x {size[0]} px takes {needed / 1e9:.2f} GB even in tiles "
            f"({limit / 1e9:.2f} allowed); allow more with --max-memory, or make it smaller"
        )
    return min(side, _BEST_TILE[device.type]) // STRIDE - 2 * halo(network)


def halo(network: StyleBankNetwork) -> int:
    """Cells that the pass over tiles sees around each that sees most: of E, a residual block, a filter or D."""
    features = Shape(1, 1)
    blocks = [layer for layer in network.encoder if isinstance(layer, ConvBlock)]
    residual = list(network.encoder)[len(blocks) :]
    stages: list[tuple[Iterable[nn.Module], Shape]] = [(blocks, PIXELS), (network.decoder, features)]
    stages += [([block], features) for block in residual]
    seen = [shape.halo for layers, start in stages for _, shape in traced(layers, start)]
    return max(*seen, *(convolved(features, weight).halo for weight in network.filters))


def bytes_per_pixel(network: StyleBankNetwork, *, regions: int = 0) -> float:
    """The most that is alive at once in E, the filter or D, for each pixel of the window that they work on.

    A convolution holds what it is given, that with its border, and what it makes (upsampling: three times, its four
    phases on their way to one map); a norm what it is given and what it makes, and with regions a scale and a shift
    for each value.
    """
    features = Shape(network.filters[0].shape[0], 1)
    kernel = max(network.filters, key=lambda weight: weight.shape[-1])
    filtered = convolved(features, kernel)
    most = max(
        _most(network.encoder, PIXELS, regions=0),
        (2 + max(1, regions)) * _values(features) + _values(filtered),
        _most(network.decoder, filtered, regions=regions),
    )
    return _ALLOCATOR * 4 * most / STRIDE**2


def _most(layers: Iterable[nn.Module], shape: Shape, *, regions: int) -> int:
    """Values alive at once, for each cell."""
    most = 0
    for module, after in traced(layers, shape):
        if isinstance(module, InstanceNorm):
            alive = (4 if regions else 2) * _values(after)
        else:
            alive = 2 * _values(shape) + (3 if isinstance(module, UpsampleConv) else 1) * _values(after)
        most, shape = max(most, alive), after
    return most


def _values(shape: Shape) -> int:
    return shape.channels * shape.step**2

"""How much memory painting takes, how much there is, and so whether a photo is painted whole or in tiles."""

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from stylebank.errors import ConfigError
from stylebank.instance_norm import InstanceNorm
from stylebank.model import STRIDE, ConvBlock, StyleBankNetwork, UpsampleConv
from stylebank.passes import Report
from stylebank.tiling import PIXELS, Shape, convolved, traced

SMALLEST_TILE = 16
"""Shortest side of a tile, in pixels; below it a tile would be mostly halo."""

_BEST_TILE = {"cpu": 512, "cuda": 2048}
"""Sides that are as fast as larger ones and need less memory."""

_SHARE = 0.6
"""Of the memory that is free, without `--max-memory`."""

_PICTURE = 11
"""Bytes for each pixel of a painted picture: Pillow's own 4, 4 of the copy that is encoded, 3 of the file."""

_FLOATS = 24
"""Bytes for each pixel of photo and output where they are whole."""

_MASK = 12
"""Bytes for each pixel and region while masks are laid out: given, divided, softened."""

_ALLOCATOR = 1.15
"""What allocators and convolutions' own scratch space add; see `scripts/bench tiled`."""


@dataclass(frozen=True)
class Tiling:
    """How photos are painted that may not fit in memory.

    Attributes:
        tile: "auto", as memory says; "off", whole; or the side of tiles in pixels.
        max_memory: bytes that the process may take in all, on CUDA those of the device; None: part of what is free.
        report: told of the progress of painting in tiles.
    """

    tile: str = "auto"
    max_memory: int | None = None
    report: Report | None = None

    def __post_init__(self) -> None:
        if self.tile not in ("auto", "off") and not (
            self.tile.isdecimal() and int(self.tile[:9]) >= SMALLEST_TILE
        ):
            raise ConfigError(
                f"--tile {self.tile}: is no size of tiles; give auto, off or {SMALLEST_TILE} or more pixels"
            )


def parse(words: str) -> int:
    """Bytes that words such as 2GB, 1.5GiB or 800MB mean.

    Raises:
        ConfigError: they mean none.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([kmgt])(i?)b?", words.strip().lower())
    if not found:
        raise ConfigError(f"--max-memory {words}: is no amount of memory; write 2GB, 1.5GiB or 800MB")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** ("kmgt".index(found[2]) + 1))


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
        ConfigError: the smallest tiles take more than `max_memory`.
    """
    if tiling.tile == "off":
        return None
    if tiling.tile != "auto":
        return None if max(size) <= int(tiling.tile) else int(tiling.tile) // STRIDE
    pixels = size[0] * size[1]
    each = bytes_per_pixel(network, regions=regions)
    on_cpu = device.type == "cpu"
    lasting = pixels * (_PICTURE + _MASK * regions) if on_cpu else 0
    taken = resident() if on_cpu else 0
    limit = tiling.max_memory or taken + int(_SHARE * available(device))
    if taken + pixels * (each + _FLOATS) + lasting <= limit:
        return None
    side = math.isqrt(max(0, int((limit - taken - lasting) / each)))
    smallest = 4 * SMALLEST_TILE
    if side < smallest:
        needed = taken + lasting + smallest**2 * each
        raise ConfigError(
            f"memory: a photo of {size[1]} x {size[0]} px takes {needed / 1e9:.2f} GB even in tiles "
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


def resident() -> int:
    """Bytes of memory that this process has taken."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):  # no Linux
        return 0


def available(device: torch.device) -> int:
    """Bytes of memory that could still be taken: on the device, or of the machine and of its control group."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min([_machine(), *_control_groups(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def _machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, ValueError, StopIteration):  # no Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _control_groups(own: Path, root: Path) -> list[int]:
    """What the limits of this process's control groups, and of those around them, leave; version 1 and 2."""
    found = []
    try:
        lines = [line.split(":", 2) for line in own.read_text("utf-8").splitlines()]
    except OSError:
        return []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if "memory" in controllers.split(","):
            top, limit, usage, cache = (
                root / "memory",
                "limit_in_bytes",
                "usage_in_bytes",
                "total_inactive_file",
            )
        elif not controllers:
            top, limit, usage, cache = root, "max", "current", "inactive_file"
        else:
            continue
        folder = top / path.lstrip("/")
        for group in (folder, *folder.parents):
            if group.is_relative_to(top):
                left = _left(group, limit, usage, cache)
                found += [left] if left is not None else []
    return found


def _left(group: Path, limit: str, usage: str, cache: str) -> int | None:
    """What one control group's limit leaves; pages of files that nobody uses give way."""
    try:
        most, used = (int((group / f"memory.{name}").read_text("ascii")) for name in (limit, usage))
        rows = dict(line.split() for line in (group / "memory.stat").read_text("ascii").splitlines())
        return max(0, most - used + int(rows.get(cache, 0)))
    except (OSError, ValueError):  # no such file, or no limit: "max"
        return None

"""Whether a photo is painted whole or in tiles, by what its painting takes of memory."""

import math

from stylebank.bank.bundle import Bundle
from stylebank.config import STRIDE
from stylebank.engines.stages import Stages
from stylebank.errors import ImageError
from stylebank.machine import memory
from stylebank.machine.memory import SMALLEST_TILE, Tiling
from stylebank.network.architecture import decoder, encoder
from stylebank.painting.windows import PIXELS, Shape, convolved

_BEST_TILE = {"cpu": 512, "cuda": 2048, "mps": 1024}
"""Sides that are as fast as larger ones and need less memory; that of "mps" is guessed."""

_PICTURE = 17
"""Bytes for each pixel of a painted picture: Pillow's own 4, 4 of the copy that is encoded, 3 of the file; 4 of the
painting that it is painted over, 2 of photos and pictures of smaller sizes."""

_FLOATS = 24
"""Bytes for each pixel of photo and output where they are whole."""

_REGION = 29
"""Bytes for each pixel and region: 25 while masks are laid out (given, divided, softened, gaps filled; measured), 4 of
the painting that it is painted over."""


def tile_side_at_rest(
    tiling: Tiling,
    bank: Bundle,
    stages: Stages,
    size: tuple[int, int],
    others: Stages | None,
    *,
    regions: int = 0,
    taken: int | None = None,
    cores: int = 1,
) -> int | None:
    """`tile_side`, once `stages` and `others` have given back what they kept of other photos, where that is in the way.

    Else the same photo would be painted whole, then in tiles, then refused.
    """  # its arguments are those of `tile_side`

    def asked() -> int | None:
        return tile_side(tiling, bank, stages, size, regions=regions, taken=taken, cores=cores)

    if taken is not None or tiling.tile != "auto":
        return asked()
    try:
        if asked() is None:
            return None
    except ImageError:
        pass
    for engine in (stages, others):
        if engine:
            engine.release()
    memory.give_back()
    return asked()


def tile_side(
    tiling: Tiling,
    bank: Bundle,
    stages: Stages,
    size: tuple[int, int],
    *,
    regions: int = 0,
    taken: int | None = None,
    cores: int = 1,
) -> int | None:
    """The side of tiles to paint an image of (H, W) in, in feature cells; None to paint it whole.

    Args:
        tiling: what is wanted.
        bank: whose network it is.
        stages: what computes it, `workers` photos at the same time.
        size: of the image, which is in memory already.
        regions: R of a fusion; 0 for one style.
        taken: bytes that the process took before it painted; None for what it takes now.
        cores: tiles that are painted at the same time.

    Raises:
        ImageError: the smallest tiles take more than `max_memory`.
    """
    if tiling.tile == "off":
        return None
    if tiling.tile != "auto":
        return None if max(size) <= int(tiling.tile) else int(tiling.tile) // STRIDE
    pixels = size[0] * size[1]
    by_region = stages.bytes_by_region * regions
    each = stages.bytes_per_pixel + by_region
    is_shared = stages.device_type != "cuda"  # memory, with the process: on Macs with the GPU too
    lasting = pixels * (_PICTURE + _REGION * regions) if is_shared else 0
    taken = (memory.resident() if is_shared else 0) if taken is None else taken
    limit = tiling.limit(stages.device_name, taken)
    at_once = max(stages.workers, stages.together)
    if taken + at_once * (pixels * (each + _FLOATS) + lasting) <= limit:
        return None
    each = max(each, stages.bytes_per_tile + by_region)
    side = math.isqrt(max(0, int((limit - taken - lasting) / (each * cores))))
    smallest = 4 * SMALLEST_TILE
    if side < smallest:
        needed = taken + lasting + cores * smallest**2 * each
        raise ImageError(
            f"image: a photo of {size[1]} x {size[0]} px takes {needed / 1e9:.2f} GB even in tiles "
            f"({limit / 1e9:.2f} allowed); allow more with --max-memory, or make it smaller"
        )
    return min(side, _BEST_TILE[stages.device_type]) // STRIDE - 2 * halo(bank)


def halo(bank: Bundle) -> int:
    """Cells that the pass over tiles sees around each that sees most: of a part, or a filter and D's first part."""
    widest = max((entry.style.kernel for entry in bank.entries), default=1)
    features = Shape(4 * bank.network.width, 1, wrong=widest // 2)
    found = []
    first, *further = encoder(bank.network)
    behind, *others = decoder(bank.network)
    starts = [(first, PIXELS), (behind, features), *((part, Shape(1, 1)) for part in (*further, *others))]
    for part, start in starts:
        found += [convolved(start, part.layers[: place + 1]).halo for place in range(len(part.layers))]
    return max(found)

"""ComfyUI's images and masks as StyleBank takes them, and back.

IMAGE: (B, H, W, C) float in [0, 1], sRGB, C of 3, or 4 with alpha. MASK: (B, H, W) float in [0, 1], 1 is covered.
Photos go one by one as PIL images, so that large ones are painted in tiles, whatever the memory.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor


def paint(images: Tensor, painted: Callable[[int, Image.Image], Image.Image]) -> Tensor:
    """Paint a batch, photo by photo; alpha stays as it is.

    Args:
        images: (B, H, W, C), see the module.
        painted: place in the batch and RGB photo -> RGB picture of its size.

    Returns:
        (B, H, W, C) float32 on the CPU, as ComfyUI passes images on.

    Raises:
        ValueError: these are no images.
    """
    count(images)
    done = []
    for place, image in enumerate(images.detach().float().cpu().nan_to_num(0).clamp(0, 1)):
        pixels = (image[..., :3] * 255).round().to(torch.uint8).numpy()
        picture = painted(place, Image.fromarray(np.ascontiguousarray(pixels)))
        colours = torch.from_numpy(np.array(picture, np.float32) / 255)
        done.append(torch.cat([colours, image[..., 3:]], dim=-1))
    return torch.stack(done)


def count(images: object) -> int:
    """How many images a batch has.

    Raises:
        ValueError: these are no images.
    """
    if not isinstance(images, Tensor) or not images.is_floating_point() or images.ndim != 4:
        raise ValueError(f"image: is {_described(images)}; connect an IMAGE, (B, H, W, C) float in [0, 1]")
    if images.shape[-1] not in (3, 4) or not images.numel():
        raise ValueError(f"image: is {_described(images)}; connect one with 3 or 4 channels and some pixels")
    return len(images)


def masks(given: Sequence[object], photos: int) -> list[list[NDArray[np.float32]]]:
    """The masks of each photo of a batch.

    Args:
        given: each (B, H, W), or (H, W); B is 1, for every photo, or `photos`.
        photos: of the batch.

    Raises:
        ValueError: these are no masks, or they are of another number.
    """
    found = []
    for number, mask in enumerate(given, start=1):
        if not isinstance(mask, Tensor) or mask.ndim not in (2, 3) or not mask.numel():
            raise ValueError(f"mask_{number}: is {_described(mask)}; connect a MASK, (B, H, W) in [0, 1]")
        values = mask.detach().float().cpu().nan_to_num(0).clamp(0, 1).reshape(-1, *mask.shape[-2:])
        if len(values) not in (1, photos):
            raise ValueError(
                f"mask_{number}: are {len(values)} for {photos} images; give one, or one for each"
            )
        found.append(values.expand(photos, -1, -1).numpy())
    return [[mask[place] for mask in found] for place in range(photos)]


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return f"a {type(value).__name__}"

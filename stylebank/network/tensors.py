"""Arrays of files as PyTorch tensors and back, numbers on a device; images: luma, slopes, another size, primed."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from stylebank.photos.srgb import LUMA
from stylebank.priming import ground


def to_torch(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """Tensors on the CPU, in the arrays' own memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def to_numpy(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Arrays of tensors on any device; those on the CPU keep their memory."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def indices(numbers: Sequence[int], device: torch.device) -> Tensor:
    """Numbers (N,) int64 on a device, without waiting for what a GPU has still to do."""
    found = torch.tensor(numbers)
    return found.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else found.to(device)


def in_float64(x: Tensor) -> Tensor:
    """The same in float64: on its device, or, since a Mac's GPU has no float64, on the CPU."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def luma(images: Tensor) -> Tensor:
    """Of images (B, 3, ...) in sRGB: (B, ...), without an upload that a GPU would wait for."""
    return LUMA[0] * images[:, 0] + LUMA[1] * images[:, 1] + LUMA[2] * images[:, 2]


def slopes(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Half of the differences of neighbours in planes (..., H, W), downwards and to the right; 0 at the borders."""
    down, right = torch.zeros_like(planes), torch.zeros_like(planes)  # which planes of one row or column stay
    down[..., 1:-1, :] = (planes[..., 2:, :] - planes[..., :-2, :]) / 2
    right[..., 1:-1] = (planes[..., 2:] - planes[..., :-2]) / 2
    return down, right


def resized(images: Tensor, size: Sequence[int]) -> Tensor:
    """Images (B, 3, h, w) in [0, 1] at a size (H, W), by antialiased bicubic resampling in float32."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    found = F.interpolate(images.float(), size=tuple(size), mode="bicubic", antialias=True)
    return found.clamp(0, 1)


def primed(photos: Tensor, share: float) -> Tensor:
    """Photos (B, 3, H, W) in [0, 1] as first passes want them, in float32 and without gradient; see `ground.primed`."""
    values = photos.detach().float()
    if not share:
        return values
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda photo: ground.primed(photo, share), values.cpu().numpy()))
    return torch.empty_like(values).copy_(torch.from_numpy(np.stack(found)))

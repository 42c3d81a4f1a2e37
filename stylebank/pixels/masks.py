"""Masks of regions: grey images, label images and arrays into shares (R, H, W) that sum to 1 at each pixel.

A mask (H, W) float32 in [0, 1] says how much of each pixel a region covers. A label image holds many regions as the
indices of a palette, as grey levels or as colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageColor
from scipy import ndimage
from torch import Tensor

from stylebank.errors import ImageError, nearest
from stylebank.pixels import images, srgb

Mask = Tensor | NDArray[np.generic] | Image.Image
"""What a Python caller may give: numbers (H, W) in [0, 1], booleans, or a PIL image, whose luma counts."""

_SHOWN_LABELS = 12


def read_mask(path: Path) -> Tensor:
    """Read a grey image as a mask (H, W): white is covered, black and transparent are not, greys are soft.

    Raises:
        ImageError: it cannot be read.
    """
    return _to_mask(images.read_unconverted(path))


def of(mask: Mask) -> Tensor:
    """A mask (H, W) of what a Python caller gave.

    Raises:
        ImageError: it has another form.
    """
    if isinstance(mask, Image.Image):
        return _to_mask(srgb.upright(mask))
    numbers = np.array(mask.detach().cpu().float().numpy() if isinstance(mask, Tensor) else mask)
    if numbers.ndim != 2 or not numbers.size or numbers.dtype.kind not in "biuf":
        raise ImageError(f"mask: is {numbers.dtype} of shape {numbers.shape}; give numbers (H, W)")
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise ImageError("mask: holds numbers outside [0, 1]; divide by the largest")
    return torch.from_numpy(numbers.astype(np.float32))


def resized(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask at another size (H, W): averaged when it shrinks, interpolated when it grows."""
    if tuple(mask.shape) == size:
        return mask
    image = images.resized(Image.fromarray(mask.numpy()), size=size)
    return torch.from_numpy(np.array(image)).clamp(0, 1)


@dataclass(frozen=True)
class Labels:
    """A label image: an integer per pixel.

    Attributes:
        source: what to call it in complaints.
        values: (H, W) int64: palette indices, grey levels, or colours as 0xRRGGBB.
        are_colours: whether the values are colours.
    """

    source: str
    values: NDArray[np.int64]
    are_colours: bool

    def found(self) -> list[int]:
        """The labels there are, the most frequent first."""
        values, counts = np.unique(self.values, return_counts=True)
        return [int(values[i]) for i in np.argsort(-counts, kind="stable")]

    def label(self, key: str) -> int:
        """The label that a word means: "3", or for colours "#ff0000" or "red".

        Raises:
            ImageError: the image has no such label; the message says which it has.
        """
        value = _colour(key) if self.are_colours else int(key) if key.isdecimal() and len(key) < 12 else None
        if value is None or not (self.values == value).any():
            known = [self.shown(label) for label in self.found()]
            more = f" and {len(known) - _SHOWN_LABELS} more" if len(known) > _SHOWN_LABELS else ""
            raise ImageError(
                f"{self.source}: has no label '{key}'{nearest(key, known)}; "
                f"it has {', '.join(known[:_SHOWN_LABELS])}{more}"
            )
        return value

    def mask(self, label: int) -> Tensor:
        """The pixels of one label as a mask (H, W)."""
        return torch.from_numpy((self.values == label).astype(np.float32))

    def resized(self, size: tuple[int, int]) -> "Labels":
        """The nearest label at each pixel of another size (H, W)."""
        rows, columns = (
            (np.arange(wanted) + 0.5) * length // wanted
            for wanted, length in zip(size, self.values.shape, strict=True)
        )
        values = self.values[rows.astype(int)[:, None], columns.astype(int)]
        return Labels(self.source, values, self.are_colours)

    def shown(self, label: int) -> str:
        """A label as a user writes it."""
        return f"#{label:06x}" if self.are_colours else str(label)


def read_labels(path: Path) -> Labels:
    """Read a label image: palette indices, grey levels or, if it has neither, colours.

    Raises:
        ImageError: it cannot be read.
    """
    image = images.read_unconverted(path)
    if image.mode == "1":
        image = image.convert("L").point(lambda level: level // 255)
    if image.mode in ("P", "L") or image.mode.startswith("I"):
        return Labels(str(path), np.array(image, dtype=np.int64), are_colours=False)
    red, green, blue = np.moveaxis(np.array(srgb.to_rgb(image), dtype=np.int64), -1, 0)
    return Labels(str(path), (red << 16) + (green << 8) + blue, are_colours=True)


def layout(
    masks: Sequence[Tensor], size: tuple[int, int], *, fill: bool = False, feather: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Divide the pixels of an image among masks that overlap or leave gaps.

    Args:
        masks: (h, w) each, of any sizes.
        size: (H, W) of the image.
        fill: whether one more region is to take what the masks leave.
        feather: width in pixels of the seams that edges are softened to.

    Returns:
        Shares (R, H, W), 1 in sum at each pixel, where no mask covers it those of the nearest pixel that one does; and
        the cover (H, W) in [0, 1], how much of each pixel the masks claim together.
    """
    found = torch.stack([resized(mask, size) for mask in masks])
    found = found / found.sum(0).clamp_min(1)
    if fill:
        found = torch.cat([found, (1 - found.sum(0, keepdim=True)).clamp_min(0)])
    if feather:
        # A Gaussian of deviation w / 4 turns a step into a slope that does 95 % of its way within w.
        blurred = [ndimage.gaussian_filter(mask.numpy(), feather / 4, mode="nearest") for mask in found]
        found = torch.from_numpy(np.stack(blurred))
    total = found.sum(0)
    covered = total > 1e-4  # less is what a blur leaves far away
    if not bool(covered.any()):
        return torch.full_like(found, 1 / len(found)), total.clamp(0, 1)
    shares = found / torch.where(covered, total, 1.0)
    if not bool(covered.all()):
        shares = torch.where(covered, shares, _nearest(shares, covered))
    return shares, total.clamp(0, 1)


def _nearest(found: Tensor, covered: Tensor) -> Tensor:
    """At each pixel the shares of the nearest covered one; counted in cells of 4 x 4 pixels, as E's features are."""
    height, width = covered.shape
    edges = (0, -width % 4, 0, -height % 4)
    cells = F.avg_pool2d(F.pad(found * covered, edges), 4)
    cover = cells.sum(0)
    rows, columns = ndimage.distance_transform_edt(
        (cover == 0).numpy(), return_distances=False, return_indices=True
    )
    cells = (cells / cover.clamp_min(1e-6))[
        :, torch.from_numpy(rows).long(), torch.from_numpy(columns).long()
    ]
    return cells.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, :height, :width]


def _to_mask(image: Image.Image) -> Tensor:
    """Luma, and where an image is transparent nothing."""
    luma = np.array(srgb.to_rgb(image).convert("L"), dtype=np.float32) / 255
    if image.has_transparency_data:
        # `to_rgb` laid it over white, which is in the luma as 1 - alpha.
        luma -= 1 - np.array(image.convert("RGBA").getchannel("A"), dtype=np.float32) / 255
    return torch.from_numpy(luma.clip(0, 1))


def _colour(key: str) -> int | None:
    try:
        red, green, blue = ImageColor.getrgb(key)[:3]
    except ValueError:
        return None
    return (red << 16) + (green << 8) + blue

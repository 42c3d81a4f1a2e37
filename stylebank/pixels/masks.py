"""Masks of regions: grey images, label images and arrays into shares (R, H, W) that sum to 1 at each pixel.

A mask (H, W) float32 in [0, 1] says how much of each pixel a region covers. A label image holds many regions as the
indices of a palette, as grey levels or as colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from stylebank.errors import ImageError, nearest
from stylebank.photos import srgb
from stylebank.pixels import images, resampling

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]

Mask: TypeAlias = "Tensor | NDArray[np.generic] | Image.Image"
"""What a Python caller may give: numbers (H, W) in [0, 1], booleans, or a PIL image, whose luma counts."""

_SHOWN_LABELS = 12


def read_mask(path: Path) -> Floats:
    """Read a grey image as a mask (H, W): white is covered, black and transparent are not, greys are soft.

    Raises:
        ImageError: it cannot be read.
    """
    return _to_mask(images.read_unconverted(path))


def of(mask: Mask) -> Floats:
    """A mask (H, W) of what a Python caller gave.

    Raises:
        ImageError: it has another form.
    """
    if isinstance(mask, Image.Image):
        return _to_mask(srgb.upright(mask))
    numbers = np.array(mask.detach().cpu().float().numpy() if hasattr(mask, "detach") else mask)
    if numbers.ndim != 2 or not numbers.size or numbers.dtype.kind not in "biuf":
        raise ImageError(f"mask: is {numbers.dtype} of shape {numbers.shape}; give numbers (H, W)")
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise ImageError("mask: holds numbers outside [0, 1]; divide by the largest")
    return numbers.astype(np.float32)


def resized(mask: Floats, size: tuple[int, int]) -> Floats:
    """A mask at another size (H, W): averaged when it shrinks, interpolated when it grows."""
    if mask.shape == size:
        return mask
    found: Floats = np.array(resampling.resized(Image.fromarray(mask), size=size), np.float32).clip(0, 1)
    return found


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

    def mask(self, label: int) -> Floats:
        """The pixels of one label as a mask (H, W)."""
        found: Floats = (self.values == label).astype(np.float32)
        return found

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
    masks: Sequence[Floats], size: tuple[int, int], *, fill: bool = False, feather: float = 0.0
) -> tuple[Floats, Floats]:
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
    found = np.stack([resized(mask, size) for mask in masks])
    found = found / np.maximum(found.sum(0), 1)
    if fill:
        found = np.concatenate([found, (1 - found.sum(0, keepdims=True)).clip(0)])
    if feather:
        from scipy import ndimage

        # A Gaussian of deviation w / 4 turns a step into a slope that does 95 % of its way within w.
        found = np.stack([ndimage.gaussian_filter(mask, feather / 4, mode="nearest") for mask in found])
    total = found.sum(0)
    covered = total > 1e-4  # less is what a blur leaves far away
    if not covered.any():
        return np.full_like(found, 1 / len(found)), total.clip(0, 1)
    shares: Floats = np.divide(found, total, out=np.zeros_like(found), where=covered[None])
    if not covered.all():
        shares = np.where(covered, shares, _nearest(shares, covered))
    return shares, total.clip(0, 1)


def _nearest(found: Floats, covered: NDArray[np.bool_]) -> Floats:
    """At each pixel the shares of the nearest covered one; counted in cells of 4 x 4 pixels, as E's features are."""
    from scipy import ndimage

    height, width = covered.shape
    padded = np.pad(found * covered, ((0, 0), (0, -height % 4), (0, -width % 4)))
    cells = padded.reshape(len(found), padded.shape[1] // 4, 4, -1, 4).mean((2, 4))
    cover = cells.sum(0)
    rows, columns = ndimage.distance_transform_edt(cover == 0, return_distances=False, return_indices=True)
    cells = (cells / np.maximum(cover, 1e-6))[:, rows, columns]
    shares: Floats = cells.repeat(4, 1).repeat(4, 2)[:, :height, :width]
    return shares


def _to_mask(image: Image.Image) -> Floats:
    """Luma, and where an image is transparent nothing."""
    luma = np.array(srgb.to_rgb(image).convert("L"), dtype=np.float32) / 255
    if image.has_transparency_data:
        # `to_rgb` laid it over white, which is in the luma as 1 - alpha.
        luma -= 1 - np.array(image.convert("RGBA").getchannel("A"), dtype=np.float32) / 255
    return luma.clip(0, 1)


def _colour(key: str) -> int | None:
    try:
        red, green, blue = ImageColor.getrgb(key)[:3]
    except ValueError:
        return None
    return (red << 16) + (green << 8) + blue

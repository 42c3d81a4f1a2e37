"""Images at other sizes: resampled, and made of what several have at several scales."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylebank.pixels.images import blank, from_pixels

_BAND = 256  # rows that are computed at a time


def resized(
    image: Image.Image, *, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """Resample an image, or the box (left, top, right, bottom) of it, to size (H, W)."""
    return image.resize((size[1], size[0]), Image.Resampling.LANCZOS, box=box)


def resampled(
    image: Image.Image, *, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """As `resized`, by bicubic resampling: without the halos that painting again would take for marks.

    A pixel of a box is what it is of the whole image, to the rounding of its corners to float32: rows first, then
    columns, which Pillow by itself does in an order that depends on the size.
    """
    left, top, right, bottom = box or (0, 0, image.width, image.height)
    seen = 2 * math.ceil(max(1, (bottom - top) / size[0])) + 1
    start, end = max(0, math.floor(top) - seen), min(image.height, math.ceil(bottom) + seen)
    band, cubic = image.crop((0, start, image.width, end)), Image.Resampling.BICUBIC
    band = band.resize((size[1], band.height), cubic, box=(left, 0, right, band.height))
    return band.resize((size[1], size[0]), cubic, box=(0, top - start, size[1], bottom - start))


def detailed(painting: Image.Image, photo: Image.Image, before: Image.Image, share: float) -> Image.Image:
    """A painting enlarged to the size of a photo, and a share of what the photo has and `before` has not.

    Args:
        painting: RGB, of any size.
        photo: RGB.
        before: the photo at the painting's size.
        share: 0 for the enlarged painting alone, to 1.
    """
    if not share:
        return resampled(painting, size=(photo.height, photo.width))
    return _total(photo, share, (painting, 1.0), (before, -share))


def detailed_in(
    painting: Image.Image,
    photo: Image.Image,
    before: Image.Image,
    share: float,
    box: tuple[float, float, float, float],
) -> Image.Image:
    """As `detailed`, of a box (left, top, right, bottom) of painting and `before`, which the photo shows."""
    size = photo.height, photo.width
    enlarged = resampled(painting, size=size, box=box)
    if not share:
        return enlarged
    own, coarse, levels = (
        np.array(x, np.float32) for x in (photo, resampled(before, size=size, box=box), enlarged)
    )
    levels += np.float32(share) * (own - coarse)
    return from_pixels(np.rint(levels).clip(0, 255).astype(np.uint8))


def settled(picture: Image.Image, over: Image.Image, keep: float) -> Image.Image:
    """A picture with only a share of what it changed of the forms of another, of its size, that it was painted over.

    Marks stay: what both have at half the size counts as forms, the rest of the picture as marks. Both are RGB, and
    `keep` is the share of the change, in [0, 1].
    """
    half = ((picture.height + 1) // 2, (picture.width + 1) // 2)
    own, before = (resampled(image, size=half) for image in (picture, over))
    return _total(picture, 1.0, (before, 1 - keep), (own, keep - 1))


def _total(image: Image.Image, share: float, *parts: tuple[Image.Image, float]) -> Image.Image:
    """A share of an image, and of others, enlarged to its size; levels are rounded once, and not before."""
    found = blank((image.height, image.width))
    for top in range(0, image.height, _BAND):
        bottom = min(image.height, top + _BAND)
        levels = np.float32(share) * np.asarray(image.crop((0, top, image.width, bottom)), np.float32)
        for part, factor in parts:
            box = (0, top * part.height / image.height, part.width, bottom * part.height / image.height)
            enlarged = resampled(part, size=(bottom - top, image.width), box=box)
            levels += np.float32(factor) * np.asarray(enlarged, np.float32)
        found.paste(from_pixels(np.rint(levels).clip(0, 255).astype(np.uint8)), (0, top))
    return found


def resized_floats(
    values: NDArray[np.float32],
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> NDArray[np.float32]:
    """Numbers (h, w), or what is in a box (left, top, right, bottom) of them, at another size (H, W), linearly."""
    return np.asarray(Image.fromarray(values).resize((size[1], size[0]), Image.Resampling.BILINEAR, box))


def fitted(image: Image.Image, *, long_side: int) -> Image.Image:
    """Shrink an image so that its long side is at most `long_side` pixels."""
    scale = min(1.0, long_side / max(image.size))
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image if scale == 1.0 else resized(image, size=(height, width))

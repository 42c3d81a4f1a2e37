"""Masks of regions: grey images, alpha, label images and arrays into shares (R, H, W) that sum to 1 at each pixel.

A mask (H, W) float32 in [0, 1] says how much of each pixel a region covers. A label image holds many regions as entries
of a palette, grey levels, numbers or colours. Both are data: no colour profile and no gamma changes them, so that 50 %
grey covers 50 %. What counts of an image:

- where its alpha is not opaque all over, alpha alone, whatever the colour: a shape drawn on transparency covers by its
  outline, black parts of it too;
- else the luma (BT.601) of its colours, palette entries and CMYK included, linearly from black to white of its depth:
  255, 4095 of 12 bits, 65535, or 1 of floats, in which more than 1 is 1, and what is no number is 0;
- where no value is more than 1, as programs write booleans, 1 is white, and 255 where none of 16 bits or more is above.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylebank.errors import ImageError
from stylebank.photos import srgb
from stylebank.photos.decoding import MAX_PIXELS
from stylebank.pixels import images, resampling
from stylebank.pixels.labels import NOWHERE, Labels, of_rgb

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Labels", "Mask", "Overlap", "check_shape", "layout", "of", "read_labels", "read_mask", "resized"]

Floats = NDArray[np.float32]

Mask: TypeAlias = "Tensor | NDArray[np.generic] | Image.Image"
"""What a Python caller may give (H, W): a PIL image of any mode, as in a file; numbers in [0, 1]; booleans; unsigned
integers of 8 or 16 bits, in which 255 or 65535 is white, or the least of 1 and 255 that none exceeds."""

Overlap = Literal["over", "share"]
"""Whose a pixel is that several masks claim.
over: the last one's, as of layers in a painting program; what it leaves is the one's before, and so on.
share: everybody's, in proportion to the claims.
"""

_OPAQUE = 250 / 255  # lossy files have alpha that is opaque but for noise
_NUMBERS = ("I", "F")
_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".avif", ".heic", ".heif")


def read_mask(path: Path, *, data: bytes | None = None, max_pixels: int = MAX_PIXELS) -> Floats:
    """Read an image as a mask (H, W): white is covered, black and transparent are not, greys are soft; see the module.

    Raises:
        ImageError: it cannot be read.
    """
    return _to_mask(images.read_unconverted(path, data=data, max_pixels=max_pixels))


def of(mask: Mask) -> Floats:
    """A mask (H, W) of what a Python caller gave.

    Raises:
        ImageError: it has another form.
    """
    if isinstance(mask, Image.Image):
        try:
            return _to_mask(srgb.upright(mask))
        except (OSError, SyntaxError, ValueError) as error:  # a file that is read only now
            raise ImageError(f"mask: cannot be read ({error}); give another") from error
    if hasattr(mask, "detach"):
        mask = mask.detach().cpu()
        mask = (mask.float() if mask.is_floating_point() else mask).numpy()
    numbers = np.asarray(mask)
    if numbers.ndim != 2 or not numbers.size or numbers.dtype.kind not in "biuf":
        raise ImageError(f"mask: is {numbers.dtype} of shape {numbers.shape}; give numbers (H, W)")
    if numbers.dtype in (np.uint8, np.uint16):
        return _scaled(numbers, np.iinfo(numbers.dtype).max)
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise ImageError("mask: holds numbers outside [0, 1]; divide by the largest")
    return np.array(numbers, np.float32)


def read_labels(path: Path, *, data: bytes | None = None, max_pixels: int = MAX_PIXELS) -> Labels:
    """Read a label image: palette entries, grey levels, numbers or, if it has none of these, colours.

    A colour image whose every pixel is grey counts as grey. Pixels more transparent than not have no label.

    Raises:
        ImageError: it cannot be read, or holds fractions.
    """
    image = images.read_unconverted(path, data=data, max_pixels=max_pixels)
    cover, colours = _alpha(image), None
    seen = np.ones((image.height, image.width), bool) if cover is None else cover >= 0.5
    if image.mode.startswith(_NUMBERS):
        values = _whole(np.asarray(image), str(path))
    elif image.mode in ("P", "PA"):
        values = _band(image)
        entries = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)[:256]
        colours = np.pad(entries, ((0, 256 - len(entries)), (0, 0)))
    elif image.mode in ("1", "L", "LA", "La"):
        values = _band(image if image.mode != "La" else image.convert("LA"))
        colours = _greys(255 if image.mode == "1" else 1)
    else:
        pixels = np.asarray(_plain(image, "RGB"))
        grey = bool((pixels == pixels[..., :1])[seen].all())
        values, colours = (pixels[..., 0].astype(np.int64), _greys(1)) if grey else (of_rgb(pixels), None)
    are_colours = colours is None and not image.mode.startswith(_NUMBERS)
    lossy = path.suffix.lower() in _LOSSY
    return Labels(str(path), np.where(seen, values, NOWHERE), are_colours, colours, lossy)


def check_shape(source: str, size: Sequence[int], wanted: tuple[int, int], *, remedy: str) -> None:
    """Refuse a mask whose shape is not that of the image, but for rounding: it would lie in the wrong place.

    Rounding is less than 1 pixel of the smaller one along either side, or 2 pixels if that is no more than 1 %.

    Args:
        source: what to call it.
        size: (H, W) of the mask.
        wanted: (H, W) of the image.
        remedy: what stretches it nevertheless.

    Raises:
        ImageError: it has another shape.
    """
    small, large = sorted((tuple(size), wanted), key=lambda each: each[0] * each[1])
    ratio = small[1] * large[0] / (small[0] * large[1])
    # What a side would have to be for the other one's sake, against what it is.
    off = small[1] * abs(1 - 1 / ratio), small[0] * abs(1 - ratio)
    if min(off) < 1 or (min(off) <= 2 and abs(1 - ratio) <= 0.01):
        return
    advice = "another shape; crop it"
    if tuple(size) == wanted[::-1]:
        advice = "the photo's on its side, as before EXIF turns it; turn it"
    raise ImageError(
        f"{source}: is {size[1]} x {size[0]} px, and the photo {wanted[1]} x {wanted[0]}: {advice}, or {remedy}"
    )


def resized(
    mask: Floats, size: tuple[int, int], *, box: tuple[float, float, float, float] | None = None
) -> Floats:
    """A mask, or a box (left, top, right, bottom) of it, at another size (H, W): averaged or interpolated."""
    if box is None and mask.shape == size:
        return mask
    resampled = resampling.resized(Image.fromarray(mask), size=size, box=box)
    found: Floats = np.array(resampled, np.float32).clip(0, 1)
    return found


def layout(
    masks: Sequence[Floats],
    size: tuple[int, int],
    *,
    fill: bool = False,
    feather: float = 0.0,
    overlap: Overlap = "over",
    bare: Collection[int] = (),
) -> tuple[Floats, Floats]:
    """Divide the pixels of an image among masks that overlap or leave gaps.

    Of masks m_1 ... m_R, resized, the claims are
        over:  c_r = min(m_r, 1 - sum_{j > r} c_j), so that later ones go before, and m and 1 - m stay what they are;
        share: c_r = m_r / max(1, sum_j m_j);
    then 1 - sum_r c_r, of one more region, if asked for; then each is blurred. The shares are s_r = c_r / sum_j c_j, of
    the claims that are painted.

    Args:
        masks: (h, w) each, of any sizes, in the order in which they are painted.
        size: (H, W) of the image.
        fill: whether one more region is to take what the masks leave.
        feather: width in pixels of the seams that edges are softened to.
        overlap: see `Overlap`.
        bare: places of masks whose pixels stay the photo's: they claim, and are not among the shares. Not all.

    Returns:
        Shares (R, H, W), 1 in sum at each pixel, where no mask covers it those of the nearest pixel that one does; and
        the cover (H, W) in [0, 1], how much of each pixel the masks claim together.
    """
    found = np.stack([resized(mask, size) for mask in masks])
    if overlap == "share":
        found = found / np.maximum(found.sum(0), 1)
    left = np.ones(size, np.float32)
    for claim in found[::-1]:
        np.minimum(claim, left, out=claim)
        left -= claim
    if fill:
        found = np.concatenate([found, left[None]])
    found = found[[place for place in range(len(found)) if place not in bare]]
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
    if len(found) == 1:
        return np.ones_like(found)
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
    """What a mask's image means; see the module."""
    if not image.width * image.height:
        raise ImageError(f"mask: has no pixels ({image.width} x {image.height}); give another")
    cover = _alpha(image)
    if cover is not None and cover.min() < _OPAQUE:
        return cover
    numbers = np.asarray(image)
    if image.mode == "F":
        return _scaled(np.nan_to_num(numbers, nan=0), _white(numbers))
    if image.mode.startswith("I"):
        return _scaled(numbers, image.info.get("white", 65535 if numbers.max() <= 65535 else 2**31 - 1))
    if image.mode == "1":
        return np.array(image, np.float32)
    return _scaled(np.asarray(_plain(image, "L")), 255)


def _scaled(numbers: NDArray[np.generic], white: float) -> Floats:
    """Numbers as parts of what white is, 1 where none is more than 1, and 255 of deeper ones where none is more."""
    usual = (1, 255) if white >= 65535 else (1,)
    white = next((each for each in usual if numbers.max() <= each), white)
    found: Floats = (np.asarray(numbers, np.float32) / np.float32(white)).clip(0, 1)
    return found


def _white(numbers: Floats) -> float:
    """What white is in floats: 1, but 255 or 65535 if they are all whole numbers far beyond 1, levels converted."""
    finite = numbers[np.isfinite(numbers)]
    brightest = float(finite.max(initial=0))
    if brightest < 128 or (finite != np.rint(finite)).any():
        return 1
    return 255 if brightest <= 255 else 65535


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """An image's own colours in another mode, without its alpha and its profile."""
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    if image.mode in ("LA", "L", "LAB"):
        return image.getchannel(0).convert(mode)
    return image if image.mode == mode else image.convert("RGB").convert(mode)


def _alpha(image: Image.Image) -> Floats | None:
    """Alpha (H, W) in [0, 1], or that of a colour, or of palette entries, which are declared transparent."""
    if not image.has_transparency_data:
        return None
    key = image.info.get("transparency")
    if image.mode[-1] in "Aa":
        levels = np.asarray(image)[..., -1]
    elif image.mode == "P":
        levels = np.asarray(image.convert("RGBA"))[..., 3]
    elif isinstance(key, int | tuple):
        differs = np.asarray(image if image.mode != "1" else image.convert("L")) != np.array(key)
        levels = 255 * (differs.any(-1) if differs.ndim == 3 else differs)
    else:
        return None
    cover: Floats = np.asarray(levels, np.float32) / np.float32(255)
    return cover


def _band(image: Image.Image) -> NDArray[np.int64]:
    """The first band (H, W) of an image, its values as they are."""
    pixels = np.asarray(image)
    return (pixels[..., 0] if pixels.ndim == 3 else pixels).astype(np.int64)


def _whole(numbers: NDArray[np.generic], source: str) -> NDArray[np.int64]:
    """Numbers as labels; what is no number is none."""
    wanted = np.nan_to_num(np.asarray(numbers, np.float64), nan=NOWHERE, posinf=NOWHERE, neginf=NOWHERE)
    if (wanted != np.rint(wanted)).any():
        raise ImageError(f"{source}: holds fractions; give labels as whole numbers")
    return wanted.astype(np.int64)


def _greys(step: int) -> NDArray[np.uint8]:
    """Colours (256, 3) of grey levels; of 0 and 1 by steps of 255."""
    levels = (np.arange(256) * step).clip(0, 255).astype(np.uint8)
    return levels[:, None].repeat(3, 1)

"""Image files <-> float tensors (B, 3, H, W) in [0, 1], sRGB; limits on untrusted input.

Reading is faithful: EXIF orientation is applied, 16-bit images are scaled and not clipped, transparency lies over
white, embedded colour profiles and CMYK are converted to sRGB. Writing leaves out EXIF, GPS and profiles.
Sizes are (H, W) everywhere else; Pillow's (W, H) ends here.
"""

import io
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylebank.errors import ContentError, OutputError
from stylebank.files.atomic import is_folder, write_atomically
from stylebank.pixels.decoding import MAX_PIXELS, decode, one_line, opened
from stylebank.pixels.srgb import upright, upright_rgb

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import TypeIs

# Suffix of a file name and Pillow's format to write; reading goes by content, out of the same formats.
_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
_BAND = 256  # rows that are computed at a time
IMAGE_SUFFIXES = frozenset((*_FORMATS, ".ppm", ".pgm", ".gif"))


def read(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read an image file as an upright RGB image, 8 bits per channel, sRGB; of several frames, the first.

    Raises:
        ImageError: it is missing, no image, damaged, cut short, or has more than `max_pixels` pixels.
    """
    return decode(path, upright_rgb, max_pixels=max_pixels)


def read_bytes(data: bytes, name: str) -> Image.Image:
    """Read the bytes of an image file, as `read` does; the name is for complaints.

    Raises:
        ImageError: see `read`.
    """
    return decode(Path(name), upright_rgb, max_pixels=MAX_PIXELS, data=io.BytesIO(data))


def read_unconverted(path: Path) -> Image.Image:
    """Read an image file upright, with its own mode and values: palette indices, grey levels, alpha.

    Raises:
        ImageError: see `read`.
    """
    return decode(path, lambda image: upright(image).copy(), max_pixels=MAX_PIXELS)


def is_image(path: Path) -> bool:
    """Whether a file opens as an image; its pixels are not read."""
    try:
        with opened(path, MAX_PIXELS):
            return True
    except Exception:  # as in `decode`
        return False


def load(path: Path) -> "Tensor":
    """Read an image file as (1, 3, H, W) float32 in [0, 1], sRGB.

    Raises:
        ImageError: see `read`.
    """
    return to_tensor(read(path))


def save(path: Path, image: Image.Image, *, quality: int = 95, sweeping: bool = True) -> None:
    """Write an image atomically, in the format of the file name's suffix, without metadata.

    Args:
        path: the file.
        image: of any mode.
        quality: see `encode`.
        sweeping: see `files.write_atomically`.

    Raises:
        OutputError: see `check_suffix` and `encode`; or the file cannot be written.
    """
    check_suffix(path)
    write_atomically(path, encode(image, path.suffix, quality=quality), sweeping=sweeping)


def save_labels(path: Path, image: Image.Image) -> None:
    """Write a palette image atomically as PNG, its indices as they are.

    Raises:
        OutputError: the file is to be of another format, or cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: cannot hold labels; choose a name that ends in .png")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())


def encode(image: Image.Image, suffix: str, *, quality: int = 95) -> bytes:
    """An image as the bytes of a file in RGB, without EXIF, GPS or profile.

    Args:
        image: of any mode.
        suffix: ".png", ".JPG" or another that `check_suffix` lets pass; it decides the format.
        quality: 1 to 100, of JPEG and WebP.

    Raises:
        OutputError: the format cannot hold an image of this size.
    """
    plain = image
    if image.mode != "RGB" or image.info:
        plain = image.convert("RGB")
        plain.info.clear()
    buffer, name = io.BytesIO(), _FORMATS[suffix.lower()]
    options = {"quality": quality} if name in ("JPEG", "WEBP") else {}
    if name == "PNG":
        options["compress_level"] = (
            1  # paint is fine-grained: level 6 takes 2.4 times as long for 5 % fewer bytes
        )
    if name == "JPEG":
        options["subsampling"] = 0  # full colour resolution: paint has sharp edges between colours
    try:
        plain.save(buffer, name, **options)
    except (OSError, ValueError) as error:
        width, height = image.size
        raise OutputError(
            f"{suffix} file: cannot hold {width} x {height} pixels ({one_line(error)}); choose .png or .tif"
        ) from error
    return buffer.getvalue()


def check_suffix(path: Path) -> None:
    """Refuse a file name that no format fits.

    Raises:
        OutputError: naming the suffixes that do.
    """
    if path.suffix.lower() not in _FORMATS:
        raise OutputError(
            f"{path}: '{path.suffix}' is no known image format; use one of {', '.join(_FORMATS)}"
        )


def find_images(folder: Path) -> list[Path]:
    """All image files below a folder by suffix, sorted by their path inside; hidden ones are left out.

    Links to files count, links to folders are not followed: those may lead around in a circle.
    """
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(root, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
        ]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def find_photos(folder: Path) -> list[Path]:
    """All image files below a folder, in an order that does not depend on the file system.

    Raises:
        ContentError: the folder is missing or holds no image.
    """
    if not is_folder(folder):
        raise ContentError(f"{folder}: is not a folder; give a folder of photos")
    found = find_images(folder)
    if not found:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise ContentError(f"{folder}: holds no photos; put images in it ({suffixes})")
    return found


def is_pil(image: object) -> "TypeIs[Image.Image]":
    """Whether an object is one of Pillow's images."""
    return isinstance(image, Image.Image)


def to_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """An RGB image as (H, W, 3)."""
    return np.asarray(image, np.uint8)


def from_pixels(pixels: NDArray[np.uint8]) -> Image.Image:
    """(H, W, 3) as an RGB image."""
    return Image.fromarray(pixels)


def to_tensor(image: Image.Image) -> "Tensor":
    """An RGB image as (1, 3, H, W) float32 in [0, 1]."""
    import torch

    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    return pixels.permute(2, 0, 1).unsqueeze(0).float() / 255


def to_pil(image: "Tensor") -> Image.Image:
    """(3, H, W) or (1, 3, H, W) in [0, 1] as an RGB image; values outside are clamped, levels rounded."""
    import torch

    pixels = image.detach().reshape(3, *image.shape[-2:]).float().clamp(0, 1) * 255
    return Image.fromarray(pixels.round().to("cpu", torch.uint8).permute(1, 2, 0).contiguous().numpy())


def blank(size: tuple[int, int]) -> Image.Image:
    """A black RGB image of size (H, W), to paste parts into."""
    return Image.new("RGB", (size[1], size[0]))


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


def resized_floats(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Numbers (h, w) at another size (H, W), interpolated linearly."""
    return np.asarray(Image.fromarray(values).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def fitted(image: Image.Image, *, long_side: int) -> Image.Image:
    """Shrink an image so that its long side is at most `long_side` pixels."""
    scale = min(1.0, long_side / max(image.size))
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image if scale == 1.0 else resized(image, size=(height, width))

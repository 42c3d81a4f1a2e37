"""Image files <-> float tensors (B, 3, H, W) in [0, 1], sRGB; limits on untrusted input.

Reading is faithful: EXIF orientation is applied, 16-bit images are scaled and not clipped, transparency lies over
white, embedded colour profiles and CMYK are converted to sRGB. Writing leaves out EXIF, GPS and profiles.
Sizes are (H, W) everywhere else; Pillow's (W, H) ends here.
"""

import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from stylebank.errors import ImageError, OutputError
from stylebank.files import write_atomically

MAX_PIXELS = 200_000_000
"""Larger images are refused before any memory is taken for them: 200 megapixels are 600 MB decoded."""

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
_READ_FORMATS = (*dict.fromkeys(_FORMATS.values()), "PPM", "GIF")
IMAGE_SUFFIXES = frozenset((*_FORMATS, ".ppm", ".pgm", ".gif"))

# What Pillow raises on damaged files, by reading its decoders and by fuzzing them.
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    RuntimeError,
    MemoryError,
    AttributeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read an image file as an upright RGB image, 8 bits per channel, sRGB.

    Raises:
        ImageError: it is missing, no image, damaged, cut short, or has more than `max_pixels` pixels.
    """
    if not path.is_file():
        raise ImageError(f"{path}: is no file; check the path")
    try:
        with _opened(path) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(
                    f"{path}: has {width} x {height} pixels (limit {max_pixels / 1e6:g} million); make it smaller"
                )
            image.load()
            return to_rgb(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except _PILLOW_ERRORS as error:
        raise ImageError(f"{path}: is damaged or no image ({_one_line(error)}); replace it") from error


def is_image(path: Path) -> bool:
    """Whether a file opens as an image; its pixels are not read."""
    try:
        with _opened(path):
            return True
    except _PILLOW_ERRORS:
        return False


def load(path: Path) -> Tensor:
    """Read an image file as (1, 3, H, W) float32 in [0, 1], sRGB.

    Raises:
        ImageError: see `read`.
    """
    return to_tensor(read(path))


def save(path: Path, image: Image.Image, *, quality: int = 95) -> None:
    """Write an image atomically, in the format of the file name's suffix, without metadata.

    Raises:
        OutputError: the suffix is unknown, or the file cannot be written.
    """
    check_suffix(path)
    buffer = io.BytesIO()
    options = {"quality": quality} if _FORMATS[path.suffix.lower()] in ("JPEG", "WEBP") else {}
    clean = Image.new("RGB", image.size)
    clean.paste(image.convert("RGB"))
    clean.save(buffer, _FORMATS[path.suffix.lower()], **options)
    write_atomically(path, buffer.getvalue())


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
    """All image files below a folder by suffix, sorted by their path inside; hidden ones are left out."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(root, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
        ]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB image as (1, 3, H, W) float32 in [0, 1]."""
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    return pixels.permute(2, 0, 1).unsqueeze(0).float() / 255


def to_pil(image: Tensor) -> Image.Image:
    """(3, H, W) or (1, 3, H, W) in [0, 1] as an RGB image; values outside are clamped, levels rounded."""
    pixels = image.detach().reshape(3, *image.shape[-2:]).float().clamp(0, 1) * 255
    return Image.fromarray(pixels.round().to("cpu", torch.uint8).permute(1, 2, 0).contiguous().numpy())


def resized(
    image: Image.Image, *, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """Resample an image, or the box (left, top, right, bottom) of it, to size (H, W)."""
    return image.resize((size[1], size[0]), Image.Resampling.LANCZOS, box=box)


def fitted(image: Image.Image, *, long_side: int) -> Image.Image:
    """Shrink an image so that its long side is at most `long_side` pixels."""
    scale = min(1.0, long_side / max(image.size))
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image if scale == 1.0 else resized(image, size=(height, width))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow image as RGB in sRGB: profile applied, 16 bits scaled, transparency over white."""
    if image.mode.startswith(("I", "F")):
        image = _to_eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        profile = image.info.get("icc_profile")
        image = image.convert("RGBA")
        colour, alpha = _to_srgb(image.convert("RGB"), profile), image.getchannel("A")
        return Image.composite(colour, Image.new("RGB", image.size, "white"), alpha)
    return _to_srgb(image, image.info.get("icc_profile"))


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile and image.mode in ("RGB", "L", "CMYK", "LAB"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a broken profile, or one for another kind of image: the pixels are still good
    return image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """16-bit and float greyscale to 8 bits: Pillow's own conversion clips instead of scaling."""
    values = np.asarray(image, dtype=np.float64)
    full = 1.0 if image.mode == "F" and values.max(initial=0) <= 1 else 65535.0
    levels = np.nan_to_num(values / full).clip(0, 1) * 255
    return Image.fromarray(levels.round().astype(np.uint8))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open lazily, out of the allowed formats; the size limit is ours, not Pillow's warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path, formats=_READ_FORMATS) as image:
            yield image


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__

"""Image files <-> float tensors (B, 3, H, W) in [0, 1], sRGB; limits on untrusted input.

Reading is faithful: EXIF orientation is applied, 16-bit images are scaled and not clipped, transparency lies over
white, embedded colour profiles and CMYK are converted to sRGB. Writing leaves out EXIF, GPS and profiles.
Sizes are (H, W) everywhere else; Pillow's (W, H) ends here.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylebank.errors import OutputError
from stylebank.files.atomic import write_atomically
from stylebank.photos import decoding, originals
from stylebank.photos.decoding import MAX_PIXELS
from stylebank.photos.srgb import upright
from stylebank.pixels.encoding import NOTHING, USUAL, Beside, Encoding, encode
from stylebank.pixels.formats import check_suffix

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import TypeIs


def read(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read an image file as an upright RGB image, 8 bits per channel, sRGB; of several frames, the first.

    Raises:
        ImageError: it is missing, no image, damaged, cut short, or has more than `max_pixels` pixels.
    """
    return originals.read(path, max_pixels=max_pixels).image


def read_bytes(data: bytes, name: str) -> Image.Image:
    """Read the bytes of an image file, as `read` does; the name is for complaints.

    Raises:
        ImageError: see `read`.
    """
    return originals.read_bytes(data, name).image


def read_unconverted(path: Path, *, data: bytes | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read an image file upright, with its own mode and values: palette indices, grey levels, alpha.

    Args:
        path: the file.
        data: what to read in place of the file; then the path is only its name.
        max_pixels: the limit.

    Raises:
        ImageError: see `read`.
    """
    return decoding.decode(
        path, lambda found: upright(found.image).copy(), max_pixels=max_pixels, data=data, plain=True
    )


def is_image(path: Path) -> bool:
    """Whether a file opens as an image; its pixels are not read."""
    return decoding.is_image(path)


def load(path: Path) -> "Tensor":
    """Read an image file as (1, 3, H, W) float32 in [0, 1], sRGB.

    Raises:
        ImageError: see `read`.
    """
    return to_tensor(read(path))


def save(
    path: Path,
    image: Image.Image,
    how: Encoding = USUAL,
    beside: Beside = NOTHING,
    *,
    sweeping: bool = True,
) -> None:
    """Write an image atomically, in the format of the file name's suffix, tagged as sRGB.

    Args:
        path: the file.
        image: of any mode.
        how: see `encoding.encode`.
        beside: what the file holds beside its colours; see there.
        sweeping: see `files.write_atomically`.

    Raises:
        OutputError: see `check_suffix` and `encode`; or the file cannot be written.
    """
    check_suffix(path)
    write_atomically(path, encode(image, path.suffix, how, beside), sweeping=sweeping)


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


def grey_png(levels: NDArray[np.uint8]) -> bytes:
    """Grey levels (H, W) as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


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

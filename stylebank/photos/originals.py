"""A photo as its file has it: the picture, its transparency, what the camera noted, and what is left out."""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from stylebank.photos.decoding import MAX_PIXELS, decode
from stylebank.photos.srgb import upright_rgb


@dataclass(frozen=True)
class Original:
    """One photo.

    Attributes:
        image: upright, RGB, 8 bits, sRGB, transparency laid over white.
        alpha: upright, mode L, of the image's size; None if the file has none, or it is opaque everywhere.
        exif: the file's EXIF block, its orientation set to 1; None if there is none.
        dpi: pixels an inch, across and down; None if the file does not say.
        notes: what the user should know, each a line without the file's name.
    """

    image: Image.Image
    alpha: Image.Image | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def read(path: Path, *, max_pixels: int = MAX_PIXELS) -> Original:
    """Read an image file; of several frames, the first.

    Raises:
        ImageError: it is missing, no image, damaged, cut short, or has more than `max_pixels` pixels.
    """
    return Original(decode(path, upright_rgb, max_pixels=max_pixels))


def read_bytes(data: bytes, name: str) -> Original:
    """Read the bytes of an image file, as `read` does; the name is for complaints.

    Raises:
        ImageError: see `read`.
    """
    return Original(decode(Path(name), upright_rgb, max_pixels=MAX_PIXELS, data=io.BytesIO(data)))

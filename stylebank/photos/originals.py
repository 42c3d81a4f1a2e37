"""A photo as its file has it: the picture, its transparency, what the camera noted, and what is left out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import ExifTags, Image

from stylebank.photos.decoding import MAX_PIXELS, Decoded, decode
from stylebank.photos.srgb import rgb_and_alpha, upright

_MARK = b"Exif\0\0"
_FINEST = 65535
"""Pixels an inch that JPEG can say; more is damage, and not even PNG has room for everything."""


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
    """Read an image file or a pipe; of several frames, the first.

    Raises:
        ImageError: it is missing, no image, damaged, cut short, or has more than `max_pixels` pixels.
    """
    return decode(path, _original, max_pixels=max_pixels)


def read_bytes(data: bytes, name: str) -> Original:
    """Read the bytes of an image file, as `read` does; the name is for complaints.

    Raises:
        ImageError: see `read`.
    """
    return decode(Path(name), _original, max_pixels=MAX_PIXELS, data=data)


def _original(decoded: Decoded) -> Original:
    image, info = upright(decoded.image), decoded.image.info
    rgb, alpha = rgb_and_alpha(image)
    return Original(rgb, alpha, _exif(decoded.image), _dpi(info.get("dpi")), decoded.notes)


def _dpi(found: object) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in found)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return (across, down) if 0 < across <= _FINEST and 0 < down <= _FINEST else None


def _exif(image: Image.Image) -> bytes | None:
    """The EXIF block of a file as it is but for the orientation; what is no TIFF inside is left out."""
    block = image.info.get("exif")
    if not isinstance(block, bytes):
        try:
            exif = image.getexif()
            block = exif.tobytes() if exif else b""
        except Exception:  # damaged notes make Pillow raise whatever it likes
            return None
    start = len(_MARK) if block.startswith(_MARK) else 0
    if block[start : start + 4] not in (b"II*\0", b"MM\0*"):
        return None
    return _MARK + _not_turned(block[start:])


def _not_turned(block: bytes) -> bytes:
    """A TIFF block, the orientation of its first directory set to 1 in its place; offsets in it stay true."""
    order: Literal["little", "big"] = "little" if block[:2] == b"II" else "big"
    first = int.from_bytes(block[4:8], order)
    changed = bytearray(block)
    for place in range(first + 2, first + 2 + 12 * int.from_bytes(block[first : first + 2], order), 12):
        if int.from_bytes(block[place : place + 2], order) == ExifTags.Base.Orientation and place + 10 <= len(
            block
        ):
            changed[place + 8 : place + 10] = (1).to_bytes(2, order)
    return bytes(changed)

"""Formats of image files: which are read, which are written, and what their names end in."""

from pathlib import Path

from stylebank.errors import OutputError

WRITTEN = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
"""Suffix of a file name and Pillow's format to write."""

IMAGE_SUFFIXES = frozenset((*WRITTEN, ".ppm", ".pgm", ".gif"))
"""Of files that are taken for photos in a folder."""


def check_suffix(path: Path) -> None:
    """Refuse a file name that no format fits.

    Raises:
        OutputError: naming the suffixes that do.
    """
    if path.suffix.lower() not in WRITTEN:
        raise OutputError(
            f"{path}: '{path.suffix}' is no known image format; use one of {', '.join(WRITTEN)}"
        )

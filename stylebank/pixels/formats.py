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
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".jxl": "JXL",
}
"""Suffix of a file name and Pillow's format to write."""

IMAGE_SUFFIXES = frozenset((*WRITTEN, ".ppm", ".pgm", ".gif"))
"""Of files that are taken for photos in a folder."""


UNREAD = dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"), "camera raw")
"""Suffixes of photos that are not read, and what they are."""


def check_suffix(path: Path) -> None:
    """Refuse a file name that no format fits.

    Raises:
        OutputError: naming the suffixes that do.
    """
    if path.suffix.lower() not in WRITTEN:
        raise OutputError(
            f"{path}: '{path.suffix}' is no known image format; use one of {', '.join(WRITTEN)}"
        )


def written(suffix: str) -> str:
    """Pillow's name of the format that a suffix stands for, ready to write; see `check_suffix`."""
    name = WRITTEN[suffix.lower()]
    if name == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    if name == "JXL":
        import pillow_jxl  # noqa: F401  # registers itself
    return name

"""Formats of image files: which are read, which are written, and what their names end in."""

from pathlib import Path

from stylebank.errors import OutputError
from stylebank.photos import kinds

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

IMAGE_SUFFIXES = frozenset(
    (
        *WRITTEN,
        *(".jpe", ".jfif", ".mpo", ".apng", ".gif", ".heif", ".hif"),
        *(".jp2", ".j2k", ".jpx", ".jpf", ".ppm", ".pgm", ".pbm", ".pnm"),
    )
)
"""Of files that are taken for photos in a folder."""

UNREAD = {
    **dict.fromkeys(
        (
            *(".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".dng", ".raf", ".orf", ".rw2"),
            *(".pef", ".srw", ".x3f", ".3fr", ".iiq", ".erf", ".mef", ".mos", ".raw", ".rwl", ".dcr", ".kdc"),
        ),
        "camera raw",
    ),
    **dict.fromkeys((".psd", ".psb", ".xcf", ".kra", ".ora", ".afphoto", ".clip"), "editor's document"),
    **dict.fromkeys((".svg", ".svgz", ".eps", ".ps", ".ai", ".pdf", ".djvu"), "vector or document"),
    **dict.fromkeys((".exr", ".hdr", ".pfm", ".jxr"), "HDR"),
    **dict.fromkeys(
        (".mp4", ".mov", ".avi", ".mkv", ".m4v", ".webm", ".3gp", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv"),
        "video",
    ),
    **dict.fromkeys((".tga", ".ico", ".pcx", ".qoi", ".dds", ".bpg"), "format that is not read"),
}
"""Of files that are pictures too, but not read: what kind they are."""


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
    kinds.plug_in(name)
    return name

"""What a word for a style's image means: a file, a part of one, or a white image.

A file that is there as a whole is one image, whatever is in its name.
"""

import re
from pathlib import Path

from stylebank.config import Style
from stylebank.errors import StyleSetError
from stylebank.files import atomic

BLANK = "blank"
"""In the place of a file name: an image whose every pixel is white, (255, 255, 255)."""

# "night.jpg@0.5:0:1:0.5": a part of an image, left, top, right and bottom in fractions of its sides.
_PART = re.compile(r"(?P<file>.+)@(?P<box>(?:\d*\.?\d+:){3}\d*\.?\d+)")

SMALLEST_CROP = 32  # pixels: less is a blur when enlarged, no picture of brush marks


def split(style: Style, name: str) -> tuple[Path, str]:
    """File and box of an image, or of a part of one; the box is empty for all of it, as of a file with an @ in it."""
    part = None if _is_file(Path(style.folder) / name) else _PART.fullmatch(name)
    return Path(style.folder) / (part["file"] if part else name), part["box"] if part else ""


def _is_file(path: Path) -> bool:
    """Whether a path leads to a file; an impossible path does not."""
    return atomic.identity(path) is not None and path.is_file()


def is_image(name: str, folder: Path = Path()) -> bool:
    """Whether a word names one image: "blank", a file that is there, or a part of one."""
    part = _PART.fullmatch(name)
    return name == BLANK or _is_file(folder / name) or (part is not None and _is_file(folder / part["file"]))


def crop(style: Style, box: str, width: int, height: int) -> tuple[int, int, int, int]:
    """(left, top, width, height) in pixels of a box in fractions of an image's sides."""
    left, top, right, bottom = (min(float(edge), 2.0) for edge in box.split(":"))
    corner = (round(left * width), round(top * height))
    size = (round(right * width) - corner[0], round(bottom * height) - corner[1])
    if max(left, top, right, bottom) > 1 or min(size) < SMALLEST_CROP:
        raise StyleSetError(
            f"style '{style.name}': part {box[:60]} is outside the image or too small ({size[0]} x {size[1]} px); "
            f"give left:top:right:bottom in [0, 1], at least {SMALLEST_CROP} px a side"
        )
    return (*corner, *size)

"""Labelled contact sheets and label images, drawn.

It decides how they look; which photos and styles are shown is for others to say. Sizes in pixels.
"""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont, ImageOps

from stylebank.pixels import images

if TYPE_CHECKING:
    from torch import Tensor

Cell: TypeAlias = "Image.Image | Tensor"
"""A picture: a PIL image, or a tensor (3, H, W) or (1, 3, H, W) in [0, 1], sRGB."""

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

INK = "#303030"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette, told apart by colour-blind readers too; the yellow that white swallows left out."""

_MARGIN, _GAP = 12, 6


def contact_sheet(
    rows: Sequence[Sequence[Cell]],
    *,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    cell: int = 256,
) -> Image.Image:
    """A grid of pictures, each fitted into a square of `cell` pixels, with labels above and on the left.

    Args:
        rows: at least one, of any lengths.
        row_labels: none, or one for each row.
        column_labels: none, or one for each column.
        cell: side of a square.
    """
    face, band = _label_font(column_labels or row_labels, cell)
    widest = max((face.getlength(shortened(label, face, cell)) for label in row_labels), default=0)
    left = _MARGIN + (math.ceil(widest) + _MARGIN if row_labels else 0)
    top = _MARGIN + (band if column_labels else 0)
    step, columns = cell + _GAP, max(map(len, rows))
    size = (left + columns * step - _GAP + _MARGIN, top + len(rows) * step - _GAP + _MARGIN)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for x, label in enumerate(column_labels):
        place = (left + x * step + cell / 2, top - 0.4 * band)
        pen.text(place, shortened(label, face, cell), INK, face, anchor="ms")
    for y, label in enumerate(row_labels):
        place = (left - _MARGIN, top + y * step + cell / 2)
        pen.text(place, shortened(label, face, cell), INK, face, anchor="rm")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            _paste(sheet, _to_pil(picture), (left + x * step, top + y * step), (cell, cell))
    return sheet


def single_sheet(
    cells: Iterable[tuple[str, Cell]], *, columns: int | None = None, cell: int = 384
) -> Image.Image:
    """Labelled pictures in rows, such as one photo in every style.

    Args:
        cells: label and picture, at least one; the first one's shape is everybody's.
        columns: how many in a row; by default so that the sheet is about 3 : 2 and its last row nearly full.
        cell: long side of a picture.
    """
    labels, pictures = zip(*((label, _to_pil(picture)) for label, picture in cells), strict=True)
    longest = max(pictures[0].size)
    width, height = (max(1, round(cell * length / longest)) for length in pictures[0].size)
    face, band = _label_font(labels, width)
    step_x, step_y = width + 2 * _GAP, height + band + _GAP
    count = len(pictures)

    def unsightliness(columns: int) -> float:
        rows = -(-count // columns)
        return abs(math.log(columns * step_x / (rows * step_y) / 1.5)) + (rows * columns - count) / count

    columns = columns or min(range(1, count + 1), key=unsightliness)
    size = (columns * step_x - 2 * _GAP + 2 * _MARGIN, -(-count // columns) * step_y + _MARGIN)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for i, (label, picture) in enumerate(zip(labels, pictures, strict=True)):
        x, y = _MARGIN + i % columns * step_x, _MARGIN + i // columns * step_y
        _paste(sheet, picture, (x, y), (width, height))
        place = (x + width / 2, y + height + 0.7 * band)
        pen.text(place, shortened(label, face, width), INK, face, anchor="ms")
    return sheet


def label_image(labels: NDArray[np.uint8]) -> Image.Image:
    """Labels (H, W) as an image whose palette indices they are; 0 is white, the others have colours far apart."""
    image = Image.fromarray(labels).convert("L")
    image.putpalette(_label_colours().ravel().tolist())
    return image


def label_overlay(labels: NDArray[np.uint8], photo: Image.Image) -> Image.Image:
    """A photo tinted by its labels (H, W), with the number of each where its region is widest."""
    from scipy import ndimage

    overlay = Image.blend(photo, Image.fromarray(_label_colours()[labels]), 0.5)
    pen, size = ImageDraw.Draw(overlay), max(14, max(photo.size) // 24)
    step = max(1, max(photo.size) // 512)
    for label in np.unique(labels):
        inside = np.pad(labels[::step, ::step] == label, 1)
        depth = ndimage.distance_transform_edt(inside)
        row, column = np.unravel_index(depth.argmax(), depth.shape)
        place = ((int(column) - 1) * step, (int(row) - 1) * step)
        pen.text(place, str(label), "white", font(size), anchor="mm", stroke_width=size // 8, stroke_fill=INK)
    return overlay


def _label_colours() -> NDArray[np.uint8]:
    """Colours of labels 0 to 255, (256, 3): hues a golden angle apart, so that neighbours differ."""
    hues = (f"hsv({label * 137.508 % 360:.0f}, 75%, {90 - label % 3 * 15}%)" for label in range(1, 256))
    return np.array([ImageColor.getrgb(colour) for colour in ("white", *hues)], np.uint8)


@lru_cache(maxsize=32)
def font(size: int) -> Font:
    """The font of all labels, in pixels."""
    return ImageFont.load_default(size)


def _label_font(labels: Sequence[str], width: int) -> tuple[Font, int]:
    """A font in which all labels fit that can without getting tiny, and the height of their band."""
    largest = max(12, min(22, width // 16))
    smallest = max(10, largest * 3 // 4)
    short = [label for label in labels if font(smallest).getlength(label) <= width]
    sizes = range(largest, smallest, -1)
    fitting = (size for size in sizes if all(font(size).getlength(label) <= width for label in short))
    return font(next(fitting, smallest)), largest * 2


def shortened(label: str, face: Font, width: float) -> str:
    """A label, or its two ends around an ellipsis, no wider than `width`."""
    kept = len(label)
    short = label
    while kept and face.getlength(short) > width:
        kept -= 1
        short = f"{label[: -(-kept // 2)]}\N{HORIZONTAL ELLIPSIS}{label[len(label) - kept // 2 :]}"
    return short


def _paste(sheet: Image.Image, picture: Image.Image, corner: tuple[int, int], box: tuple[int, int]) -> None:
    """Put a picture into the middle of a box (W, H), as large as fits."""
    image = ImageOps.contain(picture, box, Image.Resampling.LANCZOS)
    left, top = (c + (b - s) // 2 for c, b, s in zip(corner, box, image.size, strict=True))
    sheet.paste(image, (left, top))


def _to_pil(picture: Cell) -> Image.Image:
    return picture if images.is_pil(picture) else images.to_pil(picture)

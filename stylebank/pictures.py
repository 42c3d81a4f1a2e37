"""Labelled contact sheets and loss curves, drawn as PNG."""

import math
from collections.abc import Iterable, Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from stylebank import images

Cell = Image.Image | Tensor
"""A picture: a PIL image, or a tensor (3, H, W) or (1, 3, H, W) in [0, 1]."""

Series = Mapping[str, Sequence[tuple[float, float]]]
"""Curves by name, each a list of points (x, y)."""

_GAP = 6  # pixels
_INK = (40, 40, 40)
_GREY = (225, 225, 225)
# Okabe and Ito's palette: told apart by colour-blind readers too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def contact_sheet(
    rows: Sequence[Sequence[Cell]], *, column_labels: Sequence[str], cell: int = 256
) -> Image.Image:
    """A grid of pictures with a label above each column; pictures are fitted into squares of `cell` pixels."""
    width, header = len(column_labels), _label_height(cell)
    sheet = Image.new(
        "RGB", (width * (cell + _GAP) + _GAP, len(rows) * (cell + _GAP) + _GAP + header), "white"
    )
    for column, label in enumerate(column_labels):
        _write_label(sheet, label, _GAP + column * (cell + _GAP), _GAP, cell)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            _paste(sheet, picture, _GAP + x * (cell + _GAP), _GAP + header + y * (cell + _GAP), cell)
    return sheet


def single_sheet(cells: Iterable[tuple[str, Cell]], *, cell: int = 384) -> Image.Image:
    """One row-wrapped sheet of labelled pictures, about 3 : 2; all are taken to be of the first one's shape."""
    pictures = [(label, _to_pil(picture)) for label, picture in cells]
    count = len(pictures)
    aspect = pictures[0][1].size[0] / pictures[0][1].size[1]
    columns = max(1, min(count, round(math.sqrt(1.5 * count / aspect))))
    width, height = (cell, round(cell / aspect)) if aspect >= 1 else (round(cell * aspect), cell)
    header = _label_height(cell)
    step_x, step_y = width + _GAP, height + header + _GAP
    sheet = Image.new("RGB", (columns * step_x + _GAP, -(-count // columns) * step_y + _GAP), "white")
    for place, (label, picture) in enumerate(pictures):
        x, y = _GAP + place % columns * step_x, _GAP + place // columns * step_y
        _write_label(sheet, label, x, y, width)
        sheet.paste(ImageOps.contain(picture, (width, height)), (x, y + header))
    return sheet


def curve_panels(panels: Sequence[tuple[str, Series]], *, x_label: str) -> Image.Image:
    """Line charts below each other, logarithmic upwards; raw points are faint, a running mean is drawn over them.

    Points that are not positive and finite are left out.
    """
    width, height, scale = 960, 300, 2  # drawn twice as large, then reduced: smooth lines
    chart = Image.new("RGB", (width * scale, height * scale * len(panels)), "white")
    for place, (title, series) in enumerate(panels):
        panel = Image.new("RGB", (width * scale, height * scale), "white")
        last = place == len(panels) - 1
        _Panel(panel, scale).draw(title, series, x_label if last else "")
        chart.paste(panel, (0, place * height * scale))
    return chart.resize((width, height * len(panels)), Image.Resampling.LANCZOS)


class _Panel:
    """One chart with its axes."""

    def __init__(self, image: Image.Image, scale: int) -> None:
        self._pen = ImageDraw.Draw(image)
        self._scale = scale
        self._font = ImageFont.load_default(12 * scale)
        self._left, self._right = 64 * scale, image.size[0] - 150 * scale
        self._top, self._bottom = 30 * scale, image.size[1] - 34 * scale

    def draw(self, title: str, series: Series, x_label: str) -> None:
        """Draw everything: title, axes, curves, legend."""
        clean = {
            name: [(x, y) for x, y in points if math.isfinite(y) and y > 0] for name, points in series.items()
        }
        xs = [x for points in clean.values() for x, _ in points] or [0.0, 1.0]
        ys = [y for points in clean.values() for _, y in points] or [0.1, 1.0]
        self._x0, self._x1 = min(0.0, *xs), max(*xs, 1.0)
        self._y0, self._y1 = math.log10(min(ys) / 1.1), math.log10(max(ys) * 1.1)
        self._pen.text((self._left, 8 * self._scale), title, _INK, ImageFont.load_default(14 * self._scale))
        self._axes(x_label)
        for place, (name, points) in enumerate(clean.items()):
            colour = _COLOURS[place % len(_COLOURS)]
            self._line(points, _faint(colour), self._scale)
            self._line(_running_mean(points), colour, 2 * self._scale)
            y = self._top + place * 18 * self._scale
            x = self._right + 14 * self._scale
            self._pen.line(
                (x, y + 8 * self._scale, x + 16 * self._scale, y + 8 * self._scale), colour, 3 * self._scale
            )
            self._pen.text((x + 22 * self._scale, y), name, _INK, self._font)

    def _axes(self, x_label: str) -> None:
        for value in _log_ticks(10**self._y0, 10**self._y1):
            y = self._place(self._x0, value)[1]
            self._pen.line((self._left, y, self._right, y), _GREY, self._scale)
            self._pen.text((self._left - 8 * self._scale, y), f"{value:g}", _INK, self._font, anchor="rm")
        for value in _linear_ticks(self._x0, self._x1):
            x = self._place(value, 10**self._y0)[0]
            self._pen.line((x, self._top, x, self._bottom), _GREY, self._scale)
            self._pen.text((x, self._bottom + 6 * self._scale), f"{value:g}", _INK, self._font, anchor="mt")
        self._pen.text((self._right + 14 * self._scale, self._bottom), x_label, _INK, self._font, anchor="lm")
        self._pen.line(
            (self._left, self._top, self._left, self._bottom, self._right, self._bottom), _INK, self._scale
        )

    def _line(self, points: Sequence[tuple[float, float]], colour: str, width: int) -> None:
        self._pen.line([self._place(x, y) for x, y in points], colour, width, joint="curve")

    def _place(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self._x0) / (self._x1 - self._x0)
        up = (math.log10(y) - self._y0) / (self._y1 - self._y0)
        return (
            self._left + across * (self._right - self._left),
            self._bottom - up * (self._bottom - self._top),
        )


def _running_mean(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means over windows of a fiftieth of the curve, at least one point."""
    half = len(points) // 100
    means = []
    for place, (x, _) in enumerate(points):
        window = points[max(0, place - half) : place + half + 1]
        means.append((x, sum(y for _, y in window) / len(window)))
    return means


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two: 1, 2, 5 of each decade, or the decades alone if those are many."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) <= 4 else (1,)
    return [v for d in decades for s in steps if low <= (v := s * 10.0**d) <= high]


def _linear_ticks(low: float, high: float) -> list[float]:
    """About six round numbers between two."""
    raw = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw)
    return [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _faint(colour: str) -> str:
    """A quarter of a colour on white."""
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{255 - (255 - value) // 4:02x}" for value in channels)


def _label_height(cell: int) -> int:
    return max(14, cell // 14) + 6


def _write_label(sheet: Image.Image, label: str, x: int, y: int, width: int) -> None:
    """Write one line, in a smaller font where it would not fit."""
    pen = ImageDraw.Draw(sheet)
    size = max(14, width // 14)
    while size > 7 and pen.textlength(label, ImageFont.load_default(size)) > width:
        size -= 1
    pen.text((x + width / 2, y), label, _INK, ImageFont.load_default(size), anchor="mt")


def _paste(sheet: Image.Image, picture: Cell, x: int, y: int, cell: int) -> None:
    image = ImageOps.contain(_to_pil(picture), (cell, cell))
    sheet.paste(image, (x + (cell - image.size[0]) // 2, y + (cell - image.size[1]) // 2))


def _to_pil(picture: Cell) -> Image.Image:
    return images.to_pil(picture) if isinstance(picture, Tensor) else picture

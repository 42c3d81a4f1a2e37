"""Labelled contact sheets and loss curves, drawn as PNG.

It decides how they look; which photos, styles and losses are shown is for others to say. Sizes in pixels.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from stylebank import images

Cell = Image.Image | Tensor
"""A picture: a PIL image, or a tensor (3, H, W) or (1, 3, H, W) in [0, 1], sRGB."""

Series = Mapping[str, ArrayLike]
"""Curves by name, each a list of points (x, y) in the order of x."""

_Points = NDArray[np.float64]  # (n, 2): x and y
_Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

_MARGIN, _GAP = 12, 6
_INK, _AXIS, _GRID = "#303030", "#808080", "#e6e6e6"
# Okabe and Ito's palette, told apart by colour-blind readers too; the yellow that white swallows left out.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_FINE = 2  # charts are drawn this much larger and then reduced, which smooths their lines


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
    font, band = _label_font(column_labels or row_labels, cell)
    widest = max((font.getlength(_shortened(label, font, cell)) for label in row_labels), default=0)
    left = _MARGIN + (math.ceil(widest) + _MARGIN if row_labels else 0)
    top = _MARGIN + (band if column_labels else 0)
    step, columns = cell + _GAP, max(map(len, rows))
    size = (left + columns * step - _GAP + _MARGIN, top + len(rows) * step - _GAP + _MARGIN)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for x, label in enumerate(column_labels):
        place = (left + x * step + cell / 2, top - 0.4 * band)
        pen.text(place, _shortened(label, font, cell), _INK, font, anchor="ms")
    for y, label in enumerate(row_labels):
        place = (left - _MARGIN, top + y * step + cell / 2)
        pen.text(place, _shortened(label, font, cell), _INK, font, anchor="rm")
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
    font, band = _label_font(labels, width)
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
        pen.text(place, _shortened(label, font, width), _INK, font, anchor="ms")
    return sheet


def curves(series: Series, *, title: str, x_label: str, log_y: bool = True) -> Image.Image:
    """One line chart of 960 x 540 pixels; see `curve_panels`."""
    chart = _chart((540, 960), title, series, x_label=x_label, log_y=log_y, names_width=_names_width(series))
    return _reduced(chart)


def curve_panels(panels: Sequence[tuple[str, Series]], *, x_label: str, log_y: bool = True) -> Image.Image:
    """Line charts below each other, 960 pixels wide: raw values faint, their running mean over them.

    Points that are not finite, or not positive where the axis is logarithmic, are left out.

    Args:
        panels: title and curves of each chart, at least one.
        x_label: what the points' x count, written below the last chart.
        log_y: whether y is logarithmic; the mean is then a geometric one.
    """
    names_width = _names_width([name for _, series in panels for name in series])
    charts = []
    for i, (title, series) in enumerate(panels):
        label, height = (x_label, 300) if i == len(panels) - 1 else ("", 280)
        size = (height, 960)
        charts.append(_chart(size, title, series, x_label=label, log_y=log_y, names_width=names_width))
    stack = Image.new("RGB", (charts[0].width, sum(chart.height for chart in charts)), "white")
    for i, chart in enumerate(charts):
        stack.paste(chart, (0, i * charts[0].height))  # the last alone is higher
    return _reduced(stack)


class _Axes:
    """Where values lie on a chart, and the lines and numbers that show it.

    Args:
        points: all points of the chart, y as it is drawn: its logarithm on a logarithmic axis.
        box: left, top, right, bottom of the chart's area.
        log_y: whether y is logarithmic.
    """

    def __init__(self, points: _Points, box: tuple[float, float, float, float], *, log_y: bool) -> None:
        self._box, self._log_y = box, log_y
        (x0, y0), (x1, y1) = (points.min(0), points.max(0)) if len(points) else ((0, -1), (1, 0))
        if 0 <= x0 < x1 / 4:
            x0 = 0.0  # close enough to show where it all began
        if x0 == x1:
            x0, x1 = x0 - 0.5, x1 + 0.5
        room = 0.04 * (y1 - y0) or 0.5 * max(1, abs(y0))
        self._low, self._span = np.array([x0, y0 - room]), np.array([x1 - x0, y1 - y0 + 2 * room])

    def place(self, points: _Points) -> _Points:
        """Points in values as points in pixels."""
        left, top, right, bottom = self._box
        pixels: _Points = (points - self._low) / self._span * (right - left, top - bottom) + (left, bottom)
        return pixels

    def draw(self, pen: ImageDraw.ImageDraw, x_label: str) -> None:
        """Draw grid, axes, numbers and the label of x."""
        font = _font(12 * _FINE)
        left, top, right, bottom = self._box
        (x0, y0), (x1, y1) = self._low, self._low + self._span
        for value in _linear_ticks(x0, x1):
            x = self.place(np.array([value, y0]))[0]
            pen.line((x, top, x, bottom), _GRID, _FINE)
            pen.text((x, bottom + 7 * _FINE), f"{value:,.10g}", _INK, font, anchor="mt")
        for value in _log_ticks(10**y0, 10**y1) if self._log_y else _linear_ticks(y0, y1):
            y = self.place(np.array([x0, math.log10(value) if self._log_y else value]))[1]
            pen.line((left, y, right, y), _GRID, _FINE)
            pen.text((left - 8 * _FINE, y), f"{value:g}", _INK, font, anchor="rm")
        pen.line((left, bottom, right, bottom), _AXIS, _FINE)
        pen.text(((left + right) / 2, bottom + 26 * _FINE), x_label, _INK, font, anchor="mt")


def _chart(
    size: tuple[int, int], title: str, series: Series, *, x_label: str, log_y: bool, names_width: float
) -> Image.Image:
    """One chart of size (H, W), _FINE times larger; the names of its curves stand in a column on the right."""
    height, width = (length * _FINE for length in size)
    image = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(image), _font(12 * _FINE)
    legend = width - 16 * _FINE - names_width
    bottom = height - (52 if x_label else 32) * _FINE
    box = (64 * _FINE, 40 * _FINE, legend - 36 * _FINE, bottom)
    clean = [_clean(points, log_y=log_y) for points in series.values()]
    axes = _Axes(np.concatenate([np.empty((0, 2)), *clean]), box, log_y=log_y)
    axes.draw(pen, x_label)
    pen.text((box[0], 12 * _FINE), title, _INK, _font(15 * _FINE), anchor="lt")
    if not any(map(len, clean)):
        pen.text(((box[0] + box[2]) / 2, (box[1] + bottom) / 2), "no values yet", _AXIS, font, anchor="mm")
    styled = [(points, _COLOURS[i % len(_COLOURS)]) for i, points in enumerate(clean)]
    for points, colour in styled:  # all the raw values below all the means
        layer = Image.new("RGB", image.size, "white")
        _draw_line(ImageDraw.Draw(layer), axes.place(points), _faint(colour), _FINE)
        image.paste(ImageChops.multiply(image, layer))
    for points, colour in styled:
        _draw_line(pen, axes.place(_running_mean(points)), colour, 2 * _FINE)
    for i, (name, (_, colour)) in enumerate(zip(series, styled, strict=True)):
        y = box[1] + (8 + 19 * i) * _FINE
        pen.line((legend - 24 * _FINE, y, legend - 8 * _FINE, y), colour, 3 * _FINE)
        pen.text((legend, y), _shortened(name, font, names_width), _INK, font, anchor="lm")
    return image


def _names_width(names: Iterable[str]) -> float:
    """Width of a chart's column of names: of the longest, up to a quarter of the chart."""
    return min(240 * _FINE, max((_font(12 * _FINE).getlength(name) for name in names), default=0))


def _clean(points: ArrayLike, *, log_y: bool) -> _Points:
    """The points that can be drawn, y in decades on a logarithmic axis."""
    values = np.array(points, dtype=np.float64).reshape(-1, 2)
    values = values[(np.abs(values) < 1e99).all(1)]  # finite, and its axis too
    if log_y:
        values = values[values[:, 1] > 1e-99]
        values[:, 1] = np.log10(values[:, 1])
    return values


def _draw_line(pen: ImageDraw.ImageDraw, pixels: _Points, colour: str, width: int) -> None:
    if len(pixels) == 1:
        (x, y), radius = pixels[0], 1.5 * width
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    elif len(pixels):
        pen.line(pixels.ravel().tolist(), colour, width, joint="curve" if len(pixels) < 2000 else None)


def _running_mean(points: _Points) -> _Points:
    """Means over a fiftieth of the curve, at no more places than a chart has pixels."""
    count, half = len(points), len(points) // 100
    places = np.unique(np.linspace(0, count - 1, min(count, 1000)).round().astype(int))
    sums = np.concatenate([[0.0], np.cumsum(points[:, 1])])
    first, end = np.maximum(places - half, 0), np.minimum(places + half + 1, count)
    return np.stack([points[places, 0], (sums[end] - sums[first]) / (end - first)], axis=1)


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic axis: 1, 2, 5 of each decade, decades, or every so many of them."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 2000 else (1,)
    every = -(-len(decades) // 8)
    found = [s * 10.0**d for d in decades if d % every == 0 for s in steps]
    inside = [value for value in found if low <= value <= high]
    return inside if len(inside) > 2 else _linear_ticks(low, high)


def _linear_ticks(low: float, high: float) -> list[float]:
    """About six round numbers between two."""
    power = 10.0 ** math.floor(math.log10((high - low) / 6))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= (high - low) / 6)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _faint(colour: str) -> str:
    """A fifth of a colour on white."""
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{255 - (255 - value) // 5:02x}" for value in channels)


def _reduced(chart: Image.Image) -> Image.Image:
    return images.resized(chart, size=(chart.height // _FINE, chart.width // _FINE))


@lru_cache(maxsize=32)
def _font(size: int) -> _Font:
    return ImageFont.load_default(size)


def _label_font(labels: Sequence[str], width: int) -> tuple[_Font, int]:
    """A font in which all labels fit that can without getting tiny, and the height of their band."""
    largest = max(12, min(22, width // 16))
    smallest = max(10, largest * 3 // 4)
    short = [label for label in labels if _font(smallest).getlength(label) <= width]
    sizes = range(largest, smallest, -1)
    fitting = (size for size in sizes if all(_font(size).getlength(label) <= width for label in short))
    return _font(next(fitting, smallest)), largest * 2


def _shortened(label: str, font: _Font, width: float) -> str:
    """A label, or its two ends around an ellipsis, no wider than `width`."""
    kept = len(label)
    short = label
    while kept and font.getlength(short) > width:
        kept -= 1
        short = f"{label[: -(-kept // 2)]}\N{HORIZONTAL ELLIPSIS}{label[len(label) - kept // 2 :]}"
    return short


def _paste(sheet: Image.Image, picture: Image.Image, corner: tuple[int, int], box: tuple[int, int]) -> None:
    """Put a picture into the middle of a box (W, H), as large as fits."""
    image = ImageOps.contain(picture, box, Image.Resampling.LANCZOS)
    left, top = (c + (b - s) // 2 for c, b, s in zip(corner, box, image.size, strict=True))
    sheet.paste(image, (left, top))


def _to_pil(picture: Cell) -> Image.Image:
    return images.to_pil(picture) if isinstance(picture, Tensor) else picture

"""Line charts of losses, drawn: raw values faint, their running mean over them.

Sizes in pixels.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageChops, ImageDraw

from stylebank.pixels import images
from stylebank.pixels.pictures import COLOURS, INK, font, shortened

Series = Mapping[str, ArrayLike]
"""Curves by name, each a list of points (x, y) in the order of x."""

_Points = NDArray[np.float64]  # (n, 2): x and y

_AXIS, _GRID = "#808080", "#e6e6e6"
_FINE = 2  # charts are drawn this much larger and then reduced, which smooths their lines


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


def bars(groups: Mapping[str, Sequence[float]], *, names: Sequence[str], title: str) -> Image.Image:
    """Horizontal bars from 0, 960 pixels wide: for each group one bar per name.

    Args:
        groups: values of each group, as many as names, not negative; at least one group.
        names: of a group's bars, each with its colour in all groups.
        title: above the bars.
    """
    face, height, gap = font(12 * _FINE), 11 * _FINE, 10 * _FINE
    left = 24 * _FINE + min(260 * _FINE, max(map(face.getlength, groups)))
    right, top, step = 900 * _FINE, 64 * _FINE, len(names) * height + gap
    image = Image.new("RGB", (960 * _FINE, top + len(groups) * step + 24 * _FINE), "white")
    pen = ImageDraw.Draw(image)
    pen.text((16 * _FINE, 12 * _FINE), title, INK, font(15 * _FINE), anchor="lt")
    x = 16.0 * _FINE
    for place, name in enumerate(names):
        pen.rectangle((x, 40 * _FINE, x + height, 40 * _FINE + height), COLOURS[place % len(COLOURS)])
        pen.text((x + 1.5 * height, 40 * _FINE + height / 2), name, INK, face, anchor="lm")
        x += 3 * height + face.getlength(name)
    finite = [value for values in groups.values() for value in values if math.isfinite(value)]
    longest = max(finite, default=0) or 1.0
    for row, (label, values) in enumerate(groups.items()):
        y = top + row * step
        middle = y + len(names) * height / 2
        pen.text((left - 8 * _FINE, middle), shortened(label, face, 260 * _FINE), INK, face, anchor="rm")
        for place, value in enumerate(values):
            length = (right - left) * max(0.0, value) / longest if math.isfinite(value) else 0.0
            bar = (left, y + place * height, left + length, y + (place + 1) * height - _FINE)
            pen.rectangle(bar, COLOURS[place % len(COLOURS)])
            pen.text(
                (bar[2] + 4 * _FINE, bar[1] + height / 2), f"{value:.3f}", INK, font(10 * _FINE), anchor="lm"
            )
    return _reduced(image)


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
        face = font(12 * _FINE)
        left, top, right, bottom = self._box
        (x0, y0), (x1, y1) = self._low, self._low + self._span
        for value in _linear_ticks(x0, x1):
            x = self.place(np.array([value, y0]))[0]
            pen.line((x, top, x, bottom), _GRID, _FINE)
            pen.text((x, bottom + 7 * _FINE), f"{value:,.10g}", INK, face, anchor="mt")
        for value in _log_ticks(10**y0, 10**y1) if self._log_y else _linear_ticks(y0, y1):
            y = self.place(np.array([x0, math.log10(value) if self._log_y else value]))[1]
            pen.line((left, y, right, y), _GRID, _FINE)
            pen.text((left - 8 * _FINE, y), f"{value:g}", INK, face, anchor="rm")
        pen.line((left, bottom, right, bottom), _AXIS, _FINE)
        pen.text(((left + right) / 2, bottom + 26 * _FINE), x_label, INK, face, anchor="mt")


def _chart(
    size: tuple[int, int], title: str, series: Series, *, x_label: str, log_y: bool, names_width: float
) -> Image.Image:
    """One chart of size (H, W), _FINE times larger; the names of its curves stand in a column on the right."""
    height, width = (length * _FINE for length in size)
    image = Image.new("RGB", (width, height), "white")
    pen, face = ImageDraw.Draw(image), font(12 * _FINE)
    legend = width - 16 * _FINE - names_width
    bottom = height - (52 if x_label else 32) * _FINE
    box = (64 * _FINE, 40 * _FINE, legend - 36 * _FINE, bottom)
    clean = [_clean(points, log_y=log_y) for points in series.values()]
    axes = _Axes(np.concatenate([np.empty((0, 2)), *clean]), box, log_y=log_y)
    axes.draw(pen, x_label)
    pen.text((box[0], 12 * _FINE), title, INK, font(15 * _FINE), anchor="lt")
    if not any(map(len, clean)):
        pen.text(((box[0] + box[2]) / 2, (box[1] + bottom) / 2), "no values yet", _AXIS, face, anchor="mm")
    styled = [(points, COLOURS[i % len(COLOURS)]) for i, points in enumerate(clean)]
    for points, colour in styled:  # all the raw values below all the means
        layer = Image.new("RGB", image.size, "white")
        _draw_line(ImageDraw.Draw(layer), axes.place(points), _faint(colour), _FINE)
        image.paste(ImageChops.multiply(image, layer))
    for points, colour in styled:
        _draw_line(pen, axes.place(_running_mean(points)), colour, 2 * _FINE)
    for i, (name, (_, colour)) in enumerate(zip(series, styled, strict=True)):
        y = box[1] + (8 + 19 * i) * _FINE
        pen.line((legend - 24 * _FINE, y, legend - 8 * _FINE, y), colour, 3 * _FINE)
        pen.text((legend, y), shortened(name, face, names_width), INK, face, anchor="lm")
    return image


def _names_width(names: Iterable[str]) -> float:
    """Width of a chart's column of names: of the longest, up to a quarter of the chart."""
    return min(240 * _FINE, max((font(12 * _FINE).getlength(name) for name in names), default=0))


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

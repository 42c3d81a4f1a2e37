"""Line charts of losses, drawn: raw values faint, their running mean over them.

Bars too. Matplotlib draws, without pyplot, and with the settings below whatever those of the user are. It is loaded
when there is something to draw: that takes most of a second.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image
from scipy import ndimage

from stylebank.pixels.pictures import COLOURS, INK, font, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Series = Mapping[str, ArrayLike]
"""Curves by name, each a list of points (x, y) in the order of x."""

_LOOK: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#808080",
    "axes.titlelocation": "left",
    "axes.xmargin": 0,
    "font.size": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "text.color": INK,
    "text.parse_math": False,  # a name is no formula
}
_UNHEARD = (
    logging.NullHandler()
)  # for what Matplotlib tells of its caches, in a home that is closed to it too


def curves(series: Series, *, title: str, x_label: str, log_y: bool = True) -> Image.Image:
    """One line chart of 960 x 540 pixels; see `curve_panels`."""
    return curve_panels([(title, series)], x_label=x_label, log_y=log_y, height=520)


def curve_panels(
    panels: Sequence[tuple[str, Series]], *, x_label: str, log_y: bool = True, height: int = 280
) -> Image.Image:
    """Line charts below each other, 960 pixels wide: raw values faint, their running mean over them.

    Points that are not finite, or not positive where the axis is logarithmic, are left out.

    Args:
        panels: title and curves of each chart, at least one.
        x_label: what the points' x count, written below the last chart.
        log_y: whether y is logarithmic; the mean is then a geometric one.
        height: of a chart, in pixels, to which 20 come for `x_label`.
    """

    def draw(figure: "Figure") -> None:
        charts = figure.subplots(len(panels), squeeze=False)[:, 0]
        for axes, (title, series) in zip(charts, panels, strict=True):
            axes.set_title(title, fontsize=11)
            _draw_curves(axes, series, log_y=log_y)
        charts[-1].set_xlabel(x_label, color=INK)

    return _drawn(draw, height=len(panels) * height + 20)


def bars(groups: Mapping[str, Sequence[float]], *, names: Sequence[str], title: str) -> Image.Image:
    """Horizontal bars from 0, 960 pixels wide: for each group one bar per name.

    Args:
        groups: values of each group, as many as names, not negative; at least one group.
        names: of a group's bars, each with its colour in all groups.
        title: above the bars.
    """
    values, starts = np.array([*groups.values()], np.float64), np.arange(len(groups)) * (len(names) + 1)
    lengths = np.where(np.isfinite(values), values, 0).clip(0)

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for place, name in enumerate(names):
            colour = COLOURS[place % len(COLOURS)]
            drawn = axes.barh(starts + place, lengths[:, place], 0.9, color=colour, label=name)
            axes.bar_label(drawn, [f"{value:.3f}" for value in values[:, place]], padding=4, fontsize=7.5)
        axes.set(xlim=(0, lengths.max() or 1), xticks=[], ylim=(starts[-1] + len(names) - 0.4, -0.6))
        axes.set_yticks(starts + (len(names) - 1) / 2, [_short(label) for label in groups])
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelcolor=INK)
        figure.legend(loc="outside upper left", ncols=8, title=title, title_fontsize=11, alignment="left")

    return _drawn(draw, height=88 + len(groups) * (len(names) * 11 + 10))


def _draw_curves(axes: "Axes", series: Series, *, log_y: bool) -> None:
    from matplotlib.ticker import LogLocator

    axes.set_yscale("log" if log_y else "linear")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(color="#e6e6e6")
    means, count = [], 0
    for place, points in enumerate(series.values()):
        values = np.array(points, np.float64).reshape(-1, 2)
        # Finite, and its axis too.
        x, y = values[(np.abs(values) < 1e99).all(1) & ((values[:, 1] > 1e-99) | (not log_y))].T
        count += len(x)
        mean = ndimage.uniform_filter1d(np.log10(y) if log_y else y, len(y) // 50 | 1)
        colour, line = COLOURS[place % len(COLOURS)], "o" if len(x) == 1 else "-"
        axes.plot(x, y, line, color=colour, linewidth=0.7, alpha=0.2, zorder=1)
        means += axes.plot(x, 10**mean if log_y else mean, line, color=colour, linewidth=1.4)
    if not count:
        axes.text(0.5, 0.5, "no values yet", color="#808080", ha="center", transform=axes.transAxes)
    (first, last), (low, high) = axes.get_xlim(), axes.get_ylim()
    if 0 <= first < last / 4:
        axes.set_xlim(left=0)  # close enough to show where it all began
    if log_y:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 2000 * low else (1,)))
    axes.xaxis.set_major_formatter("{x:,.10g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.tick_params(length=0, labelcolor=INK)
    axes.minorticks_off()
    if series:
        axes.legend(means, [_short(name) for name in series], loc="upper left", bbox_to_anchor=(1, 1))


def _drawn(draw: Callable[["Figure"], None], *, height: int) -> Image.Image:
    """What a function puts on a figure 960 pixels wide, as a picture."""
    logging.getLogger("matplotlib").addHandler(_UNHEARD)
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style.context(["default", _LOOK]):
        canvas = FigureCanvasAgg(Figure((9.6, height / 100), dpi=100, layout="constrained"))
        draw(canvas.figure)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _short(name: str) -> str:
    """A name that leaves most of the width to the chart."""
    return shortened(name, font(12), 200)

"""Charts stand any history of losses: a line for each series, its mean over its raw values, round numbers beside it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stylebank.pixels import charts
from stylebank.pixels.pictures import COLOURS

Levels = NDArray[Any]


def coloured(chart: Image.Image, number: int, *, tolerance: int = 8) -> Levels:
    """Where the curve and the legend of a series are; raw values are fainter than any tolerance here."""
    colour = [int(COLOURS[number][i : i + 2], 16) for i in (1, 3, 5)]
    found: Levels = np.abs(np.asarray(chart).astype(int) - colour).max(2) < tolerance
    return found


def falling(count: int, *, factor: float = 1, noise: float = 0.3) -> list[tuple[float, float]]:
    random = np.random.default_rng(0)
    return [(i, factor * math.exp(-i / count + random.normal(0, noise))) for i in range(count)]


def test_chart_has_a_line_and_a_legend_of_its_own_colour_for_every_series() -> None:
    series = {name: falling(300, factor=10.0**i) for i, name in enumerate("abcde")}
    chart = charts.curves(series, title="losses", x_label="step")
    assert chart.size == (960, 540)
    middles = []
    for number in range(5):
        rows, columns = np.nonzero(coloured(chart, number))
        assert columns.min() < 100  # from the left end
        assert columns.max() > 900  # to the legend
        middles.append(rows[columns < 800].mean())
    assert middles == sorted(middles, reverse=True)  # larger losses lie higher
    assert not coloured(chart, 5).any()


def test_line_of_a_logarithmic_chart_is_straight_for_an_exponential() -> None:
    def middle(log_y: bool) -> float:
        """How far the line hangs below the straight one between its ends, in pixels."""
        points = [(float(i), math.exp(-i / 20)) for i in range(101)]
        chart = charts.curves({"": points}, title="", x_label="", log_y=log_y)
        found = coloured(chart, 0, tolerance=60)[:, :880]
        columns = np.flatnonzero(found.any(0))
        ends = columns[0] + 4, (columns[0] + columns[-1]) // 2, columns[-1] - 4
        left, centre, right = (np.flatnonzero(found[:, column]).mean() for column in ends)
        return float(centre - (left + right) / 2)

    assert abs(middle(log_y=True)) <= 2  # half a pixel of each of three places, half a column's slope
    assert middle(log_y=False) > 50


def test_mean_is_drawn_over_the_raw_values_of_all_series() -> None:
    calm, wild = falling(2000, noise=0), falling(2000, noise=0.5)
    for series in ({"a": calm}, {"a": calm, "b": [(x, 1.5 * y) for x, y in wild]}):
        line = coloured(charts.curves(series, title="", x_label=""), 0, tolerance=60)[:, 70:800]
        assert line.any(0).all()


@pytest.mark.parametrize("log_y", [True, False])
@pytest.mark.parametrize(
    "points",
    [
        [],
        [(5, 3.0)],
        [(i, 2.0) for i in range(5)],
        [(i, 0.0) for i in range(5)],
        [(1, math.nan), (2, math.inf), (3, -1.0), (4, 0.0)],
        [(0, 1e-320), (1, 1e308), (2, 1.0)],
        [(0, 1e-98), (1, 1e98)],
        [(0, 1e98), (1, 1e98)],
        [(0, 1.0), (1, 1.0 + 1e-15)],
        [(1e9, 1.0), (1e9 + 1, 2.0)],
        [(3, 1.0), (3, 2.0)],
    ],
    ids=str,
)
def test_any_values_can_be_drawn(points: Sequence[tuple[float, float]], log_y: bool) -> None:
    for series in ({"a": points}, {"a": points, "b": falling(10)}, {"a": np.array(points)}):
        chart = charts.curves(series, title="losses", x_label="step", log_y=log_y)
        assert chart.size == (960, 540)
    assert coloured(chart, 0)[:, 880:].any()  # the legend names it all the same


def test_panels_stand_below_each_other_with_their_axes_in_line() -> None:
    series = {"a_rather_long_name": falling(50)}
    panels = [("first", {"a": falling(50)}), ("second", series), ("empty", {})]
    dark = np.asarray(charts.curve_panels(panels, x_label="step")).max(2) < 200
    assert dark.shape[1] == 960
    axes = [np.flatnonzero(row) for row in dark if row.sum() > 500]
    assert len(axes) == 3
    assert len({(axis[0], axis[-1]) for axis in axes}) == 1


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.9, 60, [1, 2, 5, 10, 20, 50]),
        (0.004, 11, [0.01, 0.1, 1, 10]),
        (2.1, 2.9, [2.2, 2.4, 2.6, 2.8]),
        (1e-9, 1e9, [1e-9, 1e-6, 1e-3, 1, 1e3, 1e6, 1e9]),
    ],
)
def test_logarithmic_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert charts._log_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 3000, [0, 500, 1000, 1500, 2000, 2500, 3000]),
        (-0.1, 1.05, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (17, 17.7, [17, 17.2, 17.4, 17.6]),
    ],
)
def test_linear_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert charts._linear_ticks(low, high) == pytest.approx(ticks)

"""Charts stand any history of losses: a line for each series, its mean over its raw values, round numbers beside it."""

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
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
    ("log_y", "low", "high", "wanted"),
    [
        (True, 0.9, 60, ["1", "2", "5", "10", "20", "50"]),
        (True, 0.004, 11, ["0.01", "0.1", "1", "10"]),
        (True, 2.1, 2.9, ["2.2", "2.4", "2.6", "2.8"]),
        (False, -0.1, 1.05, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (False, 17, 17.7, ["17", "17.2", "17.4", "17.6"]),
    ],
)
def test_numbers_beside_the_axis_are_round_and_plain(
    log_y: bool, low: float, high: float, wanted: list[str]
) -> None:
    axes = Figure().subplots()
    charts._draw_curves(axes, {"a": [(0, low), (3000, high)]}, log_y=log_y)
    bottom, top = axes.get_ylim()
    inside = [tick for tick in axes.get_yticks() if bottom <= tick <= top]
    shown = axes.yaxis.get_major_formatter().format_ticks(inside)
    assert set(wanted) <= set(shown)
    assert len(shown) <= 10, "and few enough to be read"


def test_a_name_is_no_formula_and_may_be_long() -> None:
    plain, formula, long = (
        np.asarray(charts.curves({name: falling(9)}, title="", x_label=""))
        for name in ("x", "$x$", "n" * 500)
    )
    # Ink of the legend, in grey levels: that of a formula would be one letter's.
    ink, more_ink = (int((255 - chart[:80, 880:].astype(int)).sum()) for chart in (plain, formula))
    assert more_ink > 1.5 * ink
    assert (long[:, -4:] == 255).all(), "it ends inside the picture"


@pytest.mark.posix
def test_a_chart_is_drawn_the_same_and_in_silence_whatever_the_home(tmp_path: Path) -> None:
    code = (
        "import sys; from stylebank.pixels import charts;"
        "charts.bars({'a': [1, 2]}, names='bc', title='t').save(sys.argv[1])"
    )
    (tmp_path / "matplotlibrc").write_text("text.usetex: true\nfont.size: 30\nno such line\n")
    pictures = []
    for name, home in (("plain", tmp_path / "home"), ("closed", Path("/dev/null/home"))):
        environment = {key: value for key, value in os.environ.items() if key != "MPLCONFIGDIR"}
        environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
        result = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / f"{name}.png")],
            env=environment,
            cwd=tmp_path if name == "closed" else None,
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout + result.stderr == ""
        pictures.append((tmp_path / f"{name}.png").read_bytes())
    assert pictures[0] == pictures[1]

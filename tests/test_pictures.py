"""Sheets show every picture undistorted and every label whole or shortened; charts stand any history of losses."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from stylebank import pictures

Levels = NDArray[Any]

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)
COLOURS = (RED, GREEN, BLUE)
STYLES = ("van_gogh_starry_night", "hokusai_wave", "a" * 64)


def flat(colour: tuple[int, int, int], *, height: int = 20, width: int = 20) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def area(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, width, height of all that has a colour, which is all of that box."""
    found = (np.asarray(sheet) == colour).all(2)
    rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
    height, width = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
    assert found.sum() == height * width
    return int(columns[0]), int(rows[0]), width, height


def ink(sheet: Image.Image) -> Levels:
    """Where labels are: what is grey and dark, on a sheet of pure colours."""
    levels = np.asarray(sheet).astype(int)
    found: Levels = (levels.max(2) - levels.min(2) < 30) & (levels.max(2) < 200)
    return found


def coloured(chart: Image.Image, number: int, *, tolerance: int = 8) -> Levels:
    """Where the curve and the legend of a series are; raw values are fainter than any tolerance here."""
    colour = [int(pictures._COLOURS[number][i : i + 2], 16) for i in (1, 3, 5)]
    found: Levels = np.abs(np.asarray(chart).astype(int) - colour).max(2) < tolerance
    return found


def falling(count: int, *, factor: float = 1, noise: float = 0.3) -> list[tuple[float, float]]:
    random = np.random.default_rng(0)
    return [(i, factor * math.exp(-i / count + random.normal(0, noise))) for i in range(count)]


def test_pictures_of_a_grid_lie_at_even_distances_as_large_as_fits() -> None:
    rows = [[flat(RED), flat(GREEN, height=10)], [flat(BLUE, width=5)]]
    sheet = pictures.contact_sheet(rows, cell=100)
    left, top, *size = area(sheet, RED)
    assert size == [100, 100]
    assert area(sheet, GREEN) == (left + 106, top + 25, 100, 50)
    assert area(sheet, BLUE) == (left + 37, top + 106, 25, 100)
    assert not ink(sheet).any()
    assert sheet.size == (2 * left + 206, 2 * top + 206)


def test_tensors_and_images_look_the_same() -> None:
    tensor = torch.tensor(RED).reshape(3, 1, 1).expand(3, 20, 30) / 255
    image = flat(RED, width=30)
    sheets = [pictures.contact_sheet([[cell]]).tobytes() for cell in (tensor, tensor[None], image)]
    assert sheets[0] == sheets[1] == sheets[2]


@pytest.mark.parametrize("cell", [48, 128, 256])
def test_labels_stand_beside_their_pictures_and_touch_nothing(cell: int) -> None:
    rows = [[flat(colour) for colour in COLOURS]] * 2
    sheet = pictures.contact_sheet(rows, row_labels=["photo", "b" * 99], column_labels=STYLES, cell=cell)
    marks = ink(sheet)
    left, top, *_ = area(sheet.crop((0, 0, sheet.width, sheet.height // 2)), RED)
    for column in range(3):
        start = left + column * (cell + 6)
        assert marks[:top, start : start + cell].any()
    for row in range(2):
        start = top + row * (cell + 6)
        assert marks[start : start + cell, :left].any()
    assert not marks[top:, left:].any()
    assert not marks[:top, :left].any()
    assert not np.concatenate([marks[0], marks[-1], marks[:, 0], marks[:, -1]]).any()


def test_labels_share_one_base_line_and_a_long_one_does_not_shrink_the_others() -> None:
    cells, half = [[flat(RED)] * 2], 12 + 256
    alone, beside, tall = (
        pictures.contact_sheet(cells, column_labels=["mmm", label]) for label in ("mmm", "a" * 64, "TTT")
    )
    assert alone.crop((0, 0, half, 40)).tobytes() == beside.crop((0, 0, half, 40)).tobytes()
    ends = [np.flatnonzero(ink(sheet)[:, half:].any(1))[[0, -1]].tolist() for sheet in (alone, tall)]
    assert ends[0][1] == ends[1][1]
    assert ends[0][0] > ends[1][0]


def test_long_label_keeps_its_ends() -> None:
    font = pictures._font(12)
    assert pictures._shortened("mosaic", font, font.getlength("mosaic")) == "mosaic"
    short = pictures._shortened("monet_water_lilies_1899", font, 80)
    assert short.startswith("monet")
    assert short.endswith("99")
    assert font.getlength(short) <= 80 < font.getlength("monet_water_lilies_1899")


@pytest.mark.parametrize(("height", "width"), [(20, 30), (30, 20), (20, 20), (3, 400)])
def test_single_sheet_keeps_the_shape_of_its_pictures(height: int, width: int) -> None:
    cells = [
        (name, flat(colour, height=height, width=width)) for name, colour in zip(STYLES, COLOURS, strict=True)
    ]
    sheet = pictures.single_sheet(cells, cell=200)
    shapes = {area(sheet, colour)[2:] for colour in COLOURS}
    assert shapes == {
        (round(200 * width / max(height, width)), max(1, round(200 * height / max(height, width))))
    }


def test_single_sheet_writes_each_label_below_its_picture() -> None:
    cells = [(name, flat(colour)) for name, colour in zip(STYLES, COLOURS, strict=True)]
    for columns, rows in ((1, 3), (2, 2), (3, 1)):
        sheet = pictures.single_sheet(cells, columns=columns, cell=100)
        places = [area(sheet, colour) for colour in COLOURS]
        assert (len({place[0] for place in places}), len({place[1] for place in places})) == (columns, rows)
        for left, top, width, height in places:
            assert ink(sheet)[top + height : top + height + 24, left : left + width].any()


@pytest.mark.parametrize("count", [1, 2, 6, 7, 11, 12, 40])
def test_single_sheet_is_neither_a_strip_nor_a_tower(count: int) -> None:
    sheet = pictures.single_sheet([("photo", flat(RED, width=30))] * count, cell=60)
    assert 0.6 < sheet.width / sheet.height < 3.2


def test_four_pictures_stand_two_by_two_rather_than_three_and_one() -> None:
    sheet = pictures.single_sheet([("", flat(colour)) for colour in (*COLOURS, GREY)], cell=100)
    assert area(sheet, GREEN)[1] == area(sheet, RED)[1] < area(sheet, BLUE)[1] == area(sheet, GREY)[1]


def test_chart_has_a_line_and_a_legend_of_its_own_colour_for_every_series() -> None:
    series = {name: falling(300, factor=10.0**i) for i, name in enumerate("abcde")}
    chart = pictures.curves(series, title="losses", x_label="step")
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
        chart = pictures.curves({"": points}, title="", x_label="", log_y=log_y)
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
        line = coloured(pictures.curves(series, title="", x_label=""), 0, tolerance=60)[:, 70:800]
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
        chart = pictures.curves(series, title="losses", x_label="step", log_y=log_y)
        assert chart.size == (960, 540)
    assert coloured(chart, 0)[:, 880:].any()  # the legend names it all the same


def test_panels_stand_below_each_other_with_their_axes_in_line() -> None:
    series = {"a_rather_long_name": falling(50)}
    panels = [("first", {"a": falling(50)}), ("second", series), ("empty", {})]
    dark = np.asarray(pictures.curve_panels(panels, x_label="step")).max(2) < 200
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
    assert pictures._log_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 3000, [0, 500, 1000, 1500, 2000, 2500, 3000]),
        (-0.1, 1.05, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (17, 17.7, [17, 17.2, 17.4, 17.6]),
    ],
)
def test_linear_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert pictures._linear_ticks(low, high) == pytest.approx(ticks)

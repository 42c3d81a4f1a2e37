"""Bars as long as their values, told apart by colour, with their names and the title."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageColor

from stylebank.pixels import charts
from stylebank.pixels.pictures import COLOURS

NAMES = ("fine", "coarse")


def pixels(groups: Mapping[str, Sequence[float]], names: Sequence[str] = NAMES) -> NDArray[np.int16]:
    return np.asarray(charts.bars(groups, names=names, title="ratios"), np.int16)


def lengths(chart: NDArray[np.int16], colour: int) -> list[int]:
    """Pixels in a row of the bars of one colour, from top to bottom, the names' own squares left out."""
    wanted = np.array(ImageColor.getrgb(COLOURS[colour]))
    rows = (np.abs(chart - wanted).max(axis=2) < 8).sum(axis=1)[50:]
    starts = np.flatnonzero((rows[1:] > 0) & (rows[:-1] == 0)) + 1
    return [int(rows[start : start + 9].max()) for start in starts]


def test_a_bar_is_as_long_as_its_value() -> None:
    chart = pixels({"wave": [1.0, 0.25], "night": [0.5, 0.75]})
    fine, coarse = lengths(chart, 0), lengths(chart, 1)
    whole = fine[0]
    assert whole > 500
    # An end that falls on a half pixel is no bar's colour: one at either side.
    assert fine == pytest.approx([whole, whole / 2], abs=2)
    assert coarse == pytest.approx([whole / 4, 3 * whole / 4], abs=2)


def test_the_picture_is_960_wide_and_higher_by_the_same_for_each_group() -> None:
    heights = [pixels({str(n): [1.0, 2.0] for n in range(count)}).shape for count in (1, 2, 9)]
    assert {shape[1] for shape in heights} == {960}
    step = heights[1][0] - heights[0][0]
    assert heights[2][0] - heights[1][0] == 7 * step
    assert step > 2 * 11, "room for two bars"


def test_nothing_is_drawn_outside_however_long_names_are() -> None:
    chart = pixels({"n" * 64: [1.0, 123.456], "b": [0.0, 0.0]})
    for edge in (chart[:4], chart[-4:], chart[:, :4], chart[:, -4:]):
        assert edge.min() == 255
    assert chart.min() < 100, "the control"


def test_zero_has_no_bar_to_speak_of_and_all_zeros_are_drawn_too() -> None:
    assert max(lengths(pixels({"a": [0.0, 1.0]}), 0), default=0) <= 2
    assert max(lengths(pixels({"a": [0.0, 0.0]}), 1), default=0) <= 2


def test_an_infinite_value_leaves_the_others_their_length() -> None:
    chart = pixels({"a": [math.inf, 0.5], "b": [1.0, 0.25]})
    wanted = lengths(pixels({"a": [1.0, 0.5], "b": [1.0, 0.25]}), 1)
    assert lengths(chart, 1) == wanted


def test_more_names_than_colours_begin_anew() -> None:
    names = [f"n{place}" for place in range(len(COLOURS) + 1)]
    chart = pixels({"a": [1.0] * len(names)}, names)
    assert len(lengths(chart, 0)) == 2
    assert len(lengths(chart, 1)) == 1

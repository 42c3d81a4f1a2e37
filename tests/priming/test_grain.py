"""Drawing out is a weighted mean along strokes, checked against one that is written down place by place."""

import numpy as np
import pytest
from numpy.typing import NDArray

from stylebank.priming import grain
from stylebank.priming.grain import UNIT

Places = NDArray[np.int32]


def straight(down: int, right: int, size: tuple[int, int]) -> Places:
    return np.broadcast_to(np.array([down, right], np.int32)[:, None, None], (2, *size)).copy()


def noise(size: tuple[int, int] = (40, 60)) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(size).astype(np.float32)


@pytest.mark.parametrize("step", [(0, UNIT), (UNIT, 0), (45, 45), (-45, 45), (20, 61)])
def test_it_is_the_mean_along_a_straight_line_with_faded_ends(step: tuple[int, int]) -> None:
    values = noise()
    found = grain.drawn_out(values, straight(*step, values.shape))
    weights = np.cos(np.pi / 2 * np.arange(1, grain._REACH + 1) / (grain._REACH + 1))
    for row, column in ((20, 30), (18, 25), (0, 0), (39, 59), (5, 58)):
        total, weight = float(values[row, column]), 1 + 2 * weights.sum()
        for sign in (1, -1):
            y, x = float(UNIT * row), float(UNIT * column)
            for each in weights:
                y = min(max(y + sign * step[0], 0), UNIT * 39)
                x = min(max(x + sign * step[1], 0), UNIT * 59)
                total += each * float(values[int(np.floor(y / UNIT + 0.5)), int(np.floor(x / UNIT + 0.5))])
        assert found[row, column] == pytest.approx(total / weight, abs=1e-6)
    other = grain.drawn_out(values, straight(step[1], -step[0], values.shape))
    assert np.abs(other - found).max() > 0.1, "the control: across"


def test_strokes_have_no_beginning() -> None:
    values, steps = noise(), straight(30, 56, (40, 60))
    signs = np.where(np.random.default_rng(1).random((40, 60)) < 0.5, -1, 1).astype(np.int32)
    wanted = grain.drawn_out(values, steps)
    assert np.abs(grain.drawn_out(values, steps * signs) - wanted).max() < 1e-6
    bent = straight(56, -30, (40, 60))
    assert np.abs(grain.drawn_out(values, bent) - wanted).max() > 0.1, "the control"


def test_bands_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    values = noise((50, 30))
    steps = np.rint(UNIT * np.stack([np.sin(values), np.cos(values)])).astype(np.int32)
    whole = grain.drawn_out(values, steps)
    monkeypatch.setattr(grain, "_BAND", 100)
    assert grain.drawn_out(values, steps).tobytes() == whole.tobytes()


def test_what_is_even_stays_so_and_noise_gets_fainter() -> None:
    steps = straight(0, UNIT, (40, 60))
    even = np.full((40, 60), 0.7, np.float32)
    assert np.abs(grain.drawn_out(even, steps) - even).max() < 1e-6
    assert grain.drawn_out(noise(), steps).std() < 0.5


@pytest.mark.parametrize("cell", [3.0, 36.0])
def test_noise_is_of_the_documented_deviation_and_the_same_at_every_size(cell: float) -> None:
    large = grain.smooth(900, 1200, cell)
    small = grain.smooth(200, 100, cell)
    assert np.abs(large[:200, :100] - small).max() < 1e-4
    assert large.std() == pytest.approx(0.85, abs=0.15)
    assert abs(large.mean()) < 4 * cell / 1000
    assert np.diff(large, axis=1).std() < 1.5 / cell, "it is smooth"

"""Strokes run along what a photo has, near and far, whatever its contrast; where it has nothing, as one wind blows."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stylebank.priming import flow
from stylebank.priming.grain import UNIT, Floats

Doubles = NDArray[Any]

FULL = np.float32(1)


def place(size: int = 128) -> tuple[Doubles, Doubles]:
    """Down and to the right from the middle."""
    down, right = np.indices((size, size)) - (size - 1) / 2
    return down, right


def along(luma: Doubles, wanted: tuple[Doubles, Doubles], contrast: np.float32 = FULL) -> Doubles:
    """How far strokes run along unit vectors, down and to the right: 1 along, 0 across."""
    down, right = flow.steps(luma.astype(np.float32), contrast) / UNIT
    found: Doubles = np.abs(down * wanted[0] + right * wanted[1])
    return found


@pytest.mark.parametrize("degrees", [0, 20, 45, 90, 110, 135, 170])
def test_strokes_run_along_an_edge_also_far_from_it(degrees: float) -> None:
    down, right = place()
    sin, cos = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    from_edge = right * sin - down * cos
    luma = (from_edge > 0) * 0.4
    straight = np.full_like(down, sin), np.full_like(down, cos)
    found = along(luma, straight)
    for distance, least in ((2, 0.97), (10, 0.97)):
        inside = (np.abs(from_edge) <= distance) & (np.hypot(down, right) < 50)
        assert found[inside].min() > least
    across = along(luma, (straight[1], -straight[0]))
    assert across[np.abs(from_edge) < 2].mean() < 0.2, "the control: not across it"


def test_strokes_run_round_a_disc() -> None:
    down, right = place()
    radius = np.hypot(down, right)
    found = along((radius < 30) * 0.5, (right / radius, -down / radius))
    assert found[np.abs(radius - 30) < 4].min() > 0.9


def test_every_step_has_the_length_of_one_place() -> None:
    noise = np.random.default_rng(0).random((97, 61), np.float32)
    for luma in (noise, np.zeros_like(noise)):
        steps = flow.steps(luma, FULL)
        assert steps.dtype == np.int32
        assert steps.shape == (2, 97, 61)
        assert np.abs(np.hypot(*steps) - UNIT).max() <= np.sqrt(0.5)


def test_a_sensor_s_noise_does_not_turn_the_wind_and_forms_do() -> None:
    wind = flow.steps(np.zeros((128, 128), np.float32), FULL) / UNIT
    rng = np.random.default_rng(1)
    noisy = along(rng.normal(0, 1 / 255, (128, 128)), (wind[0], wind[1]))
    assert np.median(noisy) > 0.98
    assert noisy.mean() > 0.95
    formed = along(rng.normal(0, 30 / 255, (128, 128)), (wind[0], wind[1]))
    assert formed.mean() < 0.8, "the control"


def test_a_faint_photo_has_the_strokes_of_the_same_photo_at_full_contrast() -> None:
    down, right = place()
    luma: Floats = (0.3 * np.sin(right / 7) * np.cos(down / 11)).astype(np.float32)
    wanted, found = flow.steps(luma, FULL), flow.steps(luma / np.float32(16), np.float32(1 / 16))
    assert (np.abs(found - wanted).max(0) <= 1).mean() > 0.999
    assert (np.abs(flow.steps(luma / np.float32(16), FULL) - wanted).max(0) <= 1).mean() < 0.9, "the control"


def test_the_wind_blows_to_the_right_in_waves_and_eddies() -> None:
    down, right = flow.steps(np.zeros((400, 600), np.float32), FULL) / UNIT
    cos, sin = right**2 - down**2, 2 * down * right
    assert cos.mean() > 0.1, "more along the horizon than up and down"
    assert np.std(np.arctan2(sin, cos)) > 0.5, "but not straight"
    assert (np.abs(right) < 0.3).mean() > 0.05, "up and down too"


def test_the_wind_is_the_same_in_photos_of_all_sizes_but_at_their_borders() -> None:
    small, large = (flow.steps(np.zeros(size, np.float32), FULL) for size in ((90, 120), (301, 222)))
    inner = slice(1, 80), slice(1, 110)
    assert np.abs(small[0][inner] - large[0][inner]).max() <= 1
    assert np.abs(small[1][inner] - large[1][inner]).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2), (3, 400)])
def test_photos_of_every_shape_have_strokes(size: tuple[int, int]) -> None:
    luma: Floats = np.random.default_rng(2).random(size, np.float32)
    assert flow.steps(luma, FULL).shape == (2, *size)

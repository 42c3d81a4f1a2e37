"""Flow on pictures that are moved by known amounts, paint that is carried, and where scenes begin."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stylebank.video import cuts, motion

SIZE = (90, 160)


def texture(seed: int, size: tuple[int, int] = (SIZE[0] + 40, SIZE[1] + 40)) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    found = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.asarray(128 + 40 * found / found.std(), np.float32)


def view(of: NDArray[np.float32], x: float, y: float, turn: float = 0.0, scale: float = 1.0) -> motion.Levels:
    """The part of a picture that a camera at (x, y) sees."""
    affine = cv2.getRotationMatrix2D((SIZE[1] / 2, SIZE[0] / 2), turn, scale)
    affine[:, 2] += np.array([x, y])
    how = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return np.rint(cv2.warpAffine(of, affine, SIZE[::-1], flags=how)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("x", "y"), [(1.0, 0.0), (1.7, -0.6), (0.4, 2.5)])
def test_a_cameras_shift_is_found_to_a_tenth_of_a_pixel(x: float, y: float) -> None:
    scene = texture(1)
    found = motion.between(view(scene, 20, 20), view(scene, 20 + x, 20 + y))
    home = motion.between(view(scene, 20, 20), view(scene, 20, 20)).origins
    inner = (found.origins - home)[10:-10, 10:-10].reshape(-1, 2)
    # Flow alone errs by 0.2 to 0.4 pixels (measured); the fit to the pixels by a few hundredths.
    assert np.abs(inner - [x, y]).max() < 0.1
    assert np.abs(inner - [x + 0.3, y]).max() > 0.1, "the control: another shift"


def test_a_scene_that_only_noise_moves_is_still() -> None:
    scene, chance = texture(2), np.random.default_rng(0)
    frames = [
        (view(scene, 20, 20) + 3 * chance.standard_normal(SIZE)).clip(0, 255).astype(np.uint8)
        for _ in range(2)
    ]
    assert motion.between(*frames).still
    assert not motion.between(frames[0], view(scene, 21, 20)).still


def test_growth_is_the_square_of_a_zoom() -> None:
    scene = texture(3)
    found = motion.between(view(scene, 20, 20), view(scene, 20, 20, scale=0.97))
    assert found.growth == pytest.approx(
        0.97**-2, abs=0.01
    )  # the origins' error of 0.05 in 160 pixels, twice


def test_paint_is_carried_to_where_its_pixels_are() -> None:
    scene, paint = texture(4), texture(5, (2 * SIZE[0] + 40, 2 * SIZE[1] + 40))
    found = motion.between(view(scene, 20, 20), view(scene, 22, 21))
    before, wanted = (paint[y : y + 180, x : x + 320] for x, y in ((10, 10), (14, 12)))
    inner = np.s_[20:-20, 20:-20]
    # 0.05 half-size pixels are 0.1 of paint whose slope is 40 / 2 levels a pixel.
    assert np.abs(motion.carried(before, found) - wanted)[inner].mean() < 2
    assert np.abs(before - wanted)[inner].mean() > 20, "the control: paint that stays"


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 9])
def test_any_number_of_channels_is_carried_each_as_if_alone(channels: int) -> None:
    scene = texture(4)
    found = motion.between(view(scene, 20, 20), view(scene, 22, 19))
    layers = np.dstack([view(texture(seed), 20, 20) for seed in range(channels)]).astype(np.float32)
    carried = np.atleast_3d(motion.carried(layers, found))
    assert carried.shape == layers.shape
    for place in range(channels):
        alone = motion.carried(np.ascontiguousarray(layers[..., place]), found)
        assert np.abs(carried[..., place] - alone).max() < 1e-3
        assert np.abs(alone - layers[..., place]).mean() > 1, "the control: it moves"


def test_what_a_thing_uncovers_is_not_known() -> None:
    ground, thing = texture(6), texture(7)
    before, now = view(ground, 20, 20), view(ground, 20, 20)
    before[30:70, 40:80], now[30:70, 46:86] = thing[:40, :40], thing[:40, :40]
    known = motion.between(before, now).known
    assert known[35:65, 41:45].mean() < 0.5
    assert known[35:65, 110:150].mean() == 1
    assert known[40:60, 55:75].mean() > 0.9, "nor is the thing itself lost"


def test_another_scene_is_a_cut_and_a_fast_camera_is_none() -> None:
    scene = texture(8)
    assert cuts.is_cut(motion.between(view(scene, 20, 20), view(texture(9), 20, 20)))
    assert not cuts.is_cut(motion.between(view(scene, 10, 20), view(scene, 22, 14)))
    darker = (view(scene, 20, 20) * 0.6).astype(np.uint8)
    assert not cuts.is_cut(motion.between(view(scene, 20, 20), darker)), "nor is a lamp"


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (15, 40)])
def test_frames_of_a_few_pixels_are_no_trouble(size: tuple[int, int]) -> None:
    frames = [np.full(size, level, np.uint8) for level in (20, 90)]
    found = motion.between(*frames)
    assert found.growth == 1
    assert motion.carried(np.zeros((*size, 3), np.float32), found).shape == (*size, 3)

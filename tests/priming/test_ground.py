"""A primed photo: grain where it is flat, by the contrast of all of it; the same at every size; at share 0 itself."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stylebank.photos.srgb import LUMA
from stylebank.priming import grain as noise
from stylebank.priming import ground
from stylebank.priming.ground import primed

Floats = NDArray[np.float32]

GRAIN, FLAT, CELL, FAINT = ground.GRAIN, ground.FLAT, ground.CELL, ground.FAINT_PHOTO

REACH = 32
"""Pixels from a border within which strokes would go on beyond it, and the wind lacks neighbours."""

ROUNDED = 1e-6
"""Sums of a few float32 numbers of at most 1."""


@pytest.fixture(autouse=True)
def _of_ordinary_contrast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn photos are primed as parts of an ordinary one would be, but where `their_own_contrast` counts."""
    if "their_own_contrast" not in request.fixturenames:
        monkeypatch.setattr(ground, "_contrast", lambda _: np.float32(1))


@pytest.fixture
def their_own_contrast() -> None:
    """See above."""


def flat(height: int = 160, width: int = 240, level: float = 0.5) -> Floats:
    return np.full((3, height, width), level, np.float32)


def noisy(deviation: float, height: int = 160, width: int = 240) -> Floats:
    """A grey photo with a luma of this deviation within each cell."""
    noise = np.random.default_rng(0).standard_normal((height, width)).astype(np.float32)
    grey = np.float32(0.5) + np.float32(deviation) * noise.clip(-2.5, 2.5)
    return np.repeat(grey[None], 3, 0)


def luma(photo: Floats) -> Floats:
    found: Floats = np.tensordot(np.array(LUMA, np.float32), photo, 1)
    return found


def grain(photo: Floats, share: float = 1.0) -> Floats:
    """What is added to the luma."""
    return luma(primed(photo, share)) - luma(photo)


@pytest.mark.parametrize("size", [(37, 50), (8, 8), (1, 1), (3, 200)])
def test_at_share_0_the_photo_stays_to_the_bit(size: tuple[int, int]) -> None:
    photo = np.random.default_rng(1).random((3, *size), np.float32)
    photo[:, 0, 0] = 0, 1, 1  # the ends of the range
    found = primed(photo, 0.0)
    assert (found.dtype, found.shape) == (photo.dtype, photo.shape)
    assert found.tobytes() == photo.tobytes()
    other = primed(photo, 1.0)
    assert (other.dtype, other.shape) == (photo.dtype, photo.shape)
    assert other.tobytes() != photo.tobytes(), "the control"
    assert 0 <= other.min() <= other.max() <= 1


def test_flat_parts_get_grain_of_the_documented_deviation_in_proportion_to_the_share() -> None:
    # 600 cells: their deviation is within 3 / sqrt(2 * 600) = 9 % of its mean, and bicubic interpolation between
    # normal numbers loses up to a quarter of theirs.
    added = grain(flat())
    assert 0.65 * GRAIN < added.std() < 1.15 * GRAIN
    assert abs(added.mean()) < 3 * GRAIN / np.sqrt(600)
    assert np.abs(grain(flat(), 0.25) - 0.25 * added).max() < ROUNDED
    assert np.abs(grain(flat(), 0.5) - 0.25 * added).max() > 0.01, "the control: another share"


def test_grain_is_of_luma_alone() -> None:
    photo = flat() * np.array([0.8, 1.0, 1.2], np.float32)[:, None, None]
    change = primed(photo, 1.0) - photo
    assert np.abs(change - change[:1]).max() < ROUNDED
    assert np.abs(change).max() > GRAIN, "the control: there is some"


def test_parts_with_detail_get_the_less_grain_the_more_they_have() -> None:
    full = grain(flat()).std()
    # At the deviation FLAT exp(-1/2) = 61 % of it; that of 64 numbers varies by 9 %, and they are clipped.
    shares = [float(grain(noisy(deviation)).std() / full) for deviation in (0.01, FLAT, 0.15)]
    assert shares[0] == pytest.approx(np.exp(-(0.01**2) / (2 * FLAT**2)), abs=0.03)
    assert shares[1] == pytest.approx(np.exp(-1 / 2), abs=0.08)
    assert shares[2] < 0.1, "exp(-3.1) is 0.04"


def test_detail_in_one_part_leaves_grain_in_the_others() -> None:
    photo = flat()
    photo[..., :120] = noisy(0.15, 160, 120)
    change = luma(primed(photo, 1.0)) - luma(photo)
    busy, calm = change[:, :112].std(), change[:, 128:].std()
    assert busy < 0.15 * calm
    assert calm > 0.65 * GRAIN


def test_what_is_bright_stays_as_bright(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = np.repeat((np.linspace(0, 1, 400, dtype=np.float32) ** 4)[None, None].repeat(100, 1), 3, 0)
    mean = luma(photo).mean()
    assert abs(luma(primed(photo, 1.0))[:, 200:].mean() - luma(photo)[:, 200:].mean()) < GRAIN / 4
    monkeypatch.setattr(ground, "GRAIN", 0.0)
    assert np.array_equal(primed(photo, 1.0), photo)
    assert mean < 0.5 < luma(photo).max()


@pytest.mark.parametrize("size", [(80, 120), (171, 203), (1200, 1600)])
def test_a_cell_has_the_same_grain_in_pictures_of_other_sizes(size: tuple[int, int]) -> None:
    """At the borders strokes stay within the picture."""
    height, width = 160, 240
    one, other = (luma(primed(flat(*each), 1.0)) - 0.5 for each in ((height, width), size))
    rows, columns = min(height, size[0]) - REACH, min(width, size[1]) - REACH
    # Pillow's weights are rounded to float32 places.
    assert np.abs(one[:rows, :columns] - other[:rows, :columns]).max() < 1e-4
    moved = np.abs(one[:rows, : columns - CELL] - other[:rows, CELL:columns])
    assert moved.max() > GRAIN, "the control: the next cell has another"


def test_priming_is_the_same_every_time_and_in_every_order() -> None:
    photo = noisy(0.03)
    before = primed(photo, 0.7).tobytes()
    noise._table.cache_clear()
    primed(flat(500, 300), 1.0)
    kept = photo.copy()
    assert primed(photo, 0.7).tobytes() == before
    assert np.array_equal(photo, kept), "and leaves the photo as it is"


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3), (8, 2000)])
def test_photos_of_every_shape_are_primed(size: tuple[int, int]) -> None:
    found = primed(flat(*size), 1.0)
    assert found.shape == (3, *size)
    assert np.isfinite(found).all()


def test_levels_of_an_image_are_those_of_its_values() -> None:
    """What a grey of 8 bits becomes has in it all of the grain: a level is a small part of its deviation."""
    levels = Image.fromarray(np.rint(255 * primed(flat(), 1.0)).astype(np.uint8).transpose(1, 2, 0).copy())
    assert 0.65 * GRAIN < np.asarray(levels)[..., 0].std() / 255 < 1.15 * GRAIN


@pytest.mark.usefixtures("their_own_contrast")
@pytest.mark.parametrize("contrast", [0.5, 0.1, 0.01])
def test_a_faint_photo_is_primed_as_one_of_contrast_that_fades(contrast: float) -> None:
    photo = flat()
    photo[..., :60] = noisy(0.1, 160, 60)
    photo[:, :50] += 0.2
    factor = FAINT / np.sqrt(photo.var((1, 2)).mean())
    whole = np.float32(0.5) + np.float32(factor) * (photo - np.float32(0.5))
    faint = np.float32(0.5) + np.float32(contrast) * (whole - np.float32(0.5))
    change, wanted = primed(faint, 1.0) - faint, contrast * (primed(whole, 1.0) - whole)
    near = np.abs(change - wanted) < 2 * ROUNDED  # of numbers of size one, differences of float32
    assert near.mean() > 0.99, "a step of a stroke is rounded up instead of down here and there"
    assert np.abs(change - wanted).max() < 0.1 * contrast * GRAIN
    assert np.abs(primed(faint, 1.0) - faint - wanted / contrast).max() > 0.1 * GRAIN, (
        "the control: full grain"
    )


@pytest.mark.usefixtures("their_own_contrast")
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_flat_photo_stays_as_it_is_and_one_of_ordinary_contrast_gets_all_grain(level: float) -> None:
    photo = flat(level=level) * np.array([1, 0.7, 0.2], np.float32)[:, None, None]
    assert np.array_equal(primed(photo, 1.0), photo)
    photo[..., 120:] = 0.5
    photo[..., :60] = 0.9 - 0.8 * level
    assert photo.var((1, 2)).mean() > FAINT**2
    assert grain(photo)[:, 130:].std() > GRAIN / 2, "the control"

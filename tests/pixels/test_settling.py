"""A settled picture has its own marks on the forms of what it was painted over: both, in the shares that are asked."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from stylebank.pixels import resampling

Floats = NDArray[np.float64]

SIZES = [(40, 60), (41, 61), (1, 1), (2, 5), (300, 20)]
"""Even, odd, tiny, and of more than one band of rows."""

ROUNDED = 3.0
"""Levels: what is shrunk is rounded by rows and by columns, and so is what is enlarged; half a level each, of which
bicubic weights make more or less."""


def drawn(size: tuple[int, int], *, seed: int = 0, blur: float = 0.7) -> Image.Image:
    """A picture of middle levels."""
    noise = np.random.default_rng(seed).standard_normal((*size, 3))
    soft = ndimage.gaussian_filter(noise, (blur, blur, 0))
    levels = 128 + 25 * soft / max(float(soft.std()), 1e-9)
    return Image.fromarray(levels.clip(20, 235).astype(np.uint8))


def values(image: Image.Image) -> Floats:
    return np.asarray(image, float)


def halved(image: Image.Image) -> Image.Image:
    return resampling.resampled(image, size=((image.height + 1) // 2, (image.width + 1) // 2))


def forms(image: Image.Image) -> Floats:
    """What it has at half the size."""
    return values(resampling.resampled(halved(image), size=(image.height, image.width)))


@pytest.mark.parametrize("size", SIZES)
def test_with_all_of_its_change_kept_there_is_the_picture_to_the_bit(size: tuple[int, int]) -> None:
    picture, over = drawn(size), drawn(size, seed=1)
    assert resampling.settled(picture, over, 1.0).tobytes() == picture.tobytes()
    assert resampling.settled(picture, picture, 0.0).tobytes() == picture.tobytes()
    assert resampling.settled(picture, over, 0.9).tobytes() != picture.tobytes(), "the control"


@pytest.mark.parametrize("size", SIZES)
def test_with_none_kept_there_are_the_forms_of_the_other_and_the_marks_of_the_picture(
    size: tuple[int, int],
) -> None:
    picture, over = drawn(size), drawn(size, seed=1, blur=3.0)
    found = values(resampling.settled(picture, over, 0.0))
    # What is added up is whole levels: that of the sum is the only rounding.
    assert np.array_equal(found, (forms(over) + (values(picture) - forms(picture))).clip(0, 255))
    if min(size) > 20:
        assert np.abs(found - forms(over)).max() > 20, "the control: there are marks"
        assert np.abs(found - values(picture)).max() > 20, "the control: there are other forms"


@pytest.mark.parametrize("keep", [0.25, 0.5, 0.75])
def test_shares_of_the_change_lie_evenly_between_and_darken_nothing(keep: float) -> None:
    picture, over = drawn((300, 200)), drawn((300, 200), seed=1, blur=3.0)
    none, found = (values(resampling.settled(picture, over, share)) for share in (0.0, keep))
    free = (none > 0) & (none < 255)  # of clipping
    assert free.mean() > 0.99
    found, wanted = found[free], ((1 - keep) * none + keep * values(picture))[free]
    assert np.abs(found - wanted).max() <= ROUNDED
    # Roundings of 179,000 values cancel out; cutting off a quarter to three eighths of a level each would not.
    assert abs((found - wanted).mean()) < 0.05
    assert abs((np.floor(wanted) - wanted).mean()) > 0.2, "the control"


@pytest.mark.parametrize("size", [(40, 60), (128, 96), (300, 64)])
def test_a_picture_whose_change_is_smooth_shrinks_to_what_it_was_painted_over(size: tuple[int, int]) -> None:
    """Half of the change is lost to enlarging and shrinking only where it is as fine as half the pixels."""
    over = drawn(size)
    y, x = np.mgrid[: size[0], : size[1]]
    change = 30 + 20 * np.sin(2 * np.pi * y / 40) * np.cos(2 * np.pi * x / 48)
    marks = 10 * (-1.0) ** (x + y)  # of a pixel: none at half the size
    picture = Image.fromarray((values(over) + (change + marks)[..., None]).clip(0, 255).astype(np.uint8))
    found = resampling.settled(picture, over, 0.0)
    distance = np.abs(values(halved(found)) - values(halved(over)))[
        2:-2, 2:-2
    ]  # the mirror at the border is none
    assert distance.max() <= ROUNDED
    assert distance.mean() < 0.5
    assert np.abs(values(halved(picture)) - values(halved(over))).mean() > 15, "the control: unsettled"
    assert np.abs(values(found) - values(over)).mean() > 8, "the control: its marks stay"


def test_any_other_picture_shrinks_to_something_nearer_by_far() -> None:
    picture, over = drawn((200, 200)), drawn((200, 200), seed=1)
    small = [values(halved(each)) for each in (resampling.settled(picture, over, 0.0), over, picture)]
    assert np.abs(small[0] - small[1]).mean() < 0.4 * np.abs(small[2] - small[1]).mean()


def test_where_a_band_of_rows_ends_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, over = drawn((300, 40)), drawn((300, 40), seed=1)
    wanted = values(resampling.settled(picture, over, 0.3))
    for rows in (300, 7):
        monkeypatch.setattr(resampling, "_BAND", rows)
        found = values(resampling.settled(picture, over, 0.3))
        # Corners of boxes are rounded to float32, so that some levels fall on the other side.
        assert np.abs(found - wanted).max() <= 1
        assert (found != wanted).mean() < 0.01


def test_highlights_that_marks_alone_would_clip_keep_their_share() -> None:
    """Levels are clipped once, at the end: half of the change here leaves nothing to clip."""
    over, picture = Image.new("RGB", (32, 32), (240,) * 3), Image.new("RGB", (32, 32), (100,) * 3)
    picture.paste((160,) * 3, (15, 15, 17, 17))
    assert values(resampling.settled(picture, over, 0.0)).max() == 255
    wanted = values(picture) + 0.5 * (forms(over) - forms(picture))
    assert wanted.max() < 255
    assert np.abs(values(resampling.settled(picture, over, 0.5)) - wanted).max() <= 1

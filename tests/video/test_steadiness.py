"""Painted clips hold still where the scene does: noise, cuts, light, looks that change, runs that are continued."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from stylebank.bank.bundle import Bundle
from stylebank.engines.choice import Computing
from stylebank.errors import ConfigError
from stylebank.painting import strokes
from stylebank.painting.painter import StyleBank
from stylebank.pixels.masks import Overlap
from stylebank.video.looks import Look
from stylebank.video.steadiness import SteadyPainter

SIZE = (64, 96)
LOOK = Look("wave")


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> StyleBank:
    return StyleBank(make_bank({"wave": 3, "night": 5}), computing=Computing(precision="float32"))


@pytest.fixture(autouse=True)
def _in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are painted once, at their own size, whatever the strokes."""
    monkeypatch.setattr(strokes, "painted_size", lambda size, _: size)
    monkeypatch.setattr(strokes, "sizes", lambda size, _, **_again: [size])


def scene(seed: int = 0) -> Image.Image:
    """Blots of colour."""
    chance = np.random.default_rng(seed)
    small = Image.fromarray(chance.integers(0, 256, (8, 12, 3), dtype=np.uint8))
    return small.resize(SIZE[::-1], Image.Resampling.BICUBIC)


def noisy(count: int, *, of: Image.Image | None = None, seed: int = 1) -> list[Image.Image]:
    """Frames of a camera that stands still, with a sensor's noise."""
    chance = np.random.default_rng(seed)
    levels = np.asarray(of or scene(), np.float64)
    shown = (levels + 3 * chance.standard_normal(levels.shape) for _ in range(count))
    return [Image.fromarray(np.rint(x).clip(0, 255).astype(np.uint8)) for x in shown]


def levels(pictures: list[Image.Image]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.stack([np.asarray(picture, np.float64) for picture in pictures])


def flicker(pictures: list[Image.Image]) -> float:
    return float(np.sqrt(np.square(np.diff(levels(pictures), axis=0)).mean()))


def painted(bank: StyleBank, frames: list[Image.Image], steady: float) -> list[Image.Image]:
    painter = SteadyPainter(bank, steady=steady)
    return [painter.paint(frame, LOOK) for frame in frames]


def test_without_steadiness_each_frame_is_painted_by_itself(bank: StyleBank) -> None:
    frames = noisy(3)
    assert painted(bank, frames, 0) == [bank.stylize(frame, "wave") for frame in frames]


def test_noise_of_a_still_scene_does_not_flicker(bank: StyleBank) -> None:
    frames = noisy(8)
    alone, default, most = (flicker(painted(bank, frames, steady)) for steady in (0, 0.95, 1))
    # Cells whose turn it is, one in 400 with each frame, are a few times 0.05 of the flicker; without them there is
    # what light and colour take on, a tenth of what is left of noise over 48 pixels.
    assert most < 0.1 * alone
    assert default < 0.3 * alone
    assert flicker(painted(bank, frames, 0.2)) > 0.3 * alone, "the control: little steadiness"


def test_little_steadiness_is_near_to_none(bank: StyleBank) -> None:
    frames = noisy(4)
    alone, little, most = (levels(painted(bank, frames, steady)[1:]) for steady in (0, 0.001, 1))
    assert np.abs(little - alone).mean() < 0.2 * np.abs(most - alone).mean()


def test_the_frame_after_a_cut_is_fresh_and_nothing_of_before_is_left(bank: StyleBank) -> None:
    before, after = noisy(3), noisy(3, of=scene(5), seed=2)
    found = painted(bank, [*before, *after], 1)
    assert found[3] == bank.stylize(after[0], "wave")
    assert found[3:] == painted(bank, after, 1)
    assert found[2] != bank.stylize(before[2], "wave"), "the control: within a scene"


def test_a_reset_and_another_size_begin_anew(bank: StyleBank) -> None:
    frames, painter = noisy(2), SteadyPainter(bank, steady=1)
    fresh = [bank.stylize(frame, "wave") for frame in frames]
    painter.paint(frames[0], LOOK)
    painter.reset()
    assert painter.paint(frames[1], LOOK) == fresh[1]
    smaller = frames[0].crop((0, 0, 60, 50))
    assert painter.paint(smaller, LOOK) == bank.stylize(smaller, "wave")


def test_a_run_that_is_continued_equals_one_that_was_not_interrupted(bank: StyleBank) -> None:
    moving = [frame.crop((place, 0, place + 80, 64)) for place, frame in enumerate(noisy(8))]
    whole = painted(bank, moving, 0.9)
    first = SteadyPainter(bank, steady=0.9)
    assert first.state() == {}
    begun = [first.paint(frame, LOOK) for frame in moving[:4]]
    second = SteadyPainter(bank, steady=0.9)
    second.restore(first.state())
    first.paint(moving[0], LOOK)  # what another goes on with is not changed by this one
    assert begun + [second.paint(frame, LOOK) for frame in moving[4:]] == whole
    forgetful = SteadyPainter(bank, steady=0.9)
    assert forgetful.paint(moving[4], LOOK) != whole[4], "the control: without what was remembered"


def test_a_still_scene_gets_neither_darker_nor_brighter(bank: StyleBank) -> None:
    found = levels(painted(bank, noisy(60), 0.95)).mean((1, 2, 3))
    alone = levels(painted(bank, noisy(3), 0)).mean()
    assert np.abs(found - alone).max() < 1


def test_light_is_followed(bank: StyleBank) -> None:
    """Painted with the frame's own colours, so that its light is the picture's."""
    look, painter = Look("wave", strength=0.0), SteadyPainter(bank, steady=1)
    lamp = [scene().point(lambda level, dim=dim: round(level * dim)) for dim in np.linspace(1, 0.85, 20)]
    found = levels([painter.paint(frame, look) for frame in [*lamp, *[lamp[-1]] * 25]])
    wanted = levels([look.painted(bank, lamp[0]), look.painted(bank, lamp[-1])])
    # A tenth with each frame: after 25 of them 0.07 of the change is left, and windows see less than all of it.
    change = np.abs(wanted[1].mean() - wanted[0].mean())
    assert np.abs(found[-1].mean() - wanted[1].mean()) < 0.3 * change


def test_a_thing_that_comes_is_painted_and_the_rest_stays(bank: StyleBank) -> None:
    still, painter = scene(), SteadyPainter(bank, steady=1)
    come = still.copy()
    come.paste(scene(7).resize((24, 24)), (60, 20))
    first, second = painter.paint(still, LOOK), painter.paint(come, LOOK)
    fresh = np.asarray(bank.stylize(come, "wave"), np.float64)
    there = np.s_[24:40, 64:80]
    away = np.abs(np.asarray(second, np.float64) - fresh)
    assert away[there].mean() < 0.2 * np.abs(np.asarray(first, np.float64) - fresh)[there].mean()
    assert np.abs(np.asarray(second, np.float64) - np.asarray(first, np.float64))[:, :30].mean() < 1


def test_a_look_that_changes_comes_within_a_second(bank: StyleBank) -> None:
    still, painter = scene(), SteadyPainter(bank, steady=1)
    first = np.asarray(painter.paint(still, LOOK), np.float64)
    path = [f"wave:{1 - t:g}+night:{t:g}" for t in np.linspace(0.1, 0.9, 9)] + ["night"]
    found = [painter.paint(still, Look(words)) for words in path]
    end = np.asarray(bank.stylize(still, "night"), np.float64)
    assert np.abs(np.asarray(found[-1], np.float64) - end).mean() < 0.5 * np.abs(first - end).mean()


def test_regions_are_painted_and_what_no_mask_covers_is_the_frames_own(bank: StyleBank) -> None:
    frames, painter = noisy(3), SteadyPainter(bank, steady=1)
    mask = Image.new("L", SIZE[::-1])
    mask.paste(255, (0, 0, 40, 64))
    look = Look("photo", regions=((mask, "night"),))
    found = [painter.paint(frame, look) for frame in frames]
    assert found[0] == bank.fuse(frames[0], [(mask, "night")])
    own = np.asarray(frames[2], np.float64)[:, 50:]
    # Where the share of fresh paint is 1 levels are right but for rounding.
    assert np.abs(np.asarray(found[2], np.float64)[:, 50:] - own).max() <= 1
    moved = Image.new("L", SIZE[::-1])
    moved.paste(255, (20, 0, 60, 64))
    look = replace(look, regions=((moved, "night"),))
    fresh = np.asarray(look.painted(bank, frames[2]), np.float64)
    last = np.asarray(painter.paint(frames[2], look), np.float64)
    assert np.abs(last - fresh)[:, 44:56].mean() < 3, "where a mask has come its paint has too"


@pytest.mark.parametrize("overlap", ["over", "share"])
@pytest.mark.parametrize("rest", ["photo", "wave"])
def test_many_regions_move_and_those_that_keep_the_photo_have_the_frames_own(
    bank: StyleBank, rest: str, overlap: Overlap
) -> None:
    wide, painter = scene().resize((128, 64)), SteadyPainter(bank, steady=1)
    frames = [wide.crop((3 * place, 0, 3 * place + 96, 64)) for place in range(4)]
    masks = [Image.new("L", SIZE[::-1]) for _ in range(3)]
    for place, mask in enumerate(masks):
        mask.paste(255, (32 * place, 0, 32 * place + 32, 64))
    mixes = ("wave", "photo", "night")
    look = Look(rest, regions=tuple(zip(masks, mixes, strict=True)), overlap=overlap)
    found = [np.asarray(painter.paint(frame, look), np.float64) for frame in frames]
    own = np.asarray(frames[3], np.float64)
    # Cells of masks are two pixels wide, and fresh paint is enlarged from them: the seams are mixed.
    assert np.abs(found[3] - own)[:, 36:60].max() <= 1
    assert min(np.abs(found[3] - own)[:, left : left + 24].mean() for left in (4, 68)) > 1


@pytest.mark.parametrize("steady", [-0.1, 1.1, float("nan")])
def test_steadiness_out_of_range_is_refused(bank: StyleBank, steady: float) -> None:
    with pytest.raises(ConfigError, match="give 0"):
        SteadyPainter(bank, steady=steady)

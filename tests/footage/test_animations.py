"""GIF, WebP and PNG that move keep loops, durations and transparency; numbered images are a clip."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.errors import ConfigError, ImageError
from stylebank.footage import animations, clips
from stylebank.footage.clips import Frame

LENGTHS = [40, 100, 60, 250]


def drawn(count: int = 4, *, clear: bool = False) -> list[Image.Image]:
    found = []
    for place in range(count):
        levels = np.zeros((24, 32, 4), np.uint8)
        levels[..., place % 3] = 60 + 40 * place
        levels[..., 3] = 255
        levels[: 6 + place, :9, 3] = 0 if clear else 255
        found.append(Image.fromarray(levels))
    return found


def written(path: Path, *, loop: int | None = 0, clear: bool = False) -> Path:
    first, *rest = drawn(clear=clear)
    options: dict[str, Any] = {} if loop is None else {"loop": loop}
    lossless: dict[str, Any] = {"lossless": True} if path.suffix == ".webp" else {}
    first.save(path, save_all=True, append_images=rest, duration=LENGTHS, disposal=2, **options, **lossless)
    return path


def copied(path: Path, target: Path, quality: int | None = None) -> list[str]:
    clip = animations.Animation(path)
    writer = animations.AnimationWriter(target.suffix, clip.facts.time_base, clip.facts.loops, quality)
    pieces, times = [], []
    found = list(clip.frames())
    for number, part in enumerate((found[:3], found[3:])):
        piece = writer.begin(3 * number)
        for frame in part:
            piece.add(frame)
            times.append((frame.time, frame.length))
        pieces.append(target.with_suffix(f".{number}.npz"))
        pieces[-1].write_bytes(piece.close())
    return writer.join(target, pieces, times, lambda _: None)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
@pytest.mark.parametrize("loop", [None, 0, 3])
@pytest.mark.parametrize("clear", [False, True])
def test_loops_durations_and_transparency_stay(
    tmp_path: Path, suffix: str, loop: int | None, clear: bool
) -> None:
    path, target = written(tmp_path / f"a{suffix}", loop=loop, clear=clear), tmp_path / f"b{suffix}"
    assert copied(path, target, 100 if suffix == ".webp" else None) == []
    before, after = animations.Animation(path), animations.Animation(target)
    assert after.facts.loops == before.facts.loops
    first, second = list(before.frames()), list(after.frames())
    assert [frame.length for frame in second] == [frame.length for frame in first] == LENGTHS
    assert [frame.time for frame in second] == [0, 40, 140, 200]
    for a, b in zip(first, second, strict=True):
        assert (a.alpha is None) == (b.alpha is None) == (not clear)
        opaque = np.asarray(a.alpha) > 0 if a.alpha else np.ones((24, 32), bool)
        assert np.array_equal(np.asarray(a.image)[opaque], np.asarray(b.image)[opaque])
        assert not clear or np.array_equal(np.asarray(a.alpha), np.asarray(b.alpha))


def test_durations_that_gif_cannot_say_do_not_add_up_to_a_drift(tmp_path: Path) -> None:
    writer, target = animations.AnimationWriter(".gif", Fraction(1, 24), 0), tmp_path / "a.gif"
    piece = writer.begin(0)
    for place in range(24):
        image = Image.new("RGB", (16, 16), (place * 10, 0, 0))
        piece.add(Frame(image, None, place, 1))
    (tmp_path / "p.npz").write_bytes(piece.close())
    writer.join(target, [tmp_path / "p.npz"], [(place, 1) for place in range(24)], lambda _: None)
    lengths = [frame.length for frame in animations.Animation(target).frames()]
    assert sum(lengths) == 1000
    assert set(lengths) == {40, 50}


def test_frames_can_begin_in_the_middle(tmp_path: Path) -> None:
    clip = animations.Animation(written(tmp_path / "a.gif"))
    assert [frame.time for frame in clip.frames(140)] == [140, 200]


def test_cut_short_animation_ends_with_its_last_whole_frame(tmp_path: Path) -> None:
    path = written(tmp_path / "a.webp")
    clip = animations.Animation(path)
    path.write_bytes(path.read_bytes()[:-20])
    try:
        found = list(clip.frames())
    except OSError:
        found = []
    assert len(found) < 4


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"no picture"])
def test_what_is_no_animation_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="cannot be read as an animation"):
        animations.Animation(path)


def test_one_picture_is_for_stylize(tmp_path: Path) -> None:
    drawn(1)[0].save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="is one picture; paint it with 'stylebank stylize'"):
        animations.Animation(tmp_path / "a.png")


def test_numbered_images_are_a_clip_up_to_the_first_gap(tmp_path: Path) -> None:
    for place, image in enumerate(drawn(4)):
        image.save(tmp_path / f"f{place + 7 + (place == 3)}.png")
    clip = clips.Sequence(tmp_path / "f%d.png", Fraction(10))
    assert [frame.time for frame in clip.frames()] == [0, 1, 2]
    assert [frame.time for frame in clip.frames(1)] == [1, 2]
    assert clip.facts.seconds == Fraction(3, 10)
    assert clip.facts.notes == ("image 10 is missing; the clip ends before it",)
    with pytest.raises(ImageError, match="no such images"):
        clips.Sequence(tmp_path / "g%d.png", None)


@pytest.mark.parametrize(
    ("words", "rate"),
    [
        ("25", Fraction(25)),
        ("23.976", Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ("12.5", Fraction(25, 2)),
    ],
)
def test_rates_are_those_of_film(words: str, rate: Fraction) -> None:
    assert clips.rate_of(words) == rate


@pytest.mark.parametrize("words", ["0", "-1", "x", "1/0", "5000", ""])
def test_other_rates_are_refused(words: str) -> None:
    with pytest.raises(ConfigError, match="--fps"):
        clips.rate_of(words)

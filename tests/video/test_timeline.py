"""Times in words, styles on their way through them, masks that move."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.errors import ConfigError, ImageError
from stylebank.video import timeline
from stylebank.video.timeline import MaskTrack


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("12.5", Fraction(25, 2)),
        ("90s", Fraction(90)),
        ("500ms", Fraction(1, 2)),
        ("2m", Fraction(120)),
        ("1h", Fraction(3600)),
        ("1:30", Fraction(90)),
        ("1:02:03.5", Fraction(7447, 2)),
        ("75:00", Fraction(4500)),
        ("0", Fraction(0)),
    ],
)
def test_times_are_read_in_every_usual_form(words: str, wanted: Fraction) -> None:
    assert timeline.seconds(words, "--start") == wanted


@pytest.mark.parametrize("words", ["", "x", "-1", "1:60", "1:60:00", "1e3", "5 s", "nan", "1:2:3:4"])
def test_what_is_no_time_is_refused(words: str) -> None:
    with pytest.raises(ConfigError, match="is no time; write 90s, 1:30 or 12"):
        timeline.seconds(words, "--start")


@pytest.mark.parametrize(
    ("time", "wanted"), [(0, "0:00"), (4.2, "0:04.2"), (59.96, "1:00"), (90, "1:30"), (3723, "1:02:03")]
)
def test_times_are_shown_as_clocks_show_them(time: float, wanted: str) -> None:
    assert timeline.shown(time) == wanted


def test_styles_change_evenly_between_points_and_stay_outside() -> None:
    line = timeline.parse(["10s=scream@0.5", "2=wave"], stroke=1.0)
    assert line.at(Fraction(0)) == line.at(Fraction(2))
    assert line.at(Fraction(2)).weights == (("wave", 1.0),)
    middle = line.at(Fraction(4))
    assert dict(middle.weights) == pytest.approx({"wave": 0.75, "scream": 0.25})
    assert middle.strength == pytest.approx(0.875)
    assert line.at(Fraction(99)).weights == (("scream", 1.0),)


@pytest.mark.parametrize("words", ["wave", "=wave", "3s=", "x=wave", "1=wave:x"])
def test_points_of_another_form_are_refused(words: str) -> None:
    with pytest.raises(ConfigError, match=r"^--mix-at "):
        timeline.parse([words])


def test_a_time_stands_once() -> None:
    with pytest.raises(ConfigError, match="names a time twice"):
        timeline.parse(["60s=wave", "1:00=scream"])


def moving(path: Path, loop: int | None) -> Path:
    images = [Image.new("L", (8, 6), level) for level in (0, 128, 255)]
    options: dict[str, Any] = {} if loop is None else {"loop": loop}
    images[0].save(path, save_all=True, append_images=images[1:], duration=100, **options)
    return path


def levels(track: MaskTrack, times: list[float]) -> list[int]:
    return [
        int(np.asarray(track.at(Fraction(time).limit_denominator(1000))).mean().round()) for time in times
    ]


def test_masks_of_a_clip_are_shown_at_their_times_and_the_last_stays(tmp_path: Path) -> None:
    track = MaskTrack(moving(tmp_path / "a.gif", None), None, size=(12, 16))
    assert levels(track, [0, 0.04, 0.1, 0.19, 0.2, 5]) == [0, 0, 128, 128, 255, 255]


def test_masks_that_loop_begin_again(tmp_path: Path) -> None:
    track = MaskTrack(moving(tmp_path / "a.gif", 0), None, size=(12, 16))
    assert levels(track, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65]) == [0, 128, 255, 0, 128, 255, 0]


def test_a_mask_of_another_shape_is_refused_unless_it_is_to_fit(tmp_path: Path) -> None:
    path = moving(tmp_path / "a.gif", 0)
    with pytest.raises(ImageError, match="another shape"):
        MaskTrack(path, None, size=(6, 16))
    assert np.asarray(MaskTrack(path, None, size=(6, 16), fit=True).at(Fraction(1, 5))).shape == (6, 16)


def test_an_image_is_the_mask_of_all_times(tmp_path: Path) -> None:
    Image.new("L", (8, 6), 255).save(tmp_path / "a.png")
    track = MaskTrack(tmp_path / "a.png", None, size=(6, 8))
    assert levels(track, [0, 9]) == [255, 255]
    assert list(track.notes(Fraction(9))) == []

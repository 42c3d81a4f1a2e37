"""A clip that was interrupted, however, becomes what it would have become at once."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.errors import ConfigError
from stylebank.footage import reading
from stylebank.persistence.pieces import Pieces
from stylebank.video import pipeline

av = pytest.importorskip("av", reason="needs PyAV, the extra stylebank[video]")


def numbered(frame: Image.Image, count: int) -> Image.Image:
    """A frame that depends on how many the painter has painted: it must be restored."""
    return Image.blend(frame, Image.new("RGB", frame.size, (count * 9 % 256, 99, 0)), 0.3)


def content(path: Path) -> list[str]:
    """Digest of each frame."""
    clip = reading.open_clip(path)
    return [hashlib.sha256(frame.image.tobytes()).hexdigest() for frame in clip.frames()]


def times(path: Path) -> list[int]:
    return [frame.time for frame in reading.open_clip(path).frames()]


@pytest.fixture(autouse=True)
def _short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_PIECE", 7)


@pytest.mark.parametrize(
    ("suffix", "stops"),
    [
        *(("mp4", stops) for stops in ([3], [7], [9, 10], [20])),
        *((suffix, [9, 10]) for suffix in ("mkv", "webm", "gif", "webp")),
    ],
)
def test_stopped_clip_plays_and_goes_on_to_the_same_end(
    make_clip: Any, paint: Any, same: Any, tmp_path: Path, suffix: str, stops: list[int]
) -> None:
    clip, whole, made = make_clip(count=24), tmp_path / f"whole.{suffix}", tmp_path / f"made.{suffix}"
    paint(clip, whole, same(numbered))
    done = 0
    for stop in stops:
        painter = same(numbered)
        outcome, _ = paint(clip, made, painter, stop=lambda p=painter, s=stop: p.count >= s)
        assert not outcome.is_whole
        assert len(content(made)) == outcome.frames == max(stop, done // 7 * 7 + 1)
        done = outcome.frames
    outcome, _ = paint(clip, made, same(numbered))
    assert outcome.is_whole
    assert outcome.painted == 24 - done // 7 * 7
    assert content(made) == content(whole)
    assert times(made) == times(whole)
    assert not Pieces(made, {}).folder.exists()


def test_what_the_painter_remembers_matters(make_clip: Any, paint: Any, same: Any, tmp_path: Path) -> None:
    clip = make_clip(count=10)
    paint(clip, tmp_path / "a.mkv", same(numbered), codec="ffv1")
    other = same(lambda frame, count: numbered(frame, count + 1))
    paint(clip, tmp_path / "b.mkv", other, codec="ffv1")
    assert content(tmp_path / "a.mkv") != content(tmp_path / "b.mkv")


def test_other_settings_begin_anew(make_clip: Any, paint: Any, same: Any, tmp_path: Path) -> None:
    clip, made = make_clip(count=20), tmp_path / "made.mp4"
    painter = same()
    paint(clip, made, painter, stop=lambda: painter.count >= 15, settings={"style": "wave"})
    pieces = Pieces(made, {"style": "night"})
    assert (pieces.frames, pieces.is_other) == (0, True)
    assert pieces.owns(made)
    assert Pieces(made, {"style": "wave"}).frames == 14
    outcome, _ = paint(clip, made, settings={"style": "night"})
    assert outcome.painted == 20


def test_lines_and_files_that_are_cut_short_are_done_again(
    make_clip: Any, paint: Any, same: Any, tmp_path: Path
) -> None:
    clip, made, whole = make_clip(count=24), tmp_path / "made.mp4", tmp_path / "whole.mp4"
    paint(clip, whole, same(numbered))
    painter = same(numbered)
    paint(clip, made, painter, stop=lambda: painter.count >= 16)
    record = Pieces(made, {}).folder / "record"
    with record.open("a") as file:
        file.write('{"piece": "0000')
    assert Pieces(made, {}).frames == 14
    outcome, _ = paint(clip, made, same(numbered))
    assert outcome.painted == 10
    assert content(made) == content(whole)


def test_numbered_images_go_on_too(make_clip: Any, paint: Any, same: Any, tmp_path: Path) -> None:
    clip, made, whole = make_clip(count=16), tmp_path / "made/%03d.png", tmp_path / "whole/%03d.png"
    paint(clip, whole, same(numbered))
    painter = same(numbered)
    paint(clip, made, painter, stop=lambda: painter.count >= 9)
    assert len(list(made.parent.glob("*.png"))) == 9
    paint(clip, made, same(numbered))
    for place in range(1, 17):
        assert Path(str(made) % place).read_bytes() == Path(str(whole) % place).read_bytes()


def test_a_window_behind_the_end_is_one_line(make_clip: Any, paint: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no frame from there on"):
        paint(make_clip(count=5), tmp_path / "made.mp4", start=9)


SLOW = """
import sys, time
from stylebank.cli import app
from stylebank.video import pipeline
from stylebank.video.looks import Look
pipeline._PIECE = 5
real = Look.painted
def slow(look, bank, frame):
    time.sleep(float(sys.argv[1]))
    return real(look, bank, frame)
Look.painted = slow
app.main(sys.argv[2:])
"""


@pytest.mark.posix
def test_command_that_is_stopped_or_killed_goes_on_to_the_same_frames(
    make_clip: Any, make_bank: Callable[..., Bundle], tmp_path: Path
) -> None:
    clip, whole = make_clip(count=14, sound="aac"), tmp_path / "whole.mp4"
    bundle.write(tmp_path / "bank", make_bank({"wave": 3}))

    def command(target: Path, pause: float) -> list[str]:
        words = f"video {clip} -o {target} --style wave --bank {tmp_path / 'bank'} --engine torch"
        return [sys.executable, "-c", SLOW, str(pause), *words.split()]

    subprocess.run(command(whole, 0), check=True, capture_output=True)
    for number in (signal.SIGINT, signal.SIGKILL):
        made = tmp_path / f"{number}.mp4"
        running = subprocess.Popen(command(made, 0.3), stderr=subprocess.PIPE, text=True)
        folder = Pieces(made, {}).folder
        patience = time.monotonic() + 60
        while not (folder / "record").exists() or '"piece"' not in (folder / "record").read_text():
            assert time.monotonic() < patience
            time.sleep(0.02)
        os.kill(running.pid, number)
        _, said = running.communicate(timeout=60)
        if number == signal.SIGKILL:
            assert not made.exists()
        else:
            assert running.returncode == 130
            assert "the same command goes on from there" in said
            assert "Traceback" not in said
            assert 5 <= len(content(made)) < 14
            with av.open(str(made)) as container:
                assert container.streams.audio
        again = subprocess.run(command(made, 0), check=True, capture_output=True, text=True)
        assert "frames are done already" in again.stderr
        assert content(made) == content(whole)
        assert not folder.exists()

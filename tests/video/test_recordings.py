"""Recordings as receivers, dashcams and `cat` make them: clocks that begin anywhere and anew, sound that changes."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.footage import reading
from stylebank.footage.steady import Steady

av = pytest.importorskip("av", reason="needs PyAV, the extra stylebank[video]")


def recorded(clip: Path, into: Path, begins: int) -> Path:
    """A clip as MPEG-TS whose clock shows so many seconds at its beginning."""
    with av.open(str(clip)) as source, av.open(str(into), "w", format="mpegts") as output:
        made = {
            each.index: output.add_stream_from_template(each)
            for each in source.streams
            if each.type in ("audio", "video")
        }
        for packet in source.demux(*(source.streams[index] for index in made)):
            if packet.dts is None:
                continue
            shift = round(begins / Fraction(packet.time_base))
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = made[packet.stream.index]
            output.mux(packet)
    return into


def seconds(path: Path, kind: str) -> list[float]:
    """When each packet of the first stream of a kind is shown or heard."""
    with av.open(str(path)) as container:
        stream = next(each for each in container.streams if each.type == kind)
        return [float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.size]


def test_clock_that_falls_back_goes_on_where_it_was() -> None:
    clock = Steady(Fraction(1, 10))
    assert [clock.follow(time, 1) for time in (500, 501, 503, 502)] == [500, 501, 503, 502], "disorder stays"
    assert [clock.follow(time, 1) for time in (20, 21)] == [504, 505]
    assert clock.follow(10, 1) == 506, "and once more"
    assert Steady(Fraction(1, 10)).follow(-5, 1) == -5


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])  # webm: the sound is encoded again
def test_joined_recordings_play_one_after_the_other(
    make_clip: Any, paint: Any, tmp_path: Path, suffix: str
) -> None:
    clip, joined, made = make_clip(sound="aac", count=50), tmp_path / "joined.ts", tmp_path / f"made.{suffix}"
    parts = [recorded(clip, tmp_path / f"{begins}.ts", begins) for begins in (10, 2)]
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    outcome, _ = paint(joined, made)
    picture, sound = sorted(seconds(made, "video")), seconds(made, "audio")
    assert outcome.frames == len(picture) == 100
    assert picture[-1] - picture[0] == pytest.approx(99 / 25, abs=0.1)
    assert sound == sorted(sound)
    assert sound[-1] - sound[0] == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_recording_does_not_begin_with_hours_of_nothing(
    make_clip: Any, paint: Any, tmp_path: Path, suffix: str
) -> None:
    clip = recorded(make_clip(sound="aac", count=25), tmp_path / "evening.ts", 50_000)
    made = tmp_path / f"made.{suffix}"
    paint(clip, made)
    assert min(seconds(made, "video")) < 2
    assert min(seconds(made, "audio")) < 2
    with av.open(str(made)) as container:
        assert container.duration / 1e6 < 4
    given = min(seconds(clip, "video")) - min(seconds(clip, "audio"))
    found = min(seconds(made, "video")) - min(seconds(made, "audio"))
    assert found == pytest.approx(given, abs=0.05), "picture and sound keep their distance"


@pytest.mark.parametrize("layout", ["5.1(side)", "5.0(side)", "mono"])
def test_sound_of_every_layout_goes_into_webm(
    make_clip: Any, paint: Any, tmp_path: Path, layout: str
) -> None:
    clip = make_clip("round.mkv", sound="ac3", layout=layout, count=25)
    _, notes = paint(clip, tmp_path / "made.webm")
    assert [note for note in notes if "transcoded to Opus" in note]
    with av.open(str(tmp_path / "made.webm")) as container:
        wanted = av.AudioLayout(layout).nb_channels
        assert container.streams.audio[0].codec_context.layout.nb_channels == wanted


def test_one_damaged_packet_is_left_out_of_the_sound_and_said(
    make_clip: Any, paint: Any, tmp_path: Path
) -> None:
    clip = make_clip("clip.mkv", sound="flac", count=100)
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    place = data.find(packets[len(packets) // 2])
    data[place : place + len(packets[len(packets) // 2])] = bytes(len(packets[len(packets) // 2]))
    clip.write_bytes(data)
    _, notes = paint(clip, tmp_path / "made.webm")
    assert "its sound is damaged: what could not be read is left out" in notes
    assert seconds(tmp_path / "made.webm", "audio")[-1] == pytest.approx(4, abs=0.2), "it goes on behind"


def test_frames_of_the_recording_keep_their_own_times(make_clip: Any, tmp_path: Path) -> None:
    clip = recorded(make_clip(count=5), tmp_path / "a.ts", 50_000)
    found = reading.open_clip(clip)
    assert next(iter(found.frames())).time * found.facts.time_base >= 50_000, "what --start counts from"
    found.close()


def test_soft_edges_of_numbered_images_are_white_once(paint: Any, tmp_path: Path) -> None:
    alpha = Image.linear_gradient("L").resize((48, 40))
    for number in (1, 2):
        picture = Image.new("RGB", alpha.size, (40, 60, 120))
        picture.putalpha(alpha)
        picture.save(tmp_path / f"in{number}.png")
    paint(tmp_path / "in%d.png", tmp_path / "out%d.png")  # by what paints nothing
    with Image.open(tmp_path / "out2.png") as found:
        pixels = np.asarray(found).astype(int)
    soft = pixels[..., 3] >= 40
    assert (pixels[..., 3] == np.asarray(alpha)).all()
    assert (
        np.abs(pixels[soft][:, :3] - (40, 60, 120)).max() <= 8
    )  # laid over white and back, twice, at a sixth

"""Everything of a film but its picture stays: sound, times, colours, sizes, tags; what cannot stay is said."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.errors import ConfigError, ImageError, OutputError
from stylebank.footage import colours, reading
from stylebank.footage.clips import Frame
from stylebank.footage.colours import Colours

av = pytest.importorskip("av", reason="needs PyAV, the extra stylebank[video]")

MS = Fraction(1, 1000)


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as container:
        (stream,) = [each for each in container.streams if each.type == kind]
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def frames(path: Path) -> list[Frame]:
    clip = reading.open_clip(path)
    found = list(clip.frames())
    clip.close()
    return found


def seconds(path: Path) -> list[Fraction]:
    base = reading.open_clip(path).facts.time_base
    return [frame.time * base for frame in frames(path)]


def distance(first: list[Frame], second: list[Frame]) -> float:
    """Mean difference of levels."""
    pairs = zip(first, second, strict=True)
    return float(
        np.mean([np.abs(np.asarray(a.image, float) - np.asarray(b.image, float)).mean() for a, b in pairs])
    )


def declared(path: Path) -> tuple[int, ...]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return tuple(
            int(each)
            for each in (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
        )


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_sound_is_the_same_bytes_and_every_frame_keeps_its_time(
    make_clip: Any, paint: Any, tmp_path: Path, suffix: str
) -> None:
    clip, made = make_clip(sound="aac"), tmp_path / f"made.{suffix}"
    outcome, notes = paint(clip, made)
    assert packets(made, "audio") == packets(clip, "audio")
    found, given = seconds(made), seconds(clip)
    assert [time - found[0] for time in found] == [time - given[0] for time in given]
    assert (outcome.frames, notes) == (12, [])


def test_sound_that_the_container_cannot_carry_is_transcoded_and_that_is_said(
    make_clip: Any, paint: Any, tmp_path: Path
) -> None:
    _, notes = paint(make_clip(sound="aac", count=25), tmp_path / "made.webm")
    assert [note for note in notes if "transcoded to Opus" in note]
    with av.open(str(tmp_path / "made.webm")) as container:
        sound = container.streams.audio[0]
        length = sum(frame.samples for frame in container.decode(sound)) / 48000
    assert length == pytest.approx(1, abs=0.05)  # a packet of Opus is 20 ms, and priming one more


@pytest.mark.parametrize(("suffix", "tick"), [("mp4", Fraction(1, 12800)), ("mkv", MS)])
def test_uneven_times_stay_uneven(
    make_clip: Any, paint: Any, tmp_path: Path, suffix: str, tick: Fraction
) -> None:
    times = [0, 500, 700, 2000, 2050, 2600, 9000, 9001 if suffix == "mp4" else 9013]
    clip, made = make_clip(times=times), tmp_path / f"made.{suffix}"
    paint(clip, made)
    assert all(abs(a - b) <= tick / 2 for a, b in zip(seconds(made), seconds(clip), strict=True))


def test_last_frame_is_shown_as_long_as_before(make_clip: Any, paint: Any, tmp_path: Path) -> None:
    clip, made = make_clip(count=9), tmp_path / "made.mp4"
    paint(clip, made)
    with av.open(str(clip)) as before, av.open(str(made)) as after:
        pair = before.streams.video[0], after.streams.video[0]
        assert pair[1].duration * pair[1].time_base == pair[0].duration * pair[0].time_base == Fraction(9, 25)


@pytest.mark.parametrize(
    "known",
    [Colours(1, 1, 1, 1), Colours(6, 6, 6, 1), Colours(5, 5, 6, 1), Colours(1, 1, 1, 2), Colours()],
    ids=["BT.709", "BT.601 NTSC", "BT.601 PAL", "BT.709 full", "undeclared"],
)
def test_colours_come_back_as_they_were_and_so_does_what_is_declared(
    make_clip: Any, paint: Any, tmp_path: Path, known: Colours
) -> None:
    clip, made = make_clip(known=known, count=4), tmp_path / "made.mp4"
    paint(clip, made, quality=0)
    assert declared(made) == declared(clip)
    assert distance(frames(made), frames(clip)) < 1.5  # CRF 0 loses nothing; chroma is halved once more


def test_colours_would_not_come_back_by_another_matrix(
    make_clip: Any, paint: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, made = make_clip(known=Colours(1, 1, 1, 1), count=4), tmp_path / "made.mp4"
    before, right = frames(clip), colours.from_rgb

    def wrong(image: Any, alpha: Any, known: Colours, pixels: str) -> Any:
        frame = right(image, alpha, Colours(5, 5, 6, 1), pixels)
        colours.declare(frame, known)
        return frame

    monkeypatch.setattr(colours, "from_rgb", wrong)
    paint(clip, made, quality=0)
    assert distance(frames(made), before) > 3


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_turned_clips_are_painted_upright(make_clip: Any, paint: Any, tmp_path: Path, rotation: int) -> None:
    clip, made = make_clip(rotation=rotation, count=3), tmp_path / "made.mp4"
    plain = make_clip("plain.mp4", count=3)
    paint(clip, made, quality=4)

    def turned(by: int) -> list[Frame]:
        return [Frame(each.image.rotate(by, expand=True), None, 0) for each in frames(plain)]

    assert distance(frames(clip), turned(rotation)) < 2  # encoded twice, at CRF 4
    assert distance(frames(made), turned(rotation)) < 2.5  # and once more
    assert distance(frames(clip), turned(rotation + 180)) > 20
    with av.open(str(made)) as container:
        assert next(container.decode(video=0)).rotation == 0


@pytest.mark.parametrize(
    ("name", "aspect"), [("made.mp4", "16:11"), ("made.mkv", "16:11"), ("made.mov", "8:9")]
)
def test_shape_of_pixels_stays(make_clip: Any, paint: Any, tmp_path: Path, name: str, aspect: str) -> None:
    shape = Fraction(*map(int, aspect.split(":")))
    paint(make_clip(aspect=shape, count=3), tmp_path / name)
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.video[0].sample_aspect_ratio == shape


@pytest.mark.parametrize(("name", "told"), [("made.mp4", True), ("made.webm", False)])
def test_odd_sizes_stay_odd(make_clip: Any, paint: Any, tmp_path: Path, name: str, told: bool) -> None:
    clip = make_clip("odd.webm", size=(45, 67), codec="libvpx-vp9", count=3, time_base=MS)
    _, notes = paint(clip, tmp_path / name)
    assert frames(tmp_path / name)[0].image.size == (67, 45)
    assert any("4:4:4" in note for note in notes) == told
    with pytest.raises(ConfigError, match="takes even sizes only"):
        paint(clip, tmp_path / "x.mp4", codec="av1")


@pytest.mark.parametrize(
    ("name", "codec"), [("made.webm", None), ("made.mov", "prores"), ("made.mkv", "ffv1")]
)
def test_transparency_stays_where_the_codec_has_it(
    make_clip: Any, paint: Any, tmp_path: Path, name: str, codec: str | None
) -> None:
    alpha = Image.fromarray(np.repeat([[0, 255]], 48, 0).astype(np.uint8)).resize((64, 48), 0)
    clip = make_clip("see.webm", codec="libvpx-vp9", pixels="yuva420p", alpha=alpha, count=3, time_base=MS)
    _, notes = paint(clip, tmp_path / name, codec=codec)
    (found, *_) = frames(tmp_path / name)
    assert found.alpha
    assert np.abs(np.asarray(found.alpha, int) - np.asarray(alpha)).mean() < 3
    assert not notes


def test_transparency_that_cannot_stay_is_laid_over_white_and_said(
    make_clip: Any, paint: Any, tmp_path: Path
) -> None:
    alpha = Image.new("L", (64, 48), 0)
    clip = make_clip("see.webm", codec="libvpx-vp9", pixels="yuva420p", alpha=alpha, count=3, time_base=MS)
    _, notes = paint(clip, tmp_path / "made.mp4")
    assert "laid over white" in notes[0]
    assert np.asarray(frames(tmp_path / "made.mp4")[0].image).min() > 245


def test_tags_chapters_and_languages_stay(make_clip: Any, paint: Any, tmp_path: Path) -> None:
    chapters = [
        {
            "id": place,
            "start": 200 * place,
            "end": 200 * place + 200,
            "time_base": MS,
            "metadata": {"title": name},
        }
        for place, name in enumerate(("dawn", "noon"))
    ]
    clip = make_clip("clip.mkv", sound="aac", tags={"title": "Sea", "artist": "Nobody"}, chapters=chapters)
    for name in ("made.mkv", "made.mp4"):
        _, notes = paint(clip, tmp_path / name)
        assert notes == []
        with av.open(str(tmp_path / name)) as made:
            tags = {key.lower(): value for key, value in made.metadata.items()}
            assert (tags["title"], tags["artist"]) == ("Sea", "Nobody")
            assert [each["metadata"]["title"] for each in made.chapters()] == ["dawn", "noon"]
            assert [each["start"] * each["time_base"] for each in made.chapters()] == [0, Fraction(1, 5)]


@pytest.fixture
def with_subtitles(make_clip: Any, tmp_path: Path) -> Path:
    """A film with a line of subtitles."""
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,100 --> 00:00:00,300\nHello sea\n\n", "utf-8")
    path = tmp_path / "said.mkv"
    with (
        av.open(str(make_clip(sound="aac"))) as film,
        av.open(str(words)) as text,
        av.open(str(path), "w") as output,
    ):
        made = {
            each: output.add_stream_from_template(each, opaque=True)
            for each in (*film.streams.video, *film.streams.audio)
        }
        line = output.add_stream_from_template(text.streams[0], opaque=True)
        line.metadata["language"] = "fra"
        for packet in text.demux():
            if packet.size:
                packet.stream = line
                output.mux(packet)
        for packet in film.demux(list(made)):
            if packet.size:
                packet.stream = made[packet.stream]
                output.mux(packet)
    return path


def test_subtitles_stay_where_the_container_has_them(
    with_subtitles: Path, paint: Any, tmp_path: Path
) -> None:
    _, notes = paint(with_subtitles, tmp_path / "made.mkv")
    assert packets(tmp_path / "made.mkv", "subtitle") == packets(with_subtitles, "subtitle")
    with av.open(str(tmp_path / "made.mkv")) as made:
        assert made.streams.subtitles[0].language == "fra"
    assert notes == []


def test_subtitles_that_the_container_cannot_have_are_named(
    with_subtitles: Path, paint: Any, tmp_path: Path
) -> None:
    _, notes = paint(with_subtitles, tmp_path / "made.mp4")
    assert notes == ["without its subtitles (subrip), which this kind of file does not take"]


def test_part_of_a_film_has_that_part_of_its_sound(make_clip: Any, paint: Any, tmp_path: Path) -> None:
    clip, made = make_clip(sound="aac", count=50), tmp_path / "made.mp4"
    outcome, _ = paint(clip, made, start=Fraction(1, 2), length=Fraction(1), quality=4)
    assert outcome.frames == 25
    found = seconds(made)
    assert (found[0], found[-1]) == (Fraction(0), Fraction(24, 25))
    assert distance(frames(made)[:1], frames(clip)[13:14]) < 3  # 0.5 s lies between frames: 0.52 is the first
    with av.open(str(made)) as container:
        sound = container.streams.audio[0]
        assert float(sound.duration * sound.time_base) == pytest.approx(1, abs=0.05)
    whole = packets(clip, "audio")
    part = packets(made, "audio")
    assert b"".join(part) in b"".join(whole)


def test_hdr_is_toned_down_and_that_is_said(make_clip: Any, paint: Any, tmp_path: Path) -> None:
    def grey(place: int, size: tuple[int, int]) -> Image.Image:
        return Image.new("RGB", size[::-1], (place * 40,) * 3)

    known = Colours(9, 9, 16, 1)
    clip = make_clip("hdr.mkv", codec="libx265", pixels="yuv420p10le", known=known, draw=grey, count=6)
    _, notes = paint(clip, tmp_path / "made.mp4")
    assert notes == ["is HDR (PQ): toned down to SDR, BT.709"]
    assert declared(tmp_path / "made.mp4") == (1, 1, 13, 1)
    levels = [np.asarray(each.image).mean() for each in frames(tmp_path / "made.mp4")]
    assert levels == sorted(levels)
    assert levels[0] < 3
    assert levels[-1] > 240
    # PQ 0.58 is 203 cd/m2, reference white, which highlights press to where the knee begins to bend
    assert 200 < np.interp(0.58 * 255, [place * 40 for place in range(6)], levels) < 256


@pytest.mark.parametrize("damage", ["cut", "holes"])
def test_of_a_damaged_film_what_can_be_read_is_painted_and_the_rest_is_said(
    make_clip: Any, paint: Any, tmp_path: Path, damage: str
) -> None:
    clip = make_clip("clip.mkv", count=50, sound="aac")
    data = bytearray(clip.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    else:
        data[len(data) // 2 : len(data) // 2 + 3000] = b"\xff" * 3000
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(data)
    outcome, notes = paint(broken, tmp_path / "made.mp4")
    assert 5 < outcome.frames < 50
    assert any(word in notes[-1] for word in ("cut short", "damaged", "cannot be read further"))
    assert len(frames(tmp_path / "made.mp4")) == outcome.frames


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.mp4", None, "does not exist"),
        ("empty.mp4", b"", "cannot be read as a video"),
        ("text.mkv", b"I am no film\n" * 99, "cannot be read as a video"),
        ("half.mp4", "half", "cannot be read as a video"),
    ],
)
def test_what_is_no_film_is_one_line(
    make_clip: Any, tmp_path: Path, name: str, content: Any, said: str
) -> None:
    path = tmp_path / name
    if content is not None:
        whole = make_clip().read_bytes() if content == "half" else content
        path.write_bytes(
            whole[: len(whole) // 2] if content == "half" else whole
        )  # an MP4 has its index at the end
    with pytest.raises(ImageError, match=said):
        reading.open_clip(path)


def test_sound_alone_is_no_film(make_clip: Any, tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(make_clip(sound="aac"))) as film, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(film.streams.audio[0])
        for packet in film.demux(film.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    with pytest.raises(ImageError, match="holds no video"):
        reading.open_clip(path)


@pytest.mark.parametrize(
    ("name", "how", "said"),
    [
        ("x.mp4", {"codec": "divx"}, "--codec divx: is unknown"),
        ("x.mp4", {"codec": "prores"}, "does not go into this kind of file; name it .mov or .mkv"),
        ("x.webm", {"codec": "h264"}, "does not go into this kind"),
        ("x.mp4", {"quality": 52}, "out of range; give 0 .best. to 51"),
        ("x.mkv", {"codec": "ffv1", "quality": 3}, "ffv1 has none"),
        ("x.gif", {"codec": "h264"}, ".gif files have none"),
        ("x.gif", {"quality": 50}, ".gif files have none"),
        ("x.avi", {}, "'.avi' is no known kind of video"),
        ("x.mp4", {"longest": 3}, "--max-side 3: is out of range"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    make_clip: Any, paint: Any, tmp_path: Path, name: str, how: dict[str, Any], said: str
) -> None:
    with pytest.raises((ConfigError, OutputError), match=said):
        paint(make_clip(count=2), tmp_path / name, **how)


@pytest.mark.parametrize("codec", ["h265", "av1", "vp9", "prores", "ffv1"])
def test_every_codec_gives_the_frames_back(make_clip: Any, paint: Any, tmp_path: Path, codec: str) -> None:
    clip, made = make_clip(count=5), tmp_path / ("made.mov" if codec == "prores" else "made.mkv")
    paint(clip, made, codec=codec)
    assert distance(frames(made), frames(clip)) < 4  # the codecs' usual qualities, on 64 x 48 pixels
    assert declared(made) == declared(clip)


def test_clips_can_be_made_smaller(make_clip: Any, paint: Any, tmp_path: Path) -> None:
    paint(make_clip(count=3), tmp_path / "made.mp4", longest=33)
    assert frames(tmp_path / "made.mp4")[0].image.size == (32, 24)

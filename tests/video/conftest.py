"""Tiny clips, drawn and encoded here."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.footage import reading
from stylebank.persistence.pieces import Pieces
from stylebank.video import outputs, work
from stylebank.video.looks import Look
from stylebank.video.pipeline import Order
from stylebank.video.work import Outcome

Clip = Callable[..., Path]


def picture(place: int, size: tuple[int, int] = (48, 64)) -> Image.Image:
    """A frame (H, W): soft colours that move."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    bands = [
        128 + 80 * np.sin(columns / 9 + place / 3),
        128 + 70 * np.cos(rows / 7 + place / 4),
        120 + 40 * np.sin((rows + columns) / 11 - place / 5),
    ]
    return Image.fromarray(np.stack(bands, -1).astype(np.uint8))


def _sound(av: Any, output: Any, codec: str, seconds: float, layout: str) -> list[Any]:
    stream = output.add_stream(codec, rate=48000, layout=layout)
    channels = av.AudioLayout(layout).nb_channels
    frame_size = 960
    packets = []
    for place in range(int(48000 * seconds / frame_size)):
        wave = np.sin(2 * math.pi * 440 * (np.arange(frame_size) + place * frame_size) / 48000)
        kind, levels = (
            ("fltp", wave.astype(np.float32))
            if codec in ("aac", "ac3")
            else ("s16", (wave * 20000).astype("i2"))
        )
        planes = np.tile(0.5 * levels, (channels, 1)) if kind == "fltp" else np.repeat(levels, channels)[None]
        frame = av.AudioFrame.from_ndarray(planes.astype(levels.dtype), kind, layout)
        frame.sample_rate, frame.pts, frame.time_base = 48000, place * frame_size, Fraction(1, 48000)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


@pytest.fixture
def make_clip(tmp_path: Path) -> Clip:
    """A function that encodes a clip of soft colours; see its arguments."""
    av = pytest.importorskip("av", reason="needs PyAV, the extra stylebank[video]")
    from stylebank.footage import colours
    from stylebank.footage.colours import Colours

    hd = Colours(1, 1, 1, 1)

    def make(
        name: str = "clip.mp4",
        *,
        count: int = 12,
        size: tuple[int, int] = (48, 64),
        codec: str = "libx264",
        pixels: str = "yuv420p",
        sound: str | None = None,
        layout: str = "mono",
        times: Sequence[int] | None = None,
        time_base: Fraction = Fraction(1, 12800),
        known: Colours = hd,
        aspect: Fraction = Fraction(1),
        rotation: int | None = None,
        tags: dict[str, str] | None = None,
        chapters: list[dict[str, Any]] | None = None,
        alpha: Image.Image | None = None,
        draw: Callable[[int, tuple[int, int]], Image.Image] = picture,
    ) -> Path:
        path = tmp_path / name
        step = round(Fraction(1, 25) / time_base)
        times = times if times is not None else [place * step for place in range(count)]
        with av.open(str(path), "w") as output:
            options = {"crf": "4"} if codec in ("libx264", "libvpx-vp9") else {}
            if codec == "libvpx-vp9":
                options |= {"b": "0", "auto-alt-ref": "0"}
            stream = output.add_stream(codec, rate=25, options=options)
            stream.height, stream.width = size
            stream.pix_fmt = pixels
            stream.codec_context.time_base = time_base
            stream.codec_context.sample_aspect_ratio = aspect
            colours.declare(stream.codec_context, known)
            if alpha:
                stream.metadata["alpha_mode"] = "1"
            if rotation is not None:
                stream.set_display_rotation(rotation)
            output.metadata.update(tags or {})
            if chapters:
                output.set_chapters(chapters)
            packets = _sound(av, output, sound, count / 25, layout) if sound else []
            for place, time in enumerate(times):
                frame = colours.from_rgb(draw(place, size), alpha, known, pixels)
                frame.pts, frame.time_base = time, time_base
                packets += stream.encode(frame)
            packets += stream.encode(None)
            for packet in sorted(packets, key=lambda each: each.dts * each.time_base):
                output.mux(packet)
        return path

    return make


class Same:
    """A painter whose pictures are the frames themselves, or what `change` makes of frame and number."""

    def __init__(self, change: Callable[[Image.Image, int], Image.Image] = lambda frame, _: frame) -> None:
        self.count, self.change = 0, change

    def paint(self, frame: Image.Image, look: Look) -> Image.Image:
        assert look.share
        self.count += 1
        return self.change(frame, self.count)

    def state(self) -> dict[str, Any]:
        return {"count": np.array([self.count])}

    def restore(self, state: Any) -> None:
        self.count = int(state["count"][0]) if state else 0

    def reset(self) -> None:
        self.count = 0


Paint = Callable[..., "tuple[Outcome, list[str]]"]


@pytest.fixture
def paint() -> Paint:
    """A function that makes a file of a clip whose pictures are its frames: outcome, and notes of all kinds."""

    def run(
        source: Path,
        target: Path,
        painter: Any = None,
        *,
        longest: int | None = None,
        fps: Fraction | None = None,
        start: Fraction = Fraction(0),
        length: Fraction | None = None,
        stop: Callable[[], bool] = lambda: False,
        settings: dict[str, Any] | None = None,
        **how: Any,
    ) -> "tuple[Outcome, list[str]]":
        clip = reading.open_clip(source, fps)
        try:
            size = work.size_of(clip.facts, longest)
            window = (start, length) if start or length is not None else None
            writer, notes = outputs.writer(clip, target, size, window=window, **how)
            order = Order(clip, size, writer, lambda _: Look("wave"), start, length)
            made = work.run(order, painter or Same(), Pieces(target, settings or {}), stop=stop)
            return made, [*clip.facts.notes, *notes, *made.notes, *([clip.fault] if clip.fault else [])]
        finally:
            clip.close()

    return run


@pytest.fixture
def same() -> type[Same]:
    """See `Same`."""
    return Same

"""Video files as clips, by PyAV: frames upright, at their own times, in their own colours, as far as files go.

PyAV is an extra: whoever has no video needs none of it.
"""

import contextlib
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from stylebank.errors import ConfigError, ImageError
from stylebank.footage import animations, clips, colours
from stylebank.footage.clips import Clip, Facts, Frame
from stylebank.footage.steady import Steady
from stylebank.photos.decoding import one_line

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

SUFFIXES = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".3gp", ".3g2", ".mts", ".m2ts", ".ts"),
        *(".mpg", ".mpeg", ".vob", ".wmv", ".asf", ".flv", ".ogv", ".mxf", ".nut", ".y4m"),
    )
)
"""Of files that are taken for videos in a folder."""

_TURNS = {
    (1, 0, 0, 1): None,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}
"""Signs of a display matrix's a, b, c, d, (p, q) -> (ap + cq, bp + dq), and what turns a picture like that."""

_SEEKING = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""Formats with an index that can be trusted to find a frame."""

_SHORT = Fraction(3, 4)  # seconds that a file may end before it says so


def library() -> "Any":
    """PyAV.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import av
    except ImportError:
        raise ConfigError(
            'video: needs PyAV, which is not installed; pip install "stylebank[video]", or use gif, webp or images'
        ) from None
    av.logging.set_level(None)  # what it would print, errors and notes say
    return av


def open_clip(path: Path, fps: Fraction | None = None) -> Clip:
    """A file, or numbered images, as a clip.

    Args:
        path: video, animation, or a name such as `frames/%05d.png`.
        fps: frames a second of numbered images.

    Raises:
        ImageError: it is missing, no video, or damaged before its first frame.
        ConfigError: an extra is missing; or `fps` is given for a file that has its own times.
    """
    if clips.is_numbered(path) and not path.exists():
        return clips.Sequence(path, fps)
    if fps:
        raise ConfigError(f"--fps: goes with numbered images, and {path} has its own times; leave it out")
    if not path.exists():
        raise ImageError(f"{path}: does not exist; check the path")
    if path.is_dir():
        raise ImageError(f"{path}: is a folder; give a video, or a name such as {path}/%05d.png")
    if path.suffix.lower() in animations.SUFFIXES:
        return animations.Animation(path)
    return Film(path)


class Film:
    """A video file as a clip; the first frame is decoded to know what it is.

    Args:
        path: the file.

    Raises:
        ImageError: see `open_clip`.
        ConfigError: PyAV is missing.
    """

    fault: str | None = None

    def __init__(self, path: Path) -> None:
        self._av = library()
        self.path = path
        self._lost = 0
        self._container, self._stream = _opened(self._av, path)
        try:
            first = next(self._decoded(), None)
            if first is None:
                raise ImageError(
                    f"{path}: {self.fault or 'has no frame that can be read'}; get the file again"
                )
            self._turn = _turn(first)
            self.facts = self._facts(first)
        except BaseException:
            self.close()
            raise

    @property
    def has_sound(self) -> bool:
        """Whether there is a stream of sound."""
        return bool(self._container.streams.audio)

    def close(self) -> None:
        """See `Clip`."""
        with contextlib.suppress(Exception):
            self._container.close()

    def frames(self, since: int | None = None) -> Iterator[Frame]:
        """See `Clip`. Damaged frames are left out, and what is cut short ends; `fault` says so."""
        for frame, time in self._timed(since):
            image, alpha = colours.to_rgb(frame, self.facts.colours)
            if self._turn is not None:
                image, alpha = image.transpose(self._turn), alpha and alpha.transpose(self._turn)
            if (image.height, image.width) != self.facts.size:  # some streams change it on their way
                image = image.resize(self.facts.size[::-1], Image.Resampling.LANCZOS)
                alpha = alpha and alpha.resize(self.facts.size[::-1], Image.Resampling.LANCZOS)
            yield Frame(image, alpha, time, frame.duration or 0)

    def _timed(self, since: int | None) -> Iterator[tuple["VideoFrame", int]]:
        """Frames from a time on, each with its time, which only grows."""
        skipping = since is not None and self._sought(since)
        if not skipping:
            self._container.close()
            self._container, self._stream = _opened(self._av, self.path)
        self._lost, last, began = 0, None, not skipping
        usual = round(1 / (self.facts.rate or clips.FPS) / self.facts.time_base) or 1
        clock = Steady(self.facts.time_base)
        for frame in self._decoded():
            guessed = self.facts.start if last is None else last + usual
            time = guessed if frame.pts is None else clock.follow(frame.pts, usual)
            if last is not None and time <= last:
                time = last + 1
            last = time
            if since is not None and time < since:
                began = True
                continue
            if not began and time != since:  # the index led past it: from the start, then
                yield from self._from_start(since or 0)
                return
            began = True
            yield frame, time
        self._judge_end(last)

    def _from_start(self, since: int) -> Iterator[tuple["VideoFrame", int]]:
        for frame, time in self._timed(None):
            if time >= since:
                yield frame, time

    def _sought(self, since: int) -> bool:
        """Whether the file could be wound to shortly before a time."""
        if self._container.format.name not in _SEEKING or since <= self.facts.start:
            return False
        self._container.close()
        self._container, self._stream = _opened(self._av, self.path)
        try:
            self._container.seek(since, stream=self._stream)
        except self._av.FFmpegError:
            return False
        return True

    def _decoded(self) -> Iterator["VideoFrame"]:
        decoder = self._stream.codec_context
        if self._stream.metadata.get("alpha_mode", self._stream.metadata.get("ALPHA_MODE")) == "1":
            name = {"vp9": "libvpx-vp9", "vp8": "libvpx"}.get(decoder.codec.canonical_name)
            if name:  # the others leave transparency out
                decoder = self._av.CodecContext.create(name, "r")
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
            except self._av.FFmpegError as error:
                self.fault = f"cannot be read further ({_reason(error)})"
                packet = None
            try:
                yield from decoder.decode(packet)
            except self._av.EOFError:
                return
            except self._av.FFmpegError:
                self._lost += 1
                self.fault = f"is damaged, {self._lost} of its packets could not be read"
            if packet is None:
                return

    def _judge_end(self, last: int | None) -> None:
        """Say so if the file ends long before it says that it does."""
        facts = self.facts
        if self.fault or last is None or facts.seconds is None:
            return
        missing = facts.seconds - (last - facts.start) * facts.time_base - 1 / (facts.rate or clips.FPS)
        said = self._stream.frames
        if missing > _SHORT and (not said or missing * (facts.rate or clips.FPS) > max(2, said // 50)):
            self.fault = f"is cut short, {float(missing):.1f} s of it are missing"

    def _facts(self, first: "VideoFrame") -> Facts:
        stream = self._stream
        is_side = self._turn is not None and self._turn.name in (
            "ROTATE_90",
            "ROTATE_270",
            "TRANSPOSE",
            "TRANSVERSE",
        )
        size = (first.width, first.height) if is_side else (first.height, first.width)
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        own: Any = stream.time_base
        ticks: Any = first.time_base
        time_base = Fraction(ticks)
        found = colours.of(first, first.format.name)
        rate = stream.average_rate or stream.guessed_rate
        length = (
            stream.duration * Fraction(own)
            if stream.duration
            else self._container.duration and Fraction(self._container.duration, self._av.time_base)
        )
        return Facts(
            size=size,
            time_base=time_base,
            start=first.pts or 0,
            count=stream.frames or (round(length * rate) if length and rate else None),
            seconds=Fraction(length) if length else None,
            rate=Fraction(rate) if rate else None,
            aspect=1 / aspect if is_side else aspect,
            colours=found,
            has_alpha=colours.has_alpha(first.format),
            notes=tuple(_notes(first, found)),
        )


def _notes(first: "VideoFrame", found: colours.Colours) -> Iterator[str]:
    if found.is_hdr:
        kind = "PQ" if found.transfer == 16 else "HLG"
        yield f"is HDR ({kind}): toned down to SDR, BT.709"
    elif max(part.bits for part in first.format.components) > 8:
        yield "has more than 8 bits a channel: painted in 8"
    if first.interlaced_frame:
        yield "is interlaced: both fields are painted as one picture; deinterlace it first if combs show"


def _opened(library: "Any", path: Path) -> "tuple[InputContainer, VideoStream]":
    """The file, and the stream in it that is the film, not its cover."""
    try:
        container = library.open(str(path), metadata_errors="replace")
    except (library.FFmpegError, OSError, ValueError) as error:
        raise ImageError(
            f"{path}: cannot be read as a video ({_reason(error)}); get the file again"
        ) from error
    found = [each for each in container.streams.video if not is_cover(each)]
    if not found:
        container.close()
        raise ImageError(f"{path}: holds no video; give a file with pictures that move")
    stream = found[0]
    stream.thread_type = "AUTO"
    return container, stream


def is_cover(stream: "VideoStream") -> bool:
    """Whether a stream is a still picture that stands for the file."""
    return bool(int(stream.disposition) & 0x400)


def _turn(frame: "VideoFrame") -> "Image.Transpose | None":
    """What turns decoded frames upright."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    a, b, _, c, d = struct.unpack("=5i", bytes(data)[:20])
    most = max(map(abs, (a, b, c, d))) or 1
    signs = round(a / most), round(b / most), round(c / most), round(d / most)
    return _TURNS.get(signs)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or one_line(error)

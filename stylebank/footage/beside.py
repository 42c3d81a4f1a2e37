"""What a video file holds besides its picture: sound, subtitles, chapters and tags, copied packet by packet."""

from collections.abc import Iterator
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import Any

from stylebank.footage.steady import Steady

_NOT_COPIED = frozenset(
    (
        *("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id"),
        *("rotate", "alpha_mode", "bps", "number_of_frames", "number_of_bytes"),
    )
)
"""Tags that tell of the old file, not of what it shows."""

_ENCODERS = {"mp4": "aac", "mov": "aac", "webm": "libopus", "matroska": "aac"}
"""For sound that a container cannot carry."""

_SAID = {"aac": "AAC", "libopus": "Opus"}

_OPUS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""The layouts that Opus has, by their channels; that of most films, 5.1(side), is none of them."""

_CLOCKS = ("mpegts", "mpeg")
"""Kinds of file whose clock stands anywhere at their beginning, at hours in recordings."""


class Beside:
    """All streams of a file but its film's.

    Args:
        library: PyAV.
        source: the file.
        container: where they go, FFmpeg's name.
        notes: receives what is left out or changed, a line each.
    """

    def __init__(self, library: Any, source: Path, container: str, notes: list[str]) -> None:
        self._av, self._source = library, source
        self._input = library.open(str(source), metadata_errors="replace")
        self._container, self._notes = container, notes
        self._copied: dict[int, Any] = {}
        self._encoded: dict[int, Any] = {}
        self._start = Fraction(0)
        self._end: Fraction | None = None
        self._is_cut = False

    def close(self) -> None:
        """Let the file go."""
        self._input.close()

    def declare(self, output: Any, video: Any, window: tuple[Fraction | None, Fraction | None]) -> None:
        """Add the streams, tags and chapters.

        Args:
            output: the container that is written.
            video: its film.
            window: start and end in seconds of what is kept; None for all.
        """
        self._is_cut = window[0] is not None
        self._start, self._end = self.begins if window[0] is None else window[0], window[1]
        output.metadata.update(_tags(self._input.metadata))
        film = next(iter(self._input.streams.video), None)
        for stream in self._input.streams:
            if stream.type == "video" and not int(stream.disposition) & 0x400 and film is not None:
                if stream.index == film.index:
                    video.metadata.update(_tags(stream.metadata))
                    _dispose(video, stream)
                else:
                    self._notes.append("has more than one film; only the first is painted and kept")
                continue
            self._add(output, stream)
        self._chapters(output)

    @property
    def begins(self) -> Fraction:
        """Seconds that the file's clock shows at its beginning, where that means nothing; else 0."""
        begins = self._input.start_time if self._input.format.name in _CLOCKS else None
        return Fraction(max(begins or 0, 0), 1_000_000)

    def packets(self) -> Iterator[tuple[float, Any]]:
        """Packets of all these streams in the order of their times, each with its time in seconds."""
        if self._copied:
            copied = self._copies()
            return merge(copied, *self._sounds(), key=lambda pair: pair[0])
        return merge(*self._sounds(), key=lambda pair: pair[0])

    def _add(self, output: Any, stream: Any) -> None:
        name = _codec(stream)
        try:
            if stream.type == "attachment":
                if self._container == "matroska":
                    output.add_attachment(stream.name, stream.mimetype, stream.data)
                return
            can = self._container == "matroska" or name in output.supported_codecs
            if stream.type in ("audio", "subtitle", "video") and can:
                self._copied[stream.index] = made = output.add_stream_from_template(stream, opaque=True)
            elif stream.type == "audio":
                self._encoded[stream.index] = made = self._encoder(output, stream)
                self._notes.append(
                    f"its sound ({name}) does not go into this kind of file: transcoded to "
                    f"{_SAID[_ENCODERS[self._container]]}; .mkv keeps it as it is"
                )
            else:
                self._leave_out(stream, name)
                return
        except (self._av.FFmpegError, ValueError, AttributeError, KeyError):
            self._notes.append(f"its {stream.type} stream ({name}) cannot be kept: left out")
            return
        made.metadata.update(_tags(stream.metadata))
        _dispose(made, stream)

    def _leave_out(self, stream: Any, name: str) -> None:
        if stream.type == "data" and name == "bin_data" and self._input.chapters():
            return  # names of chapters, which are kept
        kind = {"subtitle": "subtitles", "video": "cover"}.get(stream.type, f"{stream.type} stream")
        self._notes.append(f"without its {kind} ({name}), which this kind of file does not take")

    def _encoder(self, output: Any, stream: Any) -> Any:
        name = _ENCODERS[self._container]
        rate = 48000 if name == "libopus" else stream.codec_context.sample_rate
        own = stream.codec_context.layout
        layout = _OPUS.get(own.nb_channels, "stereo") if name == "libopus" else own.name
        return output.add_stream(name, rate=rate, layout=layout)

    def _copies(self) -> Iterator[tuple[float, Any]]:
        streams = [each for each in self._input.streams if each.index in self._copied]
        clocks = {stream.index: Steady(Fraction(stream.time_base)) for stream in streams}
        for packet in self._demuxed(self._input, streams):
            if packet.dts is None and packet.pts is None:
                continue
            base = Fraction(packet.time_base)
            is_cover = packet.stream.type == "video"
            clock = clocks[packet.stream.index]
            if packet.stream.type == "audio":
                clock.follow(packet.dts if packet.dts is not None else packet.pts, packet.duration or 0)
            time = ((packet.pts if packet.pts is not None else packet.dts) + clock.shift) * base
            if not is_cover and self._is_cut and not self._start <= time < (self._end or time + 1):
                continue
            shift = clock.shift - (0 if is_cover else round(self._start / base))
            if packet.pts is not None:
                packet.pts += shift
            if packet.dts is not None:
                packet.dts += shift
            packet.stream = self._copied[packet.stream.index]
            yield float(time - self._start), packet

    def _demuxed(self, container: Any, streams: Any) -> Iterator[Any]:
        """Packets up to where the file ends or cannot be read any more."""
        packets = container.demux(streams)
        while True:
            try:
                packet = next(packets, None)
            except self._av.FFmpegError:
                return
            if packet is None:
                return
            yield packet

    def _sounds(self) -> list[Iterator[tuple[float, Any]]]:
        return [self._sound(index, made) for index, made in self._encoded.items()]

    def _sound(self, index: int, made: Any) -> Iterator[tuple[float, Any]]:
        """One stream of sound, decoded and encoded again."""
        with self._av.open(str(self._source)) as container:
            for part in self._resampled(
                made.codec_context, self._frames(container, container.streams[index])
            ):
                yield from ((_time(packet), packet) for packet in made.encode(part))
            yield from ((_time(packet), packet) for packet in made.encode(None))

    def _resampled(self, encoder: Any, frames: Iterator[Any]) -> Iterator[Any]:
        """Sound as an encoder takes it; broadcasts change from stereo to more channels and back."""
        into: Any = None
        kind = None
        for frame in frames:
            now = frame.format.name, frame.layout.name, frame.sample_rate
            if now != kind:
                yield from into.resample(None) if into else ()
                into = self._av.AudioResampler(encoder.format, encoder.layout, encoder.sample_rate)
                kind = now
            yield from into.resample(frame)
        yield from into.resample(None) if into else ()

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        """Decoded sound of the window; what is damaged is left out."""
        for frame in self._sound_frames(container, stream):
            base = Fraction(frame.time_base)
            if self._end is not None and frame.pts * base >= self._end:
                return
            if frame.pts * base >= self._start or not self._is_cut:
                frame.pts -= round(self._start / base)
                yield frame

    def _sound_frames(self, container: Any, stream: Any) -> Iterator[Any]:
        clock, is_damaged = None, False
        for packet in self._demuxed(container, stream):
            try:
                frames = packet.decode()
            except self._av.FFmpegError:
                if not is_damaged:
                    self._notes.append("its sound is damaged: what could not be read is left out")
                is_damaged = True
                continue
            for frame in frames:
                base = Fraction(frame.time_base)
                clock = clock or Steady(base)
                frame.pts = clock.follow(frame.pts, round(frame.samples / frame.sample_rate / base))
                yield frame

    def _chapters(self, output: Any) -> None:
        found = []
        for each in self._input.chapters():
            base = Fraction(each["time_base"])
            begun, ended = each["start"] * base, each["end"] * base
            if self._end is not None:
                begun, ended = max(begun, self._start), min(ended, self._end)
            if begun < ended:
                shift = round(self._start / base)
                found.append(dict(each, start=round(begun / base) - shift, end=round(ended / base) - shift))
        if found and self._container == "webm":
            self._notes.append("its chapters are kept, though few players of webm show them")
        if found:
            output.set_chapters(found)


def _time(packet: Any) -> float:
    moment = packet.dts if packet.dts is not None else packet.pts
    return float((moment or 0) * Fraction(packet.time_base))


def _codec(stream: Any) -> str:
    try:
        return str(stream.codec_context.codec.canonical_name)
    except AttributeError:
        return str(getattr(stream, "name", None) or "unknown")


def _tags(found: dict[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in found.items()
        if key.lower() not in _NOT_COPIED and not key.startswith("_STATISTICS")
    }


def _dispose(made: Any, stream: Any) -> None:
    made.disposition = stream.disposition

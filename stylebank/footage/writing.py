"""Video files of painted frames: encoded in pieces by PyAV, then joined with the sound and all else of the source.

The source's other streams are copied packet by packet; what a container cannot carry is transcoded or left out, and
said. Pieces count their frames; real times are given when they are joined, so that no container rounds them before.
"""

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylebank.errors import ConfigError, OutputError
from stylebank.files import atomic
from stylebank.footage import beside, colours, reading
from stylebank.footage.clips import FPS, Facts, Frame
from stylebank.footage.codecs import CODECS, FORMATS
from stylebank.photos.decoding import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

_MS = Fraction(1, 1000)
_DEEPEST = 32  # frames that an encoder may hold back


@dataclass(frozen=True)
class FilmWriter:
    """Writes video files; see `clips.Writer`.

    Attributes:
        source: whose sound and all else is kept; None for none.
        facts: of the source.
        size: (H, W) of the pictures.
        container: FFmpeg's name.
        codec: a key of `CODECS`.
        quality: CRF, 0 the best; None for the codec's usual.
        window: start and end in seconds of what is kept of the source, from its first frame; None for all.
    """

    source: Path | None
    facts: Facts
    size: tuple[int, int]
    container: str
    codec: str
    quality: int | None = None
    window: tuple[Fraction, Fraction | None] | None = None
    suffix: str = ".mkv"

    def __post_init__(self) -> None:
        used = CODECS.get(self.codec)
        if used is None:
            raise ConfigError(f"--codec {self.codec}: is unknown; choose one of {', '.join(CODECS)}")
        if self.container not in used.containers:
            fitting = [suffix for suffix, name in FORMATS.items() if name in used.containers]
            raise ConfigError(
                f"--codec {self.codec}: does not go into this kind of file; name it {' or '.join(fitting)}"
            )
        if self.quality is not None and used.crf is None:
            raise ConfigError(f"--quality: {self.codec} has none; leave it out")
        if self.quality is not None and not 0 <= self.quality <= used.worst:
            raise ConfigError(
                f"--quality {self.quality}: is out of range; give 0 (best) to {used.worst} for {self.codec}"
            )

    @property
    def keeps_alpha(self) -> bool:
        """Whether transparency is kept."""
        return bool(self.facts.has_alpha and CODECS[self.codec].pixels[2])

    @property
    def pixels(self) -> str:
        """The pixel format."""
        plain, odd, alpha = CODECS[self.codec].pixels
        if self.keeps_alpha:
            return alpha
        if not (self.size[0] % 2 or self.size[1] % 2):
            return plain
        if not odd:
            raise ConfigError(
                f"--codec {self.codec}: takes even sizes only, and this is {self.size[1]} x {self.size[0]} px; "
                "choose another codec, or --max-side"
            )
        return odd

    def notes(self) -> Iterator[str]:
        """What to know before anything is painted."""
        if self.facts.has_alpha and not self.keeps_alpha and self.facts.loops is None:
            yield f"has transparency, which {self.codec} cannot keep: laid over white; .webm or --codec prores keep it"
        if self.pixels == "yuv444p" and CODECS[self.codec].pixels[0] == "yuv420p":
            yield (
                f"has an odd size, {self.size[1]} x {self.size[0]} px: its colours are kept at each pixel (4:4:4), "
                "which some players cannot show; webm has no such trouble"
            )

    def begin(self, _place: int, /) -> "FilmPiece":
        """See `clips.Writer`."""
        return FilmPiece(self)

    def join(
        self,
        target: Path,
        pieces: Sequence[Path],
        times: Sequence[tuple[int, int]],
        placing: "Callable[[Path], object]",
        /,
    ) -> list[str]:
        """See `clips.Writer`.

        Raises:
            OutputError: the container cannot hold it, or the disk is full.
        """
        library = reading.library()
        notes: list[str] = []
        with atomic.placed(target) as path:
            try:
                options = {"movflags": "+faststart"} if self.container in ("mp4", "mov") else {}
                with library.open(str(path), "w", format=self.container, options=options) as output:
                    self._mux(library, output, pieces, times, notes)
            except (library.FFmpegError, ValueError) as error:
                if isinstance(error, OutputError | ConfigError):
                    raise
                raise OutputError(
                    f"{target}: cannot be written ({one_line(error)}); choose .mkv, which holds everything"
                ) from error
            placing(path)
        return notes

    def _mux(
        self,
        library: Any,
        output: Any,
        pieces: Sequence[Path],
        times: Sequence[tuple[int, int]],
        notes: list[str],
    ) -> None:
        base = self.facts.time_base
        with library.open(str(pieces[0])) as first:
            video = output.add_stream_from_template(first.streams.video[0], opaque=True)
            if CODECS[self.codec].tag and self.container in ("mp4", "mov"):
                video.codec_context.codec_tag = CODECS[self.codec].tag
        video.time_base = base
        if self.keeps_alpha and self.codec == "vp9":
            video.metadata["alpha_mode"] = "1"
        shift = times[0][0] if self.window else 0
        end = sum(times[-1]) * base
        kept = None
        if self.source:
            kept = beside.Beside(library, self.source, self.container, notes)
            shift = shift if self.window else int(kept.begins / base)
            window = (shift * base, end) if self.window else (None, None)
            kept.declare(output, video, window)
        try:
            own = self._packets(library, video, pieces, times, shift)
            others = kept.packets() if kept else iter(())
            for _, packet in merge(own, others, key=lambda pair: pair[0]):
                output.mux(packet)
        finally:
            if kept:
                kept.close()

    def _packets(
        self, library: Any, stream: Any, pieces: Sequence[Path], times: Sequence[tuple[int, int]], shift: int
    ) -> Iterator[tuple[float, Any]]:
        """The pieces' packets, each with its time in seconds, stamped with the frames' times."""
        depth, number = 0, 0
        for index, _ in _indices(library, pieces):
            depth, number = max(depth, number - index), number + 1
        usual = max(1, round(1 / (self.facts.rate or FPS) / self.facts.time_base))
        base = self.facts.time_base
        for number, (index, packet) in enumerate(_indices(library, pieces)):
            early = number - depth
            packet.pts = times[index][0] - shift
            packet.dts = (times[early][0] if early >= 0 else times[0][0] + early * usual) - shift
            packet.duration = times[index][1]
            packet.time_base = base
            packet.stream = stream
            yield float(packet.dts * base), packet


def _indices(library: Any, pieces: Sequence[Path]) -> Iterator[tuple[int, Any]]:
    """Packets in the order of decoding, each with the place of its frame in the clip."""
    begun = 0
    for piece in pieces:
        with library.open(str(piece)) as container:
            stream, count = container.streams.video[0], 0
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                yield begun + round(packet.pts * packet.time_base / _MS), packet
                count += 1
            begun += count


class FilmPiece:
    """Some frames in a Matroska file of their own; they are timed by their places in it, in milliseconds."""

    def __init__(self, writer: FilmWriter) -> None:
        os.environ.setdefault("SVT_LOG", "1")  # else the encoder tells the terminal about itself
        library, used = reading.library(), CODECS[writer.codec]
        self._writer, self._buffer = writer, io.BytesIO()
        self._container = library.open(self._buffer, "w", format="matroska")
        options = dict(used.options)
        if used.crf is not None:
            options["crf"] = str(used.crf if writer.quality is None else writer.quality)
        if used.encoder == "libx264" and -(-writer.size[1] // 16) % 8:
            # With AVX-512, x264's macroblock tree reads beyond rows that are no multiple of 8 blocks: of 12 equal runs
            # no two gave one file. Pieces that are done again are to be what they were.
            options["mbtree"] = "0"
        if used.encoder == "prores_ks":
            options["profile"] = "3" if writer.pixels.startswith("yuv422") else "4"
        if writer.keeps_alpha and used.encoder == "libvpx-vp9":
            options["auto-alt-ref"] = "0"
        rate = (writer.facts.rate or FPS).limit_denominator(1001)
        stream: Any = self._container.add_stream(used.encoder, rate=rate, options=options)
        stream.height, stream.width = writer.size
        stream.pix_fmt = writer.pixels
        encoder = stream.codec_context
        encoder.time_base = writer.facts.time_base
        encoder.sample_aspect_ratio = writer.facts.aspect
        colours.declare(encoder, writer.facts.colours.written)
        self._stream, self._places, self._muxed = stream, dict[int, int](), 0

    def add(self, frame: Frame) -> None:
        """See `clips.Piece`."""
        known = self._writer.facts.colours.written
        alpha = frame.alpha
        if self._writer.keeps_alpha and alpha is None:
            alpha = frame.image.convert("L").point(lambda _: 255)
        encoded = colours.from_rgb(
            frame.image, alpha if self._writer.keeps_alpha else None, known, self._writer.pixels
        )
        encoded.pts, encoded.time_base = frame.time, self._writer.facts.time_base
        self._places[frame.time] = len(self._places)
        self._mux(self._stream.encode(encoded))

    def close(self) -> bytes:
        """See `clips.Piece`."""
        self._mux(self._stream.encode(None))
        self._container.close()
        return self._buffer.getvalue()

    def _mux(self, packets: Sequence[Any]) -> None:
        for packet in packets:
            base = packet.time_base or self._writer.facts.time_base
            packet.pts = self._places[round(packet.pts * base / self._writer.facts.time_base)]
            packet.dts, packet.duration = min(packet.pts, self._muxed - _DEEPEST), 1
            packet.time_base = _MS
            self._muxed += 1
            self._container.mux(packet)

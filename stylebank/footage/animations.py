"""What moves without PyAV, by Pillow: GIF, animated WebP and PNG, read and written; numbered images, written."""

import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylebank.errors import ConfigError, ImageError, OutputError
from stylebank.files import atomic
from stylebank.footage import clips
from stylebank.footage.clips import Facts, Frame
from stylebank.photos.decoding import MAX_PIXELS, one_line
from stylebank.pixels import encoding, images
from stylebank.pixels.encoding import Beside

SUFFIXES = {".gif": "GIF", ".webp": "WEBP", ".apng": "PNG", ".png": "PNG"}
"""Of animations, with Pillow's names of their formats."""

_UNSAID = 100  # milliseconds that browsers take where a frame says 0 or 10
_QUALITY = 90
_TICKS = {"GIF": Fraction(1, 100), "WEBP": Fraction(1, 1000), "PNG": Fraction(1, 1000)}
"""Seconds in which formats count how long a frame is shown."""


class Animation:
    """An animated image as a clip; its ticks are milliseconds.

    Args:
        path: the file.

    Raises:
        ImageError: it cannot be read, or holds one picture only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fault: str | None = None
        try:
            with Image.open(path) as image:
                size, loops = (image.height, image.width), image.info.get("loop")
                count = getattr(image, "n_frames", 1) - self._hidden(image)
                kind = str(image.format)
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            raise ImageError(
                f"{path}: cannot be read as an animation ({one_line(error)}); get the file again"
            ) from error
        if size[0] * size[1] > MAX_PIXELS:
            raise ImageError(f"{path}: is {size[1]} x {size[0]} px, which is too large; make it smaller")
        if count < 2:
            raise ImageError(f"{path}: is one picture; paint it with 'stylebank stylize'")
        self.facts = Facts(
            size=size,
            time_base=Fraction(1, 1000),
            count=count,
            has_alpha=True,
            loops=loops if loops is not None or kind == "GIF" else 0,
        )

    def frames(self, since: int | None = None) -> Iterator[Frame]:
        """See `Clip`; a file that is cut short ends with its last whole frame."""
        time = 0
        with Image.open(self.path) as image:
            first = self._hidden(image)
            for place in itertools.count(first):
                try:
                    image.seek(place)
                    whole = image.convert("RGBA")
                except EOFError:
                    self._judge_end(place - first)
                    return
                except (OSError, SyntaxError, ValueError) as error:
                    self.fault = f"cannot be read further ({one_line(error)})"
                    return
                said = round(image.info.get("duration", 0))
                length = said if said > 10 or (said and image.format != "GIF") else _UNSAID
                if since is None or time >= since:
                    alpha = whole.getchannel("A")
                    opaque = alpha.getextrema()[0] == 255
                    yield Frame(whole.convert("RGB"), None if opaque else alpha, time, length)
                time += length

    def close(self) -> None:
        """See `Clip`."""

    def _judge_end(self, found: int) -> None:
        if found < (self.facts.count or 0):
            self.fault = f"is cut short, {self.facts.count - found} of its frames are missing"  # type: ignore[operator]

    @staticmethod
    def _hidden(image: Image.Image) -> int:
        """Pictures before the animation, for programs that show no animations."""
        return int(bool(image.info.get("default_image")))


def moves(path: Path) -> bool:
    """Whether an image file holds more than one frame; one that cannot be read does not."""
    try:
        with Image.open(path) as image:
            return int(getattr(image, "n_frames", 1)) > 1
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return False


@dataclass(frozen=True)
class AnimationWriter:
    """Writes animations: pieces are arrays, and all of them become one file at the end.

    Attributes:
        kind: suffix of the file.
        time_base: seconds of a tick.
        loops: see `Facts`.
        quality: of WebP, 1 to 100; 100 loses nothing.

    Raises:
        ConfigError: the quality is out of range, or not for this format.
    """

    kind: str
    time_base: Fraction
    loops: int | None
    quality: int | None = None
    suffix: str = ".npz"
    keeps_alpha: bool = True

    def __post_init__(self) -> None:
        if self.quality is not None and self.kind != ".webp":
            raise ConfigError(f"--quality: {self.kind} files have none, they lose nothing; leave it out")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ConfigError(f"--quality {self.quality}: is out of range; give 1 to 100 for webp")

    def begin(self, _place: int, /) -> "ArrayPiece":
        """See `clips.Writer`."""
        return ArrayPiece()

    def join(
        self,
        target: Path,
        pieces: Sequence[Path],
        times: Sequence[tuple[int, int]],
        placing: Callable[[Path], object],
        /,
    ) -> list[str]:
        """See `clips.Writer`."""
        name = SUFFIXES[self.kind]
        tick = _TICKS[name]
        begun = times[0][0]
        ends = [round((time + length - begun) * self.time_base / tick) for time, length in times]
        lengths = [
            max(1, end - before) * int(1000 * tick) for before, end in zip([0, *ends[:-1]], ends, strict=True)
        ]
        pictures = self._pictures(pieces)
        options: dict[str, Any] = {"save_all": True, "duration": lengths}
        if self.loops is not None:
            options["loop"] = self.loops
        if name == "WEBP":
            options |= {"quality": self.quality or _QUALITY, "lossless": self.quality == 100, "method": 2}
        if name == "GIF":
            options |= {"disposal": 2 if self._is_transparent(pieces) else 1, "optimize": False}
        buffer = io.BytesIO()
        try:
            first, rest = (
                next(pictures),
                pictures if name == "GIF" else list(pictures),
            )  # the others count them
            first.save(buffer, name, append_images=rest, **options)
        except (OSError, ValueError, RuntimeError) as error:
            raise OutputError(f"{target}: cannot be made ({one_line(error)}); choose mp4 or webm") from error
        atomic.write_atomically(target, buffer.getvalue())
        placing(target)
        fast = min(lengths) < 20 and name == "GIF"
        return ["has more than 50 frames a second, which players of GIF show slower"] if fast else []

    def _pictures(self, pieces: Sequence[Path]) -> Iterator[Image.Image]:
        for piece in pieces:
            for pixels in _read(piece):
                picture = Image.fromarray(pixels)
                yield _in_palette(picture) if self.kind == ".gif" else picture

    @staticmethod
    def _is_transparent(pieces: Sequence[Path]) -> bool:
        return any(bool((_read(piece)[..., 3] < 128).any()) for piece in pieces)


def _read(piece: Path) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    with np.load(piece) as found:
        return found["frames"]  # type: ignore[no-any-return]


def _in_palette(picture: Image.Image) -> Image.Image:
    """A picture in 255 colours of its own, and one for what is transparent."""
    flat = picture.convert("RGB").quantize(255, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    alpha = np.asarray(picture.getchannel("A"))
    if alpha.min() >= 128:
        return flat
    places = np.where(alpha < 128, np.uint8(255), np.asarray(flat))
    found = Image.fromarray(places, "P")
    palette = (flat.getpalette() or [])[:765]
    found.putpalette([*palette, *[0] * (768 - len(palette))])
    found.info["transparency"] = 255
    return found


class ArrayPiece:
    """Some frames as an array (N, H, W, 4)."""

    def __init__(self) -> None:
        self._frames: list[Any] = []

    def add(self, frame: Frame) -> None:
        """See `clips.Piece`."""
        whole = frame.image.convert("RGBA")
        if frame.alpha:
            whole.putalpha(frame.alpha)
        self._frames.append(np.asarray(whole))

    def close(self) -> bytes:
        """See `clips.Piece`."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, frames=np.stack(self._frames))
        return buffer.getvalue()


@dataclass(frozen=True)
class ImagesWriter:
    """Writes numbered images, each as soon as it is painted.

    Attributes:
        path: such as `painted/%05d.png`.
        how: they are encoded.
        first: number of the first.
    """

    path: Path
    how: encoding.Encoding
    first: int = 1
    suffix: str = ""
    keeps_alpha: bool = True

    def begin(self, place: int, /) -> "ImagesPiece":
        """See `clips.Writer`."""
        return ImagesPiece(self, place)

    def join(
        self,
        _target: Path,
        _pieces: Sequence[Path],
        _times: Sequence[tuple[int, int]],
        _placing: Callable[[Path], object],
        /,
    ) -> list[str]:
        """See `clips.Writer`: all is there."""
        return []


class ImagesPiece:
    """Some of the numbered images."""

    def __init__(self, writer: ImagesWriter, place: int) -> None:
        self._writer, self._number = writer, writer.first + place

    def add(self, frame: Frame) -> None:
        """See `clips.Piece`."""
        path = clips.numbered(self._writer.path, self._number)
        images.save(path, frame.image, self._writer.how, Beside(alpha=frame.alpha), sweeping=False)
        self._number += 1

    def close(self) -> bytes:
        """See `clips.Piece`."""
        return b""

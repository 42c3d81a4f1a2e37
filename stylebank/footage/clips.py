"""A clip in the program's words: facts and frames, wherever they come from; numbered images are one too."""

import re
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stylebank.errors import ConfigError, ImageError
from stylebank.footage.colours import SRGB, Colours
from stylebank.photos import originals, srgb

if TYPE_CHECKING:
    from PIL.Image import Image

NUMBER = re.compile(r"%(0\d+)?d")
"""In a name: numbered images, as `frames/%05d.png`."""

FPS = Fraction(25)
"""Frames a second where neither the file nor the user says."""


@dataclass(frozen=True)
class Facts:
    """What a clip is.

    Attributes:
        size: (H, W) of the frames as they are shown, upright, in pixels.
        time_base: seconds of a tick, in which frames have their times.
        start: time of the first frame, in ticks.
        count: of frames, as far as the file says.
        seconds: from the first frame to the end of the last, as far as the file says.
        rate: frames a second, on average.
        aspect: width of a pixel over its height.
        colours: see there.
        has_alpha: whether frames may have transparency.
        loops: how often an animation plays, 0 for ever; None for what is none.
        notes: what to know, a line each, without the file's name.
    """

    size: tuple[int, int]
    time_base: Fraction
    start: int = 0
    count: int | None = None
    seconds: Fraction | None = None
    rate: Fraction | None = None
    aspect: Fraction = Fraction(1)
    colours: Colours = SRGB
    has_alpha: bool = False
    loops: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        image: RGB, upright.
        alpha: L, of its size; None for opaque.
        time: when it is shown, in ticks.
        length: how long, in ticks; 0 where the file does not say.
    """

    image: "Image"
    alpha: "Image | None"
    time: int
    length: int = 0


class Clip(Protocol):
    """What can be painted.

    Attributes:
        path: of its file.
        facts: see there.
        fault: why frames ended before the file did, or were left out; None if all is well so far.
    """

    path: Path
    facts: Facts
    fault: str | None

    def frames(self, since: int | None = None) -> Iterator[Frame]:
        """Frames in the order of their times, from a time in ticks on; None for all."""
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


class Piece(Protocol):
    """Some frames on their way into a file."""

    def add(self, frame: Frame) -> None:
        """Encode the next frame."""
        ...

    def close(self) -> bytes:
        """The piece's bytes; none where frames are files of their own."""
        ...


class Writer(Protocol):
    """What makes a file of painted frames.

    Attributes:
        suffix: of pieces.
        keeps_alpha: whether transparency is kept.
    """

    @property
    def suffix(self) -> str:
        """See the class."""
        ...

    @property
    def keeps_alpha(self) -> bool:
        """See the class."""
        ...

    def begin(self, place: int, /) -> Piece:
        """A piece that begins with the clip's frame of this place."""
        ...

    def join(
        self,
        target: Path,
        pieces: Ordered[Path],
        times: Ordered[tuple[int, int]],
        placing: Callable[[Path], object],
        /,
    ) -> list[str]:
        """Make the file of its pieces; `placing` is told of it, whole, before or after it has its name.

        Returns:
            What to know about it, a line each.
        """
        ...


def is_numbered(path: Path | str) -> bool:
    """Whether a name stands for numbered images."""
    return NUMBER.search(Path(path).name) is not None


def numbered(path: Path, number: int) -> Path:
    """The name of one of them."""
    return path.with_name(NUMBER.sub(lambda found: found[0] % number, path.name, count=1))


def existing(path: Path) -> set[int]:
    """The numbers of those that are there."""
    head, tail = NUMBER.split(path.name, maxsplit=1)[:: NUMBER.groups + 1]
    name = re.compile(rf"{re.escape(head)}(\d+){re.escape(tail)}")
    found = (name.fullmatch(each.name) for each in path.parent.iterdir()) if path.parent.is_dir() else ()
    return {int(each[1]) for each in found if each and numbered(path, int(each[1])).name == each[0]}


class Sequence:
    """Numbered images as a clip; the first number is the lowest that is there, and the first gap ends it.

    Args:
        path: such as `frames/%05d.png`.
        fps: frames a second; None for `FPS`.

    Raises:
        ImageError: there are none, or the first cannot be read.
    """

    def __init__(self, path: Path, fps: Fraction | None) -> None:
        self.path = path
        self.fault: str | None = None
        numbers = existing(path)
        if not numbers:
            raise ImageError(
                f"{path}: no such images; give a name with their number, such as frames/%05d.png"
            )
        self._first = min(numbers)
        count = next(place for place in range(len(numbers) + 1) if self._first + place not in numbers)
        rate = fps or FPS
        image = originals.read(numbered(path, self._first))
        notes = [] if fps else [f"plays at {float(FPS):g} frames a second; --fps changes that"]
        if count < len(numbers):
            notes.append(f"image {self._first + count} is missing; the clip ends before it")
        self.facts = Facts(
            size=(image.image.height, image.image.width),
            time_base=1 / rate,
            count=count,
            seconds=count / rate,
            rate=rate,
            has_alpha=image.alpha is not None,
            notes=tuple(notes),
        )

    def frames(self, since: int | None = None) -> Iterator[Frame]:
        """See `Clip`; one that cannot be read, or is of another size, ends it."""
        for place in range(max(0, since or 0), self.facts.count or 0):
            path = numbered(self.path, self._first + place)
            try:
                found = originals.read(path)
            except ImageError as error:
                self.fault = str(error)
                return
            if (found.image.height, found.image.width) != self.facts.size:
                self.fault = f"{path}: has another size than the images before it; give images of one size"
                return
            image = srgb.without_white(found.image, found.alpha) if found.alpha else found.image
            yield Frame(image, found.alpha, place, 1)

    def close(self) -> None:
        """See `Clip`."""


def rate_of(words: str | None) -> Fraction | None:
    """Read --fps: 25, 23.976 (taken as 24000/1001) or 30000/1001.

    Raises:
        ConfigError: it is no number above 0 and up to 1000.
    """
    if words is None:
        return None
    try:
        rate = Fraction(words)
    except (ValueError, ZeroDivisionError):
        raise ConfigError(f"--fps {words}: is no number; give one, such as 25 or 30000/1001") from None
    if not 0 < rate <= 1000:
        raise ConfigError(f"--fps {words}: is out of range; give more than 0 and up to 1000")
    film = Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)
    return film if rate.denominator != 1 and abs(rate - film) < Fraction(1, 1000) else rate

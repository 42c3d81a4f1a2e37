"""Times of a clip, and what is painted how at each: `--mix-at 0s=wave --mix-at 10s=scream`, and masks that move."""

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stylebank.bank import mixture
from stylebank.bank.mixture import PHOTO, Mix, Mixture
from stylebank.errors import ConfigError
from stylebank.footage import animations, reading
from stylebank.footage.clips import Clip, Frame, is_numbered
from stylebank.pixels import images, masks
from stylebank.pixels.masks import Floats, Overlap
from stylebank.video.looks import Look

if TYPE_CHECKING:
    from PIL.Image import Image

_UNITS = {"": Fraction(1), "ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600)}
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_PLAIN = re.compile(rf"({_NUMBER})(ms|s|m|h|)")
_CLOCK = re.compile(rf"(?:(\d+):)?(\d+):({_NUMBER})")


@dataclass(frozen=True)
class Timeline:
    """Mixtures at points of time: in between they change evenly, before and after they stay.

    Attributes:
        points: time in seconds and mixture, the earliest first, at least one.
    """

    points: tuple[tuple[Fraction, Mixture], ...]

    def at(self, time: Fraction) -> Mixture:
        """The mixture at a time in seconds from the clip's start."""
        after = bisect_right(self.points, time, key=lambda point: point[0])
        if after in (0, len(self.points)):
            return self.points[max(0, after - 1)][1]
        (begun, first), (ends, last) = self.points[after - 1 : after + 1]
        share = float((time - begun) / (ends - begun))
        return first if first == last or not share else mixture.between(first, last, share)

    @property
    def mixtures(self) -> tuple[Mixture, ...]:
        """All mixtures that are named."""
        return tuple(mixed for _, mixed in self.points)


def steady(mixed: Mixture) -> Timeline:
    """One mixture for the whole clip."""
    return Timeline(((Fraction(0), mixed),))


def parse(words: Sequence[str], *, strength: float = 1.0, stroke: float | None = None) -> Timeline:
    """Read the command line's repeated `--mix-at TIME=STYLE`, in any order.

    Args:
        words: at least one.
        strength: of points that say none of their own.
        stroke: likewise.

    Raises:
        ConfigError: the words have another form, or name a time twice.
    """
    found: dict[Fraction, Mixture] = {}
    for each in words:
        time, equals, mix = each.partition("=")
        if not (time and equals and mix):
            raise ConfigError(f"--mix-at {each}: has another form; write TIME=STYLE, such as 10s=wave")
        at = seconds(time, f"--mix-at {each}")
        if at in found:
            raise ConfigError(f"--mix-at {each}: names a time twice; give each time one style")
        found[at] = mixture.parse(mix, strength=strength, stroke=stroke, where=f"--mix-at {each}")
    return Timeline(tuple(sorted(found.items(), key=lambda point: point[0])))


def seconds(words: str, where: str) -> Fraction:
    """Read a time: 12.5, 90s, 500ms, 2m, 1h, 1:30 or 1:02:03.5.

    Raises:
        ConfigError: it is none; `where` begins the complaint.
    """
    text = words.strip().lower()
    if plain := _PLAIN.fullmatch(text):
        return Fraction(plain[1]) * _UNITS[plain[2]]
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, rest = int(clock[1] or 0), int(clock[2]), Fraction(clock[3])
        if rest < 60 and (minutes < 60 or not clock[1]):
            return 3600 * hours + 60 * minutes + rest
    raise ConfigError(f"{where}: '{words}' is no time; write 90s, 1:30 or 12.5")


def shown(time: Fraction | float) -> str:
    """A time as minutes and seconds, with hours where there are some: 1:30, 0:04.2, 1:02:03."""
    tenths = math.floor(float(time) * 10 + 0.5)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{clock}:{rest // 10:02}" + (f".{rest % 10}" if rest % 10 else "")


class MaskTrack:
    """One mask for the whole clip, or a clip of masks: at each time the frame that is shown then.

    Args:
        source: an image, a video, an animation, or numbered images; or the mask itself, (H, W).
        fps: of numbered images.
        size: (H, W) of the pictures.
        fit: whether a mask of another shape is stretched.
        feather: width in pixels of soft edges.

    Raises:
        ImageError: it cannot be read, or has another shape.
    """

    def __init__(
        self,
        source: Path | Floats,
        fps: Fraction | None,
        *,
        size: tuple[int, int],
        fit: bool = False,
        feather: float = 0.0,
    ) -> None:
        self._size, self._feather = size, feather
        self._clip: Clip | None = None
        if isinstance(source, Path) and _moves(source):
            self._clip = reading.open_clip(source, fps if is_numbered(source) else None)
            found, self._frames = self._clip.facts.size, self._begun()
            self._next: Frame | None = next(self._frames, None)
        else:
            mask = masks.read_mask(source) if isinstance(source, Path) else source
            found, self._shown = mask.shape, self._made(mask)
        if not fit:
            masks.check_shape(str(source), found, size, remedy="add --fit")

    def notes(self, seconds: Fraction | None) -> Iterator[str]:
        """What to know where the mask is shorter than the clip's seconds."""
        if self._clip is None or seconds is None:
            return
        facts = self._clip.facts
        own = facts.seconds
        if own is not None and own < seconds - 1 / (facts.rate or 25) and facts.loops is None:
            yield f"{self._clip.path}: is {shown(own)} long, and the clip {shown(seconds)}; its last mask stays"

    def at(self, time: Fraction) -> "Image":
        """The mask, L and of the pictures' size, at a time in seconds; times only grow."""
        while self._clip and self._next and self._due(self._next) <= time + Fraction(1, 2000):
            self._shown = self._of(self._next)
            self._ended = self._next.time + self._next.length
            self._next = next(self._frames, None)
            if self._next is None and self._clip.facts.loops is not None:
                self._turned += (self._ended - self._clip.facts.start) * self._clip.facts.time_base
                self._frames = self._clip.frames()
                self._next = next(self._frames, None)
        return self._shown

    def _begun(self) -> Iterator[Frame]:
        assert self._clip
        self._turned = Fraction(0)
        frames = self._clip.frames()
        first = next(frames)
        self._shown = self._of(first)
        yield first
        yield from frames

    def _due(self, frame: Frame) -> Fraction:
        assert self._clip
        return self._turned + (frame.time - self._clip.facts.start) * self._clip.facts.time_base

    def _of(self, frame: Frame) -> "Image":
        if frame.alpha is None:
            return self._made(masks.of(frame.image))
        whole = frame.image.copy()
        whole.putalpha(frame.alpha)
        return self._made(masks.of(whole))

    def _made(self, mask: Floats) -> "Image":
        found = masks.resized(mask, self._size)
        if self._feather:
            from scipy import ndimage

            # As in `masks.layout`.
            found = ndimage.gaussian_filter(found, self._feather / 4, mode="nearest")
        return images.from_pixels(np.rint(255 * found).astype(np.uint8))


def _moves(path: Path) -> bool:
    suffix = path.suffix.lower()
    if is_numbered(path) or suffix in reading.SUFFIXES or suffix in (".gif", ".apng"):
        return True
    return suffix in animations.SUFFIXES and animations.moves(path)


@dataclass(frozen=True)
class Looks:
    """How the frame of each time is painted.

    Attributes:
        timeline: styles; None where there are regions.
        regions: mask and mixture of each, or "photo".
        rest: what no mask covers: a mixture, or "photo".
        strength: see `Look`.
        stroke: likewise.
        keep_color: likewise.
        overlap: likewise.
    """

    timeline: Timeline | None
    regions: tuple[tuple[MaskTrack, Mix], ...] = ()
    rest: Mixture | str = PHOTO
    strength: float = 1.0
    stroke: float = 1.0
    keep_color: bool = False
    overlap: Overlap = "over"

    def __call__(self, time: Fraction) -> Look:
        """At a time in seconds from the clip's first frame."""
        share = self.timeline.at(time) if self.timeline else self.rest
        regions = tuple((mask.at(time), mixed) for mask, mixed in self.regions)
        return Look(share, self.strength, self.stroke, self.keep_color, regions, self.overlap)

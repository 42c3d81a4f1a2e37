"""Times of a clip, and the way of styles through them: what `--mix-at 0s=wave --mix-at 10s=scream` means."""

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from stylebank.bank import mixture
from stylebank.bank.mixture import Mixture
from stylebank.errors import ConfigError

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

"""Which styles, in which proportions, how strong, in which strokes: what `wave:0.5+scream:0.5@0.8x2` and a dict mean.

Words and numbers only; `fusion` makes a filter of them, and a bank knows which names there are.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real

from stylebank.errors import ConfigError

PHOTO = "photo"
"""In the place of a style, for what regions leave uncovered: the photo's own pixels."""


EVENNESS = 1.25
"""Power of the strength. With 1 the first quarter of the way does up to 0.52 of the fall in style ratio, the last as
little as 0.06 (8 styles of a trained bank); with 1.25 no quarter does more than 0.43."""


STROKES = (0.25, 8.0)
"""Least and largest stroke."""


@dataclass(frozen=True)
class Mixture:
    """Styles with weights that sum to 1, painted with a strength and in strokes of a size.

    Attributes:
        weights: (style, weight), each style once, each weight in (0, 1].
        strength: 0, the photo's reconstruction, to 1, the full style.
        given: what the weights summed to before they were normalised.
        stroke: size of strokes and forms, relative to the picture: 1 as designed; None for what everything has that
            says nothing of its own.
        marks: (style, weight) of the passes after the first, which draw the marks on the forms; empty for the same.
    """

    weights: tuple[tuple[str, float], ...]
    strength: float = 1.0
    given: float = field(default=1.0, compare=False)
    stroke: float | None = None
    marks: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ConfigError(
                f"mixture {self}: strength {self.strength:g} is out of range; give 0 (photo) to 1 (full style)"
            )
        if self.stroke is not None:
            check_stroke(self.stroke, f"mixture {'+'.join(self.names)}")
        weights = [weight for _, weight in self.weights]
        if not weights or min(weights) <= 0 or not abs(sum(weights) - 1) <= 1e-6:
            raise ConfigError(f"mixture: weights {weights} do not sum to 1; use mixture.weighted")

    @property
    def names(self) -> tuple[str, ...]:
        """Its styles."""
        return tuple(dict.fromkeys(name for name, _ in (*self.weights, *self.marks)))

    def weights_of(self, *, again: bool) -> tuple[tuple[str, float], ...]:
        """Of the first pass, or of those after it."""
        return self.marks or self.weights if again else self.weights

    @property
    def share(self) -> float:
        """P = s^1.25, of the style against the photo's own features."""
        return math.pow(self.strength, EVENNESS)

    def __str__(self) -> str:
        """Form of the command line: `wave:0.5+scream:0.5/mosaic@0.8x2`."""
        shown = "/".join(_words(weights) for weights in (self.weights, self.marks) if weights)
        strength = "" if self.strength == 1 else f"{self.strength:g}"
        stroke = "" if self.stroke in (None, 1) else f"x{self.stroke:g}"
        return f"{shown}@{strength}{stroke}" if strength or stroke else shown


Mix = str | Mapping[str, float] | Mixture
"""What a Python caller may give: a style's name or the command line's words, a dict of weights, or a mixture."""


def of(mix: Mix, *, strength: float = 1.0, stroke: float | None = None) -> Mixture:
    """Make a mixture of what a caller gave; strength and stroke in its words, or a mixture's own, go before these.

    Raises:
        ConfigError: a weight is negative, not finite or missing, all are zero, a strength is not in [0, 1], or a stroke
            is none of `STROKES`.
    """
    if isinstance(mix, Mixture):
        return replace(mix, stroke=stroke) if mix.stroke is None and stroke is not None else mix
    if isinstance(mix, str):
        return parse(mix, strength=strength, stroke=stroke)
    if not hasattr(mix, "items"):
        raise ConfigError(
            f"mixture: is a {type(mix).__name__}; give a name, names with weights, or a Mixture"
        )
    return weighted(mix.items(), where="mixture", strength=strength, stroke=stroke)


def parse(words: str, *, strength: float = 1.0, stroke: float | None = None, where: str = "") -> Mixture:
    """Read `NAME` or `NAME:WEIGHT+NAME:WEIGHT`, perhaps followed by `@STRENGTH`, `@xSTROKE` or `@STRENGTHxSTROKE`.

    `FORMS/MARKS`, each a name or names with weights, paints the first pass in one and those after it in the other.

    Raises:
        ConfigError: see `of`; `where` begins the complaint.
    """
    where = where or f"mixture '{words}'"
    mix, at, own = words.partition("@")
    own_strength, times, own_stroke = own.partition("x")
    forms, slash, marks = mix.partition("/")
    if slash and not (forms and marks):
        raise ConfigError(f"{where}: has '/' without styles on both sides; write FORMS/MARKS")
    if at and (own_strength or not times):
        strength = _number(own_strength, f"{where}: strength")
    if times:
        stroke = _number(own_stroke, f"{where}: stroke")
    found = weighted(_pairs(forms, where), where=where, strength=strength, stroke=stroke)
    if not slash:
        return found
    return replace(found, marks=weighted(_pairs(marks, where), where=f"{where}: marks").weights)


def _pairs(words: str, where: str) -> list[tuple[str, float]]:
    parts = [part.partition(":") for part in words.split("+")]
    if len(parts) == 1 and not parts[0][1]:
        parts = [(parts[0][0], ":", "1")]
    return [(name, _number(weight, f"{where}: weight of '{name}'")) for name, _, weight in parts]


def _words(weights: Sequence[tuple[str, float]]) -> str:
    words = "+".join(f"{name}:{weight:.3g}" for name, weight in weights)
    return weights[0][0] if len(weights) == 1 else words


def from_options(options: Sequence[str], *, strength: float = 1.0, stroke: float | None = None) -> Mixture:
    """Read the command line's repeated `--mix NAME=WEIGHT`.

    Raises:
        ConfigError: see `of`.
    """
    parts = [(words, *words.rpartition("=")) for words in options]
    for words, name, _, _ in parts:
        if not name:
            raise ConfigError(f"--mix {words}: has no weight; write NAME=WEIGHT")
    pairs = [(name, _number(weight, f"--mix {words}: weight")) for words, name, _, weight in parts]
    return weighted(pairs, where="--mix", strength=strength, stroke=stroke)


def _is_number(value: object) -> bool:
    """Whether a caller's value is one, NumPy's among them."""
    return isinstance(value, Real)


def check_stroke(stroke: float, where: str) -> None:
    """Refuse a stroke that is no number or out of range.

    Raises:
        ConfigError: `where` begins the complaint.
    """
    if not _is_number(stroke):
        raise ConfigError(f"{where}: stroke {stroke!r} is no number; give one, such as 2")
    if not STROKES[0] <= stroke <= STROKES[1]:
        raise ConfigError(
            f"{where}: stroke {stroke:g} is out of range; give 0.5 (finer) to 4 (larger), 1 is as designed"
        )


def weighted(
    pairs: Iterable[tuple[str, float]], *, where: str, strength: float = 1.0, stroke: float | None = None
) -> Mixture:
    """Normalise weights to the sum 1; styles of weight 0 are left out.

    Raises:
        ConfigError: see `of`; `where` begins the complaint.
    """
    found = list(pairs)
    if not _is_number(strength):
        raise ConfigError(f"{where}: strength {strength!r} is no number; give one, such as 0.5")
    if not 0 <= strength <= 1:
        raise ConfigError(f"{where}: strength {strength:g} is out of range; give 0 (photo) to 1 (full style)")
    if stroke is not None:
        check_stroke(stroke, where)
    for name, weight in found:
        if not _is_number(weight):
            raise ConfigError(f"{where}: weight {weight!r} of '{name}' is no number; give one, such as 0.5")
        if not 0 <= weight < math.inf:
            raise ConfigError(f"{where}: weight {weight:g} of '{name}' is out of range; give 0 or more")
    names = [name for name, _ in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"{where}: names '{min(twice)}' twice; add its weights up")
    total = sum(weight for _, weight in found)
    if not 0 < total < math.inf:
        raise ConfigError(f"{where}: weights sum to {total:g}; give at least one above 0")
    shares = tuple((name, weight / total) for name, weight in found if weight / total > 0)
    return Mixture(shares, strength, total, stroke)


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(
            f"{where}: '{text}' is no number; give one, such as 0.5"
            if text
            else f"{where}: is missing; give a number"
        ) from None


def path(ends: Sequence[Mixture], steps: int) -> list[tuple[str, Mixture]]:
    """Label and mixture at each of `steps` (at least 2) even places on the way between two mixtures.

    Strokes grow by equal factors. Of one mixture: from strength 0 to its own.
    """
    first, last = ends[0], ends[-1]
    found = []
    for step in range(steps):
        share = step / (steps - 1)
        if len(ends) == 1:
            strength = share * last.strength
            found.append((f"strength {strength:.2g}", replace(last, strength=strength)))
            continue
        mixed = between(first, last, share)
        label = (
            f"{first}" if step == 0 else f"{last}" if step == steps - 1 else f"{1 - share:.0%} : {share:.0%}"
        )
        found.append((label, mixed))
    return found


def between(first: Mixture, last: Mixture, share: float) -> Mixture:
    """The mixture a share of the way, 0 to 1, from one to another; strokes grow by equal factors."""
    weights, marks = (
        _between(first.weights_of(again=again), last.weights_of(again=again), share)
        for again in (False, True)
    )
    strength = (1 - share) * first.strength + share * last.strength
    stroke = (first.stroke or 1.0) ** (1 - share) * (last.stroke or 1.0) ** share
    stroked = stroke if first.stroke or last.stroke else None
    mixed = weighted(weights.items(), where="sweep", strength=strength, stroke=stroked)
    if first.marks or last.marks:
        mixed = replace(mixed, marks=weighted(marks.items(), where="sweep").weights)
    return mixed


def _between(
    first: Sequence[tuple[str, float]], last: Sequence[tuple[str, float]], share: float
) -> dict[str, float]:
    weights: dict[str, float] = {}
    for found, part in ((first, 1 - share), (last, share)):
        for name, weight in found:
            weights[name] = weights.get(name, 0.0) + part * weight
    return weights

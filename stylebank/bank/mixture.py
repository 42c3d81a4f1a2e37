"""Which styles, in which proportions, how strong: what `starry=0.6`, `wave:0.5+scream:0.5@0.8` and a dict mean.

Words and numbers only; `fusion` makes a filter of them, and a bank knows which names there are.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stylebank.errors import ConfigError

PHOTO = "photo"
"""In the place of a style, for what regions leave uncovered: the photo's own pixels."""


EVENNESS = 1.25
"""Power of the strength. With 1 the first quarter of the way does up to 0.52 of the fall in style ratio, the last as
little as 0.06 (8 styles of a trained bank); with 1.25 no quarter does more than 0.43."""


@dataclass(frozen=True)
class Mixture:
    """Styles with weights that sum to 1, painted with a strength.

    Attributes:
        weights: (style, weight), each style once, each weight in (0, 1].
        strength: 0, the photo's reconstruction, to 1, the full style.
        given: what the weights summed to before they were normalised.
    """

    weights: tuple[tuple[str, float], ...]
    strength: float = 1.0
    given: float = field(default=1.0, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ConfigError(
                f"mixture {self}: strength {self.strength:g} is out of range; give 0 (photo) to 1 (full style)"
            )
        weights = [weight for _, weight in self.weights]
        if not weights or min(weights) <= 0 or not abs(sum(weights) - 1) <= 1e-6:
            raise ConfigError(f"mixture: weights {weights} do not sum to 1; use mixture.weighted")

    @property
    def names(self) -> tuple[str, ...]:
        """Its styles."""
        return tuple(name for name, _ in self.weights)

    @property
    def share(self) -> float:
        """P = s^1.25, of the style against the photo's own features."""
        return math.pow(self.strength, EVENNESS)

    def __str__(self) -> str:
        """Form of the command line: `wave:0.5+scream:0.5@0.8`."""
        words = "+".join(f"{name}:{weight:.3g}" for name, weight in self.weights)
        shown = self.names[0] if len(self.weights) == 1 else words
        return shown if self.strength == 1 else f"{shown}@{self.strength:g}"


Mix = str | Mapping[str, float] | Mixture
"""What a Python caller may give: a style's name or the command line's words, a dict of weights, or a mixture."""


def of(mix: Mix, *, strength: float = 1.0) -> Mixture:
    """Make a mixture of what a caller gave; a strength in its words goes before `strength`.

    Raises:
        ConfigError: a weight is negative, not finite or missing, all are zero, or a strength is not in [0, 1].
    """
    if isinstance(mix, Mixture):
        return mix
    if isinstance(mix, str):
        return parse(mix, strength=strength)
    return weighted(mix.items(), where="mixture", strength=strength)


def parse(words: str, *, strength: float = 1.0, where: str = "") -> Mixture:
    """Read `NAME`, `NAME:WEIGHT+NAME:WEIGHT` or either followed by `@STRENGTH`.

    Raises:
        ConfigError: see `of`; `where` begins the complaint.
    """
    where = where or f"mixture '{words}'"
    mix, at, own_strength = words.partition("@")
    parts = [part.partition(":") for part in mix.split("+")]
    if len(parts) == 1 and not parts[0][1]:
        parts = [(parts[0][0], ":", "1")]
    pairs = [(name, _number(weight, f"{where}: weight of '{name}'")) for name, _, weight in parts]
    if at:
        strength = _number(own_strength, f"{where}: strength")
    return weighted(pairs, where=where, strength=strength)


def from_options(options: Sequence[str], *, strength: float = 1.0) -> Mixture:
    """Read the command line's repeated `--mix NAME=WEIGHT`.

    Raises:
        ConfigError: see `of`.
    """
    parts = [(words, *words.rpartition("=")) for words in options]
    for words, name, _, _ in parts:
        if not name:
            raise ConfigError(f"--mix {words}: has no weight; write NAME=WEIGHT")
    pairs = [(name, _number(weight, f"--mix {words}: weight")) for words, name, _, weight in parts]
    return weighted(pairs, where="--mix", strength=strength)


def weighted(pairs: Iterable[tuple[str, float]], *, where: str, strength: float = 1.0) -> Mixture:
    """Normalise weights to the sum 1; styles of weight 0 are left out.

    Raises:
        ConfigError: see `of`; `where` begins the complaint.
    """
    found = list(pairs)
    if not 0 <= strength <= 1:
        raise ConfigError(f"{where}: strength {strength:g} is out of range; give 0 (photo) to 1 (full style)")
    for name, weight in found:
        if not isinstance(weight, int | float):
            raise ConfigError(f"{where}: weight {weight!r} of '{name}' is no number; give one, such as 0.5")
        if not 0 <= weight < math.inf:
            raise ConfigError(f"{where}: weight {weight:g} of '{name}' is out of range; give 0 or more")
    names = [name for name, _ in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"{where}: names '{min(twice)}' twice; add its weights up")
    total = sum(weight for _, weight in found)
    if not 0 < total < math.inf:
        raise ConfigError(f"{where}: weights sum to {total:g}; give at least one above 0")
    return Mixture(
        tuple((name, weight / total) for name, weight in found if weight / total > 0), strength, total
    )


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

    Of one mixture: from strength 0 to its own.
    """
    first, last = ends[0], ends[-1]
    found = []
    for step in range(steps):
        share = step / (steps - 1)
        if len(ends) == 1:
            strength = share * last.strength
            found.append((f"strength {strength:.2g}", Mixture(last.weights, strength)))
            continue
        weights: dict[str, float] = {}
        for mixture, part in ((first, 1 - share), (last, share)):
            for name, weight in mixture.weights:
                weights[name] = weights.get(name, 0.0) + part * weight
        strength = (1 - share) * first.strength + share * last.strength
        mixed = weighted(weights.items(), where="sweep", strength=strength)
        label = (
            f"{first}" if step == 0 else f"{last}" if step == steps - 1 else f"{1 - share:.0%} : {share:.0%}"
        )
        found.append((label, mixed))
    return found

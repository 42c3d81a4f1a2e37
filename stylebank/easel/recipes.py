"""What a picture is painted by, as the page says it: checked, and painted small or large by the same lines."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from stylebank.bank import mixture
from stylebank.bank.bundle import Bundle
from stylebank.bank.mixture import PHOTO, STROKES, Mixture
from stylebank.easel.album import Floats
from stylebank.errors import ConfigError
from stylebank.files import toml
from stylebank.pixels.masks import Overlap

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_REGIONS = 32


def _between(default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class Region:
    """A part of the photo and what it is painted with.

    Attributes:
        mask: digest of one that is kept with the photo.
        style: a style, or a mixture's words without strength and stroke; "photo" for the photo's own pixels.
        name: for people.
        strength: see `Mixture`.
        stroke: likewise.
        visible: whether it is painted at all.
    """

    mask: str
    style: str
    name: str = ""
    strength: float = _between(1.0, 0.0, 1.0)
    stroke: float = _between(1.0, *STROKES)
    visible: bool = True

    @property
    def words(self) -> str:
        """Its style as `--region` takes it."""
        if self.style == PHOTO:
            return PHOTO
        return f"{self.style}@{plain(self.strength)}x{plain(self.stroke)}"


@dataclass(frozen=True)
class Recipe:
    """A whole picture.

    Attributes:
        style: a style or a mixture's words, of all that no region covers; "photo" for the photo's own pixels.
        strength: of that, see `Mixture`.
        stroke: likewise.
        keep_color: whether only luma is painted.
        regions: from the lowest up; none for the style everywhere.
        feather: width of seams in pixels of the full picture, for each 1000 of its long side.
        overlap: see there.
    """

    style: str = PHOTO
    strength: float = _between(1.0, 0.0, 1.0)
    stroke: float = _between(1.0, *STROKES)
    keep_color: bool = False
    regions: tuple[Region, ...] = ()
    feather: float = _between(0.0, 0.0, 200.0)
    overlap: Overlap = "over"

    @property
    def painted(self) -> tuple[Region, ...]:
        """The regions that are visible."""
        return tuple(region for region in self.regions if region.visible)

    def mixtures(self) -> list[Mixture]:
        """All that it paints with; nothing where the photo is all there is.

        Raises:
            ConfigError: see `mixture.parse`.
        """
        found = [mixture.parse(region.words) for region in self.painted if region.style != PHOTO]
        if self.style != PHOTO:
            found.append(mixture.parse(self.style, strength=self.strength, stroke=self.stroke))
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain data, the inverse of `read`."""
        return asdict(self) | {"regions": [asdict(region) for region in self.regions]}


def read(found: object) -> Recipe:
    """A recipe as a page sends it; numbers are taken to four places, as a command line shows them.

    Raises:
        ConfigError: a key is unknown, a value mistyped or out of range, or words are no style's.
    """
    if not isinstance(found, dict):
        raise ConfigError("recipe: is no object; send one")
    regions = found.get("regions", [])
    if not isinstance(regions, list) or len(regions) > MOST_REGIONS:
        raise ConfigError(f"recipe regions: are no list of up to {MOST_REGIONS}; send one")
    made = [_region(each, f"recipe region {place}") for place, each in enumerate(regions, 1)]
    recipe = toml.instance(Recipe, _rounded(found) | {"regions": made}, "recipe")
    _check_style(recipe.style, "recipe style")
    recipe.mixtures()
    return recipe


def _region(found: object, where: str) -> Region:
    if not isinstance(found, dict):
        raise ConfigError(f"{where}: is no object; send one")
    region = toml.instance(Region, _rounded(found), where)
    halves = any("\ud800" <= letter <= "\udfff" for letter in region.name)  # of letters, which no file takes
    if not re.fullmatch(r"[0-9a-f]{16}", region.mask) or len(region.name) > 80 or halves:
        raise ConfigError(f"{where}: mask is no digest, or the name longer than 80 letters; correct it")
    _check_style(region.style, where)
    return region


def _rounded(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}


def _check_style(words: str, where: str) -> None:
    if len(words) > 400 or not re.fullmatch(r"[a-z0-9_.:+/-]+", words):
        raise ConfigError(f"{where}: {words[:40]!r} is no style or mixture; write NAME or NAME:0.5+NAME:0.5")


def check(recipe: Recipe, bank: Bundle) -> None:
    """Make sure that a bank can paint it.

    Raises:
        UnknownStyleError, ConfigError: see `Bundle.filter_of`.
    """
    for mixed in recipe.mixtures():
        bank.filter_of(mixed)


def paint(
    recipe: Recipe,
    *,
    stylize: "Callable[..., Image]",
    fuse: "Callable[..., Image]",
    covers: Sequence[Floats],
    long_side: int,
) -> "Image | None":
    """Paint a picture; None where the photo is all there is.

    Args:
        recipe: see there.
        stylize: a canvas's, or a bank's with its photo.
        fuse: likewise.
        covers: masks (H, W) of the regions that are visible, of the size that is painted.
        long_side: of it, in pixels.
    """
    if not recipe.mixtures():
        return None
    if recipe.painted:
        pairs = [
            (cover, PHOTO if region.style == PHOTO else mixture.parse(region.words))
            for region, cover in zip(recipe.painted, covers, strict=True)
        ]
        return fuse(
            pairs,
            rest=recipe.style,
            strength=recipe.strength,
            stroke=recipe.stroke,
            feather=feather(recipe, long_side),
            keep_color=recipe.keep_color,
            overlap=recipe.overlap,
        )
    mixed = mixture.parse(recipe.style, strength=recipe.strength, stroke=recipe.stroke)
    return stylize(mixed, keep_color=recipe.keep_color)


def feather(recipe: Recipe, long_side: int) -> float:
    """Width of seams in pixels of a picture."""
    return round(recipe.feather * long_side / 1000, 4)


def plain(value: float) -> str:
    """A number to four places, as a command line shows it."""
    return f"{value:.4f}".rstrip("0").rstrip(".")

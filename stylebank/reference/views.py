"""What was seen of a bank's pictures, from near and from far, and of their previews: the figures of `octaves`."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Plan:
    """What to look at; photos of another size are shrunk, or enlarged if they are smaller, by Lanczos' filter.

    Attributes:
        sizes: long sides in pixels at which photos are painted, each once.
        stroke: as `StyleBank.stylize` takes it.
        preview: long side in pixels of a preview, and at which the final picture is compared with it.
        final: how many pixels a final picture has.
    """

    sizes: tuple[int, ...] = (512, 1024, 4096)
    stroke: float = 1.0
    preview: int = 768
    final: int = 12_000_000

    def pictures(self, photos: int, styles: int) -> int:
        """How many are looked at; a preview and its final count as one."""
        return photos * styles * (len(self.sizes) + 1)


@dataclass(frozen=True)
class View:
    """Pictures painted at one size as they look at that or a smaller one.

    Attributes:
        painted: long side in pixels at which they were painted.
        seen: long side in pixels that they were shrunk to.
        style_ratio: per layer, the mean Gram distance of the pictures to the style's images over that of the photos
            at the same size: 0 perfect, 1 unstyled.
        tone: of the pictures to the photos, see `metrics.tone`; the median over photos.
    """

    painted: int
    seen: int
    style_ratio: tuple[float, ...]
    tone: float


@dataclass(frozen=True)
class Preview:
    """How like final pictures, shrunk to the size of previews, are to the previews; means over photos.

    Attributes:
        ssim: 1 for the same.
        gram: per layer, ||G - P||^2 / ||P||^2 of the final's and the preview's Gram matrices: 0 for the same.
    """

    ssim: float
    gram: tuple[float, ...]


@dataclass(frozen=True)
class Looks:
    """One style: its name, a view for each size and octave, and its previews."""

    name: str
    views: tuple[View, ...]
    preview: Preview


@dataclass(frozen=True)
class Octaves:
    """A bank's styles on some photos.

    Attributes:
        layers: names of the style layers, in the order of every style ratio.
        photos: how many.
        plan: see there.
        enlarged: how many of the photos were smaller, for each of the plan's sizes and, last, for its final pictures.
        rows: one for each style.
    """

    layers: tuple[str, ...]
    photos: int
    plan: Plan
    enlarged: tuple[int, ...]
    rows: tuple[Looks, ...]

    def medians(self) -> Looks:
        """Median over styles of every figure."""
        views = tuple(
            replace(
                same[0], style_ratio=_medians(v.style_ratio for v in same), tone=median(v.tone for v in same)
            )
            for same in zip(*(row.views for row in self.rows), strict=True)
        )
        previews = [row.preview for row in self.rows]
        gram = _medians(found.gram for found in previews)
        return Looks("(median)", views, Preview(median(found.ssim for found in previews), gram))

    def to_json(self) -> dict[str, Any]:
        """Everything, and the medians, as plain JSON data."""
        return asdict(self) | {"medians": asdict(self.medians())}


def _medians(rows: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(map(median, zip(*rows, strict=True)))

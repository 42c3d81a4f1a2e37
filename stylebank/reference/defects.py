"""What was found wrong with a bank's pictures, detector by detector, and above which limit one sees it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Detector:
    """One kind of defect.

    Attributes:
        name: of its column.
        unit: of its figures, "" for a ratio.
        limit: the highest figure at which one does not see it.
        meaning: what the figure is, in a line.
    """

    name: str
    unit: str
    limit: float
    meaning: str


DETECTORS = (
    Detector("grid", "dB", 5.0, "peak of the spectrum at 2, 4 or 8 px over photo and style"),
    Detector("weave", "dB", 6.0, "peak of flat ground's spectrum at 3 to 32 px over the style's"),
    Detector("bare", "", 2.0, "the style's calmest tenth over flat ground, in deviation of L*"),
    Detector("busy", "", 1.0, "flat ground over the style's busiest tenth"),
    Detector("halo", "Lab", 10.0, "colour along edges that neither side has"),
    Detector("border", "Lab", 6.0, "colour of the border against that place in a larger picture"),
    Detector("black", "%", 0.5, "of the area black and empty, beyond photo and style"),
    Detector("patch", "Lab", 20.0, "colour on flat ground, from afar, that the photo does not explain"),
)


@dataclass(frozen=True)
class Plan:
    """What to look at.

    Attributes:
        sizes: long sides in pixels: photos are painted at the first, the drawn scene at all.
        stroke: as `StyleBank.stylize` takes it.
    """

    sizes: tuple[int, ...] = (512, 1024)
    stroke: float = 1.0

    def pictures(self, photos: int, styles: int) -> int:
        """How many are looked at."""
        return styles * (photos + len(self.sizes))


@dataclass(frozen=True)
class Findings:
    """One style.

    Attributes:
        name: the style's.
        figures: the worst over the pictures, by detector; None where no picture has the place that it looks at.
        where: the picture of that, a photo's file name or "scene SIDE", by detector.
    """

    name: str
    figures: Mapping[str, float | None]
    where: Mapping[str, str]

    def over(self) -> list[str]:
        """The detectors whose limits the style exceeds."""
        limits = {detector.name: detector.limit for detector in DETECTORS}
        return [name for name, figure in self.figures.items() if figure is not None and figure > limits[name]]


@dataclass(frozen=True)
class Defects:
    """A bank's styles on some photos and a drawn scene.

    Attributes:
        photos: how many.
        plan: see there.
        rows: one for each style.
    """

    photos: int
    plan: Plan
    rows: tuple[Findings, ...]

    def medians(self) -> dict[str, float | None]:
        """Median over styles of every figure."""
        found = {d.name: [row.figures[d.name] for row in self.rows] for d in DETECTORS}
        known = {name: [figure for figure in figures if figure is not None] for name, figures in found.items()}
        return {name: median(figures) if figures else None for name, figures in known.items()}

    def over(self) -> dict[str, int]:
        """How many styles exceed each limit."""
        return {d.name: sum(d.name in row.over() for row in self.rows) for d in DETECTORS}

    def to_json(self) -> dict[str, Any]:
        """Everything, the limits too, as plain JSON data."""
        rows = [asdict(row) | {"over": row.over()} for row in self.rows]
        return {
            "photos": self.photos,
            "plan": asdict(self.plan),
            "detectors": [asdict(detector) for detector in DETECTORS],
            "medians": self.medians(),
            "over": self.over(),
            "rows": rows,
        }

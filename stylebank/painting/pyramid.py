"""A photo at the sizes at which it is painted, and the way from the coarsest to the finest.

At each size there are passes over the windows of the image, as `passes` and `fusion` have them; between sizes there
are pictures. The first is painted over the photo with a style's filter, each further one over the last, enlarged, with
the style's revision. At less than full strength the photo's own detail comes back with each size.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, TypeVar

from stylebank.bank.bundle import Bundle
from stylebank.bank.mixture import Mixture
from stylebank.config import STRIDE
from stylebank.engines.stages import Array, Stages
from stylebank.machine.memory import Report
from stylebank.painting import fusion, maps, strokes
from stylebank.painting.fusion import Ground, Paint
from stylebank.painting.maps import Map
from stylebank.painting.passes import Passes
from stylebank.painting.sources import Source
from stylebank.painting.strokes import Size
from stylebank.painting.windows import PIXELS, Window, cells_of, tiles

Picture = TypeVar("Picture")

Program = Callable[[Passes], Map]
"""Makes a picture (B, 3, H, W) in [0, 1] of one size."""


@dataclass(frozen=True)
class Way:
    """How images of one size are painted.

    Attributes:
        stages: what computes.
        side: of tiles in feature cells, None for the whole as one window.
        guard: held while it is painted.
    """

    stages: Stages
    side: int | None = None
    guard: AbstractContextManager[object] = field(default_factory=nullcontext)


class Level(Generic[Picture]):
    """A photo at one size.

    Attributes:
        source: the photo.
        way: see there.
        photo: the photo as a ground to paint over; what the encoder makes of it is kept, unless it is painted `once`.
        windows: that cover it.
    """

    def __init__(self, source: Source[Picture], way: Way, *, once: bool = False) -> None:
        self.source, self.way = source, way
        height, width = cells = cells_of(source.size)
        self.windows = [Window(0, 0, height, width)] if way.side is None else tiles(cells, way.side)
        self.photo = Ground(self.image(source), once=once)
        self._once, self._primed = once, dict[float, Ground]()

    def primed(self, share: float) -> Ground:
        """The photo as the ground of a first pass, prepared for a share of the style."""
        if share not in self._primed:
            self._primed[share] = Ground(self.image(self.source.primed(share)), once=self._once)
        return self._primed[share]

    def image(self, source: Source[Picture]) -> Map:
        """The pixels of something of this size."""

        def read(top: int, left: int, bottom: int, right: int) -> Array:
            return source.read(self.way.stages, top, left, bottom, right)

        return maps.extended(PIXELS, read, self.source.size)

    def parts(self, passes: Passes, output: Map) -> Iterator[tuple[int, int, Array]]:
        """Top and left of each window, and its pixels as far as the photo goes."""
        height, width = self.source.size
        found = passes.each(output.shape, lambda window, around: window.cut(output.read(around), around))
        for window, part in found:
            top, left = STRIDE * window.top, STRIDE * window.left
            yield top, left, part[..., : height - top, : width - left]


class Pyramid(Generic[Picture]):
    """A photo at all sizes, each made when it is first asked for.

    Args:
        bank: encoder, decoder and filters.
        source: the photo.
        way: how images of a size (H, W) are painted.
        once: whether a single picture is painted.
    """

    def __init__(
        self, bank: Bundle, source: Source[Picture], way: Callable[[Size], Way], *, once: bool = False
    ) -> None:
        self.bank, self.source, self._way, self._once = bank, source, way, once
        self._levels: dict[Size, Level[Picture]] = {}

    def level(self, size: Size) -> Level[Picture]:
        """The photo at one size."""
        if size not in self._levels:
            own = size == self.source.size
            source = self.source if own else self.source.resized(size)
            self._levels[size] = Level(source, self._way(size), once=self._once)
        return self._levels[size]


class Climb(Generic[Picture]):
    """All that is painted for one picture, from coarse to fine.

    Args:
        pyramid: of the photo.
        report: see `memory.Report`; told only where there are tiles.
        total: all the work that there is in tiles; None to compute nothing, and find out by `work`.
    """

    def __init__(
        self, pyramid: Pyramid[Picture], *, report: Report | None = None, total: float | None = None
    ) -> None:
        self._pyramid, self._report, self._total = pyramid, report, total
        self._last: dict[Mixture, tuple[Ground, Paint]] = {}
        self.work = 0.0

    def last(self, mixture: Mixture, size: Size) -> tuple[Ground, Paint]:
        """What the last pass of a mixture is painted over and with, after all the passes before it.

        Raises:
            UnknownStyleError, ConfigError: see `Bundle.filter_of`.
        """
        if mixture not in self._last:
            self._last[mixture] = self._climbed(mixture, strokes.sizes(size, mixture.stroke or 1.0))
        return self._last[mixture]

    def _climbed(self, mixture: Mixture, sizes: Sequence[Size]) -> tuple[Ground, Paint]:
        first, *further = (self._pyramid.level(size) for size in sizes)
        kernels = [self._pyramid.bank.filter_of(mixture, again=again) for again in (False, True)]
        is_bank = self._pyramid.bank.network.is_bank  # what a johnson network paints is a yardstick
        ground = first.primed(mixture.share) if is_bank and mixture.share else first.photo
        paint = Paint(kernels[0], mixture.share)
        for level, larger in pairwise((first, *further)):

            def program(passes: Passes, ground: Ground = ground, paint: Paint = paint) -> Map:
                return fusion.paint(passes, ground, paint)

            picture = self.paint(level, program)
            over = picture.ground(larger.source, level.source, 1 - mixture.share)
            ground = Ground(larger.image(over), once=True)
            paint = Paint(kernels[1], mixture.share)
        return ground, paint

    def paint(self, level: Level[Picture], program: Program) -> Source[Picture]:
        """A picture of one size, clipped to [0, 1]; the photo in its place if nothing is computed."""
        is_plan, is_whole = self._total is None, len(level.windows) == 1
        if is_plan and is_whole:
            return level.source
        with level.way.guard:
            passes = self._passes(level, [] if is_plan else level.windows, told=not is_plan and not is_whole)
            parts = level.parts(passes, maps.finished(program(passes), level.photo.image, keep_color=False))
            picture = level.source if is_plan else level.source.painted(level.way.stages, parts)
            for _ in parts:  # of a plan none: but the last pass counts as well
                pass
        if not is_whole:
            self.work += passes.work
            if not is_plan and level.source.size != self._pyramid.source.size:
                level.way.stages.release()  # engines keep what tiles of each shape took, and the next size has others
        return picture

    def _passes(self, level: Level[Picture], windows: Sequence[Window], *, told: bool) -> Passes:
        done = self.work

        def report(work: float, _: float) -> None:
            if self._report and self._total:
                self._report(done + work, self._total)

        bank, way = self._pyramid.bank, level.way
        return Passes(
            bank, way.stages, level.source.size, windows, report=report if told else None, owner=self
        )

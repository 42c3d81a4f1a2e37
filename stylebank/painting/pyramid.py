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
from stylebank.machine import halts
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


_LEVELS = 8  # sizes that are kept beside the photo's own, the last used: each stroke has others
_SHARES = 4  # strengths whose primed grounds are kept, with what the encoder made of them


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
            if len(self._primed) == _SHARES:
                del self._primed[next(iter(self._primed))]
            self._primed[share] = Ground(self.image(self.source.primed(share)), once=self._once)
        return self._primed[share]

    def image(self, source: Source[Picture]) -> Map:
        """The pixels of something of this size."""
        stages = self.way.stages  # no word of this level: else a photo and its ground would hold each other

        def read(top: int, left: int, bottom: int, right: int) -> Array:
            return source.read(stages, top, left, bottom, right)

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
        found = self._levels.pop(size, None)
        if found is None:
            source = self.source if size == self.source.size else self.source.resized(size)
            found = Level(source, self._way(size), once=self._once)
        self._levels[size] = found
        for old in [each for each in self._levels if each != self.source.size][:-_LEVELS]:
            del self._levels[old]
        return found


@dataclass(frozen=True)
class Last(Generic[Picture]):
    """The last pass of a mixture.

    Attributes:
        ground: what it is painted over.
        paint: and with.
        over: the ground if it is a painting, enlarged; None for the photo.
        keep: how much of the change of forms is kept, see `Source.settled`.
    """

    ground: Ground
    paint: Paint
    over: Source[Picture] | None = None
    keep: float = 1.0


KEEP = (0.75, 0.35, 0.2)
"""Of the second pass, the third and all after it: each finds forms again where finer ones are to find, which would
break up the large ones that a picture is seen by from farther away."""


class Climb(Generic[Picture]):
    """All that is painted for one picture, from coarse to fine.

    Args:
        pyramid: of the photo.
        report: see `memory.Report`; told only where there are tiles.
        total: all the work that there is in tiles; None to compute nothing, and find out by `work`.
        known: last passes of mixtures to the same size, found before; those found are added.
    """

    def __init__(
        self,
        pyramid: Pyramid[Picture],
        *,
        report: Report | None = None,
        total: float | None = None,
        known: dict[Mixture, Last[Picture]] | None = None,
    ) -> None:
        self._pyramid, self._report, self._total = pyramid, report, total
        self._last = {} if known is None else known
        self.work = 0.0

    @property
    def is_plan(self) -> bool:
        """Whether nothing is computed."""
        return self._total is None

    def last(self, mixture: Mixture, size: Size) -> Last[Picture]:
        """The last pass of a mixture, after all the passes before it.

        Raises:
            UnknownStyleError, ConfigError: see `Bundle.filter_of`.
        """
        if mixture not in self._last:
            sizes = strokes.sizes(size, mixture.stroke or 1.0, again=bool(mixture.marks))
            self._last[mixture] = self._climbed(mixture, sizes)
        return self._last[mixture]

    def reached(self, mixture: Mixture, sizes: Sequence[Size]) -> tuple[Last[Picture], Source[Picture]]:
        """The last of some passes, and the picture that it makes."""
        last = self._climbed(mixture, sizes)
        return last, self._settled(self._pyramid.level(sizes[-1]), last)

    def _climbed(self, mixture: Mixture, sizes: Sequence[Size]) -> Last[Picture]:
        first, *further = (self._pyramid.level(size) for size in sizes)
        bank, share = self._pyramid.bank, mixture.share
        # What a johnson network paints is a yardstick.
        primes = bank.network.is_bank and share > 0
        last: Last[Picture] = Last(
            first.primed(share) if primes else first.photo, Paint(bank.filter_of(mixture), share)
        )
        again = Paint(bank.filter_of(mixture, again=True), share) if further else last.paint
        for place, (level, larger) in enumerate(pairwise((first, *further))):
            picture = self._settled(level, last)
            # A plan needs no pixels, only that there are some.
            over = larger.source if self.is_plan else picture.ground(larger.source, level.source, 1 - share)
            last = Last(Ground(larger.image(over), once=True), again, over, KEEP[min(place, len(KEEP) - 1)])
        return last

    def _settled(self, level: Level[Picture], last: Last[Picture]) -> Source[Picture]:
        picture = self.paint(level, lambda passes: fusion.paint(passes, last.ground, last.paint))
        if last.over is None or self.is_plan:
            return picture
        return picture.settled(last.over, last.keep)

    def paint(self, level: Level[Picture], program: Program) -> Source[Picture]:
        """A picture of one size, clipped to [0, 1]; the photo in its place if nothing is computed."""
        halts.check()
        is_plan, is_whole = self.is_plan, len(level.windows) == 1
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

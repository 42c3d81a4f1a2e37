"""A photo on its way to pictures: encoded once, and painted from there as often as one likes."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Generic, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from stylebank.bank import mixture
from stylebank.bank.bundle import Bundle
from stylebank.bank.mixture import PHOTO, Mix
from stylebank.config import STRIDE
from stylebank.engines.stages import Array, Stages
from stylebank.errors import ConfigError, too_large
from stylebank.machine.memory import Report
from stylebank.painting import fusion
from stylebank.painting.fusion import Mode, Paint
from stylebank.painting.passes import Map, Passes
from stylebank.painting.sources import Source
from stylebank.painting.windows import PIXELS, Shape, Window, cells_of, places, tiles
from stylebank.pixels import masks
from stylebank.pixels.masks import Mask

Picture = TypeVar("Picture")


class Canvas(Generic[Picture]):
    """A photo that a bank paints, made by `StyleBank.open`; encoded when it is first painted.

    >>> canvas = bank.open(photo)
    >>> for style in bank.styles:
    ...     canvas.stylize(style).save(f"{style}.png")

    Args:
        bank: encoder, decoder and filters.
        stages: what computes them.
        source: the photo.
        side: of tiles in feature cells, None for the whole as one window.
        report: see `memory.Report`; told only where there are tiles.
        guard: held while it is painted.
        once: whether it is painted only once, so that what the encoder makes of it need not be kept.
    """

    def __init__(
        self,
        bank: Bundle,
        stages: Stages,
        source: Source[Picture],
        *,
        side: int | None = None,
        report: Report | None = None,
        guard: AbstractContextManager[object] | None = None,
        once: bool = False,
    ) -> None:
        self._bank, self._stages, self._source = bank, stages, source
        self._once = once and side is None
        self._report, self._guard = report, guard or nullcontext()
        height, width = cells = cells_of(source.size)
        self._windows = [Window(0, 0, height, width)] if side is None else tiles(cells, side)
        self._features: Map | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the photo in pixels."""
        return self._source.size

    def stylize(self, style: Mix, *, strength: float = 1.0, keep_color: bool = False) -> Picture:
        """Paint the photo in one style or a mixture; see `StyleBank.stylize`.

        Raises:
            UnknownStyleError, ConfigError, ImageError: see there.
        """
        chosen = self._paint(style, strength)

        def program(passes: Passes, photo: Map) -> Map:
            features = None if self._once else self._encoded(passes, photo)
            return fusion.paint(passes, photo, features, chosen)

        return self._run(program, keep_color=keep_color)

    def fuse(
        self,
        regions: Iterable[tuple[Mask, Mix]],
        *,
        rest: Mix = PHOTO,
        strength: float = 1.0,
        mode: Mode = "exact",
        feather: float = 0.0,
        keep_color: bool = False,
    ) -> Picture:
        """Paint the regions of the photo, each in its style or mixture; see `StyleBank.fuse`.

        Raises:
            UnknownStyleError, ConfigError, ImageError: see there.
        """
        regions = list(regions)
        check_fusion(len(regions), mode, feather, self.size)
        mixes = [mix for _, mix in regions] + ([rest] if rest != PHOTO else [])
        paints = [self._paint(mix, strength) for mix in mixes]
        with self._complaining():
            given = [masks.of(mask) for mask, _ in regions]
            shares, cover = masks.layout(given, self.size, fill=rest != PHOTO, feather=feather)

        def program(passes: Passes, photo: Map) -> Map:
            features = self._encoded(passes, photo)
            fused = [
                fusion.fuse(passes, *images_, paints, self._shown(shares), mode=mode)
                for images_ in zip(self._apart(photo), self._apart(features), strict=True)
            ]
            return fusion.laid_over(passes, photo, passes.batch(fused), self._shown(cover[None]))

        return self._run(program, keep_color=keep_color)

    def features(self) -> NDArray[np.float32]:
        """What the encoder makes of the photo: (C, h, w), one cell for each 4 x 4 pixels."""
        with self._complaining():
            passes = self._passes(self._windows)
            found = self._encoded(passes, self._photo())
            cells = self._stages.numpy(found.read(Window(0, 0, *cells_of(self.size))))
        features: NDArray[np.float32] = cells[0]
        return features

    def _paint(self, mix: Mix, strength: float) -> Paint:
        found = mixture.of(mix, strength=strength)
        return Paint(self._bank.filter_of(found), found.share)

    def _run(self, program: Callable[[Passes, Map], Map], *, keep_color: bool) -> Picture:
        photo = self._photo()

        def finished(passes: Passes) -> Map:
            return fusion.finished(program(passes, photo), photo, keep_color=keep_color)

        with self._complaining():
            total = 0.0
            if self._report and len(self._windows) > 1:
                plan = self._passes([])
                list(self._painted(plan, finished(plan)))
                total = plan.work
            passes = self._passes(self._windows, total=total)
            return self._source.collect(self._stages, self._painted(passes, finished(passes)))

    def _passes(self, windows: Sequence[Window], *, total: float = 0.0) -> Passes:
        report = self._report if total else None
        return Passes(self._bank, self._stages, self.size, windows, report=report, total=total)

    def _painted(self, passes: Passes, output: Map) -> Iterator[tuple[int, int, Array]]:
        """Top and left of each window, and its pixels as far as the photo goes."""
        height, width = self.size
        found = passes.each(output.shape, lambda window, around: window.cut(output.read(around), around))
        for window, part in found:
            top, left = STRIDE * window.top, STRIDE * window.left
            yield top, left, part[..., : height - top, : width - left]

    def _encoded(self, passes: Passes, photo: Map) -> Map:
        """F of the photo, from the second time on as it was kept."""
        if self._features is not None:
            return self._features
        found = fusion.encode(passes, photo)
        if not passes.is_plan:
            self._features = found
        return found

    def _photo(self) -> Map:
        def read(top: int, left: int, bottom: int, right: int) -> Array:
            return self._source.read(self._stages, top, left, bottom, right)

        return _extended(PIXELS, read, self.size)

    def _apart(self, found: Map) -> Iterator[Map]:
        """The images of a batch, whose statistics are their own, one by one."""
        for place in range(self._source.count):
            yield Map(found.shape, lambda window, place=place: found.read(window)[place : place + 1])  # type: ignore[misc]

    def _shown(self, values: NDArray[np.float32]) -> Map:
        """A map of values (R, H, W) for each pixel, NumPy's."""

        def read(top: int, left: int, bottom: int, right: int) -> Array:
            return values[None, :, top:bottom, left:right]

        return _extended(Shape(len(values), STRIDE), read, self.size)

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        """Say in one line that there is not enough memory."""
        try:
            with self._guard:
                yield
        except (MemoryError, RuntimeError) as error:
            names = {kind.__name__ for kind in type(error).mro()}
            if not {"MemoryError", "OutOfMemoryError"} & names and "allocate memory" not in str(error):
                raise
            raise too_large(width=self.size[1], height=self.size[0]) from error


def _extended(shape: Shape, read: Callable[[int, int, int, int], Array], size: tuple[int, int]) -> Map:
    """A map of pixels (H, W) that `read` gives by boxes (top, left, bottom, right), mirrored past its last ones."""

    def window_of(window: Window) -> Array:
        rows, columns = places(window.top, window.bottom, size[0]), places(window.left, window.right, size[1])
        (top, bottom), (left, right) = ((int(x.min()), int(x.max()) + 1) for x in (rows, columns))
        part = read(top, left, bottom, right)
        if len(rows) != bottom - top:
            part = part[..., rows - top, :]
        return part if len(columns) == right - left else part[..., columns - left]

    return Map(shape, window_of)


def check_fusion(regions: int, mode: str, feather: float, size: tuple[int, int]) -> None:
    """Refuse what cannot be fused.

    Raises:
        ConfigError: saying what.
    """
    if mode not in get_args(Mode):
        raise ConfigError(f"fusion '{mode}': is unknown; choose one of {', '.join(get_args(Mode))}")
    if not regions:
        raise ConfigError("regions: there are none; give at least one mask")
    if not 0 <= feather < math.inf:
        raise ConfigError(f"feather {feather:g}: is out of range; give 0 or more pixels")
    if feather > max(size):
        raise ConfigError(f"feather {feather:g}: is more than the image's {max(size)} pixels; give less")

"""A photo on its way to pictures: encoded once at each size, and painted from there as often as one likes."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from stylebank.bank import mixture
from stylebank.bank.bundle import Bundle
from stylebank.bank.mixture import PHOTO, Mix, Mixture
from stylebank.errors import ConfigError, too_large
from stylebank.machine import memory
from stylebank.machine.memory import Report
from stylebank.network import centring
from stylebank.painting import fusion, maps, strokes
from stylebank.painting.fusion import Mode
from stylebank.painting.maps import Map
from stylebank.painting.passes import Passes
from stylebank.painting.pyramid import Climb, Last, Program, Pyramid, Way
from stylebank.painting.sources import Source
from stylebank.painting.strokes import Size
from stylebank.painting.windows import Window, cells_of
from stylebank.pixels import masks
from stylebank.pixels.masks import Mask, Overlap

Picture = TypeVar("Picture")

_LASTS = 4
"""Mixtures beside those of a picture whose coarse passes are kept."""


class Canvas(Generic[Picture]):
    """A photo that a bank paints, made by `StyleBank.open`; encoded when it is first painted.

    >>> canvas = bank.open(photo)
    >>> for style in bank.styles:
    ...     canvas.stylize(style).save(f"{style}.png")

    Args:
        bank: encoder, decoder and filters.
        source: the photo.
        way: how images of a size (H, W) are painted.
        report: see `memory.Report`; told only where there are tiles.
        once: whether it is painted only once, so that what the encoder makes of it need not be kept.
    """

    def __init__(
        self,
        bank: Bundle,
        source: Source[Picture],
        way: Callable[[Size], Way],
        *,
        report: Report | None = None,
        once: bool = False,
    ) -> None:
        self._bank, self._source, self._report = bank, source, report
        self._pyramid, self._once = Pyramid(bank, source, way, once=once), once
        self._lasts: dict[Mixture, Last[Picture]] = {}
        self._lasts_of: Size | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the photo in pixels."""
        return self._source.size

    def stylize(
        self, style: Mix, *, strength: float = 1.0, stroke: float = 1.0, keep_color: bool = False
    ) -> Picture:
        """Paint the photo in one style or a mixture; see `StyleBank.stylize`.

        Raises:
            UnknownStyleError, ConfigError, ImageError: see there.
        """
        mixed = mixture.of(style, strength=strength, stroke=stroke)

        def program(lasts: Sequence[Last[Picture]]) -> Program:
            (last,) = lasts
            return lambda passes: fusion.paint(passes, last.ground, last.paint)

        return self._painted([mixed], program, keep_color=keep_color)

    def fuse(
        self,
        regions: Iterable[tuple[Mask, Mix]],
        *,
        rest: Mix = PHOTO,
        strength: float = 1.0,
        stroke: float = 1.0,
        mode: Mode = "exact",
        feather: float = 0.0,
        keep_color: bool = False,
        overlap: Overlap = "over",
        fit: bool = False,
    ) -> Picture:
        """Paint the regions of the photo, each in its style or mixture; see `StyleBank.fuse`.

        Raises:
            UnknownStyleError, ConfigError, ImageError: see there.
        """
        regions = list(regions)
        check_fusion(len(regions), mode, feather, self.size, overlap)
        mixes = [mix for mix in (*(mix for _, mix in regions), rest) if mix != PHOTO]
        bare = [place for place, (_, mix) in enumerate(regions) if mix == PHOTO]
        if not mixes:
            raise ConfigError("regions: all keep the photo, and so does the rest; give one of them a style")
        mixed = [mixture.of(mix, strength=strength, stroke=stroke) for mix in mixes]
        with self._complaining():
            given = [masks.of(mask) for mask, _ in regions]
            for mask in given if not fit else []:
                masks.check_shape("mask", mask.shape, self.size, remedy="give fit=True")

            def laid_out(size: Size) -> tuple[Map, Map]:
                width = feather * max(size) / max(self.size)
                shares, cover = masks.layout(
                    given, size, fill=rest != PHOTO, feather=width, overlap=overlap, bare=bare
                )
                return maps.shown(shares), maps.shown(cover[None])

            size = strokes.painted_size(self.size, [each.stroke or 1.0 for each in mixed])
            shares, cover = laid_out(size)
            cover = cover if size == self.size else laid_out(self.size)[1]

        def program(lasts: Sequence[Last[Picture]]) -> Program:
            paints = [last.paint for last in lasts]

            def fused(passes: Passes) -> Map:
                apart = [last.ground.apart(passes, self._source.count) for last in lasts]
                each = [
                    fusion.fuse(passes, alone, paints, shares, mode=mode)
                    for alone in zip(*apart, strict=True)
                ]
                return maps.batched(passes.stages, each)

            return fused

        return self._painted(mixed, program, shares=shares, cover=cover, keep_color=keep_color)

    def features(self) -> NDArray[np.float32]:
        """What the encoder makes of the photo at its own size: (C, h, w), one cell for each 4 x 4 pixels."""
        with self._complaining():
            level = self._pyramid.level(self.size)
            with level.way.guard:
                passes = Passes(self._bank, level.way.stages, self.size, level.windows)
                found = level.photo.features(passes).read(Window(0, 0, *cells_of(self.size)))
            features: NDArray[np.float32] = level.way.stages.numpy(found)[0]
        return features + centring.rest(self._bank.network, self._bank.coder)[:, None, None]

    def _painted(
        self,
        mixed: Sequence[Mixture],
        program: Callable[[Sequence[Last[Picture]]], Program],
        *,
        shares: Map | None = None,
        cover: Map | None = None,
        keep_color: bool,
    ) -> Picture:
        """The picture that a program makes in its last pass, at the photo's size, laid over the photo."""
        size = strokes.painted_size(self.size, [each.stroke or 1.0 for each in mixed])
        photo = self._pyramid.level(self.size)

        def ended(passes: Passes, output: Map) -> Map:
            over = (
                output if cover is None else maps.laid_over(passes.stages, photo.photo.image, output, cover)
            )
            return maps.finished(over, photo.photo.image, keep_color=keep_color)

        def climbed(climb: Climb[Picture]) -> Picture:
            lasts = [climb.last(each, size) for each in mixed]
            if size == self.size and not any(last.over for last in lasts):
                paint = program(lasts)
                return climb.paint(photo, lambda passes: ended(passes, paint(passes))).picture
            picture = self._settled(climb, size, lasts, program(lasts), shares).resized(self.size)
            if size == self.size and cover is None and not keep_color:
                return picture.picture
            return climb.paint(photo, lambda passes: ended(passes, photo.image(picture))).picture

        with self._complaining():
            total = 0.0
            if self._report:
                plan = Climb(self._pyramid)
                climbed(plan)
                total = plan.work
            known = self._known(size, mixed) if photo.way.side is None and not self._once else None
            return climbed(Climb(self._pyramid, report=self._report, total=total, known=known))

    def _known(self, size: Size, mixed: Sequence[Mixture]) -> dict[Mixture, Last[Picture]]:
        """Coarse passes of the last few pictures, so that another mask or one more region is soon there."""
        found = self._lasts if self._lasts_of == size else {}
        spare = [mixture for mixture in found if mixture not in mixed][: -_LASTS or None]
        self._lasts = {mixture: last for mixture, last in found.items() if mixture not in spare}
        self._lasts_of = size
        return self._lasts

    def _settled(
        self,
        climb: Climb[Picture],
        size: Size,
        lasts: Sequence[Last[Picture]],
        program: Program,
        shares: Map | None,
    ) -> Source[Picture]:
        """The picture of the last pass, its forms settled on those of the passes before; of each region its own."""
        level = self._pyramid.level(size)
        picture = climb.paint(level, program)
        if climb.is_plan or not any(last.over for last in lasts):
            return picture
        if shares is None:
            return picture.settled(lasts[0].over or picture, lasts[0].keep)

        def forms(passes: Passes) -> Map:
            # A region that was painted over the photo has its forms from this pass.
            found = (
                maps.between(last.ground.image, level.image(picture), last.keep if last.over else 1.0)
                for last in lasts
            )
            return maps.total(
                maps.inside(passes.stages, each, shares, region) for region, each in enumerate(found)
            )

        return picture.settled(climb.paint(level, forms), 0.0)

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        """Say in one line that there is not enough memory."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not memory.ran_out(error):
                raise
            raise too_large(width=self.size[1], height=self.size[0]) from error


def check_fusion(regions: int, mode: str, feather: float, size: tuple[int, int], overlap: str) -> None:
    """Refuse what cannot be fused.

    Raises:
        ConfigError: saying what.
    """
    if mode not in get_args(Mode):
        raise ConfigError(f"fusion '{mode}': is unknown; choose one of {', '.join(get_args(Mode))}")
    if overlap not in get_args(Overlap):
        raise ConfigError(f"overlap '{overlap}': is unknown; choose one of {', '.join(get_args(Overlap))}")
    if not regions:
        raise ConfigError("regions: there are none; give at least one mask")
    if not 0 <= feather < math.inf:
        raise ConfigError(f"feather {feather:g}: is out of range; give 0 or more pixels")
    if feather > max(size):
        raise ConfigError(f"feather {feather:g}: is more than the image's {max(size)} pixels; give less")

"""Passes over the windows of an image, of which one is the whole and many are tiles: maps kept, and their statistics.

What a network makes of an image is a chain of maps, each a function of a window. A norm in the chain needs statistics
of the whole image, so that in tiles there is one pass for each norm; a single window has its own.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, reduce
from operator import add
from typing import TypeVar

import numpy as np

from stylebank.bank.bundle import Bundle
from stylebank.engines import stages as statistics
from stylebank.engines.stages import Affine, Array, Floats, Given, Moments, Stages, affine
from stylebank.files.tensorfile import Arrays
from stylebank.machine import halts
from stylebank.machine.memory import Report
from stylebank.machine.scratch import Scratch
from stylebank.network.architecture import Layer, Part
from stylebank.network.centring import centred, rest_of
from stylebank.painting.maps import Map, at, scaled, shifted, total
from stylebank.painting.windows import Shape, Window, cells_of, convolved, filtered, read_again, stretches

Found = TypeVar("Found")


class Passes:
    """Everything that is done to all windows of one image, one after another.

    Args:
        bank: whose encoder and decoder are used.
        stages: what computes them.
        size: (H, W) of the image in pixels.
        windows: that cover it, each cell once. Without any, nothing is computed and `work` tells what would be.
        report: see `memory.Report`.
        total: all the work that there is.
        owner: what several passes belong to, of which one keeps what another reads.
    """

    def __init__(
        self,
        bank: Bundle,
        stages: Stages,
        size: tuple[int, int],
        windows: Sequence[Window],
        *,
        report: Report | None = None,
        total: float = 0.0,
        owner: object = None,
    ) -> None:
        self.bank, self.stages, self.size = bank, stages, size
        self._cells, self._windows = cells_of(size), windows
        self._report, self._total, self._done = report, total, 0.0
        self.work, self.owner = 0.0, owner or self

    @cached_property
    def _coder(self) -> Arrays:
        return centred(self.bank.network, self.bank.coder)

    @property
    def is_whole(self) -> bool:
        """Whether the only window is the image."""
        return len(self._windows) == 1

    @property
    def is_plan(self) -> bool:
        """Whether nothing is computed."""
        return not self._windows

    def each(
        self, shape: Shape, compute: Callable[[Window, Window], Found]
    ) -> Iterator[tuple[Window, Found]]:
        """One pass: each window in turn, and what a function makes of it.

        Args:
            shape: of the map that the pass is about.
            compute: takes a window and the window around it that must be seen for the map to be right; several threads
                call it at the same time.
        """
        self.work += shape.work * self._cells[0] * self._cells[1]
        halts.check()
        for window, found in self._computed(
            lambda window: compute(window, window.grown(shape.halo, self._cells))
        ):
            yield window, found
            halts.check()
            self._done += shape.work * window.height * window.width
            if self._report:
                self._report(self._done, self._total)

    def _computed(self, compute: Callable[[Window], Found]) -> Iterator[tuple[Window, Found]]:
        workers = min(self.stages.workers, len(self._windows))
        if workers <= 1:
            yield from ((window, compute(window)) for window in self._windows)
            return
        waiting: deque[tuple[Window, Future[Found]]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            try:
                for window in self._windows:
                    waiting.append((window, pool.submit(compute, window)))
                    if len(waiting) > workers:
                        first, future = waiting.popleft()
                        yield first, future.result()
                while waiting:
                    first, future = waiting.popleft()
                    yield first, future.result()
            finally:
                for _, future in waiting:
                    future.cancel()

    def keep(self, found: Map) -> Map:
        """Compute a map in one pass; from now on it is read from memory, or of an image in tiles from disk."""
        if not self.is_whole:
            return self.keep_measured(found)[0]
        ((_, whole),) = self.each(found.shape, lambda window, around: window.cut(found.read(around), around))
        return Map(read_again(found.shape), lambda _: whole)

    def keep_measured(self, found: Map, masks: Map | None = None) -> tuple[Map, Moments]:
        """Keep a map of one image, and take its moments, of an image in tiles in the same pass; see `moments`."""
        if self.is_whole:
            kept = self.keep(found)
            return kept, self.moments(kept, masks)
        step = found.shape.step
        scratch = Scratch(found.shape.channels, step * self._cells[0], step * self._cells[1])

        def compute(window: Window, around: Window) -> Moments:
            values = self.stages.numpy(window.cut(found.read(around), around))
            scratch.write(values[0], step * window.top, step * window.left)
            return statistics.moments(values, at(masks, window, values.shape[-2]))

        total = _sum([part for _, part in self.each(found.shape, compute)], found.shape.channels, masks)

        def read(window: Window) -> Array:
            values = scratch.read(*(step * x for x in (window.top, window.left, window.height, window.width)))
            return self.stages.array(values[None])

        return Map(read_again(found.shape), read), total if masks is None else _of_regions(total)

    def moments(self, of: Map, masks: Map | None = None) -> Moments:
        """Moments of a map in one pass, a row for each image; with masks those of its regions, a row for each."""

        def compute(window: Window, around: Window) -> Moments:
            x = self.stages.numpy(window.cut(of.read(around), around))
            return statistics.moments(x, at(masks, window, x.shape[-2]))

        found = _sum([part for _, part in self.each(of.shape, compute)], of.shape.channels, masks)
        return found if masks is None else _of_regions(found)

    def survey(
        self,
        part: Part,
        source: Map,
        *,
        masks: Map | None = None,
        last: int = 0,
    ) -> list[Affine]:
        """A part's norms by the statistics of the whole image, or of each region's.

        Args:
            part: of the network.
            source: what enters it.
            masks: shares of R regions.
            last: how many of its last norms are left out.
        """
        norms: list[Affine] = []
        while len(norms) < len(part.norms) - last:
            shape = convolved(source.shape, part.layers[: len(norms) + 1])
            found = self._next_moments(part, source, masks, norms, shape)
            for layer, moments in zip(part.norms[len(norms) :], found, strict=False):
                norms.append(self.norm(layer, moments))
        return norms

    def trace(self, part: Part, source: Map, *, masks: Map | None = None) -> tuple[list[Affine], Map]:
        """A part's norms by the statistics of the whole image, or of each region's, and what it makes of a map.

        Of an image in tiles, and of regions, what enters a norm is kept where that is cheaper than to compute it again.
        """
        if self.is_whole and masks is None and part.residual:
            found = self.each(source.shape, lambda window, _: self.stages.trace(part, source.read(window)))
            ((_, (moments, whole)),) = found
            norms = [self.norm(layer, each) for layer, each in zip(part.norms, moments, strict=True)]
            return norms, Map(convolved(source.shape, part.layers), lambda _: whole)
        if part.residual and not self.is_whole:
            source = self.keep(source)
        norms, x = [], source
        for stretch in [part] if self.is_whole else stretches(part, source.shape.step):
            known, x = self._stretched(stretch, x, masks)
            norms += known
        return norms, total((source, x)) if part.residual else x

    def _stretched(self, part: Part, source: Map, masks: Map | None) -> tuple[list[Affine], Map]:
        last = part.layers[-1]
        known = self.survey(part, source, masks=masks, last=1 if last.norm else 0)
        found = self.run(part, source, norms=known, masks=masks)
        if not last.norm:
            return known, found
        # The last convolution's output is kept before its norm, so that one pass serves norm and result.
        raw, moments = self.keep_measured(found, masks)
        known.append(self.norm(last, moments))
        rest, (scale, shift) = rest_of(self._coder, last), known[-1]
        if rest is None:
            return known, scaled(self.stages, raw, known[-1], masks)
        made = scaled(self.stages, raw, Affine(scale, shift - rest), masks)
        floor = self.stages.array(-rest[:, None, None])
        return known, Map(made.shape, lambda window: made.read(window).clip(floor, None))

    def norm(self, layer: Layer, moments: Moments) -> Affine:
        """A layer's norm by given moments."""
        weight, bias = (self._coder[f"{layer.norm}.{name}"] for name in ("weight", "bias"))
        return affine(moments, weight, bias)

    def _next_moments(
        self,
        part: Part,
        source: Map,
        masks: Map | None,
        norms: Sequence[Affine],
        shape: Shape,
    ) -> list[Moments]:
        """Of what enters the first norm that is not known, or of a whole image all further ones."""

        def compute(window: Window, around: Window) -> list[Moments]:
            x, given = source.read(around), Given(norms, at(masks, around))
            if masks is None:
                crop = None if self.is_whole else window.crop(around, shape.step)
                return self.stages.measure(part, x, given=given, crop=crop)
            raw = self.stages.run(part, x, given=given)
            found = self.stages.numpy(window.cut(raw, around))
            return [statistics.moments(found, at(masks, window, found.shape[-2]))]

        found = [moments for _, moments in self.each(shape, compute)]
        if self.is_whole and masks is None:
            return found[0]
        total = _sum([moments for (moments,) in found], shape.channels, masks)
        return [total if masks is None else _of_regions(total)]

    def centred(self, image: Map) -> Map:
        """An image less about its mean colour, the same in all windows; see `Stages.encode`."""
        if self.is_plan:
            return image
        first = self.stages.numpy(image.read(self._windows[0]))[0, :, :1, :1]

        def compute(window: Window) -> Floats:
            # Less one of its pixels: then of a flat image nothing is left, to the last digit.
            distance: Floats = self.stages.numpy(image.read(window)) - first
            mean: Floats = distance.mean((0, 2, 3))
            return mean

        means = [mean for _, mean in self._computed(compute)]
        return shifted(self.stages, shifted(self.stages, image, -first[:, 0, 0]), -np.mean(means, 0))

    def whole(self, source: Map, make: Callable[[Array], Array]) -> Map:
        """What several parts make of a whole image in one go; see `Stages.paint`, `encode` and `decode`."""
        assert self.is_whole, "of a part it would be another picture"
        return Map(source.shape, lambda window: make(source.read(window)))

    def filter(self, source: Map, kernel: Floats) -> Map:
        """What a filter (C', C, k, k) makes of a map."""
        return Map(
            filtered(source.shape, kernel), lambda window: self.stages.filter(source.read(window), kernel)
        )

    def run(
        self,
        part: Part,
        source: Map,
        *,
        kernel: Floats | None = None,
        norms: Sequence[Affine] | None = None,
        masks: Map | None = None,
    ) -> Map:
        """What a part makes of a map; see `Stages.run`. Without norms, of a whole image, by its own statistics."""
        layers = part.layers if norms is None else part.layers[: len(norms) + 1]
        start = source.shape if kernel is None else filtered(source.shape, kernel)

        def read(window: Window) -> Array:
            given = None if norms is None else Given(norms, at(masks, window))
            return self.stages.run(part, source.read(window), kernel=kernel, given=given)

        return Map(convolved(start, layers), read)


def _sum(parts: Sequence[Moments], channels: int, masks: Map | None = None) -> Moments:
    rows = masks.shape.channels + 1 if masks else 1
    none = Moments(np.zeros((rows, 1)), *np.zeros((2, rows, channels)))
    return reduce(add, parts, none) if len(parts) != 1 else parts[0]


def _of_regions(found: Moments) -> Moments:
    """Of regions and the whole, those of the regions; one without a single cell gets the whole's."""
    empty = found.weight <= 0
    rows = (np.where(empty, part[-1], part)[:-1] for part in (found.weight, found.mean, found.square))
    return Moments(*rows)

"""Passes over the tiles of an image: maps read window by window, kept on disk, and the statistics of the whole.

What a network makes of an image is a chain of maps, each a function of a window. A norm in the chain needs statistics
of all windows, so that there is one pass for each norm; the layers are the network's own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from stylebank.machine.memory import Report
from stylebank.machine.scratch import Scratch
from stylebank.network.instance_norm import Blended, Gathered, InstanceNorm, Normalize, Statistics, at_cells
from stylebank.network.layers import run_layers
from stylebank.painting.windows import Shape, Window, cells_of, convolved, traced


@dataclass(frozen=True)
class Map:
    """An image or its features, by windows.

    Attributes:
        shape: of the whole.
        read: what lies in a window of h x w cells, (1, C, n h, n w) on the device that computes.
    """

    shape: Shape
    read: Callable[[Window], Tensor]

    def convolved(self, weight: Tensor, apply: Callable[[Tensor], Tensor]) -> "Map":
        """What a function makes of this map that sees as far as a convolution with `weight`."""
        return Map(convolved(self.shape, weight), lambda window: apply(self.read(window)))


@dataclass(frozen=True)
class Known:
    """Statistics of a whole image by layer and region, to be injected into any window.

    Attributes:
        regions: see `Blended`.
        masks: shares of the regions at each pixel, (1, R, 4 h, 4 w) of a window; None if there is one region.
    """

    regions: Sequence[Mapping[InstanceNorm, Statistics]]
    masks: Map | None = None

    def at(self, window: Window) -> Blended:
        """Those statistics as a window sees them."""
        return Blended(self.regions, None if self.masks is None else self.masks.read(window)[0])


class _SeenEnoughError(Exception):
    """The norm that a pass is about has been reached."""


@dataclass(frozen=True)
class _Probe:
    """Normalise by what is known, until the norm comes whose statistics are not: show what enters it and end there."""

    known: Blended
    norm: InstanceNorm
    show: Callable[[Tensor], None]

    def __call__(self, norm: InstanceNorm, x: Tensor) -> Tensor:
        if norm is not self.norm:
            return self.known(norm, x)
        self.show(x)
        raise _SeenEnoughError


class Passes:
    """Everything that is done to all tiles of one image, one after another.

    Args:
        size: (H, W) of the image in pixels.
        tiles: windows that cover it, each cell once. Without any, nothing is computed and `work` tells what would be.
        device: what computes.
        report: see `memory.Report`.
        total: all the work that there is.
    """

    def __init__(
        self,
        size: tuple[int, int],
        tiles: Sequence[Window],
        *,
        device: torch.device,
        report: Report | None = None,
        total: float = 0.0,
    ) -> None:
        self.size, self._cells = size, cells_of(size)
        self._tiles, self.device = tiles, device
        self._report, self._total, self._done = report, total, 0.0
        self.work = 0.0

    def over(self, shape: Shape) -> Iterator[tuple[Window, Window]]:
        """One pass: each tile, and the window around it that must be seen for a map of this shape to be right."""
        self.work += shape.work * self._cells[0] * self._cells[1]
        for tile in self._tiles:
            yield tile, tile.grown(shape.halo, self._cells)
            self._done += shape.work * tile.height * tile.width
            if self._report:
                self._report(self._done, self._total)

    def keep(self, found: Map) -> Map:
        """Compute a map in one pass; it is read from disk from now on."""
        step = found.shape.step
        scratch = Scratch(found.shape.channels, step * self._cells[0], step * self._cells[1])
        for tile, window in self.over(found.shape):
            scratch.write(tile.cut(found.read(window), window)[0], step * tile.top, step * tile.left)

        def read(window: Window) -> Tensor:
            values = scratch.read(*(step * x for x in (window.top, window.left, window.height, window.width)))
            return values.unsqueeze(0).to(self.device, memory_format=torch.contiguous_format)

        return Map(replace(found.shape, wrong=0, work=_READING * found.shape.channels * step**2), read)

    def statistics(self, of: Map, masks: Map | None = None) -> Statistics:
        """Statistics (1, C) of a map in one pass; with masks (see `Known`) those of its regions, (R, C)."""
        return self._gathered(of.shape, masks, lambda window, show: show(of.read(window)), of.shape.channels)

    def survey(self, source: Map, layers: Sequence[nn.Module], masks: Map | None = None) -> Known:
        """Statistics of what enters each norm of some layers, one pass each, or those inside the regions of masks."""
        regions: list[dict[InstanceNorm, Statistics]] = [
            {} for _ in range(masks.shape.channels if masks else 1)
        ]
        known = Known(regions, masks)
        for norm, shape in traced(layers, source.shape):
            if isinstance(norm, InstanceNorm):

                def run(window: Window, show: Callable[[Tensor], None], norm: InstanceNorm = norm) -> None:
                    with suppress(_SeenEnoughError):
                        run_layers(layers, source.read(window), _Probe(known.at(window), norm, show))

                found = self._gathered(shape, masks, run, norm.num_features)
                for region, mean, variance in zip(regions, found.mean, found.variance, strict=True):
                    region[norm] = Statistics(mean[None], variance[None])
        return known

    def _gathered(
        self,
        shape: Shape,
        masks: Map | None,
        run: Callable[[Window, Callable[[Tensor], None]], None],
        channels: int,
    ) -> Statistics:
        gathered = Gathered(channels, masks.shape.channels if masks else 0)
        for tile, window in self.over(shape):

            def show(x: Tensor, tile: Window = tile, window: Window = window) -> None:
                part = tile.cut(x, window)
                gathered.add(part, at_cells(masks.read(tile)[0], part) if masks else None)

            run(window, show)
        return gathered.statistics(self.device)


_READING = 64
"""What reading a value costs, in multiplications."""


def through(source: Map, layers: Sequence[nn.Module], normalize: Callable[[Window], Normalize]) -> Map:
    """What layers make of a map, each window normalised as its place says."""
    *_, (_, shape) = traced(layers, source.shape)
    return Map(shape, lambda window: run_layers(layers, source.read(window), normalize(window)))

"""The stages of a network as ONNX graphs on the CPU, computed by OpenVINO or ONNX Runtime; no PyTorch.

A graph is made and compiled when it is first needed, in some 20 ms; a style's filter is an input, so that all styles of
a bank share the graphs.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from stylebank.bank.bundle import Bundle
from stylebank.config import STRIDE
from stylebank.engines.graphs import (
    Graph,
    convolved,
    decoded,
    encoded,
    ended,
    filtered,
    moments,
    normalised,
    painted,
    rectified,
    through,
)
from stylebank.engines.stages import Crop, Floats, Given, Moments, Pixels
from stylebank.files.tensorfile import Arrays
from stylebank.network.architecture import Part
from stylebank.network.centring import centred, rest_of

Input = NDArray[np.float32] | NDArray[np.int64]

Run = Callable[[Sequence[Input]], list[Floats]]
"""A compiled graph: its inputs in order, and what it makes of them; threads may call it at the same time."""

Compile = Callable[[bytes], Run]


@dataclass(frozen=True)
class _Plan:
    """What a graph computes.

    Attributes:
        part: None for the filter alone, or for `all_of`.
        kernel: side of the filter before the part; 0 for none.
        given: norms by statistics from outside; None for all norms by their own.
        regions: of those statistics.
        all_of: "network", "encoder" or "decoder", by their own statistics; empty for a part.
        large: whether norms that work by their own statistics see maps so large that engines' sums lose digits.
        measures: "" for the result, "next" for moments of what enters the next norm, "all" for those of all others,
            "through" for those and the result.
    """

    part: Part | None
    kernel: int = 0
    given: int | None = None
    regions: int = 1
    all_of: str = ""
    large: bool = False
    measures: str = ""


_LARGE = 1 << 20
"""Pixels from which on the sums of engines' norms lose what a level of 255 is made of; below, half of that at most."""


class GraphStages:
    """See `Stages`; arrays are NumPy's.

    Args:
        bank: encoder and decoder.
        compile_graph: makes a graph run.
        workers: see `Stages`.
    """

    device_type = device_name = "cpu"
    together = 1

    def __init__(self, bank: Bundle, compile_graph: Compile, *, workers: int) -> None:
        self._bank = replace(bank, coder=centred(bank.network, bank.coder))
        self._compile, self.workers = compile_graph, workers
        self.bytes_per_pixel = 20 * bank.network.width  # measured in float32: 15 to 20 for each channel
        # Two dozen graphs, which keep what their largest tile took.
        self.bytes_per_tile = 110 * bank.network.width
        # Features, filtered ones, and terms of the largest map.
        self.bytes_by_region = 10 * bank.network.width
        self._graphs: dict[_Plan, Run] = {}
        self._lock = threading.Lock()

    def array(self, values: Any) -> Floats:
        """See `Stages`."""
        # NumPy knows no bfloat16.
        plain = values.detach().float().cpu().numpy() if hasattr(values, "detach") else values
        found: Floats = np.asarray(plain, np.float32)
        return found

    def numpy(self, x: Floats) -> Floats:
        """See `Stages`."""
        return x

    def photo(self, pixels: Pixels) -> Floats:
        """See `Stages`."""
        return np.multiply(pixels.transpose(0, 3, 1, 2), np.float32(1 / 255), dtype=np.float32, order="C")

    def pixels(self, picture: Floats) -> Pixels:
        """See `Stages`."""
        levels = picture * np.float32(255)
        return np.ascontiguousarray(np.rint(levels, out=levels).astype(np.uint8).transpose(0, 2, 3, 1))

    def filter(self, x: Floats, kernel: Floats) -> Floats:
        """See `Stages`."""
        return self._run(_Plan(None, kernel.shape[-1]), x, kernel)[0]

    def paint(self, x: Floats, kernel: Floats) -> Floats:
        """See `Stages`; one graph, in which the features keep the form that they are computed in."""
        return self._run(_Plan(None, kernel.shape[-1], all_of="network"), _less_its_mean(x), kernel)[0]

    def encode(self, x: Floats) -> Floats:
        """See `Stages`."""
        return self._run(_Plan(None, all_of="encoder"), _less_its_mean(x))[0]

    def decode(self, x: Floats, kernel: Floats) -> Floats:
        """See `Stages`."""
        return self._run(_Plan(None, kernel.shape[-1], all_of="decoder"), x, kernel)[0]

    def run(
        self, part: Part, x: Floats, *, kernel: Floats | None = None, given: Given | None = None
    ) -> Floats:
        """See `Stages`."""
        return self._run(_plan(part, kernel, given), x, kernel, given)[0]

    def measure(self, part: Part, x: Floats, *, given: Given, crop: Crop | None = None) -> list[Moments]:
        """See `Stages`."""
        plan = _plan(part, None, given, "next" if crop else "all")
        found = self._run(plan, x, given=given, crop=crop)
        return _moments(found, (crop.bottom - crop.top) * (crop.right - crop.left) if crop else 1)

    def release(self) -> None:
        """See `Stages`; graphs are made anew when they are next needed."""
        with self._lock:
            self._graphs.clear()

    def trace(self, part: Part, x: Floats) -> tuple[list[Moments], Floats]:
        """See `Stages`."""
        *found, result = self._run(_plan(part, None, Given([]), "through"), x)
        return _moments(found, 1), result

    def _run(
        self,
        plan: _Plan,
        x: Floats,
        kernel: Floats | None = None,
        given: Given | None = None,
        crop: Crop | None = None,
    ) -> list[Floats]:
        pixels = x.shape[-2] * x.shape[-1] * (1 if x.shape[1] == 3 else STRIDE**2)
        plan = replace(
            plan, large=pixels > _LARGE and (plan.given is None or plan.measures in ("all", "through"))
        )
        with self._lock:
            run = self._graphs.get(plan) or self._compile(_graph(self._bank, plan))
            # What a graph took for its largest map it keeps; of a large one a dozen of graphs would not fit.
            if pixels <= _LARGE or plan.all_of:
                self._graphs[plan] = run
        inputs: list[Input] = [np.ascontiguousarray(x)]
        if kernel is not None:
            inputs.append(kernel)
        if plan.part and given:
            inputs += _statistics(plan.part, given, x.shape[-2], self._bank.coder)
        if crop:
            inputs += [np.array(crop[:2], np.int64), np.array(crop[2:], np.int64)]
        try:
            return run(inputs)
        except InterruptedError:
            with self._lock:  # OpenVINO would go on with the sizes of maps that it had got to
                self._graphs.pop(plan, None)
            raise
        except RuntimeError as error:
            # How engines say it: "could not allocate", "failed to create memory", "std::bad_alloc".
            if not any(word in str(error).lower() for word in ("alloc", "memory")):
                raise
            raise MemoryError(f"a window of {x.shape[-1]} x {x.shape[-2]} values") from error


def _less_its_mean(photo: Floats) -> Floats:
    """A photo less its mean colour, see `Stages.encode`; not in the graph, where engines round it before.

    And less its first pixel before: then of a flat photo nothing is left, to the last digit.
    """
    found = photo - photo[..., :1, :1]
    found -= found.mean((2, 3), keepdims=True)
    return found


def _plan(part: Part, kernel: Floats | None, given: Given | None, measures: str = "") -> _Plan:
    side = 0 if kernel is None else kernel.shape[-1]
    if given is None:
        return _Plan(part, side)
    regions = 1 if given.masks is None else len(given.masks)
    return _Plan(part, side, len(given.norms), regions, measures=measures)


def _moments(found: Sequence[Floats], cells: int) -> list[Moments]:
    """Of mean and variance of each norm, (1, C, 1, 1) each."""
    rows = [values[:, :, 0, 0].astype(np.float64) for values in found]
    return [
        Moments(np.full((1, 1), float(cells)), mean, variance * cells)
        for mean, variance in zip(rows[::2], rows[1::2], strict=True)
    ]


def _statistics(part: Part, given: Given, height: int, coder: Arrays) -> list[Input]:
    """Inputs for each given norm: scales, shifts (R, C, 1, 1) and, of several regions, their shares (R, 1, h, w).

    Shifts lack the layer's rest, see `graphs.rectified`.
    """
    inputs: list[Input] = []
    for norm, layer in zip(given.norms, part.layers, strict=False):
        height = height * 2 if layer.upsampling else height // layer.stride
        rest = rest_of(coder, layer)
        shift = norm.shift if rest is None else norm.shift - rest
        inputs += [values[:, :, None, None] for values in (norm.scale, shift)]
        masks = given.cells(height)
        if masks is not None and len(masks) > 1:  # a single region has all of each cell
            inputs.append(np.ascontiguousarray(masks[:, None]))
    return inputs


def _graph(bank: Bundle, plan: _Plan) -> bytes:
    """The ONNX file of a plan; its inputs are in the order of `_run`."""
    graph = Graph()
    deep = 4 * bank.network.width
    if plan.all_of:
        channels = deep if plan.all_of == "decoder" else 3
        x = graph.input("x", ["batch", channels, "height", "width"])
        if plan.all_of == "encoder":
            return _model(graph, [encoded(graph, bank, x, large=plan.large)])
        kernel = graph.input("kernel", [deep, deep, plan.kernel, plan.kernel])
        build = painted if plan.all_of == "network" else decoded
        return _model(graph, [build(graph, bank, x, kernel, plan.kernel, large=plan.large)])
    channels = plan.part.layers[0].inputs if plan.part else deep
    x = graph.input("x", ["batch", channels, "height", "width"])
    if plan.kernel:
        kernel = graph.input("kernel", [channels, channels, plan.kernel, plan.kernel])
        x = filtered(graph, x, kernel, plan.kernel)
    if not plan.part:
        return _model(graph, [x])
    if plan.given is None:
        return _model(graph, [through(graph, bank, plan.part, x, large=plan.large)])
    y, found = x, list[str]()
    for place, layer in enumerate(plan.part.layers):
        y = convolved(graph, bank.coder, layer, y)
        if not layer.norm:
            break
        if place < plan.given:
            y = _by_statistics(graph, place, layer.outputs, y, plan.regions)
            y = rectified(graph, bank.coder, layer, y)
            continue
        if not plan.measures:
            return _model(graph, [y])  # what enters the first norm that has none
        found += moments(graph, _cropped(graph, y) if plan.measures == "next" else y)
        if plan.measures == "next" or (plan.measures == "all" and place + 1 == len(plan.part.norms)):
            return _model(graph, found)
        y = normalised(graph, bank.coder, layer, y, large=plan.large)
    return _model(graph, [*found, ended(graph, bank, plan.part, x, y)])


def _by_statistics(graph: Graph, place: int, channels: int, x: str, regions: int) -> str:
    """A norm as the sum over regions of share * (x * scale + shift)."""
    scales, shifts = (
        graph.input(f"{word}{place}", [regions, channels, 1, 1]) for word in ("scales", "shifts")
    )
    if regions == 1:
        return graph.op("Add", graph.op("Mul", x, scales), shifts)
    shares = graph.input(f"shares{place}", [regions, 1, f"height{place}", f"width{place}"])
    total = ""
    for region in range(regions):
        scale, shift, share = (
            graph.op("Gather", values, graph.constant(np.array(region)), axis=0)
            for values in (scales, shifts, shares)
        )
        term = graph.op("Mul", graph.op("Add", graph.op("Mul", x, scale), shift), share)
        total = graph.op("Add", total, term) if total else term
    return total


def _cropped(graph: Graph, x: str) -> str:
    start, end = (graph.input(word, [2], kind=TensorProto.INT64) for word in ("start", "end"))
    return graph.op("Slice", x, start, end, graph.integers(2, 3))


def _model(graph: Graph, outputs: list[str]) -> bytes:
    shapes: dict[str, list[str | int]] = {name: ["b", "c", "rows", "columns"] for name in outputs}
    data: bytes = graph.model(shapes).SerializeToString()
    return data

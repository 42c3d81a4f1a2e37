"""The network as the ONNX graphs that the page runs: whole pictures in two, tiles in nine that stop at each norm.

Kernels are inputs, so that the page keeps each once, in float16 as it was loaded, and widens it; norms, which are
small, are constants in float32. Tiles have the statistics of the whole picture: graphs that end before a norm give the
moments of their tile, and the next ones take scale and shift of all norms before.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from onnx import TensorProto

from stylebank.bank.bundle import Bundle
from stylebank.engines.graphs import (
    Graph,
    convolved,
    decoded,
    encoded,
    ended,
    filtered,
    moments,
    rectified,
)
from stylebank.network.architecture import Layer, Part, decoder, encoder


def layers(bank: Bundle) -> list[Layer]:
    """All layers that have a kernel of their own, in the order in which the network runs."""
    parts = (*encoder(bank.network), *decoder(bank.network))
    return [layer for part in parts for layer in part.layers]


def form(layer: Layer) -> str:
    """What the graphs take in the place of a layer's kernel: "plain" for itself; see `graphs` for the others."""
    return "up" if layer.upsampling else "plain" if layer.norm else "four"


def build(bank: Bundle, side: int) -> dict[str, bytes]:
    """The ONNX files by their names.

    Args:
        bank: its encoder and decoder are centred, see `network.centring`.
        side: of the styles' filters.
    """
    (outer, *_), (*_, inner) = encoder(bank.network), decoder(bank.network)
    found = {
        "encode": _whole(bank, encoder(bank.network), "x", side),
        "decode": _whole(bank, decoder(bank.network), "x", side),
        "filter": _filter(bank, side),
    }
    for place in range(len(outer.layers)):
        found[f"encoder{place}"] = _until(bank, outer, place)
    for place in range(len(inner.layers)):
        found[f"decoder{place}"] = _until(bank, inner, place)
    blocks = [part for part in decoder(bank.network) if part.residual]
    if blocks:
        found["first"], found["second"] = _block(bank, blocks[0])
    return found


@dataclass
class _PageGraph(Graph):
    """A graph whose kernels are inputs, called after their layers.

    Attributes:
        names: of the layers, in the order in which their kernels come.
    """

    names: Iterator[str] = field(default_factory=lambda: iter(()))

    def constant(self, value: NDArray[Any]) -> str:
        """Add an array; a kernel as an input."""
        return self.input(next(self.names), list(value.shape)) if value.ndim == 4 else super().constant(value)


def _names(found: list[Layer]) -> Iterator[str]:
    return iter([layer.name for layer in found])


def _whole(bank: Bundle, parts: tuple[Part, ...], word: str, side: int) -> bytes:
    graph = _PageGraph(names=_names([layer for part in parts for layer in part.layers]))
    channels = parts[0].layers[0].inputs
    x = graph.input(word, [1, channels, "height", "width"])
    if channels == 3:
        return _model(graph, {"out": encoded(graph, bank, x)})
    kernel = graph.input("kernel", [channels, channels, side, side])
    return _model(graph, {"out": decoded(graph, bank, x, kernel, side)})


def _filter(bank: Bundle, side: int) -> bytes:
    graph = _PageGraph()
    channels = 4 * bank.network.width
    x = graph.input("x", [1, channels, "height", "width"])
    kernel = graph.input("kernel", [channels, channels, side, side])
    return _model(graph, {"out": _cropped(graph, filtered(graph, x, kernel, side))})


def _until(bank: Bundle, part: Part, place: int) -> bytes:
    """A part's layers up to one, by given statistics: the moments of what enters its norm, or the picture.

    The last convolution of an encoder is given too, and kept.
    """
    graph = _PageGraph(names=_names(list(part.layers)))
    x = graph.input("x", [1, part.layers[0].inputs, "height", "width"])
    y = x
    for earlier, layer in enumerate(part.layers[: place + 1]):
        y = convolved(graph, bank.coder, layer, y)
        if earlier < place:
            y = rectified(graph, bank.coder, layer, _scaled(graph, y, f"{earlier}", layer.outputs))
    layer = part.layers[place]
    if not layer.norm:
        return _model(graph, {"out": _cropped(graph, ended(graph, bank, part, x, y))})
    return _model(graph, _measured(graph, y, kept=place + 1 == len(part.layers)))


def _block(bank: Bundle, part: Part) -> tuple[bytes, bytes]:
    """The two convolutions of a residual block, of whichever: the second takes the first's norm, and its floor."""
    first, second = part.layers
    found = []
    for layer in (first, second):
        graph = _PageGraph(names=iter(["kernel"]))
        x = graph.input("x", [1, layer.inputs, "height", "width"])
        if layer is second:
            floor = graph.input("floor", [layer.inputs, 1, 1])
            x = graph.op("Max", _scaled(graph, x, "0", layer.inputs), floor)
        y = convolved(graph, bank.coder, layer, x)
        found.append(_model(graph, _measured(graph, y, kept=True)))
    return found[0], found[1]


def _scaled(graph: Graph, x: str, place: str, channels: int) -> str:
    scale, shift = (graph.input(f"{word}{place}", [channels, 1, 1]) for word in ("scale", "shift"))
    return graph.op("Add", graph.op("Mul", x, scale), shift)


def _cropped(graph: Graph, x: str) -> str:
    """The part of a tile that counts; what lies around it was seen for its sake."""
    start, end = (graph.input(word, [2], kind=TensorProto.INT64) for word in ("start", "end"))
    return graph.op("Slice", x, start, end, graph.integers(2, 3))


def _measured(graph: Graph, x: str, *, kept: bool) -> dict[str, str]:
    x = _cropped(graph, x)
    mean, variance = moments(graph, x)
    return {**({"out": x} if kept else {}), "mean": mean, "variance": variance}


def _model(graph: Graph, outputs: dict[str, str]) -> bytes:
    shapes: dict[str, list[str | int]] = {}
    for name, value in outputs.items():
        graph.op("Identity", value)
        graph.named(f"Identity_{len(graph.nodes) - 1}", name)
        shapes[name] = [1, "channels", f"rows_{name}", f"columns_{name}"]
    data: bytes = graph.model(shapes).SerializeToString()
    return data

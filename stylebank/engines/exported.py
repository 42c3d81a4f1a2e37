"""A style, a mixture or a whole bank as one ONNX file, for programs that know nothing of StyleBank.

The graph paints one pass: over photos, or over paintings that were enlarged. It takes images of any size from 16 px on
and pads and crops them itself. Of a whole bank the weights of the
styles are an input, so that one file paints every style and every mixture.
"""

import json
from dataclasses import replace

import numpy as np
from onnx import ModelProto

from stylebank.bank.bundle import Bundle, padded
from stylebank.bank.mixture import Mixture
from stylebank.config import STRIDE
from stylebank.engines.graphs import Graph, moments, painted
from stylebank.errors import ConfigError
from stylebank.network.architecture import FLAT
from stylebank.network.centring import centred


def build(bank: Bundle, mixture: Mixture | None, *, again: bool = False) -> ModelProto:
    """Make the graph; its inputs and its output "picture" (B, 3, H, W) are float32.

    Args:
        bank: encoder, decoder and filters.
        mixture: what to paint, the input is "image" (B, 3, H, W) in [0, 1], sRGB; None for the whole bank, which takes
            "weights" (S,) too, in the order of the bank's styles and 1 in sum.
        again: whether it paints over an enlarged painting, a pass after the first; see `painting.strokes`.

    Raises:
        UnknownStyleError: the bank has no such style.
        ConfigError: the network knows no strength, or there are no styles.
    """
    bank = replace(bank, coder=centred(bank.network, bank.coder))
    graph = Graph()
    image = graph.input("image", ["batch", 3, "height", "width"])
    if mixture:
        weight = bank.filter_of(mixture, again=again)
        style, kernel = graph.constant(weight), weight.shape[-1]
    else:
        if not bank.entries:
            raise ConfigError("export: the bank has no styles; add one")
        style, kernel = _weighed(graph, bank, again=again)
    size = graph.size(image)
    photo = _padded_to_stride(graph, image, size)
    x = painted(graph, bank, _less_its_mean(graph, photo), style, kernel)
    if mixture and mixture.strength < 1 and bank.network.restore_moments:
        x = _restored(graph, x, photo, 1 - mixture.share)
    picture = graph.named(graph.clip(graph.crop(x, size)), "picture")
    names = mixture.names if mixture else bank.names
    shape: list[str | int] = ["batch", 3, "height", "width"]
    return graph.model({picture: shape}, metadata={"styles": json.dumps(names)})


def is_graph(data: bytes) -> bool:
    """Whether the bytes of a file are an ONNX model."""
    try:
        return bool(ModelProto.FromString(data).graph.node)
    except Exception:  # protobuf has an error of its own
        return False


def _weighed(graph: Graph, bank: Bundle, *, again: bool) -> tuple[str, int]:
    """The filter of `Bundle.mixed_filter` by the weights w of the input, and its kernel's size.

    s sum_i w_i g_i K_i with s = sum_i w_i / g_i.
    """
    found = [entry.of_pass(again=again) for entry in bank.entries]
    largest = max(filter_.shape[-1] for filter_, _ in found)
    gains = np.array([gain for _, gain in found], np.float32)
    filters = np.stack(
        [padded(filter_.astype(np.float32) * np.float32(gain), largest) for filter_, gain in found]
    )
    weights = graph.input("weights", [len(filters)])
    flat = graph.op("MatMul", weights, graph.constant(filters.reshape(len(filters), -1)))
    strength = graph.op("MatMul", weights, graph.constant(1 / gains))
    scaled = graph.op("Mul", flat, strength)
    return graph.op("Reshape", scaled, graph.integers(*filters.shape[1:])), largest


def _padded_to_stride(graph: Graph, image: str, size: str) -> str:
    """Mirror the image at the right and bottom until the stride divides its sides."""
    missing = graph.op("Mod", graph.op("Neg", size), graph.integers(STRIDE, STRIDE))
    pads = graph.op("Concat", graph.integers(0, 0, 0, 0, 0, 0), missing, axis=0)
    return graph.op("Pad", image, pads, mode="reflect")


def _less_its_mean(graph: Graph, photo: str) -> str:
    """The photo less its first pixel, then less its mean; see `Stages.encode`."""
    first = graph.op("Slice", photo, graph.integers(0, 0), graph.integers(1, 1), graph.integers(2, 3))
    distance = graph.op("Sub", photo, first)
    return graph.op("Sub", distance, graph.op("ReduceMean", distance, graph.integers(2, 3)))


def _restored(graph: Graph, picture: str, photo: str, share: float) -> str:
    """Give the picture a share of the photo's brightness and contrast, as `fusion` does."""
    (mean, variance), (wanted_mean, wanted) = (moments(graph, x) for x in (picture, photo))
    deviation, wanted_deviation = graph.op("Sqrt", variance), graph.op("Sqrt", wanted)
    scale = graph.op("Div", wanted_deviation, graph.op("Max", deviation, graph.number(FLAT**0.5)))
    shift = graph.op("Sub", wanted_mean, graph.op("Mul", mean, scale))
    restored = graph.op("Add", graph.op("Mul", picture, scale), shift)
    return graph.op("Add", picture, graph.op("Mul", graph.op("Sub", restored, picture), graph.number(share)))

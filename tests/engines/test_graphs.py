"""Layers as nodes of a graph compute what the layer of their name computes in PyTorch."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylebank.engines import runtimes
from stylebank.engines.graphs import Graph, convolved, filtered, normalised
from stylebank.network.architecture import Layer
from stylebank.network.layers import reflect_conv

SAME = 1e-5
"""Float32 sums of up to 405 products of numbers of size one, in another order."""

Build = Callable[[Graph, str], str]


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def computed(build: Build, x: Tensor, **inputs: Tensor) -> Tensor:
    """What a graph makes of x; further inputs are made by `build`."""
    graph = Graph()
    y = build(graph, graph.input("x", ["batch", x.shape[1], "height", "width"]))
    model = graph.model({graph.named(y, "y"): ["batch", "channels", "rows", "columns"]})
    onnx.checker.check_model(model)
    run = runtimes.onnx_runtime(threads=1)(model.SerializeToString())
    return torch.from_numpy(run([values.numpy() for values in (x, *inputs.values())])[0])


def coder(layer: Layer) -> dict[str, np.ndarray]:
    """Random tensors of a layer."""
    return {name: 0.2 * numbers(*shape, seed=len(name)).numpy() for name, shape in layer.shapes().items()}


LAYERS = {
    "9x9": Layer("c", "n", 3, 5, 9),
    "stride 2": Layer("c", "n", 4, 6, 3, stride=2),
    "3x3": Layer("c", "n", 4, 6, 3),
    "upsampling": Layer("c", "n", 6, 4, 3, upsampling=True),
    "the last": Layer("c", "", 5, 3, 9, relu=False),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("size", [(12, 16), (8, 22)])
def test_a_convolution_is_pytorch_s(name: str, size: tuple[int, int]) -> None:
    layer = LAYERS[name]
    tensors, x = coder(layer), numbers(2, layer.inputs, *size)
    found = computed(lambda graph, x: convolved(graph, tensors, layer, x), x)
    weight = torch.from_numpy(tensors["c.weight"])
    bias = None if layer.norm else torch.from_numpy(tensors["c.bias"])
    large = F.interpolate(x, scale_factor=2.0) if layer.upsampling else x
    wanted = reflect_conv(large, weight, bias, stride=layer.stride)
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() < SAME * wanted.abs().max()
    wrong = reflect_conv(large, weight.transpose(2, 3), bias, stride=layer.stride)
    assert (found - wrong).abs().max() > 0.01, "the control: rows and columns exchanged"


@pytest.mark.parametrize("relu", [True, False])
def test_a_norm_is_pytorch_s(relu: bool) -> None:
    layer = Layer("c", "n", 4, 4, 3, relu=relu)
    tensors, x = coder(layer), 3 + numbers(2, 4, 9, 7)
    found = computed(lambda graph, x: normalised(graph, tensors, layer, x), x)
    weight, bias = (torch.from_numpy(tensors[f"n.{part}"]) for part in ("weight", "bias"))
    wanted = F.instance_norm(x, weight=weight, bias=bias)
    assert (found - (wanted.relu() if relu else wanted)).abs().max() < SAME
    assert (found - (wanted if relu else wanted.relu())).abs().max() > 0.01, "the control"


@pytest.mark.parametrize("side", [1, 3, 5, 7])
def test_a_filter_is_an_input(side: int) -> None:
    x, kernel = numbers(2, 4, 9, 8), numbers(4, 4, side, side, seed=1)

    def build(graph: Graph, x: str) -> str:
        return filtered(graph, x, graph.input("kernel", [4, 4, side, side]), side)

    wanted = reflect_conv(x, kernel)
    assert (computed(build, x, kernel=kernel) - wanted).abs().max() < SAME * wanted.abs().max()
    assert (computed(build, x, kernel=2 * kernel) - wanted).abs().max() > 0.1, "the control"

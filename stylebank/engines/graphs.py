"""A network's layers as nodes of an ONNX graph, in a form that engines run fast.

Of layers that enlarge, and of the last, the convolutions make four pixels at once; no weight is left to fold. Every
rewrite computes what the layer of its name in `network.layers` computes; of a centred bank, less what it is of a flat
photo, see `network.centring`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from stylebank.bank.bundle import Bundle
from stylebank.engines.stages import EPSILON, Floats
from stylebank.files.tensorfile import Arrays
from stylebank.network.architecture import Layer, Part, decoder, encoder
from stylebank.network.centring import rest_of

_OPSET, _IR = 18, 9  # read by every ONNX Runtime since 1.14 of 2023


@dataclass
class Graph:
    """Nodes and constants in the order of their making; every value goes by its name."""

    inputs: list[ValueInfoProto] = field(default_factory=list)
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def input(self, name: str, shape: list[str | int], *, kind: int = TensorProto.FLOAT) -> str:
        """Add an input; a word in its shape is a size that varies."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator of one output."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, value: NDArray[Any]) -> str:
        """Add an array."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.require(value, requirements="C"), name))
        return name

    def integers(self, *values: int) -> str:
        """Add a list of integers, as sizes and axes are given."""
        return self.constant(np.array(values, np.int64))

    def number(self, value: float) -> str:
        """Add a number."""
        return self.constant(np.array(value, np.float32))

    def size(self, x: str) -> str:
        """Height and width of (B, C, H, W)."""
        return self.op("Shape", x, start=2, end=4)

    def crop(self, x: str, size: str) -> str:
        """The upper left part of `size`."""
        return self.op("Slice", x, self.integers(0, 0), size, self.integers(2, 3))

    def clip(self, x: str) -> str:
        """Values in [0, 1]."""
        return self.op("Clip", x, self.number(0), self.number(1))

    def pad(self, x: str, margin: int, mode: str = "reflect") -> str:
        """A margin on all four sides."""
        if not margin:
            return x
        return self.op("Pad", x, self.integers(0, 0, margin, margin, 0, 0, margin, margin), mode=mode)

    def model(
        self, outputs: dict[str, list[str | int]], *, metadata: dict[str, str] | None = None
    ) -> ModelProto:
        """All of it as a model that gives some values, each of a shape."""
        found = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()
        ]
        model = helper.make_model(
            helper.make_graph(self.nodes, "stylebank", self.inputs, found, self.constants),
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR,
            producer_name="stylebank",
        )
        helper.set_model_props(model, metadata or {})
        return model

    def named(self, value: str, name: str) -> str:
        """The last operator's value under another name."""
        assert self.nodes[-1].output[0] == value, "the last one's alone"
        self.nodes[-1].output[0] = name
        return name


def convolved(graph: Graph, coder: Arrays, layer: Layer, x: str) -> str:
    """The convolution of a layer, without what follows it."""
    weight = coder[f"{layer.name}.weight"]
    if layer.upsampling:
        phases = graph.op("Conv", graph.pad(x, 1, "edge"), graph.constant(_upsampling(weight)))
        # The odd rows and columns come first: row r of the small map makes rows 2 r - 1 and 2 r of the large one.
        large = graph.op("DepthToSpace", phases, blocksize=2, mode="DCR")
        return graph.op("Slice", large, graph.integers(1, 1), graph.integers(-1, -1), graph.integers(2, 3))
    x = graph.pad(x, layer.kernel // 2)
    if layer.norm:
        return graph.op("Conv", x, graph.constant(weight), strides=[layer.stride] * 2)
    bias = graph.constant(np.tile(coder[f"{layer.name}.bias"], 4))
    phases = graph.op("Conv", x, graph.constant(_four_at_once(weight)), bias, strides=[2, 2])
    return graph.op("DepthToSpace", phases, blocksize=2, mode="DCR")


def normalised(graph: Graph, coder: Arrays, layer: Layer, x: str, *, large: bool = False) -> str:
    """The instance norm of a layer by its input's own statistics, and the ReLU.

    Engines add up all of a channel in one float32 sum, which loses digits where it is long: of a large map, where it
    pays, mean and variance are taken row by row. It is slower by a quarter.
    """
    weight, bias = (coder[f"{layer.norm}.{part}"] for part in ("weight", "bias"))
    rest = rest_of(coder, layer)
    if large:
        bias = bias if rest is None else bias - rest
        mean, variance = moments(graph, x)
        deviation = graph.op("Sqrt", graph.op("Add", variance, graph.number(EPSILON)))
        scale = graph.op("Div", graph.constant(weight[:, None, None]), deviation)
        x = graph.op("Mul", graph.op("Sub", x, mean), scale)
        return rectified(graph, coder, layer, graph.op("Add", x, graph.constant(bias[:, None, None])))
    x = graph.op("InstanceNormalization", x, graph.constant(weight), graph.constant(bias), epsilon=EPSILON)
    x = graph.op("Relu", x) if layer.relu else x
    # Engines do this, and a ReLU, with the norm, in float32; a largest value in their place takes 5 % of all time.
    return x if rest is None else graph.op("Sub", x, graph.constant(rest[:, None, None]))


def rectified(graph: Graph, coder: Arrays, layer: Layer, y: str) -> str:
    """A layer's ReLU, if it has one, of what lacks the rest r: max(y, 0) - r is the larger of y - r and -r.

    Where y is r there is no rounding, in any precision.
    """
    rest = rest_of(coder, layer)
    if rest is not None:
        return graph.op("Max", y, graph.constant(-rest[:, None, None]))
    return graph.op("Relu", y) if layer.relu else y


def moments(graph: Graph, x: str) -> tuple[str, str]:
    """Mean and variance of each channel, (B, C, 1, 1) each; row by row first, so that float32 sums are short.

    A mean of rows' sums: of two means in a row OpenVINO makes one.
    """
    width = graph.op("Cast", graph.op("Shape", x, start=3, end=4), to=TensorProto.FLOAT)

    def mean(y: str) -> str:
        rows = graph.op("ReduceSum", y, graph.integers(3))
        return graph.op("Div", graph.op("ReduceMean", rows, graph.integers(2)), width)

    average = mean(x)
    distance = graph.op("Sub", x, average)
    return average, mean(graph.op("Mul", distance, distance))


def painted(graph: Graph, bank: Bundle, x: str, kernel: str, side: int, *, large: bool = False) -> str:
    """All of the network by its input's own statistics, with a style's filter (C, C, side, side) before the decoder."""
    return decoded(graph, bank, encoded(graph, bank, x, large=large), kernel, side, large=large)


def encoded(graph: Graph, bank: Bundle, x: str, *, large: bool = False) -> str:
    """The encoder by its input's own statistics."""
    for part in encoder(bank.network):
        x = through(graph, bank, part, x, large=large)
    return x


def decoded(graph: Graph, bank: Bundle, x: str, kernel: str, side: int, *, large: bool = False) -> str:
    """A style's filter and the decoder by its input's own statistics."""
    x = filtered(graph, x, kernel, side)
    for part in decoder(bank.network):
        x = through(graph, bank, part, x, large=large)
    return x


def through(graph: Graph, bank: Bundle, part: Part, x: str, *, large: bool = False) -> str:
    """A part of the network by its input's own statistics."""
    y = x
    for layer in part.layers:
        y = convolved(graph, bank.coder, layer, y)
        if layer.norm:
            y = normalised(graph, bank.coder, layer, y, large=large)
    return ended(graph, bank, part, x, y)


def ended(graph: Graph, bank: Bundle, part: Part, x: str, y: str) -> str:
    """What follows the layers of a part, which made y of x."""
    if part.residual:
        return graph.op("Add", x, y)
    if not part.layers[-1].norm and bank.network.output == "sigmoid":  # the picture
        return graph.op("Sigmoid", y)
    return y


def filtered(graph: Graph, x: str, kernel: str, side: int) -> str:
    """A style's filter, a value (C, C, side, side)."""
    return graph.op("Conv", graph.pad(x, side // 2), kernel, kernel_shape=[side, side])


def _upsampling(weight: Floats) -> Floats:
    """Nearest x2 upsampling and a 3x3 convolution as four 2x2 kernels, see `layers.UpsampleConv`: (4 C', C, 2, 2)."""
    even = np.array([[1, 0, 0], [0, 1, 1]], np.float32)
    odd = np.array([[1, 1, 0], [0, 0, 1]], np.float32)
    fold = np.stack([odd, even])
    phases: Floats = np.einsum("pay,qbx,oiyx->pqoiab", fold, fold, weight)
    return phases.reshape(-1, *phases.shape[3:])


def _four_at_once(weight: Floats) -> Floats:
    """A convolution as one of stride 2 that makes the pixels of 2x2 squares: (C', C, k, k) -> (4 C', C, k + 1, k + 1).

    Engines compute 16 channels at a time, however few there are: three colours cost as much as twelve.
    """
    outputs, inputs, kernel, _ = weight.shape
    square = np.zeros((2, 2, outputs, inputs, kernel + 1, kernel + 1), np.float32)
    for row in (0, 1):
        for column in (0, 1):
            square[row, column, :, :, row : row + kernel, column : column + kernel] = weight
    return square.reshape(-1, *square.shape[3:])

"""A style, a mixture or a whole bank as one ONNX graph, for engines that need no PyTorch.

The graph takes images of any size from 16 px on and pads and crops them itself. Of a whole bank the weights of the
styles are an input, so that one file paints every style and every mixture. It computes what `model` computes, in a form
that engines run faster: the decoder's convolutions make four pixels at once, and no weight is left to fold.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from stylebank.bank.bundle import Bundle, padded
from stylebank.bank.mixture import Mixture
from stylebank.config import STRIDE
from stylebank.errors import ConfigError
from stylebank.pixels.srgb import LUMA

_OPSET, _IR = 18, 9  # read by every ONNX Runtime since 1.14 of 2023
_EPSILON = 1e-5  # of the norms
_FLAT = 1e-3  # deviation below which a channel has no contrast to restore, as in `model`

Weights = NDArray[np.float32]


def build(bank: Bundle, mixture: Mixture | None, *, keep_color: bool = False) -> ModelProto:
    """Make the graph; its inputs and its output "picture" (B, 3, H, W) are float32.

    Args:
        bank: encoder, decoder and filters.
        mixture: what to paint, the input is "image" (B, 3, H, W) in [0, 1], sRGB; None for the whole bank, which takes
            "weights" (S,) too, in the order of the bank's styles and 1 in sum.
        keep_color: whether the photo's chroma stays, see `fusion.keep_color`.

    Raises:
        UnknownStyleError: the bank has no such style.
        ConfigError: the network knows no strength, or there are no styles.
    """
    graph = _Graph()
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, "height", "width"])]
    if mixture:
        bank.check_strength(mixture.strength)
        weight, gain = bank.mixed_filter(mixture.weights)
        style, kernel = graph.constant(_faded(weight * np.float32(gain), mixture.share)), weight.shape[-1]
    else:
        if not bank.entries:
            raise ConfigError("export: the bank has no styles; add one")
        inputs.append(helper.make_tensor_value_info("weights", TensorProto.FLOAT, [len(bank.entries)]))
        style, kernel = _weighed(graph, bank)
    size = graph.size("image")
    photo = _padded_to_stride(graph, "image", size)
    features = graph.pad(_encoded(graph, bank, photo), kernel // 2)
    picture = _decoded(graph, bank, graph.op("Conv", features, style, kernel_shape=[kernel, kernel]))
    if mixture and mixture.strength < 1 and bank.network.restore_moments:
        picture = _restored(graph, picture, photo, 1 - mixture.share)
    picture = graph.crop(picture, size)
    if keep_color:
        picture = _with_chroma_of(graph, "image", graph.clip(picture))
    graph.clip(picture)
    names = mixture.names if mixture else bank.names
    return graph.model(inputs, "picture", metadata={"styles": json.dumps(names)})


def is_graph(data: bytes) -> bool:
    """Whether the bytes of a file are an ONNX model."""
    try:
        return bool(ModelProto.FromString(data).graph.node)
    except Exception:  # protobuf has an error of its own
        return False


@dataclass
class _Graph:
    """Nodes and constants in the order of their making; every value goes by its name."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

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

    def model(self, inputs: list[ValueInfoProto], output: str, *, metadata: dict[str, str]) -> ModelProto:
        """All of it as a model; the last operator makes the output."""
        self.nodes[-1].output[0] = output
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", 3, "height", "width"])]
        graph = helper.make_graph(self.nodes, "stylebank", inputs, outputs, self.constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR,
            producer_name="stylebank",
        )
        helper.set_model_props(model, metadata)
        return model


def _faded(weight: Weights, share: float) -> Weights:
    """(1 - p) identity + p K; see `fusion`."""
    identity = np.zeros_like(weight)
    centre = weight.shape[-1] // 2
    identity[:, :, centre, centre] = np.eye(len(weight))
    blended: Weights = share * weight + (1 - share) * identity
    return blended


def _weighed(graph: _Graph, bank: Bundle) -> tuple[str, int]:
    """The sum of all filters, each times its gain and its weight in the input; and its kernel's size."""
    largest = max(entry.style.kernel for entry in bank.entries)
    filters = np.stack(
        [padded(entry.filter.astype(np.float32) * np.float32(entry.gain), largest) for entry in bank.entries]
    )
    flat = graph.op("MatMul", "weights", graph.constant(filters.reshape(len(filters), -1)))
    return graph.op("Reshape", flat, graph.integers(*filters.shape[1:])), largest


def _padded_to_stride(graph: _Graph, image: str, size: str) -> str:
    """Mirror the image at the right and bottom until the stride divides its sides."""
    missing = graph.op("Mod", graph.op("Neg", size), graph.integers(STRIDE, STRIDE))
    pads = graph.op("Concat", graph.integers(0, 0, 0, 0, 0, 0), missing, axis=0)
    return graph.op("Pad", image, pads, mode="reflect")


def _encoded(graph: _Graph, bank: Bundle, x: str) -> str:
    for layer, stride in enumerate((1, 2, 2)):
        x = _convolution(graph, bank, x, f"encoder.{layer}.conv", stride=stride)
        x = graph.op("Relu", _norm(graph, bank, x, f"encoder.{layer}.norm"))
    for block in range(3, 3 + bank.network.residual_blocks):
        y = _convolution(graph, bank, x, f"encoder.{block}.first.conv")
        y = graph.op("Relu", _norm(graph, bank, y, f"encoder.{block}.first.norm"))
        y = _convolution(graph, bank, y, f"encoder.{block}.second")
        x = graph.op("Add", x, _norm(graph, bank, y, f"encoder.{block}.norm"))
    return x


def _convolution(graph: _Graph, bank: Bundle, x: str, name: str, *, stride: int = 1) -> str:
    weight = bank.coder[f"{name}.weight"]
    x = graph.pad(x, weight.shape[-1] // 2)
    return graph.op("Conv", x, graph.constant(weight), strides=[stride, stride])


def _norm(graph: _Graph, bank: Bundle, x: str, name: str) -> str:
    weight, bias = (graph.constant(bank.coder[f"{name}.{part}"]) for part in ("weight", "bias"))
    return graph.op("InstanceNormalization", x, weight, bias, epsilon=_EPSILON)


def _decoded(graph: _Graph, bank: Bundle, x: str) -> str:
    for layer in (0, 1):
        weight = bank.coder[f"decoder.{layer}.conv.weight"]
        phases = graph.op("Conv", graph.pad(x, 1, "edge"), graph.constant(_upsampling(weight)))
        # The odd rows and columns come first: row r of the small map makes rows 2 r - 1 and 2 r of the large one.
        large = graph.op("DepthToSpace", phases, blocksize=2, mode="DCR")
        inner = graph.op("Slice", large, graph.integers(1, 1), graph.integers(-1, -1), graph.integers(2, 3))
        x = graph.op("Relu", _norm(graph, bank, inner, f"decoder.{layer}.norm"))
    weight, bias = bank.coder["decoder.2.weight"], bank.coder["decoder.2.bias"]
    phases = graph.op(
        "Conv",
        graph.pad(x, weight.shape[-1] // 2),
        graph.constant(_four_at_once(weight)),
        graph.constant(np.tile(bias, 4)),
        strides=[2, 2],
    )
    picture = graph.op("DepthToSpace", phases, blocksize=2, mode="DCR")
    return graph.op("Sigmoid", picture) if bank.network.output == "sigmoid" else picture


def _upsampling(weight: Weights) -> Weights:
    """Nearest x2 upsampling and a 3x3 convolution as four 2x2 kernels, see `model.UpsampleConv`: (4 C', C, 2, 2)."""
    even = np.array([[1, 0, 0], [0, 1, 1]], np.float32)
    odd = np.array([[1, 1, 0], [0, 0, 1]], np.float32)
    fold = np.stack([odd, even])
    phases: Weights = np.einsum("pay,qbx,oiyx->pqoiab", fold, fold, weight)
    return phases.reshape(-1, *phases.shape[3:])


def _four_at_once(weight: Weights) -> Weights:
    """A convolution as one of stride 2 that makes the pixels of 2x2 squares: (C', C, k, k) -> (4 C', C, k + 1, k + 1).

    Engines compute 16 channels at a time, however few there are: three colours cost as much as twelve.
    """
    outputs, inputs, kernel, _ = weight.shape
    square = np.zeros((2, 2, outputs, inputs, kernel + 1, kernel + 1), np.float32)
    for row in (0, 1):
        for column in (0, 1):
            square[row, column, :, :, row : row + kernel, column : column + kernel] = weight
    return square.reshape(-1, *square.shape[3:])


def _restored(graph: _Graph, picture: str, photo: str, share: float) -> str:
    """Give the picture a share of the photo's brightness and contrast, as `fusion` does."""
    (mean, deviation), (wanted_mean, wanted_deviation) = (_moments(graph, x) for x in (picture, photo))
    scale = graph.op("Div", wanted_deviation, graph.op("Max", deviation, graph.number(_FLAT)))
    shift = graph.op("Sub", wanted_mean, graph.op("Mul", mean, scale))
    restored = graph.op("Add", graph.op("Mul", picture, scale), shift)
    return graph.op("Add", picture, graph.op("Mul", graph.op("Sub", restored, picture), graph.number(share)))


def _moments(graph: _Graph, x: str) -> tuple[str, str]:
    """Mean and standard deviation of each channel, (B, C, 1, 1) each."""
    axes = graph.integers(2, 3)
    mean = graph.op("ReduceMean", x, axes)
    distance = graph.op("Sub", x, mean)
    return mean, graph.op("Sqrt", graph.op("ReduceMean", graph.op("Mul", distance, distance), axes))


def _with_chroma_of(graph: _Graph, photo: str, picture: str) -> str:
    """The picture's luma with the photo's chroma, see `fusion.keep_color`."""
    luma = graph.constant(np.array(LUMA, np.float32)[:, None, None])
    change = graph.op("Mul", graph.op("Sub", picture, photo), luma)
    return graph.op("Add", photo, graph.op("ReduceSum", change, graph.integers(1)))

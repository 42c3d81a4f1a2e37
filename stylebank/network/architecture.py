"""The network as a plan: which layers, of which sizes, in which order; what engines, files and tiles go by.

Parts follow one another: the encoder, residual blocks if there are any, the decoder, before which a style's filter
stands. A layer is a convolution with a mirrored border and, but for the last, an instance norm and a ReLU. `model` has
the same layers as PyTorch modules, under the same names.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from stylebank.config import Network

ENCODER, DECODER = "encoder", "decoder"

FLAT = 1e-6
"""Variance below which a channel of an image has no contrast to restore: a deviation of a quarter of an 8-bit level."""


@dataclass(frozen=True)
class Layer:
    """A convolution, and the norm after it.

    Attributes:
        name: of the convolution; its tensors are `NAME.weight` (outputs, inputs, kernel, kernel) and perhaps
            `NAME.bias`.
        norm: name of the norm, tensors `NORM.weight` and `NORM.bias`; empty for none, then the convolution has a bias.
        inputs: channels.
        outputs: channels.
        kernel: side, odd.
        stride: of the convolution.
        upsampling: whether its input is enlarged by two before, each value repeated.
        relu: whether a ReLU follows the norm.
    """

    name: str
    norm: str
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    upsampling: bool = False
    relu: bool = True

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of its tensors, all float32."""
        found: dict[str, tuple[int, ...]] = {
            f"{self.name}.weight": (self.outputs, self.inputs, self.kernel, self.kernel)
        }
        for owner in (self.norm,) if self.norm else (self.name,):
            found[f"{owner}.bias"] = (self.outputs,)
        if self.norm:
            found[f"{self.norm}.weight"] = (self.outputs,)
        return found


@dataclass(frozen=True)
class Part:
    """Layers one after another; what stands between two parts may be kept, and painted from again.

    Attributes:
        name: "encoder", "encoder.3" for a residual block, "decoder".
        layers: at least one.
        residual: whether its input is added to what the layers make of it.
    """

    name: str
    layers: tuple[Layer, ...]
    residual: bool = False

    @property
    def norms(self) -> tuple[Layer, ...]:
        """The layers that have a norm, which are the first ones."""
        return tuple(layer for layer in self.layers if layer.norm)


def parts(network: Network) -> tuple[Part, ...]:
    """The parts of a network from the image to the picture."""
    return (_encoder(network.width), *_residual_blocks(network), _decoder(network.width))


def coder_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Names and shapes of encoder's and decoder's tensors, all float32."""
    layers = [layer for part in parts(network) for layer in part.layers]
    return {name: shape for layer in layers for name, shape in layer.shapes().items()}


def _encoder(width: int) -> Part:
    sizes = ((3, width, 9, 1), (width, 2 * width, 3, 2), (2 * width, 4 * width, 3, 2))
    return Part(
        ENCODER,
        tuple(
            Layer(f"encoder.{place}.conv", f"encoder.{place}.norm", inputs, outputs, kernel, stride)
            for place, (inputs, outputs, kernel, stride) in enumerate(sizes)
        ),
    )


def _residual_blocks(network: Network) -> Iterator[Part]:
    deep = 4 * network.width
    for place in range(3, 3 + network.residual_blocks):
        name = f"encoder.{place}"
        first = Layer(f"{name}.first.conv", f"{name}.first.norm", deep, deep, 3)
        second = Layer(f"{name}.second", f"{name}.norm", deep, deep, 3, relu=False)
        yield Part(name, (first, second), residual=True)


def _decoder(width: int) -> Part:
    first = Layer("decoder.0.conv", "decoder.0.norm", 4 * width, 2 * width, 3, upsampling=True)
    second = Layer("decoder.1.conv", "decoder.1.norm", 2 * width, width, 3, upsampling=True)
    return Part(DECODER, (first, second, Layer("decoder.2", "", width, 3, 9, relu=False)))

"""The network as a plan: which layers, of which sizes, in which order; what engines, files and tiles go by.

Parts follow one another: those of the encoder, a style's filter, those of the decoder; residual blocks are parts of
their own. A layer is a convolution with a mirrored border and, but for the last, an instance norm and a ReLU. `model`
has the same layers as PyTorch modules, under the same names.
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
        name: "encoder", "encoder.3" or "decoder.0" for a residual block, "decoder".
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


def encoder(network: Network) -> tuple[Part, ...]:
    """The parts from the image to the features, which a style's filter convolves."""
    sizes = (
        (3, network.width, network.outer_kernel, 1),
        (network.width, 2 * network.width, 3, 2),
        (2 * network.width, 4 * network.width, 3, 2),
    )
    layers = tuple(
        Layer(f"encoder.{place}.conv", f"encoder.{place}.norm", inputs, outputs, kernel, stride)
        for place, (inputs, outputs, kernel, stride) in enumerate(sizes)
    )
    return (Part(ENCODER, layers), *_residual_blocks(ENCODER, 3, network.encoder_blocks, network.width))


def decoder(network: Network) -> tuple[Part, ...]:
    """The parts from what a filter makes of features to the picture."""
    width, blocks = network.width, network.decoder_blocks
    layers = (
        Layer(f"decoder.{blocks}.conv", f"decoder.{blocks}.norm", 4 * width, 2 * width, 3, upsampling=True),
        Layer(
            f"decoder.{blocks + 1}.conv", f"decoder.{blocks + 1}.norm", 2 * width, width, 3, upsampling=True
        ),
        Layer(f"decoder.{blocks + 2}", "", width, 3, network.outer_kernel, relu=False),
    )
    return (*_residual_blocks(DECODER, 0, blocks, width), Part(DECODER, layers))


def coder_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Names and shapes of encoder's and decoder's tensors, all float32."""
    layers = [layer for part in (*encoder(network), *decoder(network)) for layer in part.layers]
    return {name: shape for layer in layers for name, shape in layer.shapes().items()}


def _residual_blocks(owner: str, start: int, count: int, width: int) -> Iterator[Part]:
    for place in range(start, start + count):
        name = f"{owner}.{place}"
        first = Layer(f"{name}.first.conv", f"{name}.first.norm", 4 * width, 4 * width, 3)
        second = Layer(f"{name}.second", f"{name}.norm", 4 * width, 4 * width, 3, relu=False)
        yield Part(name, (first, second), residual=True)

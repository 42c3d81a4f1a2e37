"""The same network less what it makes of a flat photo, so that rounding errors are of what there is to see.

Every convolution but the last stands before an instance norm, which takes away what constant each channel of its input
carries; borders are mirrored, so that a constant stays one. A channel may be kept less any constant, and the pictures
are the same. Engines keep it less what it is of a flat photo, of whatever colour: the norm's bias b, after a ReLU
max(b, 0). Then flat parts are near 0, and a flat photo is 0 everywhere. Else each convolution would round sums of such
constants, and the next norm divide the errors by a variance that may be near 0.

A residual block adds its last norm's output to its input: both lack their constants. The last convolution has no norm
behind it, and its bias makes up for what its input lacks.
"""

import numpy as np
from numpy.typing import NDArray

from stylebank.config import Network
from stylebank.files.tensorfile import Arrays
from stylebank.network.architecture import Layer, decoder, encoder

Floats = NDArray[np.float32]


def centred(network: Network, coder: Arrays) -> Arrays:
    """Encoder's and decoder's tensors with other biases, and `NORM.rest` (C,) of each layer with a ReLU.

    Whoever subtracts the latter after the ReLU gets the features less `rest`, and the same pictures.
    """
    found, rest = dict(coder), np.zeros(0, np.float32)
    for part in (*encoder(network), *decoder(network)):
        for layer in part.layers:
            bias = coder[f"{layer.norm or layer.name}.bias"]
            if not layer.norm:
                sums = coder[f"{layer.name}.weight"].astype(np.float64).sum((2, 3))
                found[f"{layer.name}.bias"] = (bias + sums @ rest).astype(np.float32)
            elif layer.relu:
                found[f"{layer.norm}.rest"] = rest = np.maximum(bias, 0)
            else:
                found[f"{layer.norm}.bias"] = np.zeros_like(bias)
    return found


def rest_of(coder: Arrays, layer: Layer) -> Floats | None:
    """What is subtracted after a layer's ReLU, (C,); None for nothing, of tensors as they are in a bank."""
    return coder.get(f"{layer.norm}.rest")


def rest(network: Network, coder: Arrays) -> Floats:
    """What the encoder makes of a flat photo, by tensors as they are in a bank: (C,)."""
    found = np.zeros(4 * network.width, np.float32)
    for part in encoder(network):
        bias = coder[f"{part.layers[-1].norm}.bias"]
        found = found + bias if part.residual else np.maximum(bias, 0)
    return found

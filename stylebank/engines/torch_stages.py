"""The stages of a network by PyTorch, on any of its devices."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from stylebank.bank.bundle import Bundle
from stylebank.engines.stages import Affine, Crop, Floats, Given, Moments, Pixels
from stylebank.network.architecture import Part, decoder, encoder
from stylebank.network.instance_norm import InstanceNorm
from stylebank.network.layers import Conv, ConvBlock, ResidualBlock, reflect_conv

_BATCH = 8  # photos on a GPU at a time

Step = tuple[Conv, InstanceNorm | None, bool]
"""A layer's modules: convolution, norm, and whether a ReLU follows."""


class TorchStages:
    """See `Stages`; arrays are tensors on the device, features in the precision of the convolutions.

    Args:
        bank: encoder and decoder.
        device: what computes.
        precision: of the convolutions.
        workers: see `Stages`.
    """

    def __init__(self, bank: Bundle, *, device: torch.device, precision: torch.dtype, workers: int) -> None:
        self.device, self._precision, self.workers = device, precision, workers
        self.device_type, self.device_name = device.type, str(device)
        self.together = _BATCH if device.type == "cuda" else 1
        self.bytes_per_pixel = 20 * bank.network.width  # measured in float32: 16 to 19 for each channel
        self.bytes_per_tile = self.bytes_per_pixel
        self.bytes_by_region = 5 * bank.network.width  # features, and filtered ones; measured
        self._encoder, self._decoder = encoder(bank.network), decoder(bank.network)
        network = bank.build().to(device)
        self._finish = torch.sigmoid if bank.network.output == "sigmoid" else torch.clone
        self._steps: dict[str, Step] = {}
        for owner, layers in (("encoder", network.encoder), ("decoder", network.decoder)):
            for place, layer in enumerate(layers):
                self._steps |= {f"{owner}.{place}{name}": step for name, step in _steps(layer)}

    def array(self, values: Any) -> Tensor:
        """See `Stages`."""
        return torch.as_tensor(values, dtype=torch.float32, device=self.device).detach()

    def numpy(self, x: Tensor) -> Floats:
        """See `Stages`."""
        found: Floats = x.float().cpu().numpy()
        return found

    def photo(self, pixels: Pixels) -> Tensor:
        """See `Stages`."""
        return torch.tensor(pixels, device=self.device).permute(0, 3, 1, 2) / 255

    def pixels(self, picture: Tensor) -> Pixels:
        """See `Stages`."""
        levels = (picture * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        found: Pixels = levels.contiguous().cpu().numpy()
        return found

    def filter(self, x: Tensor, kernel: Floats) -> Tensor:
        """See `Stages`."""
        return self._filtered(x, kernel)

    def paint(self, x: Tensor, kernel: Floats) -> Tensor:
        """See `Stages`."""
        return self.decode(self.encode(x), kernel)

    def encode(self, x: Tensor) -> Tensor:
        """See `Stages`."""
        for part in self._encoder:
            x = self.run(part, x)
        return x

    def decode(self, x: Tensor, kernel: Floats) -> Tensor:
        """See `Stages`."""
        x = self.filter(x, kernel)
        for part in self._decoder:
            x = self.run(part, x)
        return x

    def run(
        self, part: Part, x: Tensor, *, kernel: Floats | None = None, given: Given | None = None
    ) -> Tensor:
        """See `Stages`."""
        return self._run(part, self._filtered(x, kernel), given)

    @torch.no_grad()
    def _run(
        self,
        part: Part,
        x: Tensor,
        given: Given | None,
        note: Callable[[Moments], object] | None = None,
    ) -> Tensor:
        """What a part makes of x; what enters norms that work by their own statistics is noted."""
        y: Tensor = x
        for place, (conv, norm, relu) in enumerate(self._steps[layer.name] for layer in part.layers):
            y = conv(y)
            if norm is None:
                break
            if given is None:
                if note:
                    note(_moments(y))
                y = norm(y)
            elif place < len(given.norms):
                y = self._by_statistics(y, given.norms[place], given)
            else:
                return y
            y = F.relu(y, inplace=True) if relu else y
        if part.residual:
            return x + y
        if not part.layers[-1].norm:  # the picture
            y = self._finish(y).float()
        return y

    def release(self) -> None:
        """See `Stages`; there is none."""

    def trace(self, part: Part, x: Tensor) -> tuple[list[Moments], Tensor]:
        """See `Stages`."""
        found: list[Moments] = []
        return found, self._run(part, x.to(self._precision), None, found.append)

    @torch.no_grad()
    def measure(self, part: Part, x: Tensor, *, given: Given, crop: Crop | None = None) -> list[Moments]:
        """See `Stages`."""
        found: list[Moments] = []
        y = x.to(self._precision)
        for place, (conv, norm, relu) in enumerate(self._steps[layer.name] for layer in part.layers):
            if norm is None:
                break
            y = conv(y)
            if place < len(given.norms):
                y = self._by_statistics(y, given.norms[place], given)
            else:
                shown = y[..., crop.top : crop.bottom, crop.left : crop.right] if crop else y
                found.append(_moments(shown))
                if crop or place + 1 == len(part.norms):
                    break
                y = norm(y)
            y = F.relu(y, inplace=True) if relu else y
        return found

    @torch.no_grad()
    def _filtered(self, x: Tensor, kernel: Floats | None) -> Tensor:
        x = x.to(self._precision)
        return x if kernel is None else reflect_conv(x, self.array(kernel).to(x.dtype))

    def _by_statistics(self, x: Tensor, norm: Affine, given: Given) -> Tensor:
        """The sum over regions of share * (x * scale + shift), in the precision of x."""
        scales, shifts = (self.array(values) for values in norm)
        masks = given.cells(x.shape[-2])
        if masks is None:
            scale, shift = scales[0, :, None, None], shifts[0, :, None, None]
        else:
            shares = self.array(masks)
            scale, shift = (torch.einsum("rc,rhw->chw", part, shares) for part in (scales, shifts))
        return torch.addcmul(shift, x.float(), scale).to(x.dtype)


def _steps(layer: Any) -> Iterator[tuple[str, Step]]:
    """The layers of E or D that a module stands for, by their names in it; none for the sigmoid."""
    if isinstance(layer, ConvBlock):
        yield ".conv", (layer.conv, layer.norm, True)
    elif isinstance(layer, ResidualBlock):
        yield ".first.conv", (layer.first.conv, layer.first.norm, True)
        yield ".second", (layer.second, layer.norm, False)
    elif isinstance(layer, Conv):
        yield "", (layer, None, False)


def _moments(x: Tensor) -> Moments:
    variance, mean = (
        # On the CPU: a Mac's GPU has no float64.
        part.cpu().double().numpy()
        for part in torch.var_mean(x.float(), dim=(2, 3), correction=0)
    )
    cells = float(x.shape[2] * x.shape[3])
    return Moments(np.full((len(x), 1), cells), mean, variance * cells)

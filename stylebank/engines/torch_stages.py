"""The stages of a network by PyTorch, on any of its devices."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from stylebank.bank.bundle import Bundle
from stylebank.engines.stages import Affine, Crop, Floats, Given, Moments, Pixels
from stylebank.network.architecture import Part, decoder, encoder
from stylebank.network.centring import centred, rest_of
from stylebank.network.instance_norm import InstanceNorm
from stylebank.network.layers import Conv, reflect_conv
from stylebank.network.model import StyleBankNetwork

_BATCH = 8  # photos on a GPU at a time

Step = tuple[Conv, InstanceNorm | None, Tensor | None]
"""A layer's modules: convolution and norm, whose bias lacks r, and if a ReLU follows -r, (C, 1, 1) float32.

Less r, see `network.centring`, what a ReLU makes of y is the larger of y - r and -r.
"""


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
        self._steps = dict(_steps(network, bank))

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
        x = x - x[..., :1, :1]  # then of a flat photo nothing is left, to the last digit
        x = x - x.mean((2, 3), keepdim=True)
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
        for place, (conv, norm, floor) in enumerate(self._steps[layer.name] for layer in part.layers):
            y = conv(y)
            if norm is None:
                break
            if given is None:
                if note:
                    note(_moments(y))
                y = norm(y)
            elif place < len(given.norms):
                y = self._by_statistics(y, given.norms[place], given, floor)
            else:
                return y
            y = y if floor is None else torch.maximum(y, floor.to(y.dtype), out=y)
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
        for place, (conv, norm, floor) in enumerate(self._steps[layer.name] for layer in part.layers):
            if norm is None:
                break
            y = conv(y)
            if place < len(given.norms):
                y = self._by_statistics(y, given.norms[place], given, floor)
            else:
                shown = y[..., crop.top : crop.bottom, crop.left : crop.right] if crop else y
                found.append(_moments(shown))
                if crop or place + 1 == len(part.norms):
                    break
                y = norm(y)
            y = y if floor is None else torch.maximum(y, floor.to(y.dtype), out=y)
        return found

    @torch.no_grad()
    def _filtered(self, x: Tensor, kernel: Floats | None) -> Tensor:
        x = x.to(self._precision)
        return x if kernel is None else reflect_conv(x, self.array(kernel).to(x.dtype))

    def _by_statistics(self, x: Tensor, norm: Affine, given: Given, floor: Tensor | None) -> Tensor:
        """The sum over regions of share * (x * scale + shift), in the precision of x; less r if a ReLU follows."""
        scales, shifts = (self.array(values) for values in norm)
        masks = given.cells(x.shape[-2])
        if masks is None:
            scale, shift = scales[0, :, None, None], shifts[0, :, None, None]
        else:
            shares = self.array(masks)
            scale, shift = (torch.einsum("rc,rhw->chw", part, shares) for part in (scales, shifts))
        shift = shift if floor is None else shift + floor
        return torch.addcmul(shift, x.float(), scale).to(x.dtype)


def _steps(network: StyleBankNetwork, bank: Bundle) -> Iterator[tuple[str, Step]]:
    """The layers of E and D by their names; the network is changed."""
    coder, device = centred(bank.network, bank.coder), next(network.parameters()).device
    for part in (*encoder(bank.network), *decoder(bank.network)):
        for layer in part.layers:
            conv, rest = cast(Conv, network.get_submodule(layer.name)), rest_of(coder, layer)
            if not layer.norm:
                conv.bias = nn.Parameter(torch.tensor(coder[f"{layer.name}.bias"], device=device))
                yield layer.name, (conv, None, None)
                continue
            bias = coder[f"{layer.norm}.bias"]
            norm = cast(InstanceNorm, network.get_submodule(layer.norm))
            norm.bias = nn.Parameter(torch.tensor(bias if rest is None else bias - rest, device=device))
            floor = None if rest is None else -torch.tensor(rest, device=device)[:, None, None]
            yield layer.name, (conv, norm, floor)


def _moments(x: Tensor) -> Moments:
    variance, mean = (
        # On the CPU: a Mac's GPU has no float64.
        part.cpu().double().numpy()
        for part in torch.var_mean(x.float(), dim=(2, 3), correction=0)
    )
    cells = float(x.shape[2] * x.shape[3])
    return Moments(np.full((len(x), 1), cells), mean, variance * cells)

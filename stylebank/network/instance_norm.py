"""Instance norm with a learnt weight and bias per channel, and the statistics that it works by.

It is the one place where distant pixels of this network meet; who paints an image in parts gives it other statistics,
see `engines.stages`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm with a learnt weight and bias per channel, and no running averages."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        normalised: Tensor = super().forward(x)
        if normalised.requires_grad:
            # Of one image PyTorch 2.14 on a CPU reads a gradient that lies channels last as if it did not.
            normalised.register_hook(Tensor.contiguous)
        return normalised


@dataclass(frozen=True)
class Statistics:
    """Mean and variance (biased) of each channel, (B, C) float32 each."""

    mean: Tensor
    variance: Tensor


def statistics_of(x: Tensor) -> Statistics:
    """Statistics of x (B, C, h, w)."""
    variance, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0)
    return Statistics(mean, variance)

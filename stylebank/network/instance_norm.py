"""Instance norm with a learnt weight and bias per channel, and the statistics that it works by.

It is the one place where distant pixels of this network meet; who paints an image in parts gives it other statistics,
see `engines.stages`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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


_PLAIN = 8.0
"""Kurtosis that features of photos have: 3 is a normal distribution's, half of the channels stay below 5."""


@contextmanager
def watched_peaks(network: nn.Module) -> Iterator[list[Tensor]]:
    """Collect how peaked the inputs of each instance norm are while the network computes, one scalar a norm.

    Networks with instance norms learn to hide one glaring spot in each image that rules its channels' statistics, and
    with them how strong all the rest becomes; in pictures it is a blob of light (Karras et al., "Analyzing and
    improving the image quality of StyleGAN", CVPR 2020, section 2). Spots that rule have a kurtosis of hundreds.
    """
    found: list[Tensor] = []

    def look(_norm: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        found.append(peakedness(inputs[0]).mean())

    norms = [module for module in network.modules() if isinstance(module, InstanceNorm)]
    handles = [norm.register_forward_hook(look) for norm in norms]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def peakedness(x: Tensor) -> Tensor:
    """By how much, as a logarithm, each channel's kurtosis exceeds that of plain features: (B, C, h, w) -> (B, C)."""
    apart = x.float() - x.float().mean(dim=(2, 3), keepdim=True)
    squares = apart.square()
    variance = squares.mean(dim=(2, 3))
    kurtosis = squares.square().mean(dim=(2, 3)) / variance.square().clamp_min(1e-12)
    return (kurtosis.clamp_min(1.0) / _PLAIN).log().clamp_min(0.0)


@dataclass(frozen=True)
class Statistics:
    """Mean and variance (biased) of each channel, (B, C) float32 each."""

    mean: Tensor
    variance: Tensor


def statistics_of(x: Tensor) -> Statistics:
    """Statistics of x (B, C, h, w)."""
    variance, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0)
    return Statistics(mean, variance)

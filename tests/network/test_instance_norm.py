"""Instance norm: torch's own, without running averages, and the statistics that float64 says."""

import pytest
import torch
from torch import Tensor, nn

from stylebank.engines.stages import EPSILON
from stylebank.network.instance_norm import InstanceNorm, statistics_of

CHANNELS, SIZE = 6, (10, 12)

TOLERANCE = 2e-5
"""Normalised values are below 5 and weights below 3, so an output is below 15 and one float32 rounding of it below
1e-6; the sums over 120 cells, the root and the affine map are a few of them each."""


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def norm() -> InstanceNorm:
    """With weights and biases that differ from channel to channel."""
    found = InstanceNorm(CHANNELS)
    with torch.no_grad():
        found.weight.copy_(numbers(CHANNELS, seed=1))
        found.bias.copy_(numbers(CHANNELS, seed=2))
    return found.requires_grad_(False)


@pytest.fixture
def x() -> Tensor:
    """Two images whose channels differ in mean and in scale."""
    channel = torch.arange(1.0, CHANNELS + 1).view(-1, 1, 1)
    return numbers(2, CHANNELS, *SIZE) * channel + 3 * channel


def transcribed(norm: InstanceNorm, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """weight * (x - mean) / sqrt(variance + eps) + bias in float64, for mean and variance (B, C)."""
    weight, bias, mean, variance = (
        part.double()[..., None, None] for part in (norm.weight, norm.bias, mean, variance)
    )
    return weight * (x.double() - mean) / (variance + norm.eps).sqrt() + bias


def test_it_is_torch_s_instance_norm(norm: InstanceNorm, x: Tensor) -> None:
    torch_s = nn.InstanceNorm2d(CHANNELS, affine=True)
    torch_s.load_state_dict(norm.state_dict())
    assert torch.equal(norm(x), torch_s(x))
    assert norm.state_dict().keys() == {"weight", "bias"}, "no running averages"


def test_it_is_the_formula_in_float64(norm: InstanceNorm, x: Tensor) -> None:
    mean, variance = x.double().mean((2, 3)), x.double().var((2, 3), correction=0)
    assert (norm(x) - transcribed(norm, x, mean, variance)).abs().max() < TOLERANCE
    unbiased = x.double().var((2, 3))
    assert (norm(x) - transcribed(norm, x, mean, unbiased)).abs().max() > TOLERANCE, "the control"


def test_its_epsilon_is_the_engines(norm: InstanceNorm) -> None:
    assert norm.eps == EPSILON


def test_statistics_are_those_of_float64(x: Tensor) -> None:
    found = statistics_of(x)
    # Means are below 20 and variances below 50, 5e-6 one rounding; sums of 120 numbers are a few.
    assert (found.mean - x.double().mean((2, 3))).abs().max() < 2e-5
    assert (found.variance - x.double().var((2, 3), correction=0)).abs().max() < 5e-5
    assert (found.variance - x.double().var((2, 3))).abs().max() > 1e-2, "the control: the unbiased variance"


def test_statistics_are_float32_whatever_the_precision(x: Tensor) -> None:
    short = x.bfloat16()
    found, wanted = statistics_of(short), statistics_of(short.float())
    assert found.mean.dtype == found.variance.dtype == torch.float32
    assert torch.equal(found.mean, wanted.mean)
    assert torch.equal(found.variance, wanted.variance)
    assert norm_dtype(short) == torch.bfloat16


def norm_dtype(x: Tensor) -> torch.dtype:
    """Of what a norm makes of x."""
    output: Tensor = InstanceNorm(CHANNELS)(x)
    return output.dtype


@pytest.mark.parametrize("images", [1, 2])
def test_its_gradient_does_not_depend_on_how_tensors_lie_in_memory(norm: InstanceNorm, images: int) -> None:
    """PyTorch's own does, of a single image: 1.4 times its length off."""

    def gradient(module: nn.Module, layout: torch.memory_format) -> Tensor:
        x = numbers(images, CHANNELS, *SIZE).contiguous(memory_format=layout).requires_grad_()
        normalised: Tensor = module(x)
        normalised.backward(numbers(images, CHANNELS, *SIZE, seed=3).contiguous(memory_format=layout))
        assert x.grad is not None
        return x.grad

    plain, last = gradient(norm, torch.contiguous_format), gradient(norm, torch.channels_last)
    assert torch.equal(plain, last)
    torch_s = nn.InstanceNorm2d(CHANNELS, affine=True)
    torch_s.load_state_dict(norm.state_dict())
    # The same in another precision; numbers are below 30, and so is what is added up of 120 of them in float32.
    exact = numbers(images, CHANNELS, *SIZE).double().requires_grad_()
    torch_s.double()(exact).backward(numbers(images, CHANNELS, *SIZE, seed=3).double())
    assert exact.grad is not None
    assert (last - exact.grad).abs().max() < 1e-4

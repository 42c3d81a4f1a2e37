"""Instance norm: torch's own, without running averages, and the statistics that float64 says."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylebank.engines.stages import EPSILON
from stylebank.network.instance_norm import InstanceNorm, peakedness, statistics_of, watched_peaks

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


Doubles = NDArray[np.float64]


def peakedness_by_loops(x: Doubles) -> Doubles:
    """max(0, ln(kurtosis / 8)) of each channel in float64: (B, C, h, w) -> (B, C)."""
    found = np.zeros(x.shape[:2])
    for image, channel in np.ndindex(*found.shape):
        apart = x[image, channel] - x[image, channel].mean()
        kurtosis = (apart**4).mean() / (apart**2).mean() ** 2
        found[image, channel] = max(0.0, math.log(kurtosis / 8))
    return found


def peaked() -> Tensor:
    """Two images of two channels with spikes of both signs, one plain and one of another scale."""
    x = numbers(2, 3, 9, 11, seed=5)
    x[0, 0, 4, 5], x[1, 0, 0, 0], x[0, 1, 8, 2] = 20.0, -15.0, 12.0
    return x * torch.tensor([1.0, 300.0, 0.01]).view(-1, 1, 1) + 2.0


def test_peakedness_is_the_formula_in_float64() -> None:
    x = peaked()
    wanted = peakedness_by_loops(x.double().numpy())
    # Float32 sums of a hundred fourth powers, whose parts are rounded by 2^-24 each.
    assert np.abs(peakedness(x).numpy() - wanted).max() < 1e-4
    assert (wanted > 1).sum() == 3, "the control: plain channels have none, spikes count"
    assert (wanted == 0).sum() == 3


def test_the_gradient_of_peakedness_is_the_slope_of_the_formula() -> None:
    x = peaked().requires_grad_()
    (gradient,) = torch.autograd.grad(peakedness(x).sum(), x)
    exact = x.detach().double().numpy()
    for place in [(0, 0, 4, 5), (0, 0, 1, 1), (1, 0, 0, 0), (1, 0, 3, 3), (0, 1, 8, 2), (1, 2, 2, 2)]:
        step = np.zeros_like(exact)
        step[place] = 1e-4 * exact[place[0], place[1]].std()
        slope = (peakedness_by_loops(exact + step) - peakedness_by_loops(exact - step)).sum() / (
            2 * step[place]
        )
        scale = 1 / exact[place[0], place[1]].std()
        assert float(gradient[place]) == pytest.approx(slope, rel=1e-3, abs=1e-5 * scale), place
    assert float(gradient[0, 0, 4, 5]) > 0 > float(gradient[1, 0, 0, 0]), "less of a spike is less peaked"


def test_a_lone_spike_is_peaked_whatever_its_height_and_what_is_spread_out_is_not() -> None:
    field = torch.zeros(1, 3, 16, 16)
    field[0, 0, 3, 3], field[0, 1, 3, 3] = 1.0, 1e4
    field[0, 2] = (torch.arange(256) % 2).view(16, 16)
    few, many, spread = peakedness(field)[0].tolist()
    # Of n cells: (n^2 - 3 n + 3) / (n - 1).
    assert [few, many] == pytest.approx([math.log(254.004 / 8)] * 2, rel=1e-4)
    assert spread == 0
    assert peakedness(numbers(2, 4, 32, 32)).tolist() == [[0.0] * 4] * 2, "3 is a normal distribution's"


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 4, 1, 1), (1, 1, 6, 6)])
def test_what_is_the_same_everywhere_has_no_peaks_and_no_gradient(shape: tuple[int, ...]) -> None:
    for level in (0.0, 0.1, 1e5):
        x = torch.full(shape, level, requires_grad=True)
        found = peakedness(x)
        found.sum().backward()
        assert x.grad is not None
        assert found.tolist() == torch.zeros(shape[:2]).tolist()
        assert x.grad.tolist() == torch.zeros(shape).tolist()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_peakedness_of_half_numbers_is_counted_in_float32(kind: torch.dtype) -> None:
    x = peaked().to(kind)
    assert peakedness(x).dtype == torch.float32
    assert torch.equal(peakedness(x), peakedness(x.float()))
    spike = torch.zeros(1, 1, 8, 8, dtype=kind)
    spike[0, 0, 2, 2] = 6e4
    assert float(peakedness(spike)) == pytest.approx(math.log(62.0159 / 8), rel=1e-3), "its square is no half"


def test_peaks_are_watched_at_each_norm_and_no_longer_than_asked() -> None:
    network = nn.Sequential(InstanceNorm(3), nn.ReLU(), InstanceNorm(3))
    x = peaked()
    with watched_peaks(network) as found:
        network(x)
    inputs = (x, network[:2](x))
    assert [each.item() for each in found] == [peakedness(each).mean().item() for each in inputs]
    network(x)
    assert len(found) == 2

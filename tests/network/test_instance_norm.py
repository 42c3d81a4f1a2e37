"""Instance norm: torch's own, the same by injected statistics, and by regions what float64 says of each."""

import pytest
import torch
from torch import Tensor, nn

from stylebank.network.instance_norm import (
    Blended,
    Collected,
    InstanceNorm,
    PerRegion,
    Statistics,
    at_cells,
    own,
    statistics_of,
)
from stylebank.network.model import StyleBankNetwork

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


@pytest.fixture
def hard() -> Tensor:
    """Masks of three regions, (3, h, w), 0 or 1."""
    labels = torch.arange(SIZE[1]).expand(SIZE) // 4
    return torch.stack([(labels == label).float() for label in range(3)])


@pytest.fixture
def soft() -> Tensor:
    return numbers(3, *SIZE, seed=3).softmax(0)


def transcribed(norm: InstanceNorm, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """The module's legend in float64, for mean and variance (B, C)."""
    weight, bias, mean, variance = (
        part.double()[..., None, None] for part in (norm.weight, norm.bias, mean, variance)
    )
    return weight * (x.double() - mean) / (variance + norm.eps).sqrt() + bias


def weighted(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (1, C) of one image's cells, weighted by a mask (h, w), in float64."""
    image, share = x[0].double(), mask.double() / mask.double().sum()
    mean = (share * image).sum((1, 2))
    return mean[None], (share * (image - mean[:, None, None]).square()).sum((1, 2))[None]


def test_own_is_torch_s_instance_norm(norm: InstanceNorm, x: Tensor) -> None:
    torch_s = nn.InstanceNorm2d(CHANNELS, affine=True)
    torch_s.load_state_dict(norm.state_dict())
    assert torch.equal(own(norm, x), torch_s(x))
    assert norm.state_dict().keys() == {"weight", "bias"}, "no running averages"


def test_own_is_the_legend_in_float64(norm: InstanceNorm, x: Tensor) -> None:
    mean, variance = x.double().mean((2, 3)), x.double().var((2, 3), correction=0)
    assert (own(norm, x) - transcribed(norm, x, mean, variance)).abs().max() < TOLERANCE
    unbiased = x.double().var((2, 3))
    assert (own(norm, x) - transcribed(norm, x, mean, unbiased)).abs().max() > TOLERANCE, "the control"


def test_given_statistics_as_an_affine_map_are_the_legend(norm: InstanceNorm, x: Tensor) -> None:
    given = Statistics(numbers(2, CHANNELS, seed=4), numbers(2, CHANNELS, seed=5).square())
    scale, shift = (part[..., None, None] for part in norm.as_affine(given))
    wanted = transcribed(norm, x, given.mean, given.variance)
    # Given variances may be tiny, and outputs large: a few float32 roundings of the largest number on the way.
    reach = (x * scale).abs().max() + shift.abs().max()
    assert (x * scale + shift - wanted).abs().max() < 1e-6 * reach
    wrong = transcribed(norm, x, given.mean, given.variance + norm.eps)
    assert (x * scale + shift - wrong).abs().max() > 1e-6 * reach, "the control: eps twice"


def test_statistics_are_those_of_float64(x: Tensor) -> None:
    found = statistics_of(x)
    # Means are below 20 and variances below 50, 5e-6 one rounding; sums of 120 numbers are a few.
    assert (found.mean - x.double().mean((2, 3))).abs().max() < 2e-5
    assert (found.variance - x.double().var((2, 3), correction=0)).abs().max() < 5e-5
    assert (found.variance - x.double().var((2, 3))).abs().max() > 1e-2, "the control: the unbiased variance"


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_statistics_by_masks_are_weighted_means_in_float64(
    kind: str, x: Tensor, request: pytest.FixtureRequest
) -> None:
    masks: Tensor = request.getfixturevalue(kind)
    found = statistics_of(x[:1], masks)
    assert found.mean.shape == found.variance.shape == (3, CHANNELS)
    for region, mask in enumerate(masks):
        mean, variance = weighted(x, mask)
        # As without masks.
        assert (found.mean[region] - mean).abs().max() < 2e-5
        assert (found.variance[region] - variance).abs().max() < 5e-5
        other = weighted(x, masks[region - 1])
        assert (found.mean[region] - other[0]).abs().max() > 1e-2, "the control: another region"
        assert (found.variance[region] - other[1]).abs().max() > 1e-2


def test_a_region_without_cells_has_the_image_s_statistics(x: Tensor, hard: Tensor) -> None:
    masks = torch.cat([hard, torch.zeros(1, *SIZE)])
    found, whole = statistics_of(x[:1], masks), statistics_of(x[:1])
    # As without masks.
    assert (found.mean[3] - whole.mean[0]).abs().max() < 2e-5
    assert (found.variance[3] - whole.variance[0]).abs().max() < 5e-5
    assert (found.mean[0] - whole.mean[0]).abs().max() > 1e-2, "the control: a region with cells"
    assert torch.equal(found.mean[:3], statistics_of(x[:1], hard).mean), "the others do not notice"


def test_statistics_by_masks_keep_their_digits_far_from_zero(hard: Tensor) -> None:
    far = numbers(1, CHANNELS, *SIZE) + 1000
    wanted = torch.cat([weighted(far, mask)[1] for mask in hard])
    # One rounding of 1000 is 6e-5. Means are wrong by about that, and the regions' means, which are rounded so, differ
    # from the image's by less than 1: less than 2e-4 of a variance of 1.
    assert (statistics_of(far, hard).variance - wanted).abs().max() < 2e-4
    share, flat = hard.flatten(1) / hard.flatten(1).sum(1, keepdim=True), far[0].flatten(1)
    naive = share @ flat.square().T - (share @ flat.T).square()
    assert (naive - wanted).abs().max() > 2e-4, "the control: the mean of squares less the square of the mean"


def test_a_region_of_equal_cells_has_no_negative_variance(hard: Tensor) -> None:
    flat = 0.1 + torch.arange(3.0).repeat_interleave(4).expand(1, CHANNELS, *SIZE) / 3
    variance = statistics_of(flat, hard).variance
    assert variance.min() >= 0
    # Squares are below 0.2, one rounding of them 2e-8.
    assert variance.max() < 1e-6
    assert statistics_of(flat).variance.min() > 1e-2, "the control: the image as a whole is not flat"


@pytest.fixture
def network() -> StyleBankNetwork:
    torch.manual_seed(0)
    return StyleBankNetwork(width=4, kernels=[3]).requires_grad_(False)


def test_collecting_changes_nothing_and_finds_every_norm(network: StyleBankNetwork) -> None:
    features, collected = numbers(2, 16, 6, 7), Collected()
    assert torch.equal(network.decode(features, collected), network.decode(features))
    norms = [module for module in network.decoder.modules() if isinstance(module, InstanceNorm)]
    assert list(collected.found) == norms
    for norm, statistics in collected.found.items():
        assert statistics.mean.shape == statistics.variance.shape == (2, norm.num_features)


def test_collected_statistics_injected_again_give_the_same_output(network: StyleBankNetwork) -> None:
    features, other = numbers(1, 16, 6, 7), numbers(1, 16, 6, 7, seed=1)
    whole = torch.ones(1, 24, 28)
    collected, others = Collected(), Collected()
    wanted = network.decode(features, collected)
    network.decode(other, others)
    # Two layers as in TOLERANCE, and a sum of 324 of their products before the sigmoid, which divides by 4 or more.
    found = network.decode(features, Blended([collected.found], whole))
    assert (found - wanted).abs().max() < 1e-5
    wrong = network.decode(features, Blended([others.found], whole))
    assert (wrong - wanted).abs().max() > 1e-3, "the control: another image's statistics"


def test_masks_are_averaged_over_a_layer_s_cells() -> None:
    masks = numbers(3, 8, 12).softmax(0)
    for cells, step in (((8, 12), 1), ((4, 6), 2), ((2, 3), 4)):
        found = at_cells(masks, torch.empty(1, 5, *cells))
        wanted = masks.double().view(3, cells[0], step, cells[1], step).mean((2, 4))
        # Means of up to 16 numbers below 1.
        assert found.shape == wanted.shape
        assert (found - wanted).abs().max() < 1e-6
        assert (found.sum(0) - 1).abs().max() < 1e-6


def injected(norm: InstanceNorm, x: Tensor) -> list[dict[InstanceNorm, Statistics]]:
    """Statistics of three other images."""
    return [{norm: statistics_of(2 * x[:1].flip(3) + place)} for place in range(3)]


def test_blended_by_hard_masks_is_each_region_s_injected_result_inside_it(
    norm: InstanceNorm, x: Tensor, hard: Tensor
) -> None:
    regions = injected(norm, x)
    found = Blended(regions, hard)(norm, x[:1])
    for region, mask in zip(regions, hard, strict=True):
        alone = Blended([region], torch.ones(1, *SIZE))(norm, x[:1])
        # The other regions are multiplied by exactly 0.
        assert torch.equal(found[..., mask == 1], alone[..., mask == 1])
        assert (found - alone)[..., mask == 0].abs().max() > TOLERANCE, "the control: outside"


@pytest.mark.parametrize("step", [1, 2])
def test_blended_by_soft_masks_is_the_blend_in_float64(step: int, norm: InstanceNorm, x: Tensor) -> None:
    masks = numbers(3, step * SIZE[0], step * SIZE[1], seed=3).softmax(0)
    regions = injected(norm, x)
    found = Blended(regions, masks)(norm, x[:1])
    alone = [transcribed(norm, x[:1], each[norm].mean, each[norm].variance) for each in regions]
    cells = masks.double().view(3, SIZE[0], step, SIZE[1], step).mean((2, 4))
    wanted = sum(mask * output for mask, output in zip(cells, alone, strict=True))
    assert (found - wanted).abs().max() < TOLERANCE
    swapped = sum(mask * output for mask, output in zip(cells.flip(0), alone, strict=True))
    assert (found - swapped).abs().max() > TOLERANCE, "the control: the masks in another order"


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_per_region_normalises_each_by_its_own_cells(
    kind: str, norm: InstanceNorm, x: Tensor, request: pytest.FixtureRequest
) -> None:
    masks: Tensor = request.getfixturevalue(kind)
    found = PerRegion(masks)(norm, x[:1])
    wanted = sum(mask.double() * transcribed(norm, x[:1], *weighted(x, mask)) for mask in masks)
    # Statistics around the image's mean cost a few roundings more than in TOLERANCE.
    assert (found - wanted).abs().max() < 2 * TOLERANCE
    assert (found - own(norm, x[:1])).abs().max() > 2 * TOLERANCE, "the control: the image's own"


def test_one_region_over_all_is_the_ordinary_norm(norm: InstanceNorm, x: Tensor) -> None:
    whole = torch.ones(1, *SIZE)
    for other in (PerRegion(whole), Blended([{norm: statistics_of(x[:1])}], whole)):
        assert (other(norm, x[:1]) - own(norm, x[:1])).abs().max() < TOLERANCE
        assert (other(norm, x[:1]) - own(norm, x[1:])).abs().max() > TOLERANCE, "the control: another image"


def test_the_precision_is_that_of_the_input_but_statistics_are_float32(
    norm: InstanceNorm, x: Tensor, hard: Tensor
) -> None:
    short, collected = x[:1].bfloat16(), Collected()
    outputs = [
        collected(norm, short),
        PerRegion(hard)(norm, short),
        Blended(injected(norm, short), hard)(norm, short),
    ]
    assert {output.dtype for output in outputs} == {torch.bfloat16}
    assert collected.found[norm].mean.dtype == collected.found[norm].variance.dtype == torch.float32
    # Numbers below 16 are rounded by at most 1/32 in bfloat16; all that comes before is float32.
    exact = PerRegion(hard)(norm, short.float())
    assert (outputs[1].float() - exact).abs().max() <= 1 / 32
    assert (outputs[0].float() - exact).abs().max() > 1 / 32, "the control: the image's own statistics"

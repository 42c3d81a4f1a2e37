"""Moments are what float64 says, of images, regions and parts added up; norms by them are instance norm."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stylebank.engines import stages
from stylebank.engines.stages import Affine, Given, Moments, affine, averaged, moments

CHANNELS, SIZE = 6, (10, 12)

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]


def numbers(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture
def x() -> Floats:
    """Two images whose channels differ in mean and in scale."""
    channel = np.arange(1, CHANNELS + 1, dtype=np.float32).reshape(-1, 1, 1)
    return numbers(2, CHANNELS, *SIZE) * channel + 3 * channel


@pytest.fixture
def hard() -> Floats:
    """Masks of three regions, (3, h, w), 0 or 1."""
    labels = np.broadcast_to(np.arange(SIZE[1]) // 4, SIZE)
    return np.stack([labels == label for label in range(3)]).astype(np.float32)


@pytest.fixture
def soft() -> Floats:
    found: Floats = np.exp(numbers(3, *SIZE, seed=3))
    found /= found.sum(0)
    return found


def weighted(x: Floats, mask: Floats) -> tuple[Doubles, Doubles]:
    """Mean and variance (C) of one image's cells (1, C, h, w), weighted by a mask (h, w), in float64."""
    image, share = x[0].astype(np.float64), mask.astype(np.float64) / mask.astype(np.float64).sum()
    mean = (share * image).sum((1, 2))
    return mean, (share * np.square(image - mean[:, None, None])).sum((1, 2))


def test_moments_are_those_of_float64(x: Floats) -> None:
    found, exact = moments(x), x.astype(np.float64)
    assert found.mean.shape == found.variance.shape == (2, CHANNELS)
    assert (found.weight == 120).all()
    # Means are below 20 and variances below 50, 5e-6 one rounding; pairwise sums of 120 numbers are a few.
    assert np.abs(found.mean - exact.mean((2, 3))).max() < 2e-5
    assert np.abs(found.variance - exact.var((2, 3))).max() < 5e-5
    assert np.abs(found.variance - exact.var((2, 3), ddof=1)).max() > 1e-2, (
        "the control: the unbiased variance"
    )


def test_moments_of_many_cells_lose_no_digits() -> None:
    """Whatever the order in memory is: a sum of so many float32 numbers one by one would."""
    far = 100 + numbers(1, 1, 700, 900)
    for other in (far, np.ascontiguousarray(far.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)):
        found = moments(other)
        # Means of 100 are rounded to 4e-6; pairwise sums of 630,000 numbers are 20 roundings deep.
        assert abs(found.mean[0, 0] - far.mean(dtype=np.float64)) < 8e-5
        assert abs(found.variance[0, 0] - far.var(dtype=np.float64)) < 1e-5
    one_by_one = np.cumsum(far.ravel(), dtype=np.float32)[-1] / far.size
    assert abs(one_by_one - far.mean(dtype=np.float64)) > 8e-5, "the control"


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_moments_by_masks_are_weighted_means_in_float64(
    kind: str, x: Floats, request: pytest.FixtureRequest
) -> None:
    masks: Floats = request.getfixturevalue(kind)
    found = moments(x[:1], masks)
    assert found.mean.shape == found.variance.shape == (4, CHANNELS)
    for region, mask in enumerate([*masks, np.ones(SIZE, np.float32)]):
        mean, variance = weighted(x, mask)
        # Summed in float64, of numbers below 20: shares are added up in another order.
        assert np.abs(found.mean[region] - mean).max() < 1e-12
        assert np.abs(found.variance[region] - variance).max() < 1e-11
        assert found.weight[region, 0] == pytest.approx(mask.sum(dtype=np.float64))
        other = weighted(x, masks[(region + 1) % 3])
        assert np.abs(found.mean[region] - other[0]).max() > 1e-2, "the control: another region"
        assert np.abs(found.variance[region] - other[1]).max() > 1e-2


def test_moments_by_masks_keep_their_digits_far_from_zero(hard: Floats) -> None:
    far = numbers(1, CHANNELS, *SIZE) + np.float32(1e6)
    wanted = np.stack([weighted(far, mask)[1] for mask in hard])
    # One float64 rounding of 1e6 is 1e-10, which the distances from the mean, below 4, carry into their squares.
    assert np.abs(moments(far, hard).variance[:3] - wanted).max() < 1e-8
    share, cells = hard.reshape(3, -1).astype(np.float64), far[0].reshape(CHANNELS, -1).astype(np.float64)
    share /= share.sum(1, keepdims=True)
    naive = share @ np.square(cells).T - np.square(share @ cells.T)
    assert np.abs(naive - wanted).max() > 1e-6, "the control: the mean of squares less the square of the mean"


def test_a_region_of_equal_cells_has_no_negative_variance(hard: Floats) -> None:
    values = 0.1 + np.arange(3, dtype=np.float32).repeat(4) / 3
    flat = np.broadcast_to(values, (1, CHANNELS, *SIZE))
    found = moments(flat, hard)
    assert found.variance.min() >= 0
    # Squares are below 0.2, one float64 rounding of them 3e-17.
    assert found.variance[:3].max() < 1e-15
    assert found.variance[3].min() > 1e-2, "the control: the image as a whole is not flat"


def test_a_large_region_is_counted_in_blocks_of_which_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    x, masks = numbers(1, 3, 31, 17), np.abs(numbers(2, 31, 17, seed=1))
    whole = moments(x, masks)
    monkeypatch.setattr(stages, "_BLOCK", 100)  # 527 cells: five blocks and a rest
    parts = moments(x, masks)
    for name in ("weight", "mean", "variance"):
        assert np.abs(getattr(parts, name) - getattr(whole, name)).max() < 1e-12


def equal(one: Moments, other: Moments, *, within: float = 1e-9) -> bool:
    """Whether two agree, as parts of what their values are."""
    return all(
        np.allclose(getattr(one, name), getattr(other, name), rtol=within, atol=within)
        for name in ("weight", "mean", "variance")
    )


@given(st.integers(1, 39), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1.0, 1e4]), st.booleans())
@settings(max_examples=40)
def test_the_sum_of_moments_is_those_of_the_union(cut: int, seed: int, far: float, by_masks: bool) -> None:
    chance = np.random.default_rng(seed)
    x = chance.standard_normal((1, 4, 8, 40)) * chance.exponential(3, (1, 4, 1, 1)) + far
    masks = chance.random((2, 8, 40)).astype(np.float32) if by_masks else None

    def part(start: int, end: int) -> Moments:
        return moments(x[..., start:end], None if masks is None else masks[..., start:end])

    whole = part(0, 40)
    assert equal(part(0, cut) + part(cut, 40), whole)
    assert equal(part(cut, 40) + part(0, cut), whole), "in any order"
    assert not equal(part(0, cut), whole), "the control: a part alone"


def test_the_sum_of_moments_knows_parts_without_cells() -> None:
    x = numbers(1, 4, 6, 8).astype(np.float64)
    none = Moments(np.zeros((1, 1)), np.zeros((1, 4)), np.zeros((1, 4)))
    assert equal(none + moments(x), moments(x))
    assert equal(moments(x) + none, moments(x))
    nothing = none + none
    assert all(np.isfinite(values).all() for values in (nothing.mean, nothing.variance))


def test_an_affine_norm_is_torch_s_instance_norm(x: Floats) -> None:
    weight, bias = numbers(CHANNELS, seed=1), numbers(CHANNELS, seed=2)
    found = affine(moments(x), weight, bias)
    assert all(values.shape == (2, CHANNELS) and values.dtype == np.float32 for values in found)
    norm = [torch.from_numpy(values).double() for values in (weight, bias)]
    wanted = F.instance_norm(torch.from_numpy(x).double(), weight=norm[0], bias=norm[1]).numpy()
    # Normalised values are below 5 and weights below 3, so an output is below 15 and one float32 rounding of it below
    # 1e-6; scale, shift, product and sum are some of them.
    scale, shift = (values[:, :, None, None] for values in found)
    assert np.abs(x * scale + shift - wanted).max() < 2e-5
    assert np.abs(x[::-1] * scale + shift - wanted).max() > 0.1, "the control: the other image's statistics"


def test_an_affine_norm_adds_epsilon_to_the_variance_once() -> None:
    given_, weight = Moments(np.ones((1, 1)), np.ones((1, 1)), np.array([[3e-5]])), np.ones(1, np.float32)
    scale, shift = affine(given_, weight, weight)
    # One float32 rounding of some 160.
    assert scale[0, 0] == pytest.approx(4e-5**-0.5, rel=1e-6)
    assert shift[0, 0] == pytest.approx(1 - 4e-5**-0.5, rel=1e-6)
    assert scale[0, 0] != pytest.approx(5e-5**-0.5, rel=1e-6), "the control: eps twice"


def test_masks_are_averaged_over_a_layer_s_cells() -> None:
    masks = np.exp(numbers(3, 8, 12))
    masks /= masks.sum(0)
    for rows, step in ((8, 1), (4, 2), (2, 4)):
        wanted = masks.astype(np.float64).reshape(3, rows, step, -1, step).mean((2, 4))
        for found in (averaged(masks, step), Given([], masks).cells(rows)):
            assert found is not None
            # Means of up to 16 numbers below 1.
            assert found.shape == wanted.shape
            assert np.abs(found - wanted).max() < 1e-6
            assert np.abs(found.sum(0) - 1).max() < 1e-6
    assert Given([Affine(*masks[:2, 0])]).cells(4) is None, "one region has no masks"

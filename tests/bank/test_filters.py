"""What a mixture is painted with: its formula in float64, K to the bit at full strength, the identity at none."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from stylebank.bank.bundle import Bundle
from stylebank.bank.mixture import Mixture, parse
from stylebank.config import Network
from stylebank.errors import ConfigError, UnknownStyleError

KERNELS = {"wave": 3, "night": 5, "scream": 1}
CHANNELS = 16

passes = pytest.mark.parametrize("again", [False, True])


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> Bundle:
    """Gains of every style and pass differ, see `make_bank`."""
    return make_bank(KERNELS)


def identity(kernel: int) -> NDArray[np.float64]:
    found = np.zeros((CHANNELS, CHANNELS, kernel, kernel))
    found[range(CHANNELS), range(CHANNELS), kernel // 2, kernel // 2] = 1
    return found


def wide(weight: NDArray[np.float64], kernel: int) -> NDArray[np.float64]:
    """With zeros around it, put into a larger array by hand."""
    found = np.zeros((CHANNELS, CHANNELS, kernel, kernel))
    margin, own = (kernel - weight.shape[-1]) // 2, weight.shape[-1]
    found[..., margin : margin + own, margin : margin + own] = weight
    return found


def part(bank: Bundle, name: str, *, again: bool) -> tuple[NDArray[np.float64], float]:
    """K and g, or R and its g."""
    entry = bank.find(name)
    tensor, gain = (entry.revision, entry.revision_gain) if again else (entry.filter, entry.gain)
    assert tensor is not None
    return tensor.astype(np.float64), gain


def transcribed(bank: Bundle, mixture: Mixture, *, again: bool) -> NDArray[np.float64]:
    """The mixture of the parts' filters s sum_i w_i g_i K_i, then s' ((1 - p) identity + p g K), in float64."""
    parts = [(*part(bank, name, again=again), weight) for name, weight in mixture.weights]
    kernel = max(weight.shape[-1] for weight, _, _ in parts)
    strength = sum(share / gain for _, gain, share in parts)
    gain = 1 / strength
    mixed = sum(strength * share * own * wide(weight, kernel) for weight, own, share in parts)
    share = mixture.strength**1.25
    factor = (1 - share) + share / gain
    found: NDArray[np.float64] = factor * ((1 - share) * identity(kernel) + share * gain * mixed)
    return found


@passes
@pytest.mark.parametrize("strength", [0.0, 0.2, 0.7, 1.0])
@pytest.mark.parametrize(
    "words", ["wave", "night", "scream", "wave:0.3+night:0.5+scream:0.2", "wave:1+scream:9"]
)
def test_a_mixture_is_painted_with_its_formula(
    words: str, strength: float, again: bool, bank: Bundle
) -> None:
    mixture = replace(parse(words), strength=strength)
    found, wanted = bank.filter_of(mixture, again=again), transcribed(bank, mixture, again=again)
    assert found.dtype == np.float32
    # Weights are below 8, and a mixture's sum is rounded to float16 once: by 2^-11 of itself.
    assert np.abs(found - wanted).max() < (8 * 2**-11 if "+" in words else 1e-5)
    if strength > 0:
        other = transcribed(bank, mixture, again=not again)
        assert np.abs(found - other).max() > 0.1, "the control: the other pass has other filters"


@passes
@pytest.mark.parametrize("name", KERNELS)
def test_at_full_strength_a_style_is_painted_with_its_own_filter_to_the_bit(
    name: str, again: bool, bank: Bundle
) -> None:
    found = bank.filter_of(parse(name), again=again)
    own, gain = part(bank, name, again=again)
    assert np.array_equal(found, own.astype(np.float32))
    assert gain != 1, "whatever its gain"


@passes
@pytest.mark.parametrize("words", ["wave", "wave:0.3+night:0.7"])
def test_at_no_strength_the_filter_is_the_identity(words: str, again: bool, bank: Bundle) -> None:
    found = bank.filter_of(replace(parse(words), strength=0.0), again=again)
    assert np.array_equal(found, identity(found.shape[-1]))


@passes
def test_a_mixture_is_as_strong_as_its_parts_are_on_average(again: bool, bank: Bundle) -> None:
    """The gains of parts that are alike but for their scale say that scale, and so does the mixture's."""
    entry = bank.find("wave")
    assert entry.revision is not None
    twice = replace(
        entry,
        style=replace(entry.style, name="twice"),
        filter=entry.filter * np.float16(2),
        gain=entry.gain / 2,
        revision=entry.revision * np.float16(2),
        revision_gain=entry.revision_gain / 2,
    )
    both = replace(bank, entries=(entry, twice))
    weight, gain = both.mixed_filter([("wave", 0.5), ("twice", 0.5)], again=again)
    own, own_gain = part(bank, "wave", again=again)
    assert gain == pytest.approx(own_gain / 1.5)
    # 1.5 times K, rounded to float16 once.
    assert np.allclose(weight.astype(np.float64), 1.5 * own, rtol=2**-10, atol=0)


def test_a_part_without_a_second_filter_gives_its_first_to_both_passes(bank: Bundle) -> None:
    single = replace(bank.find("wave"), revision=None, revision_gain=1.0)
    mixed = replace(bank, entries=(single, *bank.entries[1:]))
    weights = [("wave", 0.4), ("scream", 0.6)]
    found, gain = mixed.mixed_filter(weights, again=True)
    assert single.revision is None
    as_if = replace(single, revision=single.filter, revision_gain=single.gain)
    wanted, wanted_gain = replace(bank, entries=(as_if, *bank.entries[1:])).mixed_filter(weights, again=True)
    assert np.array_equal(found, wanted)
    assert gain == wanted_gain
    assert not np.array_equal(found, mixed.mixed_filter(weights)[0]), "the control: scream has two"


@passes
def test_an_unknown_style_is_refused_in_both_passes(again: bool, bank: Bundle) -> None:
    with pytest.raises(UnknownStyleError, match=r"'nihgt': is not in the bank \(did you mean 'night'"):
        bank.filter_of(parse("nihgt"), again=again)


def test_a_johnson_network_has_no_filter_to_fade(make_bank: Callable[..., Bundle]) -> None:
    johnson = make_bank({"wave": 1}, shape=Network(kind="johnson", width=4), revises=False)
    assert np.array_equal(johnson.filter_of(parse("wave")), johnson.find("wave").filter.astype(np.float32))
    with pytest.raises(ConfigError, match="leave the strength at 1"):
        johnson.filter_of(parse("wave@0.5"))

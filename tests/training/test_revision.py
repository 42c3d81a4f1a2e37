"""What revisions paint over: at which sizes, over revisions or not, with how much of the photo's own detail."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylebank.bank.bundle import Bundle
from stylebank.config import MINIMUM_SIDE
from stylebank.network.model import StyleBankNetwork
from stylebank.network.tensors import primed, resized
from stylebank.supervision import metrics
from stylebank.training import revision

SIDE = 96
KEYS = [f"ground {number}" for number in range(400)]


class Easel:
    """A stand-in for a network: notes what it paints, and paints it darker."""

    def __init__(self) -> None:
        self.painted: list[tuple[int, bool]] = []

    def shown(self, content: Tensor, share: float) -> Tensor:
        return primed(content, share)

    def stylize(self, content: Tensor, styles: Sequence[int], *, again: bool = False) -> Tensor:
        assert not torch.is_grad_enabled()
        assert list(styles) == [0, 1]
        self.painted.append((content.shape[-1], again))
        return content * 0.5


def photos(side: int = SIDE, count: int = 2) -> Tensor:
    """Noise on the left, flat on the right: there first passes are given a grain."""
    found = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    found[..., side // 2 :] = 0.6
    return found


def ground(key: str, *, chained: float = 0.3, side: int = SIDE) -> tuple[Tensor, list[tuple[int, bool]]]:
    """A ground, and the sides that were painted for it and whether with R."""
    easel = Easel()
    network = cast(StyleBankNetwork, easel)
    found = revision.ground(network, photos(side), [0, 1], grain=1.0, chained=chained, key=key)
    assert found.shape == (2, 3, side, side)
    assert found.min() >= 0
    assert found.max() <= 1
    return found, easel.painted


def test_grounds_are_painted_at_half_to_three_quarters_of_the_size() -> None:
    sides = [ground(key, chained=0.0)[1] for key in KEYS]
    assert all(len(painted) == 1 and not painted[0][1] for painted in sides)
    found = [painted[0][0] for painted in sides]
    assert set(found) == {48, 64}
    # Half of them at half the size for sure, and half of the rest: 300 of 400, deviation 8.7; four of them.
    assert abs(found.count(48) - 300) < 35
    assert {ground(key, chained=0.0, side=256)[1][0][0] for key in KEYS} == {128, 144, 160, 176, 192}


def test_the_share_of_grounds_that_are_revisions_is_as_asked() -> None:
    chains = [painted for _, painted in (ground(key, chained=0.3) for key in KEYS) if len(painted) == 2]
    # A binomial number of mean 120 and deviation 9.2; four of them.
    assert abs(len(chains) - 120) < 37
    assert set(map(tuple, chains)) == {((24, False), (48, True)), ((32, False), (64, True))}, (
        "K first and R over it, each step by two"
    )
    assert all(len(ground(key, chained=1.0)[1]) == 2 for key in KEYS[:20])
    assert all(len(ground(key, chained=0.0)[1]) == 1 for key in KEYS[:20])


def test_half_of_the_grounds_get_back_some_of_the_photo_s_detail() -> None:
    plain = 0
    for key in KEYS:
        found, ((side, _),) = ground(key, chained=0.0)
        small = resized(photos(), (side, side))
        painted = resized(primed(small, 1.0) * 0.5, (SIDE, SIDE))
        detail = photos() - resized(small, (SIDE, SIDE))
        # The share, by least squares where nothing was clipped; the ground is painting plus share times detail.
        inside = (found > 0) & (found < 1)
        share = float(((found - painted) * detail)[inside].sum() / detail.square()[inside].sum())
        wanted = (painted + share * detail).clamp(0, 1)
        assert torch.allclose(found, wanted, atol=1e-4), "and nothing else"
        assert -1e-4 < share < 1
        plain += abs(share) < 1e-3
    # A binomial number of mean 200 and deviation 10; four of them, and shares that are nearly 0.
    assert abs(plain - 200) < 42


def test_a_ground_is_a_function_of_its_key() -> None:
    (one, painted), (same, again) = ground("a"), ground("a")
    assert torch.equal(one, same)
    assert painted == again
    assert len({float(ground(key)[0].sum()) for key in KEYS[:30]}) > 15


@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize("side", [16, 32, 48, 64, 96])
def test_no_size_is_too_small_for_the_network(
    side: int, kernel: int, make_bank: Callable[..., Bundle]
) -> None:
    """A crop of an experiment is 16 px or more; what is painted for it keeps to what networks take."""
    network = make_bank({"one": kernel, "two": kernel}).build()
    for key in KEYS[:30]:
        found = revision.ground(network, photos(side), [0, 1], grain=0.5, chained=0.5, key=key)
        assert found.shape == photos(side).shape
        _, painted = ground(key, chained=0.5, side=side)
        assert all(length >= MINIMUM_SIDE and length % 4 == 0 for length, _ in painted)
        assert all(larger <= 2 * smaller for (smaller, _), (larger, _) in pairwise([*painted, (side, True)]))


def test_a_chained_ground_is_the_formula(make_bank: Callable[..., Bundle]) -> None:
    """R over K's painting enlarged, each with the share of the detail that its size has more than the one before."""
    network, styles = make_bank({"one": 3, "two": 5}).build(), [1, 0]
    content, detail = photos(), 0.4

    def to(picture: Tensor, side: int) -> Tensor:
        return F.interpolate(picture, size=(side, side), mode="bicubic", antialias=True).clamp(0, 1)

    with torch.no_grad():
        small, middle = to(content, 24), to(content, 48)
        first = network.stylize(primed(small, 0.75), styles)
        over = (to(first, 48) + detail * (middle - to(small, 48))).clamp(0, 1)
        second = network.stylize(over, styles, again=True)
        wanted = (to(second, 96) + detail * (content - to(middle, 96))).clamp(0, 1)
        with_k = network.stylize(over, styles)
        found = revision._ground(network, content, styles, [24, 48, 96], grain=0.75, detail=detail)
        bare = revision._ground(network, content, styles, [24, 48, 96], grain=0.0, detail=detail)
    assert torch.equal(found, wanted)
    assert (to(second, 96) - to(with_k, 96)).abs().max() > 0.05, "the control: R is another filter"
    assert (bare - wanted).abs().max() > 0.05, "and grain is seen"


def test_coarse_to_fine_is_k_at_the_small_size_and_r_over_it(make_bank: Callable[..., Bundle]) -> None:
    network = make_bank({"one": 3, "two": 5}).build()
    found = revision.coarse_to_fine(network, photos(64), [0, 1], small=32)
    with torch.no_grad():
        small = network.stylize(primed(resized(photos(64), (32, 32)), 1.0), [0, 1])
        wanted = network.stylize(resized(small, (64, 64)), [0, 1], again=True)
    assert torch.equal(found, wanted)


def test_gains_are_of_k_over_photos_and_of_r_over_paintings(make_bank: Callable[..., Bundle]) -> None:
    network = make_bank({"one": 3, "two": 5}).build()
    first, again = revision.gains(network, photos(64), 1)
    with torch.no_grad():
        small = primed(resized(photos(64), (32, 32)), 1.0)
        over = resized(network.stylize(small, [1, 1]), (64, 64))
    assert first == metrics.filter_gain(network, primed(photos(64), 1.0), network.filters[1])
    assert again == metrics.filter_gain(network, over, network.revisions[1])
    assert again != pytest.approx(metrics.filter_gain(network, photos(64), network.revisions[1]), rel=1e-3)
    single = make_bank({"one": 3}, revises=False).build()
    assert revision.gains(single, photos(64), 0)[1] == 1.0


def test_resizing_keeps_what_has_the_size_and_the_range() -> None:
    same = photos()
    assert resized(same, (SIDE, SIDE)) is same
    edge = torch.zeros(1, 3, 8, 8)
    edge[..., 4:] = 1
    overshooting = F.interpolate(edge, size=(32, 32), mode="bicubic", antialias=True)
    assert overshooting.max() > 1.01, "bicubic resampling overshoots"
    assert float(resized(edge, (32, 32)).max()) == 1.0

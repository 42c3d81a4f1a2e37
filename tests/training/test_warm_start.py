"""Where a new filter starts: which filters are mixed, how smaller ones fit, and what the mixture is worth."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Card, Entry
from stylebank.network.model import StyleBankNetwork, apply_filters, identity_filter
from stylebank.supervision.objective import Kept, Objective
from stylebank.training import warm_start
from stylebank.training.feature_pool import FeaturePool, Features
from stylebank.training.warm_start import best_mixture, candidates

CHANNELS = 16
JOINT = ["wave", "night", "tiny"]  # kernels 3, 3, 1


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3, "night": 3, "tiny": 1, "large": 5})


@pytest.fixture(scope="module")
def network(bank: Bundle) -> StyleBankNetwork:
    return bank.build()


def mixed(entries: Sequence[Entry], kernel: int = 3) -> Tensor:
    return candidates(entries, channels=CHANNELS, kernel=kernel)


def entry(bank: Bundle, name: str) -> Entry:
    return bank.entries[bank.names.index(name)]


def weight(entry: Entry) -> Tensor:
    """K in float32, as long a vector as the identity."""
    found = torch.from_numpy(entry.filter).float()
    scaled: Tensor = found * (CHANNELS**0.5 / found.norm())
    return scaled


def added(entry: Entry) -> Entry:
    return replace(entry, card=Card("added", 7, 1.0, 8, 384, (0.5,) * 5, 0.5, 0.5))


def test_candidates_are_the_identity_and_joint_filters_as_long_as_it(bank: Bundle) -> None:
    found = mixed(bank.entries)
    wave, night, tiny = (entry(bank, name) for name in JOINT)
    wanted = [identity_filter(CHANNELS, 3), weight(wave), weight(night), F.pad(weight(tiny), (1, 1, 1, 1))]
    # A norm of 2304 float32 numbers and a product: each rounded by 2^-24, and the sum by few more; weights are below 1.
    assert torch.allclose(found, torch.stack(wanted).detach(), rtol=1e-5, atol=1e-6)
    assert torch.equal(found[0], wanted[0])
    raw = torch.from_numpy(wave.filter).float()
    assert not torch.allclose(found[1], raw, rtol=1e-2), "the control: it was of another length"
    assert found.dtype == torch.float32
    assert not found.requires_grad


def test_a_larger_kernel_is_left_out_until_the_new_filter_has_it(bank: Bundle) -> None:
    assert [len(mixed(bank.entries, kernel)) for kernel in (1, 3, 5, 7)] == [2, 4, 5, 5]


def test_a_style_added_before_makes_no_difference(bank: Bundle) -> None:
    wave, night, *_ = bank.entries
    assert torch.equal(mixed([wave, added(night)]), mixed([wave]))
    assert len(mixed([wave, night])) == 3, "as it does if it was trained jointly"


def test_a_joint_style_of_an_unfinished_training_counts(bank: Bundle) -> None:
    unfinished = replace(entry(bank, "wave"), card=None)
    assert torch.equal(mixed([unfinished]), mixed([entry(bank, "wave")]))


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_a_smaller_filter_acts_as_before_in_a_larger_place(kernel: int, bank: Bundle) -> None:
    features = torch.randn(1, CHANNELS, 8, 11, generator=torch.Generator().manual_seed(0))
    for name in JOINT:
        small = entry(bank, name)
        large = mixed([small], kernel)[1]
        assert large.shape[-1] == kernel
        wanted = apply_filters(features, [weight(small)])
        # The same products with zeros among them, summed in another order. Sums stay below 8, where a rounding is
        # off by 2^-22 at most; two sums of up to 144 terms differ by less than 2 x 144 x 2^-22 = 7e-5.
        assert torch.allclose(apply_filters(features, [large]), wanted, rtol=0, atol=1e-4)
        shifted = large.roll(1, dims=-1)
        assert not torch.allclose(apply_filters(features, [shifted]), wanted, rtol=0, atol=0.1)


class Aim:
    """A loss of 0 for the outputs that the pool gives in the place of content features."""

    unstyled = torch.zeros(1)

    def __call__(self, output: Tensor, kept: Kept, styles: Sequence[int]) -> SimpleNamespace:
        assert list(styles) == [0] * len(output), "the objective's only style"
        return SimpleNamespace(total=F.mse_loss(output, kept.content))


def pool(network: StyleBankNetwork, answer: Tensor) -> FeaturePool:
    """Crops of noise, and what a filter that is the answer paints of them."""

    def compute(number: int) -> Features:
        crop = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(number))
        with torch.no_grad():
            features = network.encode(crop)
            wanted = network.decode(apply_filters(features, [answer]))
            return Features(features, wanted, wanted, torch.ones(1, 5, 6), torch.ones(1, 2, 9))

    return FeaturePool(compute, size=16, batch=2, seed=0)


def loss(network: StyleBankNetwork, weight: Tensor, crops: FeaturePool) -> float:
    """Mean over the batches that the mixture is learnt on."""
    found = []
    with torch.no_grad():
        for number in range(warm_start.STEPS):
            batch = crops.batch(number)
            found.append(
                F.mse_loss(network.decode(apply_filters(batch.encoded, [weight] * 2)), batch.content)
            )
    return float(torch.stack(found).mean())


def start(network: StyleBankNetwork, crops: FeaturePool, found: Tensor) -> Tensor:
    return best_mixture(network, cast(Objective, Aim()), crops, found)


@pytest.mark.parametrize("shares", [(0.0, 0.5, 0.5, 0.0), (0.6, 0.0, 0.4, 0.0), (0.3, 0.7, -0.3, 0.0)])
def test_where_a_mixture_is_the_answer_it_is_far_better_than_any_single(
    shares: tuple[float, ...], bank: Bundle, network: StyleBankNetwork
) -> None:
    found = mixed(bank.entries)
    answer = torch.einsum("n,noiyx->oiyx", torch.tensor(shares), found)
    crops = pool(network, answer)
    singles = [loss(network, single, crops) for single in found]
    mixture = loss(network, start(network, crops, found), crops)
    assert mixture < 0.25 * min(singles)


def test_of_many_candidates_all_are_glimpsed_at_and_a_shortlist_is_judged_by_the_whole_batch(
    bank: Bundle, network: StyleBankNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = mixed(bank.entries)
    many = torch.cat([found, found[:1] + 0.5 * torch.randn(20, *found.shape[1:]) / found[0].numel() ** 0.5])
    crops, seen, told = pool(network, found[2]), [], []

    class Watching(Aim):
        def __call__(self, output: Tensor, kept: Kept, styles: Sequence[int]) -> SimpleNamespace:
            seen.append(tuple(output.shape))
            return super().__call__(output, kept, styles)

    def started(aim: Aim) -> Tensor:
        return best_mixture(
            network, cast(Objective, aim), crops, many, progress=lambda done, of: told.append((done, of))
        )

    whole = started(Watching())
    assert seen == [(2, 3, 32, 32)] * (24 + warm_start.STEPS)
    assert told == [(place + 1, 54) for place in range(54)]
    seen.clear()
    told.clear()
    monkeypatch.setattr(warm_start, "_MANY", 23)
    monkeypatch.setattr(warm_start, "_SHORTLIST", 3)
    monkeypatch.setattr(warm_start, "_LEAST", 4)
    short = started(Watching())
    assert seen == [(1, 3, 16, 16)] * 24 + [(2, 3, 32, 32)] * (3 + warm_start.STEPS)
    assert told == [(place + 1, 57) for place in range(57)]
    assert torch.equal(short, whole), "from the same candidate the same weights are learnt"
    monkeypatch.setattr(warm_start, "_LEAST", 5)
    seen.clear()
    started(Watching())
    assert seen[:24] == [(1, 3, 32, 32)] * 24, "small crops are seen whole"


def test_a_start_is_as_long_a_vector_as_the_identity(bank: Bundle, network: StyleBankNetwork) -> None:
    for kernel in (3, 5):
        found = mixed(bank.entries, kernel)
        crops = pool(network, 0.5 * found[1] + 0.5 * found[2])
        made = start(network, crops, found)
        # A norm of 144 or 400 float32 numbers, twice rounded: 1e-6 of it.
        assert float(made.norm()) == pytest.approx(CHANNELS**0.5, rel=1e-5)
        weights = warm_start._learn_weights(network, cast(Objective, Aim()), crops, found)
        mixture = torch.einsum("n,noiyx->oiyx", weights, found)
        assert float(mixture.norm()) != pytest.approx(CHANNELS**0.5, rel=1e-3), "which is no accident"


def test_a_bank_without_filters_starts_at_the_identity(network: StyleBankNetwork) -> None:
    found = mixed([])
    made = start(network, pool(network, found[0]), found)
    assert torch.equal(made, identity_filter(CHANNELS, 3))


def test_a_start_is_a_function_of_what_is_mixed_and_the_crops(
    bank: Bundle, network: StyleBankNetwork
) -> None:
    found = mixed(bank.entries)
    one, again = (start(network, pool(network, found[2]), found) for _ in range(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, start(network, pool(network, found[1]), found))


def test_making_a_start_leaves_network_and_candidates_as_they_are(
    bank: Bundle, network: StyleBankNetwork
) -> None:
    found = mixed(bank.entries)
    before = [tensor.clone() for tensor in (found, *network.state_dict().values())]
    made = start(network, pool(network, found[2]), found)
    after = [found, *network.state_dict().values()]
    assert all(map(torch.equal, before, after))
    assert not made.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())

"""One filter's training: nothing else moves, what is averaged and judged, when it ends, how it continues."""

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylebank.bank.bundle import Bundle
from stylebank.config import Config, Loss, Report, Style, Training
from stylebank.errors import RunError
from stylebank.network.model import StyleBankNetwork, apply_filters, identity_filter
from stylebank.network.tensors import to_torch
from stylebank.supervision.objective import Kept, Objective
from stylebank.supervision.vgg import STYLE_LAYERS
from stylebank.training import incremental
from stylebank.training.feature_pool import FeaturePool, Features
from stylebank.training.incremental import COLUMNS, FilterTrainer

STEPS = 12
EVERY = 3  # steps between evaluations
MEMORY = 0.9


class Aim:
    """A loss that is 0 for what the pool gives in the place of content features; no VGG, so steps take no time."""

    unstyled = torch.zeros(1)

    def __call__(self, output: Tensor, kept: Kept, styles: Sequence[int]) -> SimpleNamespace:
        assert list(styles) == [0] * len(output), "the objective's only style"
        each = (output - kept.content).square().mean(dim=(1, 2, 3))
        style = each.unsqueeze(1) * torch.arange(1.0, 1 + len(STYLE_LAYERS))
        return SimpleNamespace(content=2 * each, style=style, tv=3 * each, total=each.mean())


@pytest.fixture(autouse=True)
def _constants(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tuned elsewhere: short intervals, and numbers that the lists below are written for."""
    values = {"EVALUATE_EVERY": EVERY, "PATIENCE": 4, "LEAST_GAIN": 0.01, "_MEMORY": MEMORY}
    for name, value in values.items():
        monkeypatch.setattr(incremental, name, value)


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3, "answer": 3})


def features(bank: Bundle, photos: Tensor) -> Features:
    """Of photos, and what the bank's last filter paints of them, to aim at."""
    network = bank.build()
    with torch.no_grad():
        found = network.encode(photos)
        wanted = network.decode(apply_filters(found, [network.filters[-1]] * len(found)))
        return Features(found, *[wanted] * 4)


def crops(count: int, seed: int) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def first_filter(bank: Bundle) -> Tensor:
    return torch.from_numpy(bank.entries[0].filter).float()


def new_trainer(
    bank: Bundle,
    *,
    steps: int = STEPS,
    until_flat: bool = False,
    start: Callable[[], Tensor] | None = None,
    learning_rate: float = 6e-3,
    again: bool = False,
) -> FilterTrainer:
    training = Training(
        steps=steps, batch=2, crop=16, warmup=2, schedule="inverse", learning_rate=learning_rate
    )
    experiment = Config(bank.network, training, Loss(), Report(), (Style("new"),))
    network = StyleBankNetwork(bank.network, [3], revises=True).requires_grad_(False)
    coder, identity = to_torch(bank.coder), identity_filter(16, 3).detach()
    network.load_state_dict({**coder, "filters.0": identity, "revisions.0": identity})
    return FilterTrainer(
        experiment,
        network,
        (network.revisions if again else network.filters)[0],
        coder,
        objective=cast(Objective, Aim()),
        pool=FeaturePool(lambda number: features(bank, crops(1, number)), size=5, batch=2, seed=0),
        held_back=features(bank, crops(3, 99)),
        start=start or (lambda: first_filter(bank)),
        until_flat=until_flat,
    )


def advanced(trainer: FilterTrainer, steps: int) -> FilterTrainer:
    for _ in range(steps):
        trainer.advance()
    return trainer


def loss(trainer: FilterTrainer, weight: Tensor) -> float:
    """Of a filter on the photos held back."""
    network = trainer.network
    with torch.no_grad():
        photos = trainer._held_back
        painted = network.decode(apply_filters(photos.encoded, [weight] * len(photos.encoded)))
        return float(F.mse_loss(painted, photos.content))


@pytest.mark.parametrize("again", [False, True])
def test_only_the_filter_that_is_trained_changes(again: bool, bank: Bundle) -> None:
    trainer, name = new_trainer(bank, again=again), "revisions.0" if again else "filters.0"
    before = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
    advanced(trainer, STEPS)
    changed = {
        key for key, tensor in trainer.network.state_dict().items() if not torch.equal(tensor, before[key])
    }
    assert changed == {name}
    weights = dict(trainer.network.named_parameters())
    assert {key for key, weight in weights.items() if trainer.trains(weight)} == {name}
    others = [weight for key, weight in weights.items() if key != name]
    assert all(parameter.grad is None for parameter in others)


def test_the_start_is_made_when_the_first_step_is_done_and_only_then(bank: Bundle) -> None:
    made: list[int] = []

    def start() -> Tensor:
        made.append(trainer.step)
        return first_filter(bank)

    trainer = new_trainer(bank, start=start)
    assert made == []
    advanced(trainer, 4)
    assert made == [0]
    restored = new_trainer(bank, start=start)
    restored.restore(trainer.state({}, 0.0))
    advanced(restored, 2)
    assert made == [0], "a run that continues has started already"


def test_the_loss_falls(bank: Bundle) -> None:
    trainer = new_trainer(bank, steps=150, learning_rate=0.05)
    before = loss(trainer, first_filter(bank))
    advanced(trainer, 150)
    assert loss(trainer, trainer.best) < 0.7 * before


def transcribed(bank: Bundle, memory: float, steps: int) -> tuple[Tensor, Tensor]:
    """The running average in float64 of the filters after each step, and the trainer's own."""
    trainer = new_trainer(bank, steps=steps)
    wanted = first_filter(bank).double()
    for step in range(1, steps + 1):
        trainer.advance()
        share = min(memory, step / (step + 9))
        wanted = share * wanted + (1 - share) * trainer.network.filters[0].detach().double()
    return trainer.average.double(), wanted


def test_the_average_follows_its_formula(bank: Bundle) -> None:
    # Long enough to pass the limit: step / (step + 9) is above 0.9 from step 82 on.
    found, wanted = transcribed(bank, MEMORY, 100)
    # A step rounds numbers below 2 by 2^-24 three times at most; a memory of 0.9 adds ten such errors up: 1.8e-6.
    assert torch.allclose(found, wanted, rtol=0, atol=2e-6)
    for other in (0.89, 0.95):
        found, wrong = transcribed(bank, other, 100)
        assert not torch.allclose(found, wrong, rtol=0, atol=2e-6), "the control: another memory"


def test_the_first_steps_are_averaged_over_a_short_memory(bank: Bundle) -> None:
    trainer = new_trainer(bank)
    start = first_filter(bank)
    advanced(trainer, 1)
    moved = trainer.network.filters[0].detach() - start
    # After step 1 the average is 1/10 start and 9/10 filter; the rounding of numbers below 2 is 2^-23 at most.
    assert torch.allclose(trainer.average, start + 0.9 * moved, rtol=0, atol=5e-7)
    assert float(moved.abs().max()) > 1e-3, "what is told apart is far above that"


def test_the_best_average_is_kept_and_the_last_step_is_judged(bank: Bundle) -> None:
    trainer = new_trainer(bank, steps=STEPS + 1)
    averages = []
    for step in range(1, STEPS + 2):
        trainer.advance()
        if step % EVERY == 0 or step == STEPS + 1:
            averages.append(trainer.average.clone())
    assert len(trainer.evaluations) == STEPS // EVERY + 1
    # Sums of 3 x 768 squares below 1, each rounded to 2^-24: 1e-6 of them, generously.
    assert trainer.evaluations == pytest.approx([loss(trainer, one) for one in averages], rel=1e-5)
    assert torch.equal(trainer.best, averages[trainer.evaluations.index(min(trainer.evaluations))])


def test_what_is_no_better_is_not_kept(bank: Bundle) -> None:
    trainer = advanced(new_trainer(bank), EVERY)
    first = trainer.average.clone()
    assert torch.equal(trainer.best, first)
    trainer.evaluations = [0.0]  # as if it had been perfect
    advanced(trainer, STEPS - EVERY)
    assert torch.equal(trainer.best, first)
    assert not torch.equal(trainer.average, first)


# Each ends with the evaluation that decides; a gain of exactly one hundredth still counts as falling.
@pytest.mark.parametrize(
    ("evaluations", "done"),
    [
        ([], False),
        ([1.0] * 4, False),
        ([1.0] * 5, True),
        ([1.0] * 4 + [0.98], False),
        ([1.0, 0.98] + [0.99] * 3, False),
        ([1.0, 0.98] + [0.99] * 4, True),
        ([1.0] + [0.995] * 4, True),
        ([1.0] * 4 + [0.99], False),
        ([1.0] * 4 + [math.nextafter(0.99, 1)], True),
        ([0.5, 1.0] + [0.6] * 4, True),
        ([0.99**k for k in range(40)], False),
        ([0.999**k for k in range(5)], True),
        ([1.0, 0.9, 0.8, 0.7, 0.7, 0.7, 0.7], False),
        ([1.0, 0.9, 0.8, 0.7, 0.7, 0.7, 0.7, 0.7], True),
    ],
)
def test_it_ends_when_four_evaluations_brought_no_hundredth(
    evaluations: list[float], done: bool, bank: Bundle
) -> None:
    trainer = new_trainer(bank, until_flat=True)
    trainer.evaluations = evaluations
    assert trainer.is_done() == done
    fixed = new_trainer(bank, until_flat=False)
    fixed.evaluations = evaluations
    assert not fixed.is_done(), "a fixed number of steps is done, whatever the loss"


@pytest.mark.parametrize("until_flat", [True, False])
def test_the_last_step_is_the_last(until_flat: bool, bank: Bundle) -> None:
    trainer = advanced(new_trainer(bank, steps=2, until_flat=until_flat), 1)
    assert not trainer.is_done()
    assert advanced(trainer, 1).is_done()
    assert len(trainer.evaluations) == 1


@pytest.mark.parametrize("cut", range(STEPS))
def test_a_restored_training_goes_on_to_the_same_bits(cut: int, bank: Bundle) -> None:
    whole = advanced(new_trainer(bank), STEPS)
    saved = advanced(new_trainer(bank), cut).state({}, 0.0)
    continued = new_trainer(bank)
    continued.restore(saved)
    assert continued.step == cut
    advanced(continued, STEPS - cut)
    wanted, found = whole.state({}, 0.0), continued.state({}, 0.0)
    for part in ("model", "adam"):
        one, other = getattr(wanted, part), getattr(found, part)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert found.adam, "and Adam has its moments"


def test_without_adam_s_moments_it_would_not(bank: Bundle) -> None:
    """The control of the test above."""
    saved = advanced(new_trainer(bank), 5).state({}, 0.0)
    saved.adam.clear()  # type: ignore[attr-defined]
    continued = new_trainer(bank)
    continued.restore(saved)
    advanced(continued, STEPS - 5)
    assert not torch.equal(continued.average, advanced(new_trainer(bank), STEPS).average)


def test_one_flipped_bit_in_any_tensor_of_encoder_or_decoder_is_found(bank: Bundle) -> None:
    trainer = advanced(new_trainer(bank), 1)
    trainer.check_frozen()
    for name in bank.coder:
        flat = trainer.network.state_dict()[name].view(-1).view(torch.int32)
        flat[-1] ^= 1
        with pytest.raises(RunError, match=f"^{name}: changed"):
            trainer.check_frozen()
        with pytest.raises(RunError, match=f"^{name}: changed"):
            trainer.state({}, 0.0)
        flat[-1] ^= 1
    trainer.check_frozen()


def test_a_row_of_the_history_is_a_mean_of_steps(bank: Bundle) -> None:
    trainer = advanced(new_trainer(bank), 1)
    assert math.isnan(trainer.flush_history()["held_back"]), "nothing has been judged yet"
    row = advanced(trainer, EVERY).flush_history()
    assert tuple(row) == trainer.columns == (*COLUMNS, *STYLE_LAYERS)
    assert (row["step"], row["held_back"]) == (1 + EVERY, trainer.evaluations[-1])
    # The stand-in's parts are these multiples; float32 keeps them to 1e-6.
    parts = [row[name] / row["total"] for name in ("content", "tv", *STYLE_LAYERS)]
    assert parts == pytest.approx([2, 3, 1, 2, 3, 4, 5], rel=1e-5)
    assert len(trainer.history) == 2
    trainer.flush_history()
    assert len(trainer.history) == 2, "without a step there is no row"


def test_a_filter_that_is_no_number_is_noticed(bank: Bundle) -> None:
    trainer = advanced(new_trainer(bank), 1)
    assert trainer.is_finite()
    with torch.no_grad():
        trainer.network.filters[0][0, 0, 0, 0] = math.inf
    assert not trainer.is_finite()


def test_what_is_judged_anew_does_not_end_by_what_was_found_before(bank: Bundle) -> None:
    trainer = advanced(new_trainer(bank, until_flat=True), EVERY)
    trainer.evaluations = [0.1] * 9  # on photos that were easier
    assert trainer.is_done()
    trainer.judge_anew()
    assert not trainer.is_done()
    assert torch.equal(trainer.best, trainer.average)
    advanced(trainer, EVERY)
    assert len(trainer.evaluations) == 1
    assert torch.equal(trainer.best, trainer.average), "the best of those that compare"

"""Algorithm 1: whose gradients a step has, how they are balanced, and what a resumed run equals."""

import math

import pytest
import torch
from torch import Tensor

from stylebank import config
from stylebank.config import Config, Loss, Network, Report, Style, Training
from stylebank.supervision.objective import Objective
from stylebank.supervision.styleset import BLANK, LayerImage, StyleSet
from stylebank.supervision.vgg import STYLE_LAYERS, VGG
from stylebank.training.algorithm import COLUMNS, Trainer, gradient_norm, learning_rate, rescale_gradient
from stylebank.training.data import draw_styles

SIDE = 32
NAMES = ("one", "two", "three")


class Crops:
    """A stand-in for the content stream: batch n is noise from seed n."""

    def __init__(self, batch: int) -> None:
        self._batch = batch

    def batch(self, number: int) -> Tensor:
        return torch.rand(self._batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(number))


def experiment(**training: object) -> Config:
    values = {"steps": 60, "batch": 2, "crop": SIDE, "warmup": 3, "precision": "float32"} | training
    return Config(
        network=Network(width=4),
        training=config.Training(**values),  # type: ignore[arg-type]
        loss=Loss(),
        report=Report(),
        styles=tuple(Style(name=name) for name in NAMES),
    )


@pytest.fixture(scope="module")
def objective(vgg_weights: dict[str, Tensor]) -> Objective:
    styles = []
    for place, name in enumerate(NAMES):
        side = (
            32 + 16 * place
        )  # white images of different sizes have different Gram matrices at their borders
        image = LayerImage("", BLANK, "", (0, 0, side, side), (side, side), 1.0)
        layers = [LayerImage(layer, BLANK, "", image.crop, image.size, 1.0) for layer in STYLE_LAYERS]
        styles.append(StyleSet(name=name, kernel=3, layers=tuple(layers)))
    photos = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(9))
    return Objective(VGG(vgg_weights), Loss(), styles, photos, precision=torch.float32)


def new_trainer(objective: Objective, **training: object) -> Trainer:
    setup = experiment(**training)
    crops = Crops(setup.training.batch)
    return Trainer(
        setup,
        crops,  # type: ignore[arg-type]
        objective,
        device=torch.device("cpu"),
        precision=torch.float32,
    )


def shared(trainer: Trainer) -> list[torch.nn.Parameter]:
    return [*trainer.network.encoder.parameters(), *trainer.network.decoder.parameters()]


@pytest.mark.parametrize("balance", [1.0, 0.3])
def test_the_auto_encoder_gradient_has_lambda_times_the_last_stylizing_norm(
    objective: Objective, balance: float
) -> None:
    trainer = new_trainer(objective, balance=balance)
    trainer.advance()
    first = trainer.stylizing_norm
    trainer.advance()
    norm_of_last_stylizing_step = float(gradient_norm(shared(trainer)))
    assert first == 0.0, "the norm is taken at the last of the T steps"
    trainer.advance()
    found = float(gradient_norm(shared(trainer)))
    assert found == pytest.approx(balance * norm_of_last_stylizing_step, rel=1e-5)


def test_without_the_rescaling_the_norms_differ(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr("stylebank.training.algorithm.rescale_gradient", lambda *_: None)
    trainer = new_trainer(objective)
    for _ in range(3):
        trainer.advance()
    assert float(gradient_norm(shared(trainer))) != pytest.approx(trainer.stylizing_norm, rel=0.05)


def test_rescaling_keeps_the_direction() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2))]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0, 0.0, 0.0]), torch.tensor([0.0, 4.0])
    rescale_gradient(parameters, 10.0)
    assert parameters[0].grad.tolist() == [6.0, 0.0, 0.0]
    assert parameters[1].grad.tolist() == [0.0, 8.0]


def test_a_gradient_of_zero_stays_zero() -> None:
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = torch.zeros(3)
    rescale_gradient([parameter], 1.0)
    assert parameter.grad.tolist() == [0.0, 0.0, 0.0]


def test_a_stylizing_step_moves_only_the_filters_it_drew(objective: Objective) -> None:
    trainer = new_trainer(objective)
    drawn = set(draw_styles(len(NAMES), batch=2, seed=0, number=0))
    assert len(drawn) == 2, "the batch holds two of three styles"
    before = [weight.detach().clone() for weight in trainer.network.filters]
    trainer.advance()
    for index, (old, new) in enumerate(zip(before, trainer.network.filters, strict=True)):
        assert torch.equal(old, new) == (index not in drawn)


def test_an_auto_encoder_step_moves_encoder_and_decoder_but_no_filter(objective: Objective) -> None:
    trainer = new_trainer(objective)
    trainer.advance()
    trainer.advance()
    filters = [weight.detach().clone() for weight in trainer.network.filters]
    weights = [weight.detach().clone() for weight in shared(trainer)]
    trainer.advance()
    assert all(torch.equal(a, b) for a, b in zip(filters, trainer.network.filters, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(weights, shared(trainer), strict=True))


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 6])
def test_a_restored_training_continues_bit_exactly(objective: Objective, stop: int) -> None:
    whole = new_trainer(objective)
    for _ in range(7):
        whole.advance()
    first = new_trainer(objective)
    for _ in range(stop):
        first.advance()
    second = new_trainer(objective, seed=0)
    second.restore(first.state({}, seconds=0.0))
    for _ in range(7 - stop):
        second.advance()
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name


def test_forgetting_adam_would_be_noticed(objective: Objective) -> None:
    """The control of the test above."""
    whole, first = new_trainer(objective), new_trainer(objective)
    for _ in range(4):
        whole.advance()
    for _ in range(3):
        first.advance()
    second = new_trainer(objective)
    second.step, second.stylizing_norm = first.step, first.stylizing_norm
    second.network.load_state_dict(first.network.state_dict())
    second.advance()
    pairs = zip(whole.network.parameters(), second.network.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


def test_history_averages_each_loss_over_the_steps_that_have_it(objective: Objective) -> None:
    trainer = new_trainer(objective)
    for _ in range(3):
        trainer.advance()
    row = trainer.flush_history()
    assert row["step"] == 3.0
    assert all(math.isfinite(value) for value in row.values())
    assert trainer.columns == (*COLUMNS, *STYLE_LAYERS)
    assert len(trainer.history) == 1


def test_a_training_step_lowers_what_it_measures(objective: Objective) -> None:
    trainer = new_trainer(objective, learning_rate=3e-3, warmup=0, steps=1000)
    losses = []
    for _ in range(45):
        trainer.advance()
        if trainer.step % 15 == 0:
            losses.append(trainer.flush_history()["total"])
    assert losses[2] < losses[0]


def test_nan_weights_are_noticed(objective: Objective) -> None:
    trainer = new_trainer(objective)
    assert trainer.is_finite()
    with torch.no_grad():
        trainer.network.filters[1][0, 0, 0, 0] = math.nan
    assert not trainer.is_finite()


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 1e-3 / 5), (3, 1e-3 * 0.8), (4, 1e-3), (29_999, 1e-3), (30_000, 0.8e-3), (90_000, 0.512e-3)],
)
def test_the_staircase_is_the_papers(step: int, rate: float) -> None:
    training = Training(steps=300_000, learning_rate=1e-3, warmup=4, schedule="staircase")
    assert learning_rate(training, step) == pytest.approx(rate, rel=1e-12)


def test_the_cosine_falls_from_the_full_rate_to_nearly_nothing() -> None:
    training = Training(steps=100, learning_rate=1.0, warmup=0)
    rates = [learning_rate(training, step) for step in range(100)]
    assert rates[0] == 1.0
    assert rates[50] == pytest.approx(0.5)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 1e-3

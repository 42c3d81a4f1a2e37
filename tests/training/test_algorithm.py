"""Algorithm 1: whose gradients a step has, how they are balanced, when R begins, and what a resumed run equals."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from stylebank import config
from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Config, Loss, Network, Report, Style, Training
from stylebank.errors import ConfigError
from stylebank.network.tensors import primed
from stylebank.supervision.objective import Kept, Objective
from stylebank.supervision.styleset import BLANK, LayerImage, StyleSet
from stylebank.supervision.vgg import STYLE_LAYERS, VGG
from stylebank.training.algorithm import COLUMNS, Trainer, gradient_norm, learning_rate, rescale_gradient
from stylebank.training.data import draw_styles
from stylebank.training.revision import ground

SIDE = 32
NAMES = ("one", "two", "three")


class Crops:
    """A stand-in for the content stream: batch n is noise from seed n."""

    def __init__(self, batch: int) -> None:
        self._batch = batch

    def batch(self, number: int) -> Tensor:
        return torch.rand(self._batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(number))


def experiment(**training: object) -> Config:
    """Of 60 steps, of which the first 30 know no R."""
    values = {"steps": 60, "batch": 2, "crop": SIDE, "warmup": 3, "precision": "float32"} | training
    return Config(
        network=Network(width=4, blocks=1),
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


def new_trainer(
    objective: Objective,
    start: Bundle | None = None,
    *,
    loss: Loss | None = None,
    crops: Crops | None = None,
    **training: object,
) -> Trainer:
    setup = replace(experiment(**training), loss=loss or Loss())
    return Trainer(
        setup,
        crops or Crops(setup.training.batch),  # type: ignore[arg-type]
        objective,
        device=torch.device("cpu"),
        precision=torch.float32,
        start=start,
    )


def advanced(trainer: Trainer, steps: int) -> Trainer:
    for _ in range(steps):
        trainer.advance()
    return trainer


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
    assert float(gradient_norm(shared(trainer))) != pytest.approx(float(trainer.stylizing_norm), rel=0.05)


class Computed(float):
    """A weight of zero whose term is computed."""

    def __bool__(self) -> bool:
        return True


def refuse(*_: object) -> Tensor:
    raise AssertionError("computed")


def test_peaks_of_weight_zero_are_not_computed_and_change_no_bit(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(peaks: float) -> dict[str, Tensor]:
        return dict(advanced(new_trainer(objective, loss=Loss(peaks=peaks)), 4).network.state_dict())

    def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
        return all(torch.equal(weight, wanted[name]) for name, weight in found.items())

    # A network as small and as new as this has nothing beyond the kurtosis of plain features.
    monkeypatch.setattr("stylebank.network.instance_norm._PLAIN", 1.0)
    zero, peaks = trained(Computed(0)), trained(1.0)
    monkeypatch.setattr("stylebank.network.instance_norm.peakedness", refuse)
    assert same(trained(0.0), zero)
    assert not same(peaks, zero), "the control"
    with pytest.raises(AssertionError, match="computed"):
        trained(Computed(0))


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


REVISED: dict[str, Any] = {"steps": 10, "revise_after": 0.4, "revisions": 0.8, "chained": 0.5}
"""R begins at step 4; stylizing steps are 0, 1, 3, 4, 6, 7, 9."""


@pytest.mark.parametrize("stop", range(10))
def test_a_restored_training_continues_bit_exactly(objective: Objective, stop: int) -> None:
    """Before R begins, at that very step, and while it is trained."""
    whole = advanced(new_trainer(objective, **REVISED), 10)
    first = advanced(new_trainer(objective, **REVISED), stop)
    second = new_trainer(objective, **REVISED)
    second.restore(first.state({}, seconds=0.0))
    advanced(second, 10 - stop)
    wanted, found = whole.state({}, 0.0), second.state({}, 0.0)
    for part in ("model", "adam"):
        one, other = getattr(wanted, part), getattr(found, part)
        assert one.keys() == other.keys()
        assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert not torch.equal(whole.network.revisions[0], whole.network.filters[0]), "R was trained"


def test_before_r_begins_it_has_no_part_in_anything_and_then_it_is_a_copy_of_k(objective: Objective) -> None:
    every = REVISED | {"revisions": 1.0}
    trainer, fresh = advanced(new_trainer(objective, **every), 4), new_trainer(objective, **every)
    for mine, first in zip(trainer.network.revisions, fresh.network.revisions, strict=True):
        assert torch.equal(mine, first), "as it was made"
    plain = advanced(new_trainer(objective, **(REVISED | {"revisions": 1e-9})), 4)
    for name, weight in plain.network.state_dict().items():
        assert torch.equal(weight, trainer.network.state_dict()[name]), name
    filters = [weight.detach().clone() for weight in trainer.network.filters]
    before = [weight.detach().clone() for weight in trainer.network.revisions]
    assert not any(map(torch.equal, filters, before)), "the control: K has moved"
    with torch.no_grad():
        for weight in trainer.network.revisions:
            weight.fill_(7.0)
    advanced(trainer, 1)  # a revision, of two of three styles
    drawn = {place for place, weight in enumerate(trainer.network.revisions) if weight.grad is not None}
    assert len(drawn) == 2
    for place, (again, first) in enumerate(zip(trainer.network.revisions, filters, strict=True)):
        # Adam's first step is as long as its rate, or nothing.
        assert float((again - first).detach().abs().max()) <= 1.001e-3
        assert torch.equal(again, first) == (place not in drawn)


def test_what_is_shown_before_r_begins_paints_again_with_k_and_changes_no_training(
    objective: Objective,
) -> None:
    shown, plain = new_trainer(objective, **REVISED), new_trainer(objective, **REVISED)
    for _ in range(10):
        if shown.step < 4:
            shown.begin_revisions()
            assert all(map(torch.equal, shown.network.revisions, shown.network.filters))
        shown.advance()
        plain.advance()
    before = [weight.detach().clone() for weight in shown.network.revisions]
    shown.begin_revisions()
    assert all(map(torch.equal, before, shown.network.revisions)), "trained ones stay"
    for name, weight in plain.network.state_dict().items():
        assert torch.equal(weight, shown.network.state_dict()[name]), name


def test_a_revision_trains_r_encoder_and_decoder_and_no_k(objective: Objective) -> None:
    trainer = advanced(new_trainer(objective, **(REVISED | {"revisions": 1.0})), 4)
    filters = [weight.detach().clone() for weight in trainer.network.filters]
    weights = [weight.detach().clone() for weight in shared(trainer)]
    advanced(trainer, 1)
    assert all(map(torch.equal, filters, trainer.network.filters))
    assert not any(map(torch.equal, weights, shared(trainer)))
    assert [weight.grad is None for weight in trainer.network.filters] == [True] * 3


def test_a_revision_is_judged_by_its_own_loss_over_its_ground(objective: Objective) -> None:
    trainer = advanced(new_trainer(objective, **(REVISED | {"revisions": 1.0})), 4)
    trainer.flush_history()
    trainer.begin_revisions()
    network, number = trainer.network, 3  # the fourth stylizing step
    content, styles = Crops(2).batch(4), draw_styles(len(NAMES), batch=2, seed=0, number=number)
    over = ground(network, content, styles, grain=1.0, chained=0.5, key="0 ground 3")
    with torch.no_grad():
        features = objective.kept(over, content)
        output = network.stylize(over, styles, again=True)
        wanted = float(objective.revision(output, features, styles).total)
        others = [float(objective(output, features, styles).total)]
        features = objective.kept(content)
        others += [float(objective.revision(output, features, styles).total)]
    trainer.advance()
    assert trainer.flush_history()["revision"] == pytest.approx(wanted, rel=1e-5)
    assert all(other != pytest.approx(wanted, rel=1e-3) for other in others), "the controls: other losses"


def test_edges_and_flat_ground_are_the_photos_in_revisions_too(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Tensor, Tensor | None]] = []
    kept = Objective.kept

    def judged(goal: Objective, content: Tensor, photo: Tensor | None = None) -> Kept:
        seen.append((content, photo))
        return kept(goal, content, photo)

    monkeypatch.setattr(Objective, "kept", judged)
    for share in (0.0, 1.0):
        trainer = advanced(new_trainer(objective, **(REVISED | {"revisions": share})), 4)
        seen.clear()
        advanced(trainer, 1)
        ((over, photo),) = seen
        assert torch.equal(over, Crops(2).batch(4)) == (share == 0.0)
        assert photo is not None
        assert torch.equal(photo, Crops(2).batch(4))


def test_first_filters_see_photos_with_grain_and_are_judged_by_photos_without(objective: Objective) -> None:
    class Flat(Crops):
        def batch(self, number: int) -> Tensor:
            found = super().batch(number)
            found[..., 8:] = 0.5
            return found

    trainer = new_trainer(objective, crops=Flat(2))
    content, styles = Flat(2).batch(0), draw_styles(len(NAMES), batch=2, seed=0, number=0)

    def total(seen: Tensor, kept: Tensor) -> float:
        with torch.no_grad():
            output = trainer.network.stylize(seen, styles)
            return float(objective(output, objective.kept(kept), styles).total)

    grainy = primed(content, 1.0)
    wanted = total(grainy, content)
    others = [total(content, content), total(grainy, grainy)]
    trainer.advance()
    assert trainer.flush_history()["total"] == pytest.approx(wanted, rel=1e-5)
    assert all(other != pytest.approx(wanted, rel=1e-4) for other in others), "the controls"
    bare = advanced(new_trainer(objective, crops=Flat(2), grain=0.0), 1)
    assert bare.flush_history()["total"] == pytest.approx(others[0], rel=1e-5)


def test_the_share_of_revisions_is_as_asked_and_they_begin_when_asked(objective: Objective) -> None:
    trainer = new_trainer(objective, steps=60, revise_after=0.5, revisions=0.3)
    trainer.step = 29
    assert not any(trainer._is_revision(number) for number in range(1000))
    trainer.step = 30
    found = sum(trainer._is_revision(number) for number in range(1000))
    # A binomial number of mean 300 and deviation 14.5: within four of them, but for one seed in 16,000.
    assert abs(found - 300) < 58
    other = new_trainer(objective, steps=60, revise_after=0.0, revisions=0.3, seed=1)
    same = [other._is_revision(number) == trainer._is_revision(number) for number in range(1000)]
    assert not all(same), "by seed"


def test_without_revisions_there_are_none(objective: Objective) -> None:
    trainer = advanced(new_trainer(objective, steps=3, revisions=0.0, revise_after=0.0), 3)
    assert len(trainer.network.revisions) == 0
    assert math.isnan(trainer.flush_history()["revision"])
    with_them = new_trainer(objective, steps=3, revisions=0.1, revise_after=1.0)
    advanced(with_them, 3)
    for name, weight in trainer.network.state_dict().items():
        assert torch.equal(weight, with_them.network.state_dict()[name]), "K is the same as in a run with R"


def a_bank(trainer: Trainer, objective_styles: list[StyleSet] | None = None) -> Bundle:
    styles = objective_styles or [StyleSet(name=name, kernel=3, layers=()) for name in NAMES]
    return bundle.from_network(trainer.network, trainer.config.network, styles, {})


def test_a_training_goes_on_from_a_bank(objective: Objective) -> None:
    trained = new_trainer(objective, **REVISED)
    with torch.no_grad():
        for weight in trained.network.revisions:
            weight.mul_(2)  # far from K
    start = a_bank(advanced(trained, 3))
    going = new_trainer(objective, start, **REVISED)
    for name, weight in start.build().state_dict().items():
        assert torch.equal(going.network.state_dict()[name], weight), name
    revisions = [weight.detach().clone() for weight in going.network.revisions]
    assert not any(map(torch.equal, revisions, going.network.filters)), "the control"
    assert any(going._is_revision(number) for number in range(10)), "from the first step"
    advanced(going, 4)
    going.begin_revisions()
    moved = [not torch.equal(*pair) for pair in zip(revisions, going.network.revisions, strict=True)]
    assert any(moved)
    for old, new in zip(revisions, going.network.revisions, strict=True):
        # Four steps of Adam, each at most as long as three times its rate.
        assert float((old - new).detach().abs().max()) < 12e-3, "R goes on, and is no copy of K again"


def test_a_style_that_the_bank_lacks_begins_anew_and_one_without_r_with_k(objective: Objective) -> None:
    trained = advanced(new_trainer(objective, **REVISED), 10)
    _, two, three = a_bank(trained).entries
    start = replace(a_bank(trained), entries=(three, replace(two, revision=None)))
    network = new_trainer(objective, start, **REVISED).network
    fresh = new_trainer(objective, **REVISED).network
    assert torch.equal(network.filters[0], fresh.filters[0])
    assert torch.equal(network.revisions[0], fresh.revisions[0])
    assert torch.equal(network.revisions[1], torch.from_numpy(two.filter).float())
    assert torch.equal(network.filters[2], torch.from_numpy(three.filter).float()), "by name, not by place"


def test_a_bank_of_another_form_is_no_start(objective: Objective) -> None:
    start = a_bank(new_trainer(objective))
    with pytest.raises(ConfigError, match=r"^--from: its network is another .*'stylebank', 4, 2.*not.*4, 1"):
        new_trainer(objective, replace(start, network=replace(start.network, blocks=2)))
    wide = replace(start.entries[0], style=replace(start.entries[0].style, kernel=5))
    with pytest.raises(ConfigError, match=r"'one' has another kernel \(5, not 3\); use kernel = 5$"):
        new_trainer(objective, replace(start, entries=(wide,)))


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
    assert {name for name, value in row.items() if not math.isfinite(value)} == {"revision"}
    assert trainer.columns == (*COLUMNS, *STYLE_LAYERS)
    assert len(trainer.history) == 1


def test_a_training_step_lowers_what_it_measures(objective: Objective) -> None:
    trainer = new_trainer(objective, learning_rate=3e-3, warmup=0, steps=1000, revise_after=1.0)
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
    training = Training(steps=100, learning_rate=1.0, warmup=0, hold=0.0)
    rates = [learning_rate(training, step) for step in range(100)]
    assert rates[0] == 1.0
    assert rates[50] == pytest.approx(0.5)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 1e-3


def test_the_rate_is_held_before_the_cosine() -> None:
    training = Training(steps=100, learning_rate=1.0, warmup=0, hold=0.6)
    rates = [learning_rate(training, step) for step in range(100)]
    assert set(rates[:61]) == {1.0}
    assert rates[61] < 1
    # The cosine of a run of the 40 steps that are left.
    rest = replace(training, steps=40, hold=0.0)
    assert rates[60:] == pytest.approx([learning_rate(rest, step) for step in range(40)], abs=1e-12)

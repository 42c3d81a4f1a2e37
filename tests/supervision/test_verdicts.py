"""What is said of a training by its figures: nothing of a good one, and of a ruined one what to try."""

import math
from pathlib import Path
from typing import Any

import pytest

from stylebank.supervision import verdicts
from stylebank.supervision.metrics import StyleFigures
from stylebank.supervision.verdicts import Watchdog, verdict

FALLING = [12.0, 9.0, 7.0, 6.0, 5.0, 4.5, 4.2, 4.0]


def figures(*ratios: float, spread: float = 0.2) -> StyleFigures:
    return StyleFigures(ratios, 0.5, 0.5, 0.1, 1.0, 0.5, spread)


def said(*found: StyleFigures, weights: tuple[float, ...] = (1.0, 1.0, 1.0), **how: Any) -> str:
    named = {f"style{place}": one for place, one in enumerate(found)}
    facts: dict[str, Any] = {"one_colour": (), "losses": FALLING, "steps": 1000, "learning_rate": 0.01}
    return verdict(named, dict.fromkeys(named, weights), **(facts | how))


def test_a_good_training_is_not_spoken_of() -> None:
    assert said(figures(0.1, 0.9, 5.0), figures(1.0, 1.0, 1.0), psnr=25.0) == ""


def test_worse_styles_are_named_and_a_loss_that_rose_is_a_divergence() -> None:
    line = said(figures(0.1, 0.2, 0.3), figures(2.0, 3.2, 4.0), losses=[5.0, 4.0, 30.0, 40.0])
    assert line == (
        "1 of 2 styles are worse than the unstyled photo (style1: 3.2; 1 is unstyled); the training diverged: lower "
        "learning_rate (0.01) and start anew"
    )


def test_few_steps_of_a_falling_loss_are_no_divergence() -> None:
    line = said(figures(1.2, 1.3, 1.4), steps=12)
    assert "12 steps are few: train longer" in line
    assert "diverged" not in line
    assert "diverged" in said(figures(20.0, 30.0, 40.0), steps=12), (
        "so far off is lost, whatever the loss did"
    )


def test_steps_that_moved_no_weight_far_are_no_divergence_however_far_off_they_end() -> None:
    far = figures(76.0, 76.0, 76.0)  # an untrained network's, at relu1_1 alone
    for losses in ([760.0], [760.0, 790.0]):
        line = said(far, steps=12, learning_rate=0.001, losses=losses)
        assert "12 steps are few: train longer" in line
        assert "diverged" not in line
        assert "diverged" in said(far, steps=12, learning_rate=1.0, losses=losses), "the control"


def test_layers_without_a_weight_are_not_judged() -> None:
    assert said(figures(0.1, 50.0, 50.0), weights=(1.0, 0.0, 0.0)) == ""
    assert said(figures(0.1, 50.0, 50.0)) != "", "the control"


def test_one_colour_is_said_unless_it_is_asked_for() -> None:
    flat = figures(0.5, 0.5, 0.5, spread=verdicts.FLAT / 2)
    assert "1 of 1 styles paint one colour (style0)" in said(flat)
    assert said(flat, one_colour={"style0"}) == ""
    assert "gives no photo back (3.0 dB)" in said(figures(0.5, 0.5, 0.5), psnr=3.0)


def test_the_watchdog_barks_once_at_a_loss_that_stays_high() -> None:
    dog = Watchdog(10.0, Path("run"))
    heard = [dog.bark(10 * row, total) for row, total in enumerate([9, 8, *[81] * 8, 7, *[99] * 9])]
    assert [row for row, line in enumerate(heard) if line] == [6], "the fifth row in a row, then never again"
    assert "lower learning_rate" in heard[6]


@pytest.mark.parametrize("losses", [[99.0] * 4, [99.0, 99.0, 99.0, 99.0, 50.0] * 4, [math.nan] * 20])
def test_the_watchdog_sleeps_while_it_may(losses: list[float]) -> None:
    dog = Watchdog(9.0, Path("run"))
    assert not any(dog.bark(row, total) for row, total in enumerate(losses))

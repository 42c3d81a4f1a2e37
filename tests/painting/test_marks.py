"""FORMS/MARKS: the first pass in one style, those after it in another; by regions as well."""

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from stylebank.painting import strokes
from stylebank.painting.painter import StyleBank


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strokes, "FIRST", 24)


def test_a_style_s_own_marks_are_the_style(bank: StyleBank, photo: Tensor) -> None:
    assert bank.stylize(photo, "wave/wave").equal(bank.stylize(photo, "wave"))


def test_marks_change_what_comes_after_the_first_pass(bank: StyleBank, photo: Tensor) -> None:
    wave, night = (bank.stylize(photo, style) for style in ("wave", "night"))
    mixed = bank.stylize(photo, "wave/night")
    assert not mixed.equal(wave)
    assert not mixed.equal(night)


def test_there_is_a_second_pass_even_where_the_style_alone_needs_none(
    bank: StyleBank, photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strokes, "FIRST", 50)
    assert strokes.sizes((37, 50), 1.0) == [(37, 50)]
    assert len(strokes.sizes((37, 50), 1.0, again=True)) == 2
    assert not bank.stylize(photo, "wave/night").equal(bank.stylize(photo, "wave"))


def test_regions_have_marks_of_their_own(bank: StyleBank, photo: Tensor, left: NDArray[np.float32]) -> None:
    fused = bank.fuse(photo, [(left, "wave/night")], rest="scream")
    alone = bank.stylize(photo, "wave/night")
    distance = (fused - alone).abs()
    assert float(distance[..., :2].max()) < 0.02, "away from the seam"
    assert float(distance[..., 40:].mean()) > 0.02, "the control: the other region"

"""Sizes from coarse to fine: strokes go by the size of the picture, and no pass enlarges by more than two."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylebank.painting import strokes
from stylebank.painting.strokes import FIRST, painted_size, sizes

SIZES = st.tuples(st.integers(1, 20_000), st.integers(1, 20_000))
STROKES = st.floats(0.25, 8)

SPARE = 2**0.25
"""What a first pass may be too large by."""


@given(SIZES, STROKES)
def test_passes_begin_where_strokes_are_as_large_as_asked_and_enlarge_by_a_quarter_to_two(
    photo: tuple[int, int], stroke: float
) -> None:
    size = painted_size(photo, [stroke])
    found = sizes(size, stroke)
    assert found[-1] == size
    wanted, long = FIRST / stroke, max(found[0])
    # Sides are whole pixels.
    assert wanted / SPARE - 0.5 <= long <= wanted * SPARE + 1
    factors = [max(b) / max(a) for a, b in itertools.pairwise(found)]
    for (a, b), factor in zip(itertools.pairwise(found), factors, strict=True):
        assert 1.25 * (1 - 0.5 / max(a)) <= factor <= 2 * (1 + 0.5 / max(a))
        assert factor == pytest.approx((max(size) / long) ** (1 / len(factors)), rel=1.5 / long)
        for side, larger in zip(a, b, strict=True):
            assert abs(side - larger / factor) <= 1


@given(SIZES, STROKES)
def test_a_picture_is_painted_at_its_size_or_larger_where_its_strokes_need_more(
    photo: tuple[int, int], stroke: float
) -> None:
    size = painted_size(photo, [stroke])
    if FIRST / stroke <= max(photo) * SPARE:
        assert size == photo
    else:
        assert max(size) == round(FIRST / stroke)
        assert len(sizes(size, stroke)) == 1
        assert abs(min(size) - max(1, min(photo) * max(size) / max(photo))) <= 0.5


@pytest.mark.parametrize(
    ("long", "stroke", "passes"),
    [
        (512, 1, [512]),
        (608, 1, [608]),
        (610, 1, [488, 610]),
        (1024, 1, [512, 1024]),
        (1200, 1, [600, 1200]),
        (4096, 1, [512, 1024, 2048, 4096]),
        (1024, 2, [256, 512, 1024]),
        (1024, 4, [128, 256, 512, 1024]),
        (1024, 0.5, [1024]),
        (900, 0.5, [900]),
        (860, 0.5, [1024]),
        (256, 1, [512]),
        (3, 8, [64]),
    ],
)
def test_long_sides_of_passes(
    long: int, stroke: float, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strokes, "FIRST", 512)
    size = painted_size((long, long // 3 + 1), [stroke])
    assert [max(found) for found in sizes(size, stroke)] == passes


def test_the_finest_of_several_strokes_decides_where_all_are_painted() -> None:
    small = (300, 400)
    assert painted_size(small, [4, 0.5, 2]) == painted_size(small, [0.5])
    assert painted_size((3000, 4000), [4, 0.5, 2]) == (3000, 4000)
    common = painted_size(small, [4, 0.5])
    assert sizes(common, 0.5) == [common]
    assert len(sizes(common, 4)) == 1 + math.log2(8)

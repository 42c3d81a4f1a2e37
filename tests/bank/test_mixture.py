"""Words, options and dicts become styles with weights that sum to 1 and a strength; or one line says why not."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylebank.bank import mixture
from stylebank.bank.mixture import Mixture
from stylebank.errors import ConfigError
from stylebank.terminal.options import say_weights

HALVES = (("wave", 0.5), ("scream", 0.5))
# Words -> weights, strength, what the weights summed to.
READ: dict[str, tuple[tuple[tuple[str, float], ...], float, float]] = {
    "wave": ((("wave", 1.0),), 1.0, 1.0),
    "wave@0.7": ((("wave", 1.0),), 0.7, 1.0),
    "wave@0": ((("wave", 1.0),), 0.0, 1.0),
    "wave:1": ((("wave", 1.0),), 1.0, 1.0),
    "wave:0.25": ((("wave", 1.0),), 1.0, 0.25),
    "wave:0.5+scream:0.5": (HALVES, 1.0, 1.0),
    "wave:0.5+scream:0.5@0.8": (HALVES, 0.8, 1.0),
    "wave:3+scream:3@1e-1": (HALVES, 0.1, 6.0),
    "scream:1+wave:3": ((("scream", 0.25), ("wave", 0.75)), 1.0, 4.0),
    "wave:0+scream:2": ((("scream", 1.0),), 1.0, 2.0),
    "a-1_b:2": ((("a-1_b", 1.0),), 1.0, 2.0),
}


@pytest.mark.parametrize("words", READ)
def test_words_are_styles_weights_and_strength(words: str) -> None:
    weights, strength, given = READ[words]
    found = mixture.parse(words)
    assert (found.weights, found.strength, found.given) == (weights, strength, given)
    assert found.names == tuple(name for name, _ in weights)
    assert mixture.of(words) == found


def test_words_dicts_options_and_mixtures_mean_the_same() -> None:
    words = mixture.parse("wave:1+scream:3", strength=0.5)
    assert mixture.of({"wave": 1, "scream": 3}, strength=0.5) == words
    assert mixture.from_options(["wave=1", "scream=3"], strength=0.5) == words
    assert mixture.of(words) is words
    assert mixture.of({"wave": 3, "scream": 1}, strength=0.5) != words, "the control"


def test_a_name_may_hold_what_a_weight_is_cut_off_by() -> None:
    assert mixture.from_options(["a=b=2"]).names == ("a=b",)


def test_a_strength_in_the_words_goes_before_the_common_one() -> None:
    assert [mixture.parse(words, strength=0.2).strength for words in ("wave", "wave@0.9")] == [0.2, 0.9]
    assert mixture.of("wave@0.9", strength=0.2).strength == 0.9


# Begin of the complaint, after the words that it is about -> words.
AMISS: dict[str, tuple[str, ...]] = {
    "weight of 'wave': is missing; give a number": (
        "wave:",
        "wave:+scream:1",
        "wave+scream",
        "wave+scream:1",
    ),
    "weight of 'scream': is missing; give a number": ("wave:1+scream", "wave:1+scream@0.5"),
    "weight of '': is missing; give a number": ("+", "wave:1+", "+wave:1"),
    "weight of 'wave': 'x' is no number; give one, such as 0.5": ("wave:x", "wave:x+scream:1"),
    "weight of 'wave': '1:2' is no number": ("wave:1:2",),
    "weight of 'wave': '0,5' is no number": ("wave:0,5",),
    "weight -1 of 'wave' is out of range; give 0 or more": ("wave:-1", "scream:2+wave:-1"),
    "weight nan of 'wave' is out of range": ("wave:nan", "scream:1+wave:nan"),
    "weight inf of 'wave' is out of range": ("wave:inf", "wave:1e999"),
    "weight -inf of 'wave' is out of range": ("wave:-inf",),
    "weights sum to 0; give at least one above 0": ("wave:0", "wave:0+scream:0", "wave:-0"),
    "weights sum to inf": ("wave:1e308+scream:1e308",),
    "names 'wave' twice; add its weights up": ("wave:1+wave:1", "wave:1+scream:1+wave:0"),
    "strength: is missing; give a number": ("wave@", "wave:1+scream:1@"),
    "strength: 'y' is no number": ("wave@y", "wave@yx2"),
    "stroke: is missing; give a number": ("wave@x", "wave@0.5x", "wave:1+scream:1@x"),
    "stroke: 'y' is no number": ("wave@xy", "wave@0.5xy"),
    "stroke: '2x2' is no number": ("wave@x2x2",),
    "stroke 9 is out of range; give 0.5 (finer) to 4 (larger), 1 is as designed": ("wave@x9", "wave@0.5x9"),
    "stroke 0.2 is out of range": ("wave@x0.2",),
    "stroke nan is out of range": ("wave@xnan",),
    "strength: '0.5+scream@0.5' is no number": ("wave@0.5+scream@0.5",),
    "strength: '@1' is no number": ("wave@@1",),
    "strength 2 is out of range; give 0 (photo) to 1 (full style)": ("wave@2",),
    "strength -0.1 is out of range": ("wave@-0.1",),
    "strength nan is out of range": ("wave@nan",),
}


@pytest.mark.parametrize(
    ("words", "complaint"), [(words, why) for why, several in AMISS.items() for words in several]
)
def test_what_is_amiss_is_said_in_one_line_that_begins_with_the_words(words: str, complaint: str) -> None:
    for where, begin in (("", f"mixture '{words}'"), ("--style x", "--style x")):
        with pytest.raises(ConfigError, match=f"^{re.escape(f'{begin}: {complaint}')}") as caught:
            mixture.parse(words, where=where)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["wave"], "--mix wave: has no weight; write NAME=WEIGHT"),
        (["wave=1", "scream"], "--mix scream: has no weight"),
        (["=1"], "--mix =1: has no weight"),
        (["wave="], "--mix wave=: weight: is missing; give a number"),
        (["wave=x"], "--mix wave=x: weight: 'x' is no number"),
        (["wave:0.5"], "--mix wave:0.5: has no weight"),
        (["wave=-1"], "--mix: weight -1 of 'wave' is out of range"),
        (["wave=nan", "scream=1"], "--mix: weight nan of 'wave' is out of range"),
        (["wave=inf"], "--mix: weight inf of 'wave' is out of range"),
        (["wave=0", "scream=0"], "--mix: weights sum to 0; give at least one above 0"),
        (["wave=1", "wave=2"], "--mix: names 'wave' twice; add its weights up"),
        ([], "--mix: weights sum to 0"),
    ],
    ids=str,
)
def test_an_option_that_is_amiss_is_named(options: list[str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(complaint)}"):
        mixture.from_options(options)


ALONE: list[Callable[[float], Mixture]] = [
    lambda strength: mixture.of("wave", strength=strength),
    lambda strength: mixture.of({"wave": 1.0}, strength=strength),
    lambda strength: mixture.from_options(["wave=1"], strength=strength),
]


@pytest.mark.parametrize("make", ALONE, ids=["words", "dict", "options"])
@pytest.mark.parametrize("strength", [-0.01, 1.01, math.nan, math.inf, -math.inf])
def test_a_strength_is_from_0_to_1(strength: float, make: Callable[[float], Mixture]) -> None:
    with pytest.raises(ConfigError, match=r"strength .* is out of range; give 0 \(photo\) to 1"):
        make(strength)
    assert [make(edge).strength for edge in (0.0, 1.0)] == [0, 1], "the control"


@pytest.mark.parametrize(
    "weights", [{}, {"wave": 0.0}, {"wave": -1.0}, {"wave": math.nan, "scream": 1.0}], ids=str
)
def test_a_dict_without_a_weight_to_paint_with_is_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"^mixture: weight"):
        mixture.of(weights)


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.floats(1e-6, 1e6), min_size=1))
def test_weights_are_normalised_in_proportion_and_remember_their_sum(weights: dict[str, float]) -> None:
    found = mixture.of(weights)
    total = math.fsum(weights.values())
    # Each of up to 8 quotients and 7 sums rounds once, by 2^-53 of a number up to 1: 15 x 2^-53 = 1.7e-15.
    assert sum(weight for _, weight in found.weights) == pytest.approx(1, abs=4e-15)
    for name, weight in found.weights:
        assert 0 < weight <= 1
        assert weight == pytest.approx(weights[name] / total, rel=1e-14)
    assert found.given == pytest.approx(total, rel=1e-14)


@pytest.mark.parametrize("words", ["wave:1e-320+scream:1e10", "scream:1e308+wave:5e-324"])
def test_a_weight_that_underflows_is_never_kept(words: str) -> None:
    """A share of 0 is no weight: a bank that kept it could not be read again."""
    try:
        found = mixture.parse(words).weights
    except ConfigError:
        return
    assert found == (("scream", 1.0),)


@pytest.mark.parametrize(
    ("weights", "strength"),
    [
        ((), 1.0),
        ((("wave", 0.5),), 1.0),
        ((("wave", 2.0), ("scream", -1.0)), 1.0),
        ((("wave", 1.0), ("scream", 0.0)), 1.0),
        ((("wave", math.nan),), 1.0),
        ((("wave", 1.0),), 1.5),
        ((("wave", 1.0),), math.nan),
    ],
)
def test_a_mixture_made_by_hand_is_checked(weights: tuple[tuple[str, float], ...], strength: float) -> None:
    with pytest.raises(ConfigError, match=r"^mixture"):
        Mixture(weights, strength)
    assert Mixture(HALVES, 0.5) == mixture.parse("wave:2+scream:2@0.5"), "the control"


STROKED = {"wave@x2": (1.0, 2.0), "wave@0.7x0.5": (0.7, 0.5), "wave:0.5+scream:0.5@0.7x2": (0.7, 2.0)}


@pytest.mark.parametrize("words", STROKED)
def test_a_stroke_follows_the_strength_and_goes_before_the_common_one(words: str) -> None:
    found = mixture.parse(words, strength=0.7 if words.startswith("wave@x") else 0.1, stroke=4)
    wanted = (0.7, 2.0) if words == "wave@x2" else STROKED[words]
    assert (found.strength, found.stroke) == wanted
    assert mixture.of(found, stroke=4) is found
    plain = words.partition("@")[0]
    other = mixture.parse(plain, strength=found.strength, stroke=1)
    assert repr(found) != repr(other), "what a run is known by"
    assert [mixture.parse(plain, stroke=stroke).stroke for stroke in (None, 4)] == [None, 4]
    assert mixture.of(mixture.parse(plain), stroke=4) == mixture.parse(plain, stroke=4)
    assert mixture.of({"wave": 1}, stroke=4).stroke == mixture.from_options(["wave=1"], stroke=4).stroke == 4


@pytest.mark.parametrize("stroke", [0.24, 8.1, -1, math.nan, math.inf, "2"])
def test_a_stroke_is_a_number_from_a_quarter_to_8(stroke: Any) -> None:
    makers: list[Callable[[Any], Mixture]] = [
        lambda stroke: mixture.of("wave", stroke=stroke),
        lambda stroke: mixture.of({"wave": 1.0}, stroke=stroke),
        lambda stroke: mixture.of(Mixture(HALVES), stroke=stroke),
        lambda stroke: Mixture(HALVES, stroke=stroke),
    ]
    for make in makers:
        with pytest.raises(ConfigError, match=r"^mixture.*stroke .* is (out of range; give 0\.5|no number)"):
            make(stroke)
        assert [make(edge).stroke for edge in (0.25, 8)] == [0.25, 8], "the control"


def test_strokes_grow_by_equal_factors_on_the_way() -> None:
    found = mixture.path([mixture.parse("wave@x0.5"), mixture.parse("scream@x2")], 3)
    assert [mix.stroke for _, mix in found] == pytest.approx([0.5, 1, 2])
    assert [mix.stroke for _, mix in mixture.path([mixture.parse("wave@0.5x2")], 3)] == [2, 2, 2]
    none = mixture.path([mixture.parse("wave"), mixture.parse("scream")], 3)
    assert [mix.stroke for _, mix in none] == [None, None, None]
    half = mixture.path([mixture.parse("wave"), mixture.parse("scream@x4")], 3)
    assert [mix.stroke for _, mix in half] == pytest.approx([1, 2, 4])


def test_a_mixture_is_shown_as_it_is_written() -> None:
    for words in ("wave", "wave@0.5", "wave:0.5+scream:0.5", "wave:0.25+scream:0.75@0.125", *STROKED):
        assert str(mixture.parse(words)) == words
        assert mixture.parse(str(mixture.parse(words))) == mixture.parse(words)
    assert str(mixture.parse("wave:1+scream:2")) == "wave:0.333+scream:0.667"


def test_weights_that_do_not_sum_to_1_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    say_weights(mixture.parse("wave:1+scream:3"))
    assert capsys.readouterr() == ("", "note: weights sum to 4; taken as wave 0.25, scream 0.75\n")
    # As people write thirds, and as binary fractions sum.
    for words in ("wave", "wave:0.3+scream:0.7", "a:0.1+b:0.2+c:0.7", "a:0.3333333+b:0.6666667"):
        say_weights(mixture.parse(words))
        assert capsys.readouterr() == ("", "")


def test_the_way_between_two_mixtures_is_even() -> None:
    found = mixture.path([mixture.parse("wave@0.5"), mixture.parse("scream:1+wave:1")], 3)
    assert [label for label, _ in found] == ["wave@0.5", "50% : 50%", "scream:0.5+wave:0.5"]
    (first, middle, last) = (mix for _, mix in found)
    assert (first.weights, first.strength) == ((("wave", 1.0),), 0.5)
    assert (dict(middle.weights), middle.strength) == ({"wave": 0.75, "scream": 0.25}, 0.75)
    assert (dict(last.weights), last.strength) == ({"scream": 0.5, "wave": 0.5}, 1.0)


def test_the_way_to_one_mixture_goes_from_the_photo_to_its_strength() -> None:
    found = mixture.path([mixture.parse("wave:1+scream:1@0.6")], 4)
    assert [label for label, _ in found] == ["strength 0", "strength 0.2", "strength 0.4", "strength 0.6"]
    assert [mix.strength for _, mix in found] == pytest.approx([0, 0.2, 0.4, 0.6])
    assert {mix.weights for _, mix in found} == {HALVES}


@pytest.mark.parametrize("steps", [2, 7, 32])
def test_a_way_has_as_many_steps_as_asked_for_both_ends_included(steps: int) -> None:
    ends = [mixture.parse("wave"), mixture.parse("scream")]
    found = [mix for _, mix in mixture.path(ends, steps)]
    assert len(found) == steps
    assert [found[0], found[-1]] == ends


def test_marks_are_those_of_later_passes_alone() -> None:
    found = mixture.parse("wave:1+scream:3/dot@0.5x2")
    assert found.weights_of(again=False) == (("wave", 0.25), ("scream", 0.75))
    assert found.weights_of(again=True) == (("dot", 1.0),)
    assert (found.strength, found.stroke) == (0.5, 2.0)
    assert found.names == ("wave", "scream", "dot")
    assert mixture.parse(str(found)) == found
    plain = mixture.parse("wave")
    assert plain.weights_of(again=True) == plain.weights_of(again=False)


@pytest.mark.parametrize("words", ["wave/", "/wave", "wave/dot:x", "wave/dot:1+dot:1"])
def test_marks_that_are_none_are_refused(words: str) -> None:
    with pytest.raises(ConfigError):
        mixture.parse(words)


def test_a_path_between_marks_mixes_them() -> None:
    ends = [mixture.parse("wave/dot"), mixture.parse("scream")]
    (_, first), (_, middle), (_, last) = mixture.path(ends, 3)
    assert dict(first.marks) == {"dot": 1.0}
    assert dict(middle.weights) == {"wave": 0.5, "scream": 0.5}
    assert dict(middle.marks) == {"dot": 0.5, "scream": 0.5}
    assert dict(last.marks) == {"scream": 1.0}


def test_numbers_of_numpy_are_numbers_and_what_is_no_mixture_is_said() -> None:
    half: Any = np.float32(0.5)
    assert mixture.of({"wave": half, "night": 0.5}, strength=half, stroke=4 * half).strength == half
    for wrong in (["wave"], None, 5):
        with pytest.raises(ConfigError, match=r"^mixture: is a .*; give a name"):
            mixture.of(wrong)  # type: ignore[arg-type]
    for none in ("0.5", None):
        with pytest.raises(ConfigError, match=r"strength .* is no number"):
            mixture.of({"wave": 1}, strength=none)  # type: ignore[arg-type]

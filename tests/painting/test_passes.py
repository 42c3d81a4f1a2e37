"""Passes over windows: every one is seen once, maps that are kept come back, statistics are those of the whole."""

import threading
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from stylebank.bank.bundle import Bundle
from stylebank.engines.choice import Computing, Engine
from stylebank.engines.stages import Moments, Stages, affine, averaged, moments
from stylebank.network.architecture import decoder, encoder
from stylebank.painting.maps import Map
from stylebank.painting.passes import Passes
from stylebank.painting.windows import PIXELS, Shape, Window, cells_of, convolved, tiles

SIZE = (60, 84)
CELLS = cells_of(SIZE)

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3})


@pytest.fixture(scope="module", params=get_args(Engine))
def stages(bank: Bundle, request: pytest.FixtureRequest) -> Stages:
    return Computing(request.param, "float32", "cpu").stages(bank, workers=1, threads=1)


def numbers(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).random(shape, np.float32)


def shown(values: Floats, shape: Shape, stages: Stages | None) -> Map:
    """An array as a map: of an engine, or NumPy's."""
    step = shape.step

    def read(window: Window) -> object:
        part = values[
            ...,
            step * window.top : step * window.bottom,
            step * window.left : step * window.right,
        ]
        return part if stages is None else stages.array(np.ascontiguousarray(part))

    return Map(shape, read)


def passes_of(bank: Bundle, stages: Stages, *, side: int | None) -> Passes:
    windows = [Window(0, 0, *CELLS)] if side is None else tiles(CELLS, side)
    return Passes(bank, stages, SIZE, windows)


def whole_of(found: Map, stages: Stages) -> Floats:
    return stages.numpy(found.read(Window(0, 0, *CELLS)))


@pytest.mark.parametrize("side", [None, 5])
def test_a_kept_map_comes_back_and_is_computed_once(side: int | None, bank: Bundle, stages: Stages) -> None:
    seen: list[Window] = []
    values = numbers(1, 3, *SIZE)
    source = shown(values, PIXELS, stages)

    def counted(window: Window) -> object:
        seen.append(window)
        return source.read(window)

    passes = passes_of(bank, stages, side=side)
    kept = passes.keep(Map(PIXELS, counted))
    count = len(seen)
    assert count == (1 if side is None else len(tiles(CELLS, 5)))
    assert np.array_equal(whole_of(kept, stages), values)
    if side:
        part = stages.numpy(kept.read(Window(2, 3, 9, 11)))
        assert np.array_equal(part, values[..., 8:36, 12:44])
    assert len(seen) == count, "read from memory or disk"
    assert kept.shape.wrong == 0


@pytest.mark.parametrize("side", [None, 5])
def test_moments_are_those_of_the_whole(side: int | None, bank: Bundle, stages: Stages) -> None:
    values, masks = numbers(1, 3, *SIZE), numbers(2, *SIZE, seed=1)
    passes, source = passes_of(bank, stages, side=side), shown(values, PIXELS, stages)
    by_masks = shown(masks[None], Shape(2, 4), None)
    exact = moments(values.astype(np.float64), masks)
    for found, rows in (
        (passes.moments(source), slice(2, 3)),
        (passes.moments(source, by_masks), slice(0, 2)),
    ):
        # Float32 sums of 5040 numbers below 1, pairwise.
        assert np.abs(found.mean - exact.mean[rows]).max() < 1e-6
        assert np.abs(found.variance - exact.variance[rows]).max() < 1e-6
    _, measured = passes.keep_measured(source)
    assert np.abs(measured.mean - exact.mean[2]).max() < 1e-6
    assert np.abs(exact.mean[0] - exact.mean[2]).max() > 1e-4, "the control: a region is not the whole"


def test_images_of_a_batch_have_each_their_moments(bank: Bundle, stages: Stages) -> None:
    values = numbers(3, 3, *SIZE)
    found = passes_of(bank, stages, side=None).moments(shown(values, PIXELS, stages))
    assert np.abs(found.mean - values.mean((2, 3), dtype=np.float64)).max() < 1e-6
    assert found.mean.shape == (3, 3)


@pytest.mark.parametrize("side", [None, 5])
def test_a_region_without_cells_has_the_image_s_statistics(
    side: int | None, bank: Bundle, stages: Stages
) -> None:
    masks = np.concatenate([numbers(1, *SIZE, seed=1) / 2, np.zeros((1, *SIZE), np.float32)])
    values = numbers(1, 3, *SIZE)
    passes, source = passes_of(bank, stages, side=side), shown(values, PIXELS, stages)
    found = passes.moments(source, shown(masks[None], Shape(2, 4), None))
    alone = passes.moments(source, shown(masks[None, :1], Shape(1, 4), None))
    whole = moments(values.astype(np.float64))
    assert np.abs(found.mean[1] - whole.mean[0]).max() < 1e-6
    assert np.abs(found.variance[1] - whole.variance[0]).max() < 1e-6
    assert np.abs(found.mean[0] - whole.mean[0]).max() > 1e-4, "the control: a region with cells"
    assert np.abs(found.mean[0] - alone.mean[0]).max() < 1e-12, "the others do not notice"


@pytest.mark.parametrize("by_masks", [False, True])
def test_a_survey_finds_the_same_norms_in_tiles_as_in_the_whole(
    by_masks: bool, bank: Bundle, stages: Stages
) -> None:
    last = decoder(bank.network)[-1]
    features = shown(numbers(1, 16, *CELLS), Shape(16, 1), stages)
    shares = numbers(1, 2, *SIZE, seed=1)
    masks = shown(shares / shares.sum(1, keepdims=True), Shape(2, 4), None) if by_masks else None
    whole, tiled = (
        passes_of(bank, stages, side=side).survey(last, features, masks=masks) for side in (None, 5)
    )
    assert len(whole) == len(tiled) == 2
    for one, other in zip(whole, tiled, strict=True):
        for found, wanted in zip(one, other, strict=True):
            # Norms of values of size one, float32 sums in another order.
            assert found.shape == (1 + by_masks, found.shape[1])
            assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
    assert len(passes_of(bank, stages, side=5).survey(last, features, masks=masks, last=1)) == 1
    first = passes_of(bank, stages, side=None).run(last, features, norms=[], masks=masks)
    entering = whole_of(first, stages).astype(np.float64)
    inside = averaged(masks.read(Window(0, 0, *CELLS))[0], 2) if masks else None
    exact = moments(entering, inside)
    rows = Moments(exact.weight[:2], exact.mean[:2], exact.square[:2])
    weight, bias = (bank.coder[f"{last.layers[0].norm}.{name}"] for name in ("weight", "bias"))
    scale = affine(rows, weight, bias).scale
    assert np.abs(whole[0].scale - scale).max() < 1e-5 * np.abs(scale).max()


def test_a_map_that_was_run_knows_how_far_it_sees(bank: Bundle, stages: Stages) -> None:
    first, last = encoder(bank.network)[0], decoder(bank.network)[-1]
    passes = passes_of(bank, stages, side=5)
    photo = shown(numbers(1, 3, *SIZE), PIXELS, stages)
    assert passes.run(first, photo).shape == convolved(PIXELS, first.layers)
    features = shown(numbers(1, 16, *CELLS), Shape(16, 1), stages)
    filtered = passes.filter(features, bank.entries[0].filter.astype(np.float32))
    assert filtered.shape.wrong == 1
    norms = passes.survey(last, filtered)
    whole = passes.run(last, filtered, norms=norms)
    assert whole.shape == convolved(filtered.shape, last.layers)
    assert passes.run(last, filtered, norms=norms[:1]).shape == convolved(filtered.shape, last.layers[:2])


def test_a_pass_without_windows_counts_the_work_that_one_with_windows_does(
    bank: Bundle, stages: Stages
) -> None:
    first = encoder(bank.network)[0]
    photo = shown(numbers(1, 3, *SIZE), PIXELS, stages)

    def work(passes: Passes) -> float:
        known = passes.survey(first, photo, last=1)
        passes.keep(passes.run(first, photo, norms=known))
        return passes.work

    told: list[tuple[float, float]] = []
    plan = Passes(bank, stages, SIZE, [])
    assert plan.is_plan
    total = work(plan)
    done = Passes(
        bank,
        stages,
        SIZE,
        tiles(CELLS, 5),
        report=lambda done, total: told.append((done, total)),
        total=total,
    )
    assert work(done) == total > 0
    assert told[-1][0] == pytest.approx(total)
    assert {announced for _, announced in told} == {total}


def test_workers_take_windows_in_turn_and_no_more_than_they_can_paint(bank: Bundle) -> None:
    stages = Computing("torch", "float32", "cpu").stages(bank, workers=3, threads=1)
    passes, lock = passes_of(bank, stages, side=3), threading.Lock()
    running, most, threads = 0, 0, set()

    def compute(window: Window, _: Window) -> Window:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            threads.add(threading.get_ident())
        threading.Event().wait(0.002)
        with lock:
            running -= 1
        return window

    found = list(passes.each(PIXELS, compute))
    assert [window for window, _ in found] == tiles(CELLS, 3), "in order"
    assert all(window == result for window, result in found)
    assert 1 < most <= 3
    assert threading.get_ident() not in threads


def test_an_error_in_a_window_ends_the_pass(bank: Bundle) -> None:
    stages = Computing("torch", "float32", "cpu").stages(bank, workers=2, threads=1)
    passes, computed = passes_of(bank, stages, side=1), []

    def compute(window: Window, _: Window) -> None:
        computed.append(window)
        if len(computed) == 5:
            raise MemoryError

    with pytest.raises(MemoryError):
        list(passes.each(PIXELS, compute))
    assert len(computed) < 20, "of 315 windows"

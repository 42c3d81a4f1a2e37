"""Windows cover an image once; how far around one a chain of layers sees is neither too little nor too much."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stylebank.config import Network
from stylebank.engines.stages import Crop
from stylebank.network.architecture import DECODER, Layer, decoder, encoder
from stylebank.painting.windows import PIXELS, Shape, Window, cells_of, convolved, filtered, places, tiles

LENGTHS = [*range(1, 21), 30, 33, 63]


@pytest.mark.parametrize("length", LENGTHS)
def test_places_keep_the_image_and_mirror_what_they_add(length: int) -> None:
    cells, _ = cells_of((length, 18))
    found = places(0, cells, length)
    assert len(found) % 4 == 0
    assert max(16, length) <= len(found) < max(16, length + 4) + 1
    assert found[:length].tolist() == list(range(length))
    added = len(found) - length
    assert found.min() >= 0
    assert found.max() < length
    if length > added:
        assert found[length:].tolist() == list(range(length - 2, length - 2 - added, -1))


@pytest.mark.parametrize("length", LENGTHS)
def test_places_of_windows_are_those_of_the_whole(length: int) -> None:
    cells, _ = cells_of((length, 18))
    whole = places(0, cells, length)
    parts_ = [places(start, start + 1, length) for start in range(cells)]
    assert np.array_equal(np.concatenate(parts_), whole)


def test_a_size_that_fits_has_its_own_cells_and_another_the_next() -> None:
    assert cells_of((32, 16)) == (8, 4)
    assert cells_of((33, 1)) == (9, 4)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40))
def test_tiles_cover_every_cell_once_and_are_of_much_the_same_size(
    height: int, width: int, side: int
) -> None:
    found = tiles((height, width), side)
    seen = np.zeros((height, width), int)
    for tile in found:
        seen[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert (seen == 1).all()
    for lengths in ([tile.height for tile in found], [tile.width for tile in found]):
        assert max(lengths) <= side
        assert max(lengths) - min(lengths) <= 1


def test_a_window_grows_as_far_as_the_image_goes_and_is_cut_out_again() -> None:
    values = np.arange(40 * 60).reshape(1, 1, 40, 60)
    for step, window in itertools.product((1, 2, 4), (Window(0, 0, 3, 4), Window(5, 9, 10, 15))):
        around = window.grown(2, (10, 15))
        x = values[..., : 10 * step, : 15 * step]
        seen = x[..., step * around.top : step * around.bottom, step * around.left : step * around.right]
        wanted = x[..., step * window.top : step * window.bottom, step * window.left : step * window.right]
        assert np.array_equal(window.cut(seen, around), wanted)
        crop = window.crop(around, step)
        assert np.array_equal(seen[..., crop.top : crop.bottom, crop.left : crop.right], wanted)
    assert Window(0, 0, 3, 4).grown(2, (10, 15)) == Window(0, 0, 5, 6)
    assert Window(5, 9, 10, 15).grown(2, (10, 15)) == Window(3, 7, 10, 15)
    assert Window(5, 9, 10, 15).crop(Window(3, 7, 10, 15), 2) == Crop(4, 4, 14, 16)


def test_a_window_that_was_not_grown_is_cut_without_a_copy() -> None:
    x = np.zeros((1, 1, 8, 8))
    assert Window(0, 0, 2, 2).cut(x, Window(0, 0, 2, 2)) is x


def reach(layers: tuple[Layer, ...], step: int) -> int:
    """How many values from an inner edge of a window depend on what lies beyond, at its left or its right; in 1D.

    With strides these are not the same: the first value of two sees further to the left than to the right.
    """
    found = []
    for left in (True, False):
        known: NDArray[np.bool_] = np.equal(np.arange(64 * step) >= 32 * step, left)
        cell = step
        for layer in layers:
            known = known.repeat(2) if layer.upsampling else known
            seen = np.pad(known, layer.kernel // 2, mode="reflect")
            windows = np.lib.stride_tricks.sliding_window_view(seen, layer.kernel)
            known = np.asarray(windows.all(1))[:: layer.stride]
            cell = 2 * cell if layer.upsampling else cell // layer.stride
        inside = known[32 * cell :] if left else known[: 32 * cell]
        found.append(int((~inside).sum()))
    return max(found)


@pytest.mark.parametrize("kind", ["stylebank", "johnson"])
def test_a_halo_is_what_the_layers_see_and_no_more(kind: str) -> None:
    network = Network(width=4, kind=kind)  # type: ignore[arg-type]
    for part in (*encoder(network), *decoder(network)):
        start = PIXELS if part.layers[0].inputs == 3 else Shape(16, 1)
        for end in range(1, len(part.layers) + 1):
            shape = convolved(start, part.layers[:end])
            assert shape.channels == part.layers[end - 1].outputs
            assert shape.halo == -(-reach(part.layers[:end], start.step) // shape.step)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_a_filter_is_seen_through_what_follows_it(kernel: int) -> None:
    last = decoder(Network(width=4, outer_kernel=9))[-1]
    assert last.name == DECODER
    shape = filtered(Shape(16, 1), np.zeros((16, 16, kernel, kernel), np.float32))
    assert (shape.channels, shape.step, shape.wrong, shape.work) == (16, 1, kernel // 2, 256 * kernel**2)
    as_layer = Layer("filter", "", 16, 16, kernel)
    for end in range(1, 4):
        found = convolved(shape, last.layers[:end])
        assert found.halo == -(-reach((as_layer, *last.layers[:end]), 1) // found.step)


def test_work_is_counted_in_multiplications_for_each_cell() -> None:
    network = Network(width=4, blocks=0, outer_kernel=9)
    (first,), (last,) = encoder(network), decoder(network)
    # 9 x 9 for each of 16 pixels, 3 x 3 for each of 4 and of 1; D's upsampling by four convolutions of 2 x 2.
    assert convolved(PIXELS, first.layers).work == 16 * 4 * 3 * 81 + 4 * 8 * 4 * 9 + 16 * 8 * 9
    wanted = 4 * 4 * 8 * 16 + 4 * 4 * 4 * 4 * 8 + 16 * 3 * 4 * 81
    assert convolved(Shape(16, 1), last.layers).work == pytest.approx(wanted)

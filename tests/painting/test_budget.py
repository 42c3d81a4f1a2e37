"""A photo is painted whole as long as it fits in memory, by what an engine takes; else in tiles that fit."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from stylebank.bank.bundle import Bundle
from stylebank.config import Network
from stylebank.errors import ImageError
from stylebank.machine import memory
from stylebank.machine.memory import Tiling
from stylebank.painting import budget
from stylebank.painting.budget import tile_side

SIZE = (2500, 4000)
PIXELS = 10**7
EACH = 80
"""Bytes for each pixel of a window, as an engine may say."""


def engine(**changes: Any) -> Any:
    """What a budget asks of an engine."""
    facts = {"device_type": "cpu", "device_name": "cpu", "workers": 1, "together": 1}
    memory_ = {"bytes_per_pixel": EACH, "bytes_by_region": EACH // 2, "bytes_per_tile": EACH}
    return SimpleNamespace(**facts | memory_ | changes)


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3, "night": 5})


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes that the process has taken."""
    monkeypatch.setattr(memory, "resident", lambda: 10**8)
    return 10**8


def is_whole(bank: Bundle, limit: float, **changes: Any) -> bool:
    """Whether a photo of 10 megapixels is painted whole where the process may take so many bytes."""
    options = {name: changes.pop(name) for name in ("regions", "taken", "cores") if name in changes}
    return tile_side(Tiling(max_memory=int(limit)), bank, engine(**changes), SIZE, **options) is None


def test_a_photo_is_painted_whole_as_long_as_it_fits(bank: Bundle, taken: int) -> None:
    needed = PIXELS * (EACH + budget._FLOATS + budget._PICTURE)
    for share, whole in ((1.01, True), (0.99, False)):
        assert is_whole(bank, taken + share * needed) == whole
    side = tile_side(Tiling(max_memory=int(taken + 0.99 * needed)), bank, engine(), SIZE)
    assert side is not None
    assert 100 < side * 4 <= 512


def test_regions_take_their_masks_grounds_and_what_the_engine_says(bank: Bundle, taken: int) -> None:
    each = EACH + 3 * EACH // 2 + budget._FLOATS + budget._PICTURE + 3 * budget._REGION
    for share, whole in ((1.01, True), (0.99, False)):
        assert is_whole(bank, taken + share * PIXELS * each, regions=3) == whole
    assert is_whole(bank, taken + 0.99 * PIXELS * each), "the control: one style takes less"


@pytest.mark.parametrize("name", ["workers", "together"])
def test_photos_painted_at_the_same_time_divide_the_memory(name: str, bank: Bundle, taken: int) -> None:
    needed = PIXELS * (EACH + budget._FLOATS + budget._PICTURE)
    assert is_whole(bank, taken + 3.01 * needed, **{name: 3})
    assert not is_whole(bank, taken + 2.99 * needed, **{name: 3})


def test_what_the_process_took_before_counts_once(bank: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what one worker takes for a while, another is not to think that it is gone for good."""
    monkeypatch.setattr(memory, "resident", lambda: 10**10)
    limit = 1.01 * PIXELS * (EACH + budget._FLOATS + budget._PICTURE)
    assert is_whole(bank, limit, taken=0)
    with pytest.raises(ImageError):
        is_whole(bank, limit)


def test_tiles_shrink_with_the_memory_and_too_little_is_refused(bank: Bundle, taken: int) -> None:
    def side(window: float, cores: int = 1) -> int:
        limit = int(taken + budget._PICTURE * PIXELS + cores * window**2 * EACH) + 1
        found = tile_side(Tiling(max_memory=limit), bank, engine(), SIZE, cores=cores)
        assert found is not None
        return found

    found = [side(window) for window in (65, 200, 400, 600, 1000)]
    assert found == sorted(found)
    assert found[0] < 16
    assert found[3] == found[4]
    assert side(200, cores=2) == found[1], "each core paints a tile of its own"
    with pytest.raises(ImageError, match=r"4000 x 2500 px takes 0\.27 GB even in tiles .*--max-memory"):
        side(60)


def test_without_a_limit_it_is_part_of_what_is_free(bank: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "resident", lambda: 0)
    needed = PIXELS * (EACH + budget._FLOATS + budget._PICTURE)
    for free, whole in ((1.7, True), (1.6, False)):
        monkeypatch.setattr(memory, "available", lambda _, free=free: int(free * needed))
        assert (tile_side(Tiling(), bank, engine(), SIZE) is None) == whole


def test_on_a_gpu_the_picture_does_not_count_and_tiles_are_larger(
    bank: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "resident", lambda: 10**12)  # the machine's memory is not the device's
    needed = PIXELS * (EACH + budget._FLOATS)
    for share, whole in ((1.01, True), (0.99, False)):
        assert is_whole(bank, share * needed, device_type="cuda") == whole
    side = tile_side(Tiling(max_memory=int(0.9 * needed)), bank, engine(device_type="cuda"), SIZE)
    assert side is not None
    assert side * 4 > 512


def test_a_size_of_tiles_and_off_ask_no_memory(bank: Bundle) -> None:
    for tile, wanted in (("off", None), ("100", 25), ("101", 25), ("4000", None)):
        assert tile_side(Tiling(tile, max_memory=1), bank, engine(), SIZE) == wanted


def test_the_widest_halo_is_that_of_d_s_beginning_behind_the_widest_filter(
    bank: Bundle, make_bank: Callable[..., Bundle]
) -> None:
    # D: 3x3 on twice the cells, 3x3 and 9x9 on pixels: 2 + 1 + 4 = 7 pixels, two cells; E and a residual block see two
    # cells as well. The margin of a filter is enlarged by D: kernel 5 sees 2 cells, 8 pixels more.
    first = Network(width=4, blocks=0, outer_kernel=9)
    narrow, wide = make_bank({"dot": 1}, shape=first), make_bank({"wave": 3, "broad": 9}, shape=first)
    johnson = Bundle(Network(width=4, kind="johnson"), {}, narrow.entries, {})
    both = make_bank({"wave": 3, "night": 5}, shape=first)
    assert [budget.halo(each) for each in (narrow, johnson, both, wide)] == [2, 2, 4, 6]
    # Behind a filter there is a residual block of two cells, and D's end sees what is kept.
    assert budget.halo(bank) == 4
    assert budget.halo(make_bank({"dot": 1})) == 2


def test_tiles_are_as_small_as_an_engine_s_tiles_need(bank: Bundle, taken: int) -> None:
    limit = Tiling(max_memory=taken + PIXELS * budget._PICTURE + 300**2 * EACH)
    large = tile_side(limit, bank, engine(), SIZE)
    small = tile_side(limit, bank, engine(bytes_per_tile=4 * EACH), SIZE)
    assert large is not None
    assert small is not None
    halos = 2 * budget.halo(bank)
    assert small + halos == (large + halos) // 2  # a half of each side is a quarter of the pixels


def test_a_mac_s_gpu_shares_the_machine_s_memory(bank: Bundle, taken: int) -> None:
    needed = taken + PIXELS * (EACH + budget._FLOATS + budget._PICTURE)
    for share, whole in ((1.01, True), (0.99, False)):
        assert is_whole(bank, share * needed, device_type="mps", device_name="mps") == whole


def test_what_an_engine_kept_of_photos_before_is_given_back_and_not_counted(
    bank: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [10**9]
    monkeypatch.setattr(memory, "resident", lambda: 10**8 + kept[0])
    monkeypatch.setattr(memory, "give_back", lambda: None)
    needed = 10**8 + PIXELS * (EACH + budget._FLOATS + budget._PICTURE)
    stages = engine(release=lambda: kept.__setitem__(0, 0))
    limit = Tiling(max_memory=int(1.01 * needed))
    assert tile_side(limit, bank, stages, SIZE) is not None, "the control"
    assert budget.tile_side_at_rest(limit, bank, stages, SIZE, None) is None
    kept[0] = 10**11  # as if nothing at all were left
    assert budget.tile_side_at_rest(limit, bank, stages, SIZE, None) is None
    kept[0] = 10**9
    assert budget.tile_side_at_rest(limit, bank, stages, SIZE, None, taken=10**8) is None
    assert kept[0] == 10**9, "several workers release nothing"

"""A photo is painted whole as long as it fits in memory, by an estimate from the layers; else in tiles that fit."""

import pytest
import torch

from stylebank.errors import ImageError
from stylebank.machine import memory
from stylebank.machine.memory import Tiling
from stylebank.network.model import StyleBankNetwork
from stylebank.painting import budget
from stylebank.painting.budget import tile_side

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> StyleBankNetwork:
    return StyleBankNetwork(width=4, kernels=[3, 5])


def test_bytes_for_each_pixel_are_those_of_the_widest_layer() -> None:
    network = StyleBankNetwork(width=32, kernels=[3])
    # D's second upsampling: 64 channels at a quarter of the pixels, once more with a border, 32 channels three times.
    wanted = 4 * (2 * 64 / 4 + 3 * 32)
    assert budget.bytes_per_pixel(network) == pytest.approx(budget._ALLOCATOR * wanted)
    assert budget.bytes_per_pixel(network, regions=3) >= budget.bytes_per_pixel(network)


def test_a_photo_is_painted_whole_as_long_as_it_fits(
    network: StyleBankNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "resident", lambda: 10**8)
    each = budget.bytes_per_pixel(network) + 35
    for limit, whole in ((1.01, True), (0.99, False)):
        tiling = Tiling(max_memory=int(10**8 + limit * each * 10**7))
        side = tile_side(tiling, network, (2500, 4000), regions=0, device=CPU)
        assert (side is None) == whole
    assert side is not None
    assert 100 < side * 4 <= 512


def test_tiles_shrink_with_the_memory_and_too_little_is_refused(
    network: StyleBankNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "resident", lambda: 10**8)
    each = budget.bytes_per_pixel(network)

    def side(window: float) -> int | None:
        limit = int(10**8 + 11e7 + window**2 * each)
        return tile_side(Tiling(max_memory=limit), network, (2500, 4000), regions=0, device=CPU)

    found = [side(window) for window in (65, 200, 400, 600, 1000)]
    assert found == sorted(found, key=int)  # type: ignore[arg-type]
    assert found[0] is not None
    assert found[0] < 16
    assert found[3] == found[4]
    with pytest.raises(ImageError, match=r"4000 x 2500 px takes 0\.21 GB even in tiles .*--max-memory"):
        side(60)


def test_without_a_limit_it_is_part_of_what_is_free(
    network: StyleBankNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "resident", lambda: 0)
    needed = (budget.bytes_per_pixel(network) + 35) * 10**7
    for free, whole in ((1.7, True), (1.6, False)):
        monkeypatch.setattr(memory, "available", lambda _, free=free: int(free * needed))
        assert (tile_side(Tiling(), network, (2500, 4000), regions=0, device=CPU) is None) == whole


def test_a_size_of_tiles_and_off_ask_no_memory(network: StyleBankNetwork) -> None:
    for tile, wanted in (("off", None), ("100", 25), ("101", 25), ("4000", None)):
        tiling = Tiling(tile, max_memory=1)
        assert tile_side(tiling, network, (2500, 4000), regions=0, device=CPU) == wanted


def test_the_widest_halo_is_that_of_d_or_of_the_widest_filter() -> None:
    # D: 3x3 on twice the cells, 3x3 and 9x9 on pixels: 2 + 1 + 4 = 7 pixels, two cells.
    assert budget.halo(StyleBankNetwork(width=4, kernels=[3])) == 2
    assert budget.halo(StyleBankNetwork(width=4, kernels=[3, 9])) == 4
    assert budget.halo(StyleBankNetwork(width=4, kernels=[1], kind="johnson")) == 2

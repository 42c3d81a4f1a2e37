"""Painting takes what is estimated of the layers; the limits of the machine, its control groups and the user hold."""

from pathlib import Path

import pytest
import torch

from stylebank import memory
from stylebank.errors import ConfigError
from stylebank.memory import Tiling, tile_side
from stylebank.model import StyleBankNetwork

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> StyleBankNetwork:
    return StyleBankNetwork(width=4, kernels=[3, 5])


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("2GB", 2 * 10**9), ("1.5GiB", 3 * 2**29), ("800MB", 8 * 10**8), ("1 g", 10**9), ("512kib", 2**19)],
)
def test_amounts_of_memory_are_read(words: str, wanted: int) -> None:
    assert memory.parse(words) == wanted


@pytest.mark.parametrize(
    "words", ["", "2", "GB", "-1GB", "nanGB", "1e9GB", "2 GBs", "1..5GB", "9" * 400 + "GB"]
)
def test_other_words_are_no_amount_of_memory(words: str) -> None:
    with pytest.raises(ConfigError, match="is no amount of memory; write 2GB"):
        memory.parse(words)


@pytest.mark.parametrize("tile", ["", "on", "0", "15", "-64", "1e3", "64.0", "\u0661\u0666x"])
def test_other_words_are_no_size_of_tiles(tile: str) -> None:
    with pytest.raises(ConfigError, match="is no size of tiles"):
        Tiling(tile)


def test_bytes_for_each_pixel_are_those_of_the_widest_layer() -> None:
    network = StyleBankNetwork(width=32, kernels=[3])
    # D's second upsampling: 64 channels at a quarter of the pixels, once more with a border, 32 channels three times.
    wanted = 4 * (2 * 64 / 4 + 3 * 32)
    assert memory.bytes_per_pixel(network) == pytest.approx(memory._ALLOCATOR * wanted)
    assert memory.bytes_per_pixel(network, regions=3) >= memory.bytes_per_pixel(network)


def test_a_photo_is_painted_whole_as_long_as_it_fits(
    network: StyleBankNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "resident", lambda: 10**8)
    each = memory.bytes_per_pixel(network) + 35
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
    each = memory.bytes_per_pixel(network)

    def side(window: float) -> int | None:
        limit = int(10**8 + 11e7 + window**2 * each)
        return tile_side(Tiling(max_memory=limit), network, (2500, 4000), regions=0, device=CPU)

    found = [side(window) for window in (65, 200, 400, 600, 1000)]
    assert found == sorted(found, key=int)  # type: ignore[arg-type]
    assert found[0] is not None
    assert found[0] < 16
    assert found[3] == found[4]
    with pytest.raises(ConfigError, match=r"4000 x 2500 px takes 0\.21 GB even in tiles .*--max-memory"):
        side(60)


def test_without_a_limit_it_is_part_of_what_is_free(
    network: StyleBankNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "resident", lambda: 0)
    needed = (memory.bytes_per_pixel(network) + 35) * 10**7
    for free, whole in ((1.7, True), (1.6, False)):
        monkeypatch.setattr(memory, "available", lambda _, free=free: int(free * needed))
        assert (tile_side(Tiling(), network, (2500, 4000), regions=0, device=CPU) is None) == whole


def test_a_size_of_tiles_and_off_ask_no_memory(network: StyleBankNetwork) -> None:
    for tile, wanted in (("off", None), ("100", 25), ("101", 25), ("4000", None)):
        tiling = Tiling(tile, max_memory=1)
        assert tile_side(tiling, network, (2500, 4000), regions=0, device=CPU) == wanted


def group(folder: Path, limit: str, usage: str, *, old: bool) -> None:
    names = ("limit_in_bytes", "usage_in_bytes") if old else ("max", "current")
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (limit, usage), strict=True):
        (folder / f"memory.{name}").write_text(f"{value}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{'total_' if old else ''}inactive_file 300\n")


@pytest.mark.parametrize("old", [True, False])
def test_limits_of_control_groups_and_of_those_around_them_count(tmp_path: Path, old: bool) -> None:
    own, root = tmp_path / "own", tmp_path / "cgroup"
    own.write_text("5:cpu:/other\n4:memory:/outer/inner\n" if old else "0::/outer/inner\n")
    top = root / "memory" if old else root
    group(top / "outer/inner", "max", "700", old=old)
    assert memory._control_groups(own, root) == []
    group(top / "outer", "9000", "7000", old=old)
    group(top, "5000", "4000", old=old)
    assert memory._control_groups(own, root) == [2300, 1300]
    assert memory._control_groups(tmp_path / "none", root) == []


def test_what_is_free_is_not_more_than_a_control_group_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    free = memory.available(CPU)
    assert free > 10**7
    monkeypatch.setattr(memory, "_control_groups", lambda *_: [4321])
    assert memory.available(CPU) == 4321
    assert memory.resident() > 10**7


def test_the_widest_halo_is_that_of_d_or_of_the_widest_filter() -> None:
    # D: 3x3 on twice the cells, 3x3 and 9x9 on pixels: 2 + 1 + 4 = 7 pixels, two cells.
    assert memory.halo(StyleBankNetwork(width=4, kernels=[3])) == 2
    assert memory.halo(StyleBankNetwork(width=4, kernels=[3, 9])) == 4
    assert memory.halo(StyleBankNetwork(width=4, kernels=[1], kind="johnson")) == 2

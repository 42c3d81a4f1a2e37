"""Painted in tiles, a picture is what it is painted whole: whatever is painted, at any size of image and tile."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Network
from stylebank.machine.memory import Tiling
from stylebank.network.instance_norm import InstanceNorm
from stylebank.network.model import StyleBankNetwork
from stylebank.painting import passes, tiled
from stylebank.painting.painter import StyleBank
from stylebank.painting.windows import Window

LEVELS = 1
"""Float32 sums of another order differ by 1e-6 of full scale, which rounding to 8 bits makes one level at most,"""
SHARE = 1e-3
"""and for 2 * 255 * 1e-6 = 5e-4 of the subpixels."""

Paint = Callable[[StyleBank, Image.Image], Image.Image]


def drawn(height: int, width: int) -> Image.Image:
    """A photo whose corners differ, with grain: each tile has statistics of its own."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    planes = np.stack([200 * y, 100 + 90 * np.sin(9 * x * y), 220 * x * x], axis=-1)
    grain = np.random.default_rng(0).integers(0, 36, planes.shape)
    return Image.fromarray((planes + grain).astype(np.uint8))


@pytest.fixture(scope="module")
def contents(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"dot": 1, "wave": 3, "night": 7})


def johnson(contents: Bundle) -> Bundle:
    """A Johnson network with random weights, as a bank of one style."""
    network = StyleBankNetwork(width=4, kernels=[1], kind="johnson")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad:
                weight.normal_(std=0.3, generator=generator)
    entry = contents.entries[0]
    assert entry.card
    shape = Network(width=4, kind="johnson")
    return bundle.from_network(network, shape, [entry.style], {}, gains=[1.0], cards=[entry.card])


def masks(photo: Image.Image) -> list[np.ndarray]:
    """Two soft masks that overlap, and leave a corner."""
    y, x = np.mgrid[0 : photo.height, 0 : photo.width]
    left = np.clip((0.5 * photo.width - x) / 7 + 0.5, 0, 1)
    top = np.clip((0.6 * photo.height - y) / 5 + 0.5, 0, 1)
    return [left, top]


def fused(mode: str, second: str = "dot", **options: object) -> Paint:
    def paint(bank: StyleBank, photo: Image.Image) -> Image.Image:
        regions = list(zip(masks(photo), ("night", second), strict=True))
        return bank.fuse(photo, regions, mode=mode, **options)  # type: ignore[arg-type]

    return paint


PAINTS: dict[str, Paint] = {
    "single": lambda bank, photo: bank.stylize(photo, "night"),
    "mixture": lambda bank, photo: bank.stylize(photo, {"dot": 1, "wave": 2}),
    "strength": lambda bank, photo: bank.stylize(photo, "wave", strength=0.5),
    "keep_color": lambda bank, photo: bank.stylize(photo, "night@0.8", keep_color=True),
    "exact": fused("exact", feather=6.0),
    "exact, strength": fused("exact", "wave@0.6", rest="dot"),
    "region": fused("region", feather=6.0),
    "region, strength": fused("region", "wave@0.6", rest="dot"),
    "paper": fused("paper", feather=6.0),
    "paper, strength": fused("paper", "wave@0.6", keep_color=True),
}


def differences(one: Image.Image, other: Image.Image) -> np.ndarray:
    assert one.size == other.size
    return np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16))


def same(one: Image.Image, other: Image.Image) -> bool:
    found = differences(one, other)
    return bool(found.max() <= LEVELS and (found > 0).mean() <= SHARE)


def both(contents: Bundle, paint: Paint, photo: Image.Image, side: int) -> tuple[Image.Image, Image.Image]:
    whole, tiles = (StyleBank(contents, device="cpu", tiling=Tiling(tile)) for tile in ("off", str(side)))
    return paint(whole, photo), paint(tiles, photo)


@pytest.mark.parametrize("name", PAINTS)
def test_tiled_is_whole(name: str, contents: Bundle) -> None:
    assert same(*both(contents, PAINTS[name], drawn(149, 203), 48))


@pytest.mark.parametrize(
    ("size", "side"), [((149, 203), 16), ((149, 203), 100), ((67, 300), 64), ((9, 130), 32), ((130, 3), 33)]
)
def test_tiled_is_whole_at_odd_sizes_of_image_and_tile(
    size: tuple[int, int], side: int, contents: Bundle
) -> None:
    assert same(*both(contents, PAINTS["strength"], drawn(*size), side))
    assert same(*both(contents, PAINTS["exact"], drawn(*size), side))


def test_tiled_is_whole_in_the_residual_blocks_of_johnson(contents: Bundle) -> None:
    def painted(bank: StyleBank, photo: Image.Image) -> Image.Image:
        return bank.stylize(photo, "dot")

    assert same(*both(johnson(contents), painted, drawn(149, 203), 48))


class _PerTile(passes.Known):
    """Naive tiling: what every tile itself has."""

    def at(self, _window: object) -> Callable[[InstanceNorm, torch.Tensor], torch.Tensor]:  # type: ignore[override]
        return lambda norm, x: norm(x)


@pytest.mark.parametrize("name", ["single", "exact"])
def test_statistics_of_each_tile_are_seen_at_once(
    name: str, contents: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the tests above: without the statistics of the whole, they fail by far."""
    monkeypatch.setattr(passes, "Known", _PerTile)
    monkeypatch.setattr(tiled, "Known", _PerTile)
    found = differences(*both(contents, PAINTS[name], drawn(149, 203), 48))
    assert found.max() > 20
    assert (found > 0).mean() > 0.3


def test_a_halo_one_cell_narrower_is_seen(contents: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    grown = Window.grown
    monkeypatch.setattr(Window, "grown", lambda self, halo, cells: grown(self, max(0, halo - 1), cells))
    assert not same(*both(contents, PAINTS["single"], drawn(149, 203), 48))


def test_the_work_done_ends_at_the_work_announced(contents: Bundle) -> None:
    told: list[tuple[float, float]] = []
    tiling = Tiling("48", report=lambda done, total: told.append((done, total)))
    PAINTS["exact, strength"](StyleBank(contents, device="cpu", tiling=tiling), drawn(149, 203))
    shares = [done / total for done, total in told]
    assert len({total for _, total in told}) == 1
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.05
    assert shares[-1] == pytest.approx(1)


def test_tensors_and_photos_no_larger_than_a_tile_stay_whole(contents: Bundle) -> None:
    told: list[float] = []
    bank = StyleBank(contents, device="cpu", tiling=Tiling("48", report=lambda done, _: told.append(done)))
    bank.stylize(torch.rand(2, 3, 70, 80), "wave")
    bank.stylize(drawn(48, 47), "wave")
    assert told == []
    bank.stylize(drawn(49, 47), "wave")
    assert told, "the control"

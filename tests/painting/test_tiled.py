"""Painted in tiles, a picture is what it is painted whole: whatever is painted, at any size of image and tile."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Network
from stylebank.engines.choice import Computing, Engine
from stylebank.engines.stages import Affine, Given, affine
from stylebank.machine.memory import Tiling
from stylebank.network.architecture import Part
from stylebank.network.model import StyleBankNetwork
from stylebank.painting.maps import Map
from stylebank.painting.painter import StyleBank
from stylebank.painting.passes import Passes
from stylebank.painting.windows import Window

pytestmark = pytest.mark.usefixtures("in_one_pass")

LEVELS = 1
"""Float32 sums of another order differ by 1e-6 of full scale, which rounding to 8 bits makes one level at most,"""
SHARE = 1e-3
"""and for 2 * 255 * 1e-6 = 5e-4 of the subpixels."""

Paint = Callable[[StyleBank, Image.Image], Image.Image]

ENGINES: tuple[Engine, ...] = get_args(Engine)


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
    shape = Network(width=4, kind="johnson")
    network = StyleBankNetwork(shape, [1])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad:
                weight.normal_(std=0.3, generator=generator)
    entry = contents.entries[0]
    assert entry.card
    return bundle.from_network(network, shape, [entry.style], {}, cards=[entry.card])


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


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def opened(contents: Bundle, engine: str, tiling: Tiling) -> StyleBank:
    return StyleBank(contents, computing=Computing(engine, "float32", "cpu"), tiling=tiling)


def both(
    contents: Bundle, engine: str, paint: Paint, photo: Image.Image, side: int
) -> tuple[Image.Image, Image.Image]:
    whole, tiles = (opened(contents, engine, Tiling(tile)) for tile in ("off", str(side)))
    return paint(whole, photo), paint(tiles, photo)


@pytest.mark.parametrize("name", PAINTS)
def test_tiled_is_whole(name: str, engine: str, contents: Bundle) -> None:
    assert same(*both(contents, engine, PAINTS[name], drawn(149, 203), 48))


@pytest.mark.parametrize(
    ("size", "side"), [((149, 203), 16), ((149, 203), 100), ((67, 300), 64), ((9, 130), 32), ((130, 3), 33)]
)
def test_tiled_is_whole_at_odd_sizes_of_image_and_tile(
    size: tuple[int, int], side: int, engine: str, contents: Bundle
) -> None:
    assert same(*both(contents, engine, PAINTS["strength"], drawn(*size), side))
    assert same(*both(contents, engine, PAINTS["exact"], drawn(*size), side))


@pytest.mark.parametrize("engine", ENGINES)
def test_tiled_is_whole_in_the_residual_blocks_of_johnson(engine: str, contents: Bundle) -> None:
    def painted(bank: StyleBank, photo: Image.Image) -> Image.Image:
        return bank.stylize(photo, "dot")

    assert same(*both(johnson(contents), engine, painted, drawn(149, 203), 48))


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_tiled_is_whole_where_sums_are_long(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines' own norms add up a million values in one float32 sum."""
    photo = drawn(1100, 1100)
    photo.paste("white", (0, 0, 550, 1100))

    def painted(tile: str) -> Image.Image:
        bank = StyleBank.load(engine=engine, precision="float32", device="cpu", tiling=Tiling(tile))
        return bank.stylize(photo, "gilded_scream")

    whole, tiles = painted("off"), painted("500")
    assert same(whole, tiles)
    monkeypatch.setattr("stylebank.engines.graph_stages._LARGE", 1 << 40)
    assert not same(painted("off"), tiles), "the control"


def test_tiled_is_whole_on_several_threads(contents: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for engine in ENGINES:
        whole = opened(contents, engine, Tiling("off"))
        with monkeypatch.context() as patch:
            patch.setattr("stylebank.machine.devices.cores", lambda: 3)
            tiles = opened(contents, engine, Tiling("48"))
            photo = drawn(149, 203)
            for name in ("exact, strength", "region, strength"):
                assert same(PAINTS[name](whole, photo), PAINTS[name](tiles, photo))
            assert tiles._for_tiles().workers == (1 if engine == "torch" else 3)


def _own_moments(
    passes_: Passes, part: Part, source: Map, *, masks: Map | None = None, last: int = 0
) -> list[Affine]:
    """Naive tiling: what the first tile itself has, and what it has in no other place."""
    first = Window(0, 0, 12, 12)
    found = passes_.stages.measure(part, source.read(first), given=Given([]))
    norms = []
    for layer, moments in zip(part.norms, found, strict=False):
        weight, bias = (passes_.bank.coder[f"{layer.norm}.{name}"] for name in ("weight", "bias"))
        norms.append(affine(moments, weight, bias))
    assert masks is None
    return norms[: len(part.norms) - last]


@pytest.mark.parametrize("name", ["single", "exact"])
def test_statistics_of_a_tile_are_seen_at_once(
    name: str, engine: str, contents: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the tests above: without the statistics of the whole, they fail by far."""
    photo = drawn(149, 203)
    whole = PAINTS[name](opened(contents, engine, Tiling("off")), photo)
    survey = Passes.survey

    def surveyed(self: Passes, part: Part, source: Map, **options: int) -> list[Affine]:
        if self.is_plan:
            return survey(self, part, source, **options)  # type: ignore[arg-type]
        return _own_moments(self, part, source, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Passes, "survey", surveyed)
    found = differences(whole, PAINTS[name](opened(contents, engine, Tiling("48")), photo))
    assert found.max() > 20
    assert (found > 0).mean() > 0.3


def test_a_halo_one_cell_narrower_is_seen(
    engine: str, contents: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = Window.grown
    monkeypatch.setattr(Window, "grown", lambda self, halo, cells: grown(self, max(0, halo - 1), cells))
    assert not same(*both(contents, engine, PAINTS["single"], drawn(149, 203), 48))


@pytest.mark.parametrize("name", PAINTS)
def test_the_work_done_ends_at_the_work_announced(name: str, contents: Bundle) -> None:
    told: list[tuple[float, float]] = []
    tiling = Tiling("48", report=lambda done, total: told.append((done, total)))
    PAINTS[name](opened(contents, "torch", tiling), drawn(149, 203))
    shares = [done / total for done, total in told]
    assert len({total for _, total in told}) == 1
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.05
    assert shares[-1] == pytest.approx(1)


def test_tensors_and_photos_no_larger_than_a_tile_stay_whole(contents: Bundle) -> None:
    told: list[float] = []
    bank = opened(contents, "torch", Tiling("48", report=lambda done, _: told.append(done)))
    bank.stylize(torch.rand(2, 3, 70, 80), "wave")
    bank.stylize(drawn(48, 47), "wave")
    assert told == []
    bank.stylize(drawn(49, 47), "wave")
    assert told, "the control"

"""Every engine paints what PyTorch paints; threads divide the machine, and tiles are one photo's at a time."""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import pytest
import torch
from PIL import Image

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Network
from stylebank.engines.choice import Computing, Engine
from stylebank.errors import ConfigError, ImageError, UnknownStyleError
from stylebank.machine import devices, memory
from stylebank.machine.memory import Tiling
from stylebank.network.model import StyleBankNetwork
from stylebank.painting.painter import StyleBank

pytestmark = pytest.mark.usefixtures("in_one_pass")

ENGINES: tuple[Engine, ...] = get_args(Engine)
SIZES = ((61, 83), (16, 16), (2, 3), (3, 50), (17, 40))
# Float32 sums in another order differ by 1e-5, which rounds to another level now and then.
LEVELS, SHARE = 1, 0.01


@pytest.fixture(scope="module")
def contents(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3, "night": 5}, seed=3)


@pytest.fixture(scope="module")
def banks(contents: Bundle) -> dict[str, StyleBank]:
    return {engine: opened(contents, engine) for engine in ENGINES}


def opened(contents: Bundle, engine: str = "torch", precision: str = "float32", **options: Any) -> StyleBank:
    return StyleBank(contents, computing=Computing(engine, precision, "cpu"), **options)


def photos(height: int, width: int, count: int = 1) -> list[Image.Image]:
    pixels = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    return [Image.fromarray(each) for each in pixels]


def agree(found: Image.Image, wanted: Image.Image) -> bool:
    assert (found.size, found.mode) == (wanted.size, wanted.mode)
    distance = np.abs(np.asarray(found, int) - np.asarray(wanted, int))
    return bool(distance.max() <= LEVELS and (distance > 0).mean() <= SHARE + 1 / distance.size)


@pytest.mark.parametrize("engine", ENGINES[:2])
@pytest.mark.parametrize("words", ["wave", "night:0.25+wave:0.75", "night@0.5"])
def test_an_engine_paints_what_pytorch_paints_at_every_size(
    engine: str, words: str, banks: dict[str, StyleBank]
) -> None:
    for size in SIZES:
        (photo,) = photos(*size)
        assert agree(banks[engine].stylize(photo, words), banks["torch"].stylize(photo, words))
    (photo,) = photos(*SIZES[0])
    wanted = banks["torch"].stylize(photo, "wave@0.9")
    assert not agree(banks[engine].stylize(photo, words), wanted), "the control"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("count", [1, 3])
def test_photos_of_one_size_are_painted_at_once_as_one_by_one(
    count: int, engine: str, banks: dict[str, StyleBank]
) -> None:
    given = photos(33, 21, count)
    found = banks[engine].stylize_all(given, "wave@0.7", keep_color=True)
    assert len(found) == count
    for photo, picture in zip(given, found, strict=True):
        assert agree(picture, banks["torch"].stylize(photo, "wave@0.7", keep_color=True))
        assert not agree(picture, banks["torch"].stylize(photo, "wave@0.7")), "the control"
    assert count == 1 or not agree(found[0], found[1]), "the control: the other photo"


def test_photos_that_lie_on_their_side_or_are_grey_are_painted_at_once_too(
    banks: dict[str, StyleBank],
) -> None:
    given = photos(33, 21, 3)
    lying = given[0].transpose(Image.Transpose.ROTATE_90)
    lying.getexif()[0x0112] = 6  # Orientation: turn by 90 degrees to the right
    found = banks["onnx"].stylize_all([lying, given[1].convert("L"), given[2]], "wave")
    for photo, picture in zip((given[0], given[1].convert("L"), given[2]), found, strict=True):
        assert agree(picture, banks["onnx"].stylize(photo, "wave"))


def test_photos_too_large_to_stay_whole_are_painted_one_by_one_in_tiles(contents: Bundle) -> None:
    told: list[float] = []
    bank = opened(contents, tiling=Tiling("32", report=lambda done, total: told.append(done / total)))
    given = photos(40, 50, 2)
    found = bank.stylize_all(given, "wave")
    assert sum(share > 1 - 1e-9 for share in told) == 2
    for photo, picture in zip(given, found, strict=True):
        assert agree(picture, opened(contents).stylize(photo, "wave"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_an_engine_paints_with_the_network_of_johnson(
    engine: str, output: Literal["sigmoid", "linear"], contents: Bundle
) -> None:
    torch.manual_seed(0)
    shape = Network(width=4, kind="johnson", output=output)
    network = StyleBankNetwork(shape, [1])
    style = replace(contents.entries[0].style, kernel=1)
    johnson = bundle.from_network(network, shape, [style], {})
    (photo,) = photos(60, 84)
    with torch.no_grad():
        content = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None] / 255
        wanted = network.stylize(content, [0])[0].clamp(0, 1) * 255
    levels = wanted.round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    bank = opened(johnson, engine)
    assert agree(bank.stylize(photo, "wave"), Image.fromarray(levels))
    assert not agree(bank.stylize(photo, "wave"), photo), "the control"
    with pytest.raises(ConfigError, match="a johnson network"):
        bank.stylize(photo, "wave@0.5")


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_bfloat16_is_near_float32(engine: str, contents: Bundle, banks: dict[str, StyleBank]) -> None:
    (photo,) = photos(61, 83)
    found = np.asarray(opened(contents, engine, "bfloat16").stylize(photo, "wave"), int)
    distance = np.abs(found - np.asarray(banks["torch"].stylize(photo, "wave"), int))
    # Eight bits of mantissa are 2^-9 of each feature; this network of random weights has a slope of some ten.
    assert distance.mean() < 3
    if engine == "torch" or devices.choose_precision("auto", torch.device("cpu")) == torch.bfloat16:
        assert distance.max() > LEVELS, "the control: it is bfloat16"


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_refuses_unknown_styles(engine: str, banks: dict[str, StyleBank]) -> None:
    with pytest.raises(UnknownStyleError, match="did you mean 'wave'"):
        banks[engine].stylize(photos(16, 16)[0], "wvae")


def test_a_machine_is_divided_among_the_workers(contents: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 8)
    told: list[tuple[int, int]] = []
    stages = Computing.stages

    def noted(self: Computing, bank: Bundle, *, workers: int, threads: int) -> Any:
        told.append((workers, threads))
        return stages(self, bank, workers=workers, threads=1)

    monkeypatch.setattr(Computing, "stages", noted)
    for workers in (1, 3, 8, 20):
        opened(contents, workers=workers)
    assert told == [(1, 8), (3, 2), (8, 1), (20, 1)]
    # Tiles of one photo are painted by all cores, with an engine of their own; PyTorch has threads for each tile.
    for engine, wanted in (("openvino", [(1, 8), (8, 1)]), ("torch", [(1, 8)])):
        told.clear()
        bank = StyleBank(contents, computing=Computing(engine, "float32", "cpu"), tiling=Tiling("16"))
        for _ in range(2):
            bank.stylize(photos(20, 20)[0], "wave")
        assert told == wanted


def interleaved(bank: StyleBank, told: list[tuple[int, float]]) -> bool:
    """Whether threads that paint a photo each in tiles are seen to work at the same time."""
    told.clear()
    (photo,) = photos(40, 50)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: bank.stylize(photo, "wave"), range(3)))
    assert all(picture.tobytes() == found[0].tobytes() for picture in found)
    order = [thread for thread, _ in told]
    return sum(one != other for one, other in itertools.pairwise(order)) > 2


def test_only_one_photo_is_painted_in_tiles_at_a_time(
    contents: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, float]] = []

    def report(done: float, total: float) -> None:
        told.append((threading.get_ident(), done / total))
        time.sleep(0.001)  # time for others to begin

    bank = opened(contents, workers=3, tiling=Tiling("32", report=report))
    assert not interleaved(bank, told)
    assert sum(share > 1 - 1e-9 for _, share in told) == 3
    monkeypatch.setattr(bank, "_in_tiles", nullcontext())
    assert interleaved(bank, told), "the control: without the lock"


def test_what_a_photo_takes_while_it_is_painted_is_not_counted_for_the_next(
    contents: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With several workers, memory that one of them takes now is free again soon."""
    resident = [10**8]
    monkeypatch.setattr(memory, "resident", lambda: resident[0])
    told: list[float] = []
    tiling = Tiling(max_memory=2 * 10**8, report=lambda done, _: told.append(done))
    several, single = (opened(contents, workers=workers, tiling=tiling) for workers in (2, 1))
    resident[0] = 3 * 10**8
    several.stylize(photos(40, 50)[0], "wave")
    assert told == []
    with pytest.raises(ImageError, match="even in tiles"):
        single.stylize(photos(40, 50)[0], "wave")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")],
)
@pytest.mark.parametrize("tile", ["off", "32"])
def test_too_little_memory_is_one_line(
    tile: str, error: Exception, contents: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = opened(contents, tiling=Tiling(tile))
    (photo,) = photos(61, 83)

    def failing(*_: object, **__: object) -> None:
        raise error

    for name in ("run", "measure"):
        monkeypatch.setattr(bank.stages, name, failing)
    for paint in (
        lambda: bank.stylize(photo, "wave"),
        lambda: bank.fuse(photo, [(np.ones((61, 83)), "wave")]),
        lambda: bank.open(photo).features(),
    ):
        with pytest.raises(
            ImageError, match=r"^image: 83 x 61 px need more memory than there is; make it sm"
        ):
            paint()


def test_another_error_is_not_called_a_lack_of_memory(
    contents: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = opened(contents)

    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(bank.stages, "run", failing)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        bank.stylize(photos(16, 16)[0], "wave")

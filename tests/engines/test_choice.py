"""Every engine paints what PyTorch paints, and those that need no PyTorch do not import it."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import get_args

import numpy as np
import pytest
import torch

from stylebank import StyleBank
from stylebank.bank import bundle, mixture
from stylebank.bank.bundle import Bundle
from stylebank.batch import crew
from stylebank.config import Network
from stylebank.engines import choice
from stylebank.engines.choice import Engine, Pixels, Work
from stylebank.errors import ConfigError, ImageError, UnknownStyleError
from stylebank.network.model import StyleBankNetwork

ENGINES: tuple[Engine, ...] = get_args(Engine)
SIZES = ((61, 83), (16, 16), (2, 3), (3, 50), (17, 40))
# Float32 sums in another order differ by 1e-5, which rounds to another level now and then.
LEVELS, SHARE = 1, 0.01


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3, "night": 5}, seed=3)


@pytest.fixture(autouse=True)
def threads() -> None:
    """PyTorch's number of threads belongs to the process: an engine sets it."""
    torch.set_num_threads(1)


def photos(height: int, width: int, count: int = 1) -> Pixels:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def expected(bank: Bundle, pixels: Pixels, words: str, *, keep_color: bool = False) -> Pixels:
    content = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    picture = StyleBank(bank, device="cpu").stylize(content, words, keep_color=keep_color)
    return (picture * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def agree(found: Pixels, wanted: Pixels) -> bool:
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    distance = np.abs(found.astype(int) - wanted)
    return distance.max() <= LEVELS and float((distance > 0).mean()) <= SHARE + 1 / distance.size


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("words", ["wave", "night:0.25+wave:0.75", "night@0.5"])
def test_an_engine_paints_what_the_bank_paints_at_every_size(
    engine: Engine, words: str, bank: Bundle
) -> None:
    paint = choice.painter(engine, Work(bank, mixture.parse(words), precision="float32", device="cpu"))
    for size in SIZES:
        assert agree(paint(photos(*size)), expected(bank, photos(*size), words))
    assert not agree(paint(photos(61, 83)), expected(bank, photos(61, 83), "wave@0.9")), "the control"


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_keeps_colours_and_paints_several_photos_at_once(engine: Engine, bank: Bundle) -> None:
    work = Work(bank, mixture.parse("wave@0.7"), keep_color=True, precision="float32", device="cpu")
    pixels = photos(33, 21, count=3)
    found, wanted = choice.painter(engine, work)(pixels), expected(bank, pixels, "wave@0.7", keep_color=True)
    assert agree(found, wanted)
    assert not agree(found, expected(bank, pixels, "wave@0.7")), "the control"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_an_engine_paints_with_the_network_of_johnson(engine: Engine, output: str, bank: Bundle) -> None:
    torch.manual_seed(0)
    shape = Network(width=4, kind="johnson", output=output)  # type: ignore[arg-type]
    network = StyleBankNetwork(width=4, kernels=[1], kind="johnson", output=output)  # type: ignore[arg-type]
    style = replace(bank.entries[0].style, kernel=1)
    johnson = bundle.from_network(network, shape, [style], {}, gains=[1.0])
    paint = choice.painter(engine, Work(johnson, mixture.parse("wave"), precision="float32", device="cpu"))
    assert agree(paint(photos(61, 83)), expected(johnson, photos(61, 83), "wave"))
    with pytest.raises(ConfigError, match="a johnson network"):
        choice.painter(engine, Work(johnson, mixture.parse("wave@0.5"), device="cpu"))


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_bfloat16_is_near_float32(engine: Engine, bank: Bundle) -> None:
    work = Work(bank, mixture.parse("wave"), precision="bfloat16", device="cpu")
    found = choice.painter(engine, work)(photos(61, 83)).astype(int)
    distance = np.abs(found - expected(bank, photos(61, 83), "wave"))
    # Eight bits of mantissa are 2^-9 of each feature; this network of random weights has a slope of some ten.
    assert distance.mean() < 3
    assert distance.max() > LEVELS, "the control: it is bfloat16"


def test_onnx_runtime_has_no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="engine 'onnx': computes in float32"):
        choice.choose("onnx", device="cpu", precision="bfloat16")
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert choice.choose("auto", device="cpu", precision="bfloat16") == "torch"
    assert choice.choose("auto", device="cpu", precision="float32") == "onnx", "the control"


class _Failing:
    """A request or a session without memory for what it is given."""

    def __getattr__(self, _: str) -> "_Failing":
        return self

    def __call__(self, *_: object, **__: object) -> "_Failing":
        return self

    def wait(self) -> None:
        raise RuntimeError("Could not allocate memory")

    run = wait


def test_an_engine_without_memory_for_a_photo_says_so_and_shows_no_other(
    bank: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO's `infer` would give the picture of the photo before."""
    fake = _Failing()
    monkeypatch.setattr(choice, "import_openvino", lambda: fake)
    monkeypatch.setattr(choice, "import_onnxruntime", lambda: fake)
    monkeypatch.setattr(_Failing, "run", lambda *_: fake.wait())
    for engine in ENGINES[:2]:
        paint = choice.painter(engine, Work(bank, mixture.parse("wave"), device="cpu"))
        with pytest.raises(ImageError, match="image: 83 x 61 px need more memory"):
            paint(photos(61, 83))


def test_a_half_installed_engine_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", ModuleType("onnx"))  # a folder of that name, without the library
    assert choice.choose("auto", device="cpu") == "torch"
    monkeypatch.undo()

    def broken() -> None:
        raise OSError("libgomp.so.1: cannot open")

    monkeypatch.setattr(choice, "import_openvino", broken)
    assert choice.choose("auto", device="cpu") == "onnx"
    with pytest.raises(ConfigError, match=r"'openvino': is not installed \(libgomp\.so\.1"):
        choice.choose("openvino", device="cpu")


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_refuses_unknown_styles(engine: Engine, bank: Bundle) -> None:
    with pytest.raises(UnknownStyleError, match="did you mean 'wave'"):
        choice.painter(engine, Work(bank, mixture.parse("wvae"), device="cpu"))


def test_auto_is_the_first_engine_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choice.choose("auto", device="cpu") == "openvino"
    monkeypatch.setitem(sys.modules, "openvino", None)  # as if it were not installed
    assert choice.choose("auto", device="cpu") == "onnx"
    with pytest.raises(
        ConfigError, match=r"engine 'openvino': is not installed .*pip install 'stylebank\[openvino\]'"
    ):
        choice.choose("openvino", device="cpu")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert choice.choose("auto", device="cpu") == "torch"
    assert choice.choose("auto", device="cuda") == "torch"


def test_a_machine_is_divided_among_the_photos(bank: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "cores", lambda: 8)
    work = Work(bank, mixture.parse("wave"), device="cpu")
    seen: list[Work] = []
    monkeypatch.setattr(choice, "painter", lambda _, work: seen.append(work))
    for photos_, workers, threads in ((1, 1, 8), (3, 3, 2), (100, 8, 1), (0, 1, 8)):
        hands = crew.gather("onnx", work, photos=photos_)
        assert (hands.workers, hands.together) == (workers, 1)
        assert (seen[-1].workers, seen[-1].threads) == (workers, threads)


@pytest.mark.parametrize("engine", ENGINES)
def test_only_the_engine_torch_imports_torch_and_none_keeps_telemetry(engine: Engine, tmp_path: Path) -> None:
    code = f"""
import sys
from stylebank.cli import app
from stylebank.files import resources
try:
    app.main(["stylize", str(resources.photos_folder() / "coffee.jpg"), "--style", "munch_the_scream",
              "--engine", "{engine}", "--device", "cpu", "-o", r"{tmp_path / "x.jpg"}"])
finally:
    print("torch" in sys.modules)
"""
    environment = {
        key: value for key, value in os.environ.items() if key not in ("CI", "ORT_DISABLE_TELEMETRY")
    }
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    # ONNX Runtime's telemetry waits in cache/Microsoft to be sent, OpenVINO's keeps its consent in intel.
    assert {path.name for path in tmp_path.iterdir()} == {"x.jpg"}
    assert done.stdout.splitlines()[-1] == str(engine == "torch")
    assert (tmp_path / "x.jpg").stat().st_size > 1000

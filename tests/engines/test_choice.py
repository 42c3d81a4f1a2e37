"""The engine is the one that is asked for, or the fastest that there is; only PyTorch's imports PyTorch."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest
import torch

from stylebank.bank.bundle import Bundle
from stylebank.engines import choice, runtimes
from stylebank.engines.choice import Computing, Engine
from stylebank.errors import ConfigError, DeviceError
from stylebank.machine import devices
from stylebank.network.architecture import decoder, encoder

ENGINES: tuple[Engine, ...] = get_args(Engine)


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3}, seed=3)


@pytest.fixture(autouse=True)
def threads() -> None:
    """PyTorch's number of threads belongs to the process: an engine sets it."""
    torch.set_num_threads(1)


def test_onnx_runtime_has_no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="engine 'onnx': computes in float32"):
        Computing("onnx", "bfloat16", "cpu").choose()
    assert Computing("auto", "bfloat16", "cpu").able() == ("openvino", "torch")
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert Computing("auto", "bfloat16", "cpu").choose() == "torch"
    assert Computing("auto", "float32", "cpu").choose() == "onnx", "the control"


def test_a_half_installed_engine_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", ModuleType("onnx"))  # a folder of that name, without the library
    assert Computing(device="cpu").choose() == "torch"
    monkeypatch.undo()

    def broken() -> None:
        raise OSError("libgomp.so.1: cannot open")

    monkeypatch.setattr(runtimes, "import_openvino", broken)
    assert Computing(device="cpu").choose() == "onnx"
    with pytest.raises(ConfigError, match=r"'openvino': is not installed \(libgomp\.so\.1"):
        Computing("openvino", device="cpu").choose()


def test_auto_is_the_first_engine_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Computing().able() == ENGINES
    assert Computing(device="cpu").choose() == "openvino"
    monkeypatch.setitem(sys.modules, "openvino", None)  # as if it were not installed
    assert Computing(device="cpu").choose() == "onnx"
    with pytest.raises(
        ConfigError, match=r"engine 'openvino': is not installed .*pip install 'stylebank\[openvino\]'"
    ):
        Computing("openvino", device="cpu").choose()
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert Computing(device="cpu").choose() == "torch"
    assert Computing(device="cuda").choose() == "torch"


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_gpu_is_pytorch_s(device: str) -> None:
    assert Computing(device=device).choose() == "torch"
    assert choice.on_gpu(device)


@pytest.mark.parametrize("system", ["nt", "posix"])
def test_auto_leaves_the_cpu_only_for_a_driver_and_a_pytorch_that_knows_it(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, library = tmp_path / "driver", tmp_path / "torch/lib"
    library.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(choice, "_DRIVERS", {system: [driver]})
    monkeypatch.setattr(choice, "_SYSTEM", system)
    assert not choice.on_gpu("auto")
    driver.touch()
    assert not choice.on_gpu("auto"), "PyTorch for the CPU alone, as Windows gets it from PyPI"
    (library / choice._LIBRARIES[system]).touch()
    assert choice.on_gpu("auto")
    assert not choice.on_gpu("cpu")
    driver.unlink()
    assert not choice.on_gpu("auto")


@pytest.mark.parametrize(
    ("computing", "error", "message"),
    [
        (
            Computing("abacus"),
            ConfigError,
            "engine 'abacus': is unknown; choose one of auto, openvino, onnx, torch",
        ),
        (Computing("onnx", device="cuda"), ConfigError, "engine 'onnx': computes on the CPU only"),
        (Computing("onnx", device="mps"), ConfigError, "CPU only; leave out --device mps, or use torch"),
        (Computing("onnx", device="cuda:1"), ConfigError, "CPU only; leave out --device cuda:1"),
        (Computing("openvino", device="cuda"), ConfigError, "engine 'openvino': computes on the CPU only"),
        (Computing(device="gpu"), DeviceError, "auto, cpu, cuda, cuda:N or mps"),
        (Computing(precision="float16"), DeviceError, "float16"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_one_line(
    computing: Computing, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        computing.choose()
    assert "\n" not in str(caught.value)


def test_each_engine_is_told_of_workers_and_threads(bank: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []

    def noted(**options: Any) -> Callable[[bytes], None]:
        told.append(options)
        return lambda _: None

    monkeypatch.setattr(runtimes, "openvino", noted)
    monkeypatch.setattr(runtimes, "onnx_runtime", noted)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: told.append({"threads": threads}))
    for engine in ENGINES:
        assert Computing(engine, "float32", "cpu").stages(bank, workers=3, threads=2).workers == 3
    assert told == [{"precision": "float32", "workers": 3, "threads": 2}, {"threads": 2}, {"threads": 2}]


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_bfloat16_is_near_float32(engine: Engine, bank: Bundle) -> None:
    pictures = []
    pixels = np.random.default_rng(0).integers(0, 256, (1, 60, 84, 3), dtype=np.uint8)
    for precision in ("bfloat16", "float32"):
        stages = Computing(engine, precision, "cpu").stages(bank, workers=1, threads=1)
        x = stages.photo(pixels)
        for part in (*encoder(bank.network), *decoder(bank.network)):
            x = stages.run(part, x)
        pictures.append(stages.pixels(x).astype(int))
    distance = np.abs(pictures[0] - pictures[1])
    # Eight bits of mantissa are 2^-9 of each feature; this network of random weights has a slope of some ten.
    assert distance.mean() < 3
    if engine == "torch" or devices.choose_precision("auto", torch.device("cpu")) == torch.bfloat16:
        assert distance.max() > 1, "the control: it is bfloat16"


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

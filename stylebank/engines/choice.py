"""Which engine computes: OpenVINO, ONNX Runtime or PyTorch, and how it is set up.

The first two start within a second, because they read a bank and make its graphs without PyTorch; they know the CPU.
PyTorch knows GPUs.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from stylebank.bank.bundle import Bundle
from stylebank.engines.stages import Stages
from stylebank.errors import ConfigError
from stylebank.machine import devices

Engine = Literal["openvino", "onnx", "torch"]
"""In the order in which `choose` prefers them, by measurement (`scripts/bench stylize`)."""

_SYSTEM = "nt" if os.name == "nt" else "posix"
_DRIVERS = {
    "nt": [Path(os.environ.get("SYSTEMROOT", "C:/Windows"), "System32", "nvcuda.dll")],
    "posix": [Path("/dev/nvidiactl"), Path("/usr/lib/wsl/lib/libcuda.so.1")],
}
_LIBRARIES = {"nt": "torch_cuda.dll", "posix": "libtorch_cuda.so"}


@dataclass(frozen=True)
class Computing:
    """What is to compute.

    Attributes:
        engine: "auto" or an `Engine`.
        precision: of the convolutions, "float32", "bfloat16", or "auto": bfloat16 where processor and engine have it.
        device: see `devices.choose_device`; only PyTorch knows GPUs.
    """

    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"

    def choose(self) -> Engine:
        """The engine to use: the one that is asked for, or the fastest that is installed and can do it.

        Raises:
            DeviceError: the device or the precision is unknown.
            ConfigError: the engine is unknown, is not installed, or cannot use the device or the precision.
        """
        devices.check_name(self.device)
        devices.check_precision(self.precision)
        names = get_args(Engine)
        if self.engine not in ("auto", *names):
            raise ConfigError(f"engine '{self.engine}': is unknown; choose one of auto, {', '.join(names)}")
        if self.engine not in ("auto", "torch") and devices.is_gpu(self.device):
            raise ConfigError(
                f"engine '{self.engine}': computes on the CPU only; leave out --device {self.device}, or use torch"
            )
        if self.engine == "auto":
            # Not `able`: what is not used is not loaded.
            return "torch" if on_gpu(self.device) else next(name for name in names if self._can(name))
        if self.engine == "onnx" and self.precision == "bfloat16":
            raise ConfigError(
                "engine 'onnx': computes in float32; leave out --precision, or choose another engine"
            )
        if problem := _missing(self.engine):
            raise ConfigError(
                f"engine '{self.engine}': is not installed ({problem}); pip install 'stylebank[{self.engine}]'"
            )
        return self.engine  # type: ignore[return-value]

    def able(self) -> tuple[Engine, ...]:
        """The engines that are installed and compute in the precision."""
        return tuple(name for name in get_args(Engine) if self._can(name))

    def _can(self, engine: Engine) -> bool:
        return not (engine == "onnx" and self.precision == "bfloat16") and not _missing(engine)

    def stages(self, bank: Bundle, *, workers: int, threads: int) -> Stages:
        """The chosen engine with a bank's encoder and decoder.

        Args:
            bank: see there.
            workers: threads that call it at the same time.
            threads: that each of them computes with.

        Raises:
            DeviceError, ConfigError: see `choose`; or there is no such device.
        """
        engine = self.choose()
        if engine == "torch":
            return _torch(bank, self, workers=workers, threads=threads)
        from stylebank.engines import runtimes
        from stylebank.engines.graph_stages import GraphStages

        compile_graph = (
            runtimes.openvino(precision=self.precision, workers=workers, threads=threads)
            if engine == "openvino"
            else runtimes.onnx_runtime(threads=threads)
        )
        return GraphStages(bank, compile_graph, workers=workers)


def _torch(bank: Bundle, computing: Computing, *, workers: int, threads: int) -> Stages:
    import torch

    from stylebank.engines.torch_stages import TorchStages

    device = devices.choose_device(computing.device)
    if device.type == "cpu":
        torch.set_num_threads(threads)
    precision = devices.choose_precision(computing.precision, device)
    return TorchStages(bank, device=device, precision=precision, workers=workers)


def on_gpu(device: str) -> bool:
    """Whether PyTorch would compute on a GPU, as far as one can tell without importing it."""
    return devices.is_gpu(device) or (device == "auto" and _has_cuda())


def _has_cuda() -> bool:
    """Whether there are NVIDIA's driver and a PyTorch that was built for it; Windows gets one without from PyPI."""
    if not any(driver.exists() for driver in _DRIVERS[_SYSTEM]):
        return False
    return any(Path(folder, "torch", "lib", _LIBRARIES[_SYSTEM]).exists() for folder in sys.path)


def _missing(engine: str) -> str:
    """Why an engine cannot be used; empty if it can."""
    from stylebank.engines import runtimes

    try:
        if engine != "torch":
            from onnx import ModelProto  # noqa: F401  # a folder of that name has none
        if engine == "onnx":
            _ = runtimes.import_onnxruntime().InferenceSession
        elif engine == "openvino":
            _ = runtimes.import_openvino().Core
    except Exception as error:  # a half-installed library raises what it likes
        return " ".join(str(error).split())[:160] or type(error).__name__
    return ""

"""What computes the pictures of `stylize`: OpenVINO, ONNX Runtime or PyTorch.

The first two start within a second, because they read a bank and make its graph without PyTorch; they know whole images
on the CPU. PyTorch knows GPUs, tiles and regions.
"""

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from stylebank.bank.bundle import Bundle
from stylebank.bank.mixture import Mixture
from stylebank.config import MINIMUM_SIDE
from stylebank.errors import ConfigError, too_large
from stylebank.machine import devices
from stylebank.machine.memory import Tiling

if TYPE_CHECKING:
    from stylebank.painting.painter import StyleBank

Engine = Literal["openvino", "onnx", "torch"]
"""In the order in which `choose` prefers them, by measurement (`scripts/bench stylize`)."""

Pixels = NDArray[np.uint8]
"""Images of one size, (B, H, W, 3), sRGB."""

Painter = Callable[[Pixels], Pixels]

_Floats = NDArray[np.float32]  # (B, 3, H, W) in [0, 1]

_Run = Callable[[_Floats], _Floats]


@dataclass(frozen=True)
class Work:
    """What an engine is to do.

    Attributes:
        bank: encoder, decoder and filters.
        mixture: what to paint.
        keep_color: whether the photo's chroma stays.
        workers: threads that paint at the same time.
        threads: that each of them computes with.
        precision: of the convolutions, "float32", "bfloat16", or "auto": bfloat16 where processor and engine have it.
        device: "auto", "cpu" or "cuda"; only PyTorch knows CUDA.
        tiling: when a photo is too large to be painted whole.
    """

    bank: Bundle
    mixture: Mixture
    keep_color: bool = False
    workers: int = 1
    threads: int = 1
    precision: str = "auto"
    device: str = "auto"
    tiling: Tiling = field(default_factory=Tiling)


def choose(wanted: str, *, device: str, precision: str = "auto") -> Engine:
    """The engine to use: the one that is asked for, or the fastest that is installed and can do it.

    Args:
        wanted: "auto" or an `Engine`.
        device: "auto", "cpu" or "cuda".
        precision: see `Work`.

    Raises:
        DeviceError: the device or the precision is unknown.
        ConfigError: the engine is unknown, is not installed, or cannot use the device or the precision.
    """
    devices.check_name(device)
    devices.check_precision(precision)
    names = get_args(Engine)
    if wanted not in ("auto", *names):
        raise ConfigError(f"engine '{wanted}': is unknown; choose one of auto, {', '.join(names)}")
    if wanted not in ("auto", "torch") and device == "cuda":
        raise ConfigError(
            f"engine '{wanted}': computes on the CPU only; leave out --device cuda, or use torch"
        )
    if wanted == "auto":
        # Not `installed`: what is not used is not loaded.
        return "torch" if on_gpu(device) else next(name for name in names if _can(name, precision))
    if wanted == "onnx" and precision == "bfloat16":
        raise ConfigError(
            "engine 'onnx': computes in float32; leave out --precision, or choose another engine"
        )
    if problem := _missing(wanted):
        raise ConfigError(
            f"engine '{wanted}': is not installed ({problem}); pip install 'stylebank[{wanted}]'"
        )
    return wanted  # type: ignore[return-value]


def painter(engine: Engine, work: Work) -> Painter:
    """A function that paints images (B, H, W, 3) of any size, and that threads may call at the same time.

    Raises:
        UnknownStyleError, ConfigError: see `StyleBank.paint`.
        DeviceError: there is no such device or precision.
    """
    if engine == "torch":
        return _torch(work)
    from stylebank.engines import graphs

    model = graphs.build(work.bank, work.mixture, keep_color=work.keep_color).SerializeToString()
    run = _openvino(model, work) if engine == "openvino" else _onnx_runtime(model, work)
    return lambda pixels: _painted(run, pixels)


def cores() -> int:
    """Cores that this process may use."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(found, int(limit)) if limit.isdecimal() and int(limit) else found


def able(precision: str) -> tuple[Engine, ...]:
    """The engines that are installed and compute in a precision."""
    return tuple(name for name in get_args(Engine) if _can(name, precision))


def _can(engine: Engine, precision: str) -> bool:
    return not (engine == "onnx" and precision == "bfloat16") and not _missing(engine)


def on_gpu(device: str) -> bool:
    """Whether PyTorch would compute on a GPU, as far as one can tell without importing it."""
    return device == "cuda" or (device == "auto" and Path("/dev/nvidiactl").exists())


def _missing(engine: str) -> str:
    """Why an engine cannot be used; empty if it can."""
    try:
        if engine != "torch":
            from onnx import ModelProto  # noqa: F401
        if engine == "onnx":
            import_onnxruntime()
        elif engine == "openvino":
            import_openvino()
    except Exception as error:  # a half-installed library raises what it likes
        return " ".join(str(error).split())[:160] or type(error).__name__
    return ""


def import_openvino() -> Any:
    """OpenVINO without its telemetry, which would tell its makers of every import, by a process of its own."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if it were not installed
    import openvino

    return openvino


def _openvino(model: bytes, work: Work) -> _Run:
    core = import_openvino().Core()
    options: dict[str, Any] = {
        "INFERENCE_NUM_THREADS": work.workers * work.threads,
        "NUM_STREAMS": work.workers,
    }
    if work.precision != "auto":
        options["INFERENCE_PRECISION_HINT"] = {"float32": "f32", "bfloat16": "bf16"}[work.precision]
    compiled = core.compile_model(core.read_model(model), "CPU", options)
    own = threading.local()  # a request serves one thread at a time

    def run(images: _Floats) -> _Floats:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        # Not `infer`: it keeps the last picture and says nothing when there is no memory for this one.
        own.request.start_async([images], share_inputs=True)
        own.request.wait()
        picture: _Floats = own.request.get_output_tensor(0).data
        return picture

    return run


def import_onnxruntime() -> Any:
    """ONNX Runtime without its telemetry, which from version 1.29 on is on by default."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def _onnx_runtime(model: bytes, work: Work) -> _Run:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = work.threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(images: _Floats) -> _Floats:
        (picture,) = session.run(None, {"image": images})
        return picture  # type: ignore[no-any-return]

    return run


def _painted(run: _Run, pixels: Pixels) -> Pixels:
    """Run a graph on pixels; images below the network's smallest size are mirrored until they fit."""
    height, width = pixels.shape[1:3]
    below, right = (max(0, MINIMUM_SIDE - side) for side in (height, width))
    if below or right:
        pixels = np.pad(pixels, ((0, 0), (0, below), (0, right), (0, 0)), mode="reflect")
    channels_first = pixels.transpose(0, 3, 1, 2)
    images = np.multiply(channels_first, np.float32(1 / 255), dtype=np.float32, order="C")
    try:
        picture = run(images)[:, :, :height, :width] * np.float32(255)
    except (RuntimeError, MemoryError) as error:  # of sizes that fit, an engine refuses none
        raise too_large(width, height) from error
    return np.ascontiguousarray(np.rint(picture, out=picture).astype(np.uint8).transpose(0, 2, 3, 1))


def load(work: Work) -> "StyleBank":
    """The bank that does the work with PyTorch."""
    from stylebank.painting.painter import StyleBank

    return StyleBank(work.bank, device=work.device, tiling=work.tiling, precision=work.precision)


def _torch(work: Work) -> Painter:
    import torch

    bank = load(work)
    bank.paint(work.mixture)  # a style that it does not have is refused before the first photo is read
    device = bank.device
    if device.type == "cpu":
        torch.set_num_threads(work.threads)

    def paint(pixels: Pixels) -> Pixels:
        photos = torch.tensor(pixels, device=device).permute(0, 3, 1, 2) / 255
        pictures = bank.stylize(photos, work.mixture, keep_color=work.keep_color)
        levels = (pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        return levels.contiguous().cpu().numpy()

    return paint

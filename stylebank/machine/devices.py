"""Which device and which precision a command computes on, and with how many cores."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from stylebank.errors import DeviceError

if TYPE_CHECKING:
    import torch


def check_name(name: str) -> None:
    """Refuse what is no name of a device.

    Raises:
        DeviceError: it is not "auto", "cpu", "cuda", "cuda:N" or "mps".
    """
    if not re.fullmatch(r"auto|cpu|cuda(:(0|[1-9]\d{0,2}))?|mps", name, re.ASCII):
        raise DeviceError(f"device {name!r}: is unknown; use auto, cpu, cuda, cuda:N or mps")


def is_gpu(name: str) -> bool:
    """Whether this is the name of a kind of GPU, or of one of several."""
    return name.partition(":")[0] in ("cuda", "mps")


def check_precision(name: str) -> None:
    """Refuse what is no name of a precision.

    Raises:
        DeviceError: it is not "auto", "float32" or "bfloat16".
    """
    if name not in ("auto", "float32", "bfloat16"):
        raise DeviceError(f"precision '{name}': is unknown; choose one of auto, float32, bfloat16")


def choose_device(name: str) -> "torch.device":
    """Turn the name of a device into the device.

    Auto is CUDA where there is one, else the CPU. A Mac's GPU, "mps", is not chosen unasked: nobody has measured it.

    Raises:
        DeviceError: the name is unknown, or there is no such device.
    """
    import torch

    check_name(name)
    kind, _, index = name.partition(":")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto":
        return torch.device("cuda" if count else "cpu")
    if kind == "cuda" and not count:
        raise DeviceError(f"device {name}: this machine or this PyTorch has no CUDA; use --device cpu")
    if index and int(index) >= count:
        found = "1 CUDA device, cuda:0" if count == 1 else f"{count} CUDA devices, cuda:0 to cuda:{count - 1}"
        raise DeviceError(f"device {name}: this machine has {found}; use one of them, or --device cpu")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError(f"device mps: {_without_mps()}; use --device cpu")
    if index:
        torch.cuda.set_device(int(index))  # what PyTorch puts "on CUDA" without a number goes there too
    return torch.device(name)


def _without_mps() -> str:
    import torch

    if torch.backends.mps.is_built():
        return "is there from macOS 14 on, on Macs with a GPU of Apple's own"
    return "is the GPU of Macs with Apple's own processors, and this machine or this PyTorch has none"


def choose_precision(name: str, device: "torch.device") -> "torch.dtype":
    """Turn "auto", "float32" or "bfloat16" into the dtype of a training's convolutions.

    Auto is bfloat16 where the processor multiplies it natively (measured: 1.7 times the speed of float32 on CPUs
    with AVX512-BF16), else float32; on "mps", where nobody has measured it, float32.

    Raises:
        DeviceError: the name is unknown.
    """
    import torch

    check_precision(name)
    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    known = {"cuda": torch.cuda.is_bf16_supported, "cpu": _cpu_has_bfloat16}
    native = device.type in known and known[device.type]()
    return torch.bfloat16 if native else torch.float32


def _cpu_has_bfloat16() -> bool:
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def cores() -> int:
    """Cores that this process may use."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(found, int(limit)) if limit.isdecimal() and int(limit) else found

"""A device or precision is what was asked for, or what this machine does best."""

import os
from pathlib import Path

import pytest
import torch

from stylebank.errors import DeviceError
from stylebank.machine import devices
from stylebank.machine.devices import choose_device, choose_precision

CPU = torch.device("cpu")
CUDA = torch.device("cuda")


def machine(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, bfloat16: bool) -> None:
    """Pretend to be a machine."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: bfloat16)


@pytest.mark.parametrize(
    ("name", "cuda", "chosen"),
    [
        ("auto", False, CPU),
        ("auto", True, CUDA),
        ("cpu", False, CPU),
        ("cpu", True, CPU),
        ("cuda", True, CUDA),
    ],
)
def test_device_is_as_asked_for_and_auto_prefers_cuda(
    name: str, cuda: bool, chosen: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, cuda=cuda, bfloat16=False)
    assert choose_device(name) == chosen


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "cuda:0", "mps", "cuda\n"])
@pytest.mark.parametrize("cuda", [True, False])
def test_unknown_device_is_refused(name: str, cuda: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, cuda=cuda, bfloat16=False)
    with pytest.raises(DeviceError, match="is unknown; use auto, cpu or cuda") as caught:
        choose_device(name)
    assert len(str(caught.value).splitlines()) == 1


def test_cuda_where_there_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, cuda=False, bfloat16=False)
    with pytest.raises(DeviceError, match="use --device cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("device", [CPU, CUDA])
@pytest.mark.parametrize("native", [True, False])
def test_precision_is_as_asked_for_and_auto_is_bfloat16_where_it_is_native(
    device: torch.device, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, cuda=True, bfloat16=native)
    assert choose_precision("float32", device) == torch.float32
    assert choose_precision("bfloat16", device) == torch.bfloat16
    assert choose_precision("auto", device) == (torch.bfloat16 if native else torch.float32)


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [
        ("flags : fpu avx512f avx512_bf16", torch.bfloat16),
        ("flags : fpu amx_bf16", torch.bfloat16),
        ("flags : fpu avx512f", torch.float32),
        ("model name : avx512_bf16", torch.float32),
        ("", torch.float32),
        (None, torch.float32),
    ],
)
def test_processor_has_bfloat16_if_its_flags_say_so(
    flags: str | None, chosen: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
    monkeypatch.setattr(devices, "Path", lambda _: tmp_path / "cpuinfo")
    assert choose_precision("auto", CPU) == chosen


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for limit, wanted in (("3", 3), ("99", 8), ("0", 8), ("many", 8), ("", 8)):
        monkeypatch.setenv("OMP_NUM_THREADS", limit)
        assert devices.cores() == wanted

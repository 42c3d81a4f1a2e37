"""A device or precision is what was asked for, or what this machine does best."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from stylebank.batch import running
from stylebank.errors import DeviceError
from stylebank.machine import devices, distributed
from stylebank.machine.devices import choose_device, choose_precision

CPU = torch.device("cpu")
CUDA = torch.device("cuda")
MPS = torch.device("mps")


def machine(
    monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, bfloat16: bool = False, mps: bool = False
) -> list[int]:
    """Pretend to be a machine with so many CUDA devices; gives those that are made the current one."""
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: bfloat16)
    return current


@pytest.mark.parametrize(
    ("name", "cuda", "mps", "chosen"),
    [
        ("auto", 0, False, CPU),
        ("auto", 2, False, CUDA),
        ("auto", 0, True, CPU),
        ("cpu", 0, True, CPU),
        ("cpu", 1, False, CPU),
        ("cuda", 1, False, CUDA),
        ("mps", 0, True, MPS),
    ],
)
def test_device_is_as_asked_for_and_auto_prefers_cuda(
    name: str, cuda: int, mps: bool, chosen: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = machine(monkeypatch, cuda=cuda, mps=mps)
    assert choose_device(name) == chosen
    assert current == []


@pytest.mark.parametrize("index", [0, 1, 11])
def test_one_of_several_cuda_devices_is_chosen_and_made_the_current_one(
    index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = machine(monkeypatch, cuda=12)
    assert choose_device(f"cuda:{index}") == torch.device("cuda", index)
    assert current == [index], "memory without a number, such as of pinned batches, is on that one too"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpu",
        "CPU",
        "cuda:",
        "cuda:-1",
        "cuda:01",
        "cuda:1000",
        "cuda:\u0661",
        "mps:0",
        "cpu:0",
        "cuda\n",
        "xmps",
    ],
)
@pytest.mark.parametrize("cuda", [0, 2])
def test_unknown_device_is_refused(name: str, cuda: int, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, cuda=cuda, mps=True)
    with pytest.raises(DeviceError, match="is unknown; use auto, cpu, cuda, cuda:N or mps") as caught:
        choose_device(name)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "cuda", "message"),
    [
        ("cuda", 0, "device cuda: this machine or this PyTorch has no CUDA; use --device cpu"),
        ("cuda:0", 0, "device cuda:0: this machine or this PyTorch has no CUDA; use --device cpu"),
        (
            "cuda:3",
            1,
            "device cuda:3: this machine has 1 CUDA device, cuda:0; use one of them, or --device cpu",
        ),
        ("cuda:2", 2, "device cuda:2: this machine has 2 CUDA devices, cuda:0 to cuda:1; use one of them"),
        (
            "mps",
            2,
            "device mps: is the GPU of Macs with Apple's own processors, and this machine or this PyTorch",
        ),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    name: str, cuda: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = machine(monkeypatch, cuda=cuda)
    with pytest.raises(DeviceError) as caught:
        choose_device(name)
    assert str(caught.value).startswith(message)
    assert "use " in str(caught.value)
    assert current == []


def test_a_mac_too_old_for_its_gpu_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    with pytest.raises(DeviceError, match="device mps: is there from macOS 14 on"):
        choose_device("mps")


@pytest.mark.parametrize("device", [CPU, CUDA])
@pytest.mark.parametrize("native", [True, False])
def test_precision_is_as_asked_for_and_auto_is_bfloat16_where_it_is_native(
    device: torch.device, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, cuda=1, bfloat16=native)
    assert choose_precision("float32", device) == torch.float32
    assert choose_precision("bfloat16", device) == torch.bfloat16
    assert choose_precision("auto", device) == (torch.bfloat16 if native else torch.float32)


def test_on_a_mac_s_gpu_precision_is_float32_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, mps=True, bfloat16=True)
    assert choose_precision("auto", MPS) == torch.float32
    assert choose_precision("bfloat16", MPS) == torch.bfloat16


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


@pytest.mark.parametrize(
    ("device", "local", "found"),
    [("cpu", 1, "cpu"), ("cuda", 1, "cuda:1"), ("cuda", 2, None), ("cuda:1", 0, None), ("mps", 0, None)],
)
def test_each_of_several_processes_has_a_cuda_device_of_its_own_or_all_the_cpu(
    device: str, local: int, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, cuda=2)
    monkeypatch.setenv("LOCAL_RANK", str(local))
    group = distributed._Ranks(local, 4, torch.distributed.HashStore())  # type: ignore[attr-defined]
    if found:
        assert group.own_device(torch.device(device)) == torch.device(found)
    else:
        with pytest.raises(
            DeviceError, match=r"device cuda: this machine has 2|is one, and there are 4 processes"
        ):
            group.own_device(torch.device(device))


@pytest.mark.parametrize(("device", "workers"), [("cpu", 2), ("mps", 1)])
def test_on_a_mac_s_gpu_one_thread_paints(
    device: str,
    workers: int,
    tmp_path: Path,
    command_line: Callable[[str], tuple[object, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[int] = []
    monkeypatch.setattr(devices, "choose_device", lambda _: CPU)
    monkeypatch.setattr(devices, "cores", lambda: 2)
    monkeypatch.setattr(running, "run", lambda *_, workers, **__: told.append(workers))
    for name in ("a", "b"):
        Image.new("RGB", (32, 32)).save(tmp_path / f"{name}.png")
    words = f"--style munch_the_scream --engine torch --device {device} -o {tmp_path}/out"
    assert command_line(f"stylize {tmp_path} {words}")[0] == 0
    assert told == [workers]

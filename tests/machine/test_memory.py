"""What is free is what the machine and its control groups leave; what painting may take is said in words."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from stylebank.errors import ConfigError
from stylebank.machine import memory
from stylebank.machine.memory import Tiling


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("2GB", 2 * 10**9), ("1.5GiB", 3 * 2**29), ("800MB", 8 * 10**8), ("1 g", 10**9), ("512kib", 2**19)],
)
def test_amounts_of_memory_are_read(words: str, wanted: int) -> None:
    assert memory.parse(words) == wanted


@pytest.mark.parametrize(
    "words", ["", "2", "GB", "-1GB", "nanGB", "1e9GB", "2 GBs", "1..5GB", "9" * 400 + "GB"]
)
def test_other_words_are_no_amount_of_memory(words: str) -> None:
    with pytest.raises(ConfigError, match="is no amount of memory; write 2GB"):
        memory.parse(words)


@pytest.mark.parametrize("tile", ["", "on", "0", "15", "-64", "1e3", "64.0", "\u0661\u0666x"])
def test_other_words_are_no_size_of_tiles(tile: str) -> None:
    with pytest.raises(ConfigError, match="is no size of tiles"):
        Tiling(tile)


def group(folder: Path, limit: str, usage: str, *, old: bool) -> None:
    names = ("limit_in_bytes", "usage_in_bytes") if old else ("max", "current")
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (limit, usage), strict=True):
        (folder / f"memory.{name}").write_text(f"{value}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{'total_' if old else ''}inactive_file 300\n")


@pytest.mark.parametrize("old", [True, False])
def test_limits_of_control_groups_and_of_those_around_them_count(tmp_path: Path, old: bool) -> None:
    own, root = tmp_path / "own", tmp_path / "cgroup"
    own.write_text("5:cpu:/other\n4:memory:/outer/inner\n" if old else "0::/outer/inner\n")
    top = root / "memory" if old else root
    group(top / "outer/inner", "max", "700", old=old)
    assert memory._control_groups(own, root) == []
    group(top / "outer", "9000", "7000", old=old)
    group(top, "5000", "4000", old=old)
    assert memory._control_groups(own, root) == [2300, 1300]
    assert memory._control_groups(tmp_path / "none", root) == []


def test_what_is_free_is_not_more_than_a_control_group_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    free = memory.available("cpu")
    assert free > 10**7
    monkeypatch.setattr(memory, "_control_groups", lambda *_: [4321])
    assert memory.available("cpu") == 4321


TAKES = """
from stylebank.machine import memory
before = memory.resident()
taken = b"1" * 10**8
print(before, memory.resident() - before)
"""


def test_what_the_process_takes_grows_by_what_it_takes() -> None:
    # In a process of its own: threads of other tests give memory back at any time.
    done = subprocess.run([sys.executable, "-c", TAKES], capture_output=True, text=True, check=True)
    before, grown = map(int, done.stdout.split())
    assert before > 10**7
    assert grown == pytest.approx(10**8, rel=0.1)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="only Linux says it in this file")
def test_what_is_free_is_what_the_kernel_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_control_groups", lambda *_: [])
    rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text("ascii").splitlines())
    # Other processes take and give between the two looks; cached files, which give way, are counted as free.
    assert memory.available("cpu") == pytest.approx(1024 * int(rows["MemAvailable"].split()[0]), rel=0.2)


LIMITED = """
import resource, psutil
from stylebank.machine import memory
taken = psutil.Process().memory_info().vms
resource.setrlimit(resource.RLIMIT_AS, (taken + 300_000_000, resource.RLIM_INFINITY))
print(memory.available("cpu"))
try:
    bytearray(10**9)
except MemoryError as error:
    print(memory.ran_out(error))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere address space has no such limit")
def test_what_is_free_is_not_more_than_the_process_s_own_limit_leaves() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    free, ran_out = done.stdout.split()
    assert 2.5e8 < int(free) <= 3e8
    assert ran_out == "True"
    assert memory.available("cpu") > 3e8, "the control: without a limit there is more"


def test_what_is_free_on_a_gpu_is_its_own_or_on_a_mac_a_part_of_the_machine_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = {None: 7, 0: 7, 1: 99}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (free[index], 100))
    assert [memory.available(name) for name in ("cuda", "cuda:0", "cuda:1")] == [7, 7, 99]
    assert Tiling().limit("cuda:1", 1) == 1 + int(0.6 * 99)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 5000)
    for taken, left in ((1000, 4000), (6000, 0)):
        monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda taken=taken: taken)
        assert memory.available("mps") == left
    monkeypatch.setattr(memory, "_control_groups", lambda *_: [4321])
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 10**15)
    assert memory.available("mps") == 4321


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (MemoryError(), True),
        (np._core._exceptions._ArrayMemoryError((10**9, 10**9), np.dtype("f4")), True),  # type: ignore[attr-defined]
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (
            RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8"
            ),
            True,
        ),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 8"),
            True,
        ),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, max allowed: 9.07 GB)."), True),
        (RuntimeError("Invalid buffer size: 40.00 GiB"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("can't start new thread"), True),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("shapes do not go together"), False),
        (ImportError("No module named 'torch'"), False),
        (ValueError("not enough memory"), False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_whatever_says_so_a_lack_of_memory_is_known(error: Exception, wanted: bool) -> None:
    assert memory.ran_out(error) is wanted


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_a_command_without_memory_ends_with_one_line(
    error: Exception,
    command_line: Callable[[str], tuple[object, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(_: object) -> None:
        raise error

    monkeypatch.setattr("stylebank.bank.bundle.read", failing)
    code, out, err = command_line("list")
    assert (code, out) == (2, "")
    assert err.startswith("stylebank: error: memory: is used up (")
    assert err.count("\n") == 1

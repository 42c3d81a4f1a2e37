"""How much memory there is, and how much of it the user lets painting take."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from stylebank.errors import ConfigError

SMALLEST_TILE = 16
"""Shortest side of a tile, in pixels; below it a tile would be mostly halo."""

_SHARE = 0.6
"""Of the memory that is free, without `--max-memory`."""

_RAN_OUT = re.compile(
    r"out of memory|not enough memory|cannot allocate memory|can't allocate memory|bad_alloc|failed to map segment|"
    r"can't start new thread|could not create a (?:primitive|memory)|failed to create memory|unable to mmap|"
    r"Invalid buffer size|CU(?:DNN|BLAS)_STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)
"""How PyTorch, its libraries and devices, the loader of libraries and Python say that there is no memory left."""

Report = Callable[[float, float], object]
"""Told after each tile how much work is done, and how much there is in all."""


@dataclass(frozen=True)
class Tiling:
    """How photos are painted that may not fit in memory.

    Attributes:
        tile: "auto", as memory says; "off", whole; or the side of tiles in pixels.
        max_memory: bytes that the process may take in all, on CUDA those of the device; None: part of what is free.
        report: told of the progress of painting in tiles; an error that it raises ends the painting.
        given_up: whether painting in tiles is to end at its next tile; see `give_up`.
    """

    tile: str = "auto"
    max_memory: int | None = None
    report: Report | None = None
    given_up: Event = field(default_factory=Event, compare=False)

    def give_up(self) -> None:
        """Let photos that are being painted in tiles end at their next tile, by an error."""
        self.given_up.set()

    def progress(self, done: float, total: float) -> None:
        """Report the progress of painting in tiles.

        Raises:
            InterruptedError: it was given up.
        """
        if self.given_up.is_set():
            raise InterruptedError("given up")
        if self.report:
            self.report(done, total)

    def __post_init__(self) -> None:
        if self.tile not in ("auto", "off") and not (
            self.tile.isdecimal() and len(self.tile) < 10 and int(self.tile) >= SMALLEST_TILE
        ):
            raise ConfigError(
                f"--tile {self.tile}: is no size of tiles; give auto, off or {SMALLEST_TILE} or more pixels"
            )

    def limit(self, device: str, taken: int) -> int:
        """Bytes that the process may take in all, on a device; `taken` are those that it has taken."""
        return self.max_memory or taken + int(_SHARE * available(device))


def parse(words: str) -> int:
    """Bytes that words such as 2GB, 1.5GiB or 800MB mean.

    Raises:
        ConfigError: they mean none.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([kmgt])(i?)b?", words.strip().lower())
    if not found or not float(found[1]):
        raise ConfigError(f"--max-memory {words}: is no amount of memory; write 2GB, 1.5GiB or 800MB")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** ("kmgt".index(found[2]) + 1))


def resident() -> int:
    """Bytes of memory that this process has taken."""
    import psutil

    return psutil.Process().memory_info().rss


def give_back() -> None:
    """Let the system have what is no longer used: what hangs in circles, and what the C library keeps for later."""
    import ctypes
    import gc

    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # only glibc has it
        return
    trim(0)


def available(device: str) -> int:
    """Bytes of memory that could still be taken: on a CUDA device, or of the machine and control group.

    Args:
        device: "cpu", "cuda" (the current one), "cuda:1", or "mps", whose GPU has the machine's memory or a part of it.
    """
    if device.startswith("cuda"):
        import torch

        index = int(device.partition(":")[2]) if ":" in device else None
        return torch.cuda.mem_get_info(index)[0]
    import psutil

    free = psutil.virtual_memory().available  # of the machine: a control group's limit it does not know
    if device == "mps":
        import torch

        free = min(free, max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()))
    groups = _control_groups(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return min([free, *groups, *_address_space()])


def ran_out(error: BaseException) -> bool:
    """Whether an error says, in the words of whichever library, that there was no memory left."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, (RuntimeError, ImportError, OSError)) and bool(_RAN_OUT.search(str(error)))


def _address_space() -> list[int]:
    """What the process's own limit leaves (`ulimit -v`), where a system has such limits and one is set."""
    import psutil

    kind = getattr(psutil, "RLIMIT_AS", None)
    if kind is None:
        return []
    process = psutil.Process()
    most = process.rlimit(kind)[0]
    return [] if most == psutil.RLIM_INFINITY else [max(0, most - process.memory_info().vms)]


def _control_groups(own: Path, root: Path) -> list[int]:
    """What the limits of this process's control groups, and of those around them, leave; version 1 and 2."""
    found = []
    try:
        lines = [line.split(":", 2) for line in own.read_text("utf-8").splitlines()]
    except OSError:
        return []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if "memory" in controllers.split(","):
            top, limit, usage, cache = (
                root / "memory",
                "limit_in_bytes",
                "usage_in_bytes",
                "total_inactive_file",
            )
        elif not controllers:
            top, limit, usage, cache = root, "max", "current", "inactive_file"
        else:
            continue
        folder = top / path.lstrip("/")
        for group in (folder, *folder.parents):
            if group.is_relative_to(top):
                left = _left(group, limit, usage, cache)
                found += [left] if left is not None else []
    return found


def _left(group: Path, limit: str, usage: str, cache: str) -> int | None:
    """What one control group's limit leaves; pages of files that nobody uses give way."""
    try:
        most, used = (int((group / f"memory.{name}").read_text("ascii")) for name in (limit, usage))
        rows = dict(line.split() for line in (group / "memory.stat").read_text("ascii").splitlines())
        return max(0, most - used + int(rows.get(cache, 0)))
    except (OSError, ValueError):  # no such file, or no limit: "max"
        return None

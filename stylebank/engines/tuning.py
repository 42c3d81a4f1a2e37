"""Which engine is fastest on this machine: measured when there are many photos to paint, and remembered."""

import json
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from stylebank.bank.bundle import Bundle
from stylebank.engines import choice
from stylebank.engines.choice import Computing, Engine
from stylebank.errors import OutputError
from stylebank.files import resources
from stylebank.files.atomic import sha256_bytes, write_atomically
from stylebank.machine import devices

MANY = 64
"""Photos from which on it pays to measure: a few seconds, most of them for starting PyTorch."""

_SIDE, _ROUNDS = 256, 3


def tuned(computing: Computing, bank: Bundle, *, photos: int, note: Callable[[str], None]) -> Computing:
    """The same, and where the engine is left open and computes on the CPU, the fastest one.

    Args:
        computing: what is asked for.
        bank: what paints.
        photos: how many there are; few are not worth a measurement.
        note: told what was measured.
    """
    if computing.engine != "auto" or choice.on_gpu(computing.device):
        return computing
    able = computing.able()
    memory, key = _memory(), _machine(computing, bank, able)
    known = _remembered(memory)
    if known.get(key) in able:
        return replace(computing, engine=known[key])
    if photos < MANY or len(able) == 1:
        return computing
    seconds = {name: _seconds(replace(computing, engine=name, device="cpu"), bank) for name in able}
    best = min(able, key=seconds.__getitem__)
    with suppress(OutputError):  # a home that cannot be written: measured again next time
        write_atomically(memory, json.dumps(known | {key: best}, indent=1).encode())
    shown = ", ".join(f"{name} {1000 * found:.0f} ms" for name, found in seconds.items())
    note(
        f"{best} is the fastest engine on this machine ({_SIDE} x {_SIDE} px: {shown}); {memory} remembers it"
    )
    return replace(computing, engine=best)


def _seconds(computing: Computing, bank: Bundle) -> float:
    """Of a picture on one thread."""
    stages = computing.stages(bank, workers=1, threads=1)
    deep = 4 * bank.network.width
    kernel = np.zeros((deep, deep, 3, 3), np.float32)  # any will do
    pixels = np.random.default_rng(0).integers(0, 256, (1, _SIDE, _SIDE, 3), dtype=np.uint8)
    found = []
    for _ in range(_ROUNDS + 1):
        start = time.perf_counter()
        stages.pixels(stages.paint(stages.photo(pixels), kernel))
        found.append(time.perf_counter() - start)
    return min(found[1:])


def _memory() -> Path:
    """The file that remembers, in the user's folder for caches."""
    return resources.cache_folder() / "engines.json"


def _remembered(memory: Path) -> dict[str, Engine]:
    try:
        found = json.loads(memory.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _machine(computing: Computing, bank: Bundle, able: tuple[Engine, ...]) -> str:
    """What the choice depends on, as a digest: processor, cores, engines, network and precision."""
    processor = platform.processor() or platform.machine()
    with suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
        processor = next((line for line in file if line.startswith("model name")), processor)
    facts = (processor, devices.cores(), able, bank.network, computing.precision)
    return sha256_bytes(repr(facts).encode())

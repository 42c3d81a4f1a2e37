"""Which engine is fastest on this machine: measured when there are many photos to paint, and remembered."""

import json
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import platformdirs

from stylebank.engines import choice
from stylebank.engines.choice import Engine, Work
from stylebank.errors import OutputError
from stylebank.files.atomic import sha256_bytes, write_atomically

MANY = 64
"""Photos from which on it pays to measure: a few seconds, most of them for starting PyTorch."""

_SIDE, _ROUNDS = 256, 3


def fastest(work: Work, *, default: Engine, photos: int, note: Callable[[str], None]) -> Engine:
    """The engine to paint with on the CPU.

    Args:
        work: what is to be painted.
        default: the engine if nothing is known, and too little to do to find out.
        photos: how many there are.
        note: told what was measured.
    """
    able = choice.able(work.precision)
    memory, key = _memory(), _machine(work, able)
    known = _remembered(memory)
    if known.get(key) in able:
        return known[key]
    if photos < MANY or len(able) == 1:
        return default
    alone = replace(work, workers=1, threads=1, device="cpu")
    seconds = {name: _seconds(name, alone) for name in able}
    best = min(able, key=seconds.__getitem__)
    with suppress(OutputError):  # a home that cannot be written: measured again next time
        write_atomically(memory, json.dumps(known | {key: best}, indent=1).encode())
    shown = ", ".join(f"{name} {1000 * found:.0f} ms" for name, found in seconds.items())
    note(
        f"{best} is the fastest engine on this machine ({_SIDE} x {_SIDE} px: {shown}); {memory} remembers it"
    )
    return best


def _seconds(engine: Engine, work: Work) -> float:
    paint = choice.painter(engine, work)
    pixels = np.random.default_rng(0).integers(0, 256, (1, _SIDE, _SIDE, 3), dtype=np.uint8)
    paint(pixels)
    found = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        paint(pixels)
        found.append(time.perf_counter() - start)
    return min(found)


def _memory() -> Path:
    """The file that remembers, in the user's folder for caches."""
    return platformdirs.user_cache_path("stylebank", appauthor=False) / "engines.json"


def _remembered(memory: Path) -> dict[str, Engine]:
    try:
        found = json.loads(memory.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _machine(work: Work, able: tuple[Engine, ...]) -> str:
    """What the choice depends on, as a digest: processor, cores, engines, network and precision."""
    processor = platform.processor() or platform.machine()
    with suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
        processor = next((line for line in file if line.startswith("model name")), processor)
    facts = (processor, choice.cores(), able, work.bank.network, work.precision)
    return sha256_bytes(repr(facts).encode())

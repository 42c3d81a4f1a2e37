"""The page's folder: what it holds, and how it is written into a place that may hold another page already."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.errors import OutputError
from stylebank.files import atomic, resources
from stylebank.web import packing, runtime

CHOICE = (
    "van_gogh_starry_night",
    "hokusai_great_wave",
    "munch_the_scream",
    "picabia_udnie",
    "franz_marc_yellow_cow",
    "golden_starry_night",
    "penfield_harpers_june",
    "flow_field",
)
"""Styles of the bank that comes along which differ most; a page of more takes longer to load."""

MOST = len(CHOICE)
"""Styles of a page that nobody chose."""

_ASSETS = Path(__file__).parent / "page"
_INDEX = "bank.json"


@dataclass(frozen=True)
class Written:
    """What there is now.

    Attributes:
        files: how many.
        size: bytes of all.
        packed: bytes of all as a host sends them, packed where that helps.
        styles: their names.
    """

    files: int
    size: int
    packed: int
    styles: tuple[str, ...]


def chosen(bank: Bundle, names: Sequence[str]) -> list[Entry]:
    """The styles of a page: those that are named, each once, else `CHOICE` as far as the bank has it, else its first.

    Raises:
        UnknownStyleError: there is no such style; the message names the nearest.
    """
    if names:
        return [bank.find(name) for name in dict.fromkeys(names)]
    return [bank.find(name) for name in CHOICE if name in bank.names] or list(bank.entries[:MOST])


def check(folder: Path, *, force: bool) -> None:
    """Refuse to write into a folder that holds anything but a page of this program.

    Raises:
        OutputError: it does, and `force` is False; or it is a file, or cannot be looked into.
    """
    try:
        if not folder.exists():
            return
        if not folder.is_dir():
            raise OutputError(f"{folder}: is no folder; choose another name")
        others = any(folder.iterdir())
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error
    if others and not force and not _is_page(folder):
        raise OutputError(
            f"{folder}: holds other files; choose a new or an empty folder, or add --force, which keeps them"
        )


def write(folder: Path, bank: Bundle, entries: Sequence[Entry], library: Path | None) -> Written:
    """Write a page; files of other names stay.

    Args:
        folder: see `check`; made if it is missing.
        bank: encoder and decoder.
        entries: its styles.
        library: see `runtime.files`.

    Raises:
        ConfigError: see `packing.pack` and `runtime.files`.
        OutputError: a file cannot be written.
    """
    packed = packing.pack(bank, entries)
    found = {path.name: path.read_bytes() for path in sorted(_ASSETS.iterdir()) if path.is_file()}
    found |= {"sample.jpg": resources.sample().read_bytes(), "icon.svg": resources.icon().read_bytes()}
    found |= {f"runtime/{name}": data for name, data in _shipped(library).items()}
    found["bank.bin"] = packed.data
    large = sum(
        len(data) for name, data in found.items() if name.endswith(".bin")
    )  # what a visitor waits for
    found[_INDEX] = json.dumps({**packed.index, "bytes": large}, separators=(",", ":")).encode()
    start = found.pop("index.html")
    for name, data in [*found.items(), ("index.html", start)]:  # last: then there is a page
        atomic.write_atomically(folder / name, data)
    everything = [*found.values(), start]
    return Written(
        len(everything),
        sum(map(len, everything)),
        sum(min(len(data), len(packing.gzipped(data))) for data in everything),
        tuple(entry.name for entry in entries),
    )


def _shipped(library: Path | None) -> dict[str, bytes]:
    """The runtime's files as the page takes them; the large one packed, since many hosts pack none of its kind."""
    found = {"LICENSE.txt": runtime.LICENCE.encode()}
    for name, data in runtime.files(library).items():
        is_large = name.endswith(".wasm")
        found[f"{name}.bin" if is_large else name] = packing.gzipped(data) if is_large else data
    return found


def _is_page(folder: Path) -> bool:
    try:
        found = json.loads((folder / _INDEX).read_bytes())
        return isinstance(found, dict) and {"form", "digest", "styles", "graphs"} <= found.keys()
    except (OSError, ValueError):
        return False

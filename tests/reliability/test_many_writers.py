"""Many processes that add to one bank at once, or die while they add: no entry is lost, no reader sees half a file.

A few here; `scripts/soak` raises the number.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from stylebank.bank import bundle, editing, entries
from stylebank.bank.bundle import Bundle
from stylebank.cli import app
from stylebank.errors import TensorFileError
from stylebank.files import atomic, tensorfile

TIMES = int(os.environ.get("STYLEBANK_KILLS", "4"))
WRITERS = 4
ADDS = min(2 + TIMES, 30)  # of each writer; each reads all that the others wrote
KILLS = 4 * TIMES
LONGEST = 24  # entries that a bank grows to before the kills begin again with an empty one

# As in `test_crash_points`. These children do touch torch, but on one thread, and never its gradients.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
    pytest.mark.timeout(120 + 8 * TIMES),
]

MakeBank = Callable[..., Bundle]


@pytest.fixture
def bank(make_bank: MakeBank, tmp_path: Path) -> Path:
    bundle.write(tmp_path / "bank", make_bank({"first": 3}))
    return tmp_path / "bank"


@pytest.fixture
def style_files(make_bank: MakeBank, tmp_path: Path) -> list[Path]:
    """Style files that fit the bank, each of a style that is named as the file is."""
    names = [f"style-{number}" for number in range(max(WRITERS * ADDS, LONGEST))]
    made = make_bank(dict.fromkeys(names, 3))
    for entry in made.entries:
        entries.write(tmp_path / "styles" / entry.name, entry, coder_digest=made.coder_digest())
    return [tmp_path / "styles" / name for name in names]


def start(work: Callable[[], object]) -> int:
    """A process that does this and ends with the exit code that it asks for."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        finally:
            os._exit(code)
    return child


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def running(children: list[int]) -> bool:
    """Whether any still runs; each that has ended has ended well."""
    for child in list(children):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            children.remove(child)
            assert status == 0
    return bool(children)


def add_all(style_files: Sequence[Path], bank: Path, added: Callable[[], object] = lambda: None) -> None:
    for file in style_files:
        editing.import_style(file, bank=bank)
        added()


def start_writers(style_files: Sequence[Path], bank: Path) -> list[int]:
    shares = [style_files[writer * ADDS : (writer + 1) * ADDS] for writer in range(WRITERS)]
    return [start(lambda share=share: add_all(share, bank)) for share in shares]  # type: ignore[misc]


def are_whole(bank: Bundle, folder: Path) -> bool:
    """Whether every entry but the first is that of its style file."""
    return all(entry.is_same(entries.read(folder / entry.name)[0]) for entry in bank.entries[1:])


def test_adds_of_many_processes_lose_nothing_while_a_reader_looks_on(
    bank: Path, style_files: list[Path]
) -> None:
    coder, lengths = bundle.read(bank).coder_digest(), []
    children = start_writers(style_files, bank)
    while running(children):
        found = bundle.read(bank)  # never refused
        lengths.append(len(found.names))
        assert found.coder_digest() == coder
    names = bundle.read(bank).names
    every = [file.name for file in style_files[: WRITERS * ADDS]]
    assert sorted(names) == sorted(["first", *every])
    for writer in range(WRITERS):
        own = every[writer * ADDS : (writer + 1) * ADDS]
        assert [name for name in names if name in own] == own, "in the order of its additions"
    assert are_whole(bundle.read(bank), style_files[0].parent)
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 2, "the reader did look on"
    assert not list(bank.parent.glob("*.tmp"))


def test_without_the_lock_the_same_additions_lose_entries(
    bank: Path, style_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(atomic, "locked", nullcontext)
    before = bank.read_bytes()
    for _ in range(5):
        bank.write_bytes(before)
        children = start_writers(style_files, bank)
        while running(children):
            time.sleep(0.01)
        if len(bundle.read(bank).names) < 1 + WRITERS * ADDS:
            return
    pytest.fail("nothing was lost: the test above shows nothing")


def test_of_many_processes_that_add_one_name_exactly_one_wins(bank: Path, style_files: list[Path]) -> None:
    for turn in range(TIMES):
        name = f"coveted-{turn}"
        barrier, opener = os.pipe()

        def race(file: Path, name: str = name, barrier: int = barrier, opener: int = opener) -> None:
            os.close(opener)
            os.read(barrier, 1)  # until the parent closes it: all at once
            app.main(["import-style", str(file), "--bank", str(bank), "--name", name])

        racers = [start(lambda file=file: race(file)) for file in style_files[:WRITERS]]  # type: ignore[misc]
        os.close(barrier)
        os.close(opener)
        codes = [exit_code(racer) for racer in racers]
        assert sorted(codes) == [0] + [2] * (WRITERS - 1)
        found = bundle.read(bank)
        assert found.names == ("first", *(f"coveted-{earlier}" for earlier in range(turn + 1)))
        winner = entries.read(style_files[codes.index(0)])[0]
        assert found.entries[-1].is_same(editing.renamed(winner, name))


def torn_by_kills(bank: Path, style_files: list[Path]) -> int:
    """After how many of the kills of a process that adds in a loop the bank cannot be read.

    What can be read holds everything whose addition was over, at most one entry more, and nothing else.
    """
    instants, torn, finished, empty = random.Random(0), 0, 0, bank.read_bytes()
    began = time.monotonic()
    add_all(style_files[:5], bank)
    seconds = (
        time.monotonic() - began
    ) / 5  # of one: on a slow disk, too, kills fall in and between additions
    bank.write_bytes(empty)
    length = 0
    for _ in range(KILLS):
        receiver, sender = os.pipe()

        def work(sender: int = sender, length: int = length) -> None:
            add_all(style_files[length:LONGEST], bank, lambda: os.write(sender, b"."))
            signal.pause()

        child = start(work)
        os.close(sender)
        with os.fdopen(receiver, "rb") as pipe:
            over = len(pipe.read(instants.randint(1, 5)))  # waits for so many, however busy the machine is
            time.sleep(instants.uniform(0, 2) * seconds)
            os.kill(child, signal.SIGKILL)
            assert exit_code(child) == -signal.SIGKILL
            over += len(pipe.read())
        finished += over
        try:
            found = bundle.read(bank)
        except TensorFileError:
            torn += 1
            found = None
        if found:
            assert len(found.names) - 1 in (length + over, length + over + 1)
            assert list(found.names) == [
                "first",
                *(file.name for file in style_files[: len(found.names) - 1]),
            ]
            assert are_whole(found, style_files[0].parent)
        length = len(found.names) - 1 if found else LONGEST
        if length >= LONGEST - 5:
            bank.write_bytes(empty)
            length = 0
    assert finished >= KILLS / 2, "the loops did add"
    return torn


def test_killed_while_it_adds_a_process_leaves_a_bank_with_all_that_was_added(
    bank: Path, style_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert torn_by_kills(bank, style_files) == 0
    bundle.write(bank, bundle.read(bank))
    assert not list(bank.parent.glob("*.tmp")), "the next writer sweeps up after those that were killed"

    def write_in_place(path: Path, data: bytes) -> None:
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(data), 1 + len(data) // 8):
                file.write(data[start : start + 1 + len(data) // 8])
                time.sleep(0.002)

    editing.edit(bank, editing.removing([name for name in bundle.read(bank).names if name != "first"]))
    monkeypatch.setattr(tensorfile, "write_atomically", write_in_place)
    assert torn_by_kills(bank, style_files) > 0, "the control: a plain write is caught in the middle"

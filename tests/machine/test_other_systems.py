"""The program runs without what only POSIX has; no Windows runs these tests, so a Linux that lacks it stands in.

And what comes of it is the same to the last byte: files, names, lines.
"""

import csv
import io
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank.files import resources
from stylebank.machine import interrupts
from stylebank.machine.scratch import Scratch
from stylebank.training import feature_pool

pytestmark = pytest.mark.linux  # it is a Linux that lacks things here
ROOT = Path(__file__).resolve().parents[2]

POSIX_ONLY = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "readline")
LACKING = (
    *(
        "fchmod",
        "fchown",
        "fork",
        "forkpty",
        "getuid",
        "geteuid",
        "getgid",
        "getpgid",
        "killpg",
        "mkfifo",
        "nice",
    ),
    *(
        "posix_fallocate",
        "posix_spawn",
        "pread",
        "preadv",
        "pwrite",
        "pwritev",
        "sched_getaffinity",
        "sendfile",
    ),
    *("setsid", "sync", "wait4", "O_DIRECTORY"),
)
"""Of os; all that Windows lacks and a program may come upon, less two flags of the lock library for this system."""

AS_WINDOWS = f"""
import asyncio, multiprocessing, selectors, socket, subprocess, tempfile, threading  # as they are here
import os, platform, signal, sys
from pathlib import Path

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name in {POSIX_ONLY}:
            raise ImportError(f"{{name}}: is not there on Windows")

platform.processor()  # asks the shell, once
import filelock, platformdirs, psutil  # libraries that know each system; a fork of theirs is none of ours
for name in {POSIX_ONLY}:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Refused())
for name in {LACKING}:
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGPIPE", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGCHLD", "SIGALRM", "setitimer", "pause"):
    if hasattr(signal, name):
        delattr(signal, name)
signal.SIGBREAK = signal.SIGQUIT
os.environ["USERNAME"] = "somebody"  # else a library looks it up with pwd
opened = os.open
def no_folder(path, flags, *others, **named):
    if isinstance(path, (str, Path)) and os.path.isdir(path):
        raise PermissionError(13, "is a folder")
    return opened(path, flags, *others, **named)
os.open = no_folder
from stylebank.files import atomic
atomic._WINDOWS = True
"""


def program(code: str, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line after some code."""
    command = [sys.executable, "-c", f"{code}\nfrom stylebank.cli import app\napp.main()", *words]
    return subprocess.run(
        command, capture_output=True, check=False, timeout=100, env=os.environ | environment
    )


@pytest.mark.parametrize(("engine", "tile"), [("onnx", "64"), ("torch", "off")])
def test_a_photo_is_painted_the_same_without_what_only_posix_has(
    engine: str, tile: str, tmp_path: Path
) -> None:
    Image.effect_noise((96, 64), 60).convert("RGB").save(tmp_path / "photo.png")
    words = ("--style", "munch_the_scream", "--engine", engine, "--device", "cpu", "--tile", tile)
    for name, code in (("here", ""), ("there", AS_WINDOWS)):
        done = program(
            code, "stylize", str(tmp_path / "photo.png"), *words, "-o", str(tmp_path / f"{name}.png")
        )
        assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "here.png").read_bytes() == (tmp_path / "there.png").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"photo.png", "here.png", "there.png"}


@pytest.mark.parametrize(
    "code", ["import fcntl", "import resource", "import os; os.pread", "import signal; signal.SIGKILL"]
)
def test_the_stand_in_lacks_what_windows_lacks(code: str) -> None:
    done = program(f"{AS_WINDOWS}\n{code}", "--version")
    assert done.returncode == 1
    assert b"ImportError" in done.stderr or b"AttributeError" in done.stderr


def test_a_bank_is_changed_without_what_only_posix_has(tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    bank.write_bytes(resources.default_bank().read_bytes())
    for words in (
        ("rename-style", "munch_the_scream", "scream", "--bank", str(bank)),
        ("bake", "both", "--bank", str(bank), "--mix", "scream=1"),
        ("verify", str(bank)),
    ):
        done = program(AS_WINDOWS, *words)
        assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize(
    ("encoding", "written"), [("cp1252", "cp1252"), ("ascii", "utf-8"), ("utf-8", "utf-8")]
)
def test_names_that_the_console_has_no_letters_for_are_escaped(
    encoding: str, written: str, tmp_path: Path
) -> None:
    for name in ("r\u00f6d\u2192\U0001f3a8.png", "plain.png"):
        Image.new("RGB", (32, 24), "red").save(tmp_path / name)
    words = ("stylize", str(tmp_path), "--style", "munch_the_scream", "--device", "cpu", "-o")
    done = program("", *words, str(tmp_path / "out"), PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr.decode()
    found = [Path(line.decode(written)).name for line in done.stdout.splitlines()]
    wanted = [f"{name}-munch_the_scream.png" for name in ("plain", "r\u00f6d\u2192\U0001f3a8")]
    assert found == [name.encode(written, "backslashreplace").decode(written) for name in wanted]


@pytest.mark.parametrize("lacking", [(), ("preadv",), ("preadv", "pread", "pwrite")])
def test_several_threads_use_a_map_on_disk(lacking: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in lacking:
        monkeypatch.delattr(os, name)
    whole = np.random.default_rng(0).random((3, 64, 40), np.float32)
    found = Scratch(3, 64, 40)

    def copy(top: int) -> bool:
        found.write(whole[:, top : top + 4], top, 0)
        return np.array_equal(found.read(top, 5, 4, 30), whole[:, top : top + 4, 5:35])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(copy, range(0, 64, 4)))
    assert np.array_equal(found.read(0, 0, 64, 40), whole)


def test_without_a_lock_around_its_place_a_map_would_be_torn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above: seeking and reading are two calls."""
    for name in ("preadv", "pread", "pwrite"):
        monkeypatch.delattr(os, name)
    held: list[bool] = []
    seek = os.lseek

    def noted(descriptor: int, offset: int, how: int) -> int:
        held.append(found._seeking.locked())
        return seek(descriptor, offset, how)

    found = Scratch(1, 2, 2)
    monkeypatch.setattr(os, "lseek", noted)
    found.write(np.ones((1, 2, 2), np.float32), 0, 0)
    found.read(0, 0, 2, 2)
    assert held == [True] * 4


def test_a_pool_takes_its_room_where_the_system_cannot_reserve_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    monkeypatch.setattr(feature_pool, "_ZEROS", bytes(1000))
    for size in (0, 1, 1000, 2500):
        with (tmp_path / "file").open("wb") as file:
            feature_pool._reserve(file, size)
            assert os.fstat(file.fileno()).st_size == size


def test_ctrl_break_asks_to_stop_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    assert interrupts.SIGNALS == (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    monkeypatch.setattr(interrupts, "SIGNALS", (*interrupts.SIGNALS, signal.SIGQUIT))
    before = signal.getsignal(signal.SIGQUIT)
    with interrupts.StopRequest() as stop:
        signal.raise_signal(signal.SIGQUIT)
        assert stop()
    assert stop.signal == signal.SIGQUIT
    assert signal.getsignal(signal.SIGQUIT) == before


def test_outside_the_main_thread_nobody_asks_to_stop() -> None:
    def work() -> bool:
        with interrupts.StopRequest() as stop:
            return stop()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() is False


@pytest.mark.parametrize(
    ("system", "error", "is_broken"),
    [
        ("posix", BrokenPipeError(), True),
        ("nt", BrokenPipeError(), True),
        ("nt", OSError(22, "Invalid argument"), True),
        ("posix", OSError(22, "Invalid argument"), False),
        ("nt", OSError(28, "No space left on device"), False),
        ("nt", ValueError(), False),
        ("nt", None, False),
    ],
)
def test_an_output_that_nobody_reads_is_known_on_each_system(
    system: str, error: BaseException | None, is_broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(interrupts, "_WINDOWS", system == "nt")
        found = interrupts.is_broken_pipe(error)
    assert found == is_broken


def test_tables_have_the_same_line_ends_on_every_system() -> None:
    table = io.StringIO()
    csv.writer(table).writerow([1, 2])
    assert table.getvalue() == "1,2\r\n", "the library's own, whatever the system's"
    writers = [
        path.name
        for path in (ROOT / "stylebank").rglob("*.py")
        if ".write_text(" in path.read_text("utf-8") or 'open("w"' in path.read_text("utf-8")
    ]
    assert writers == ["mistakes.py"], "files are written as bytes; it opens the null device"


def test_the_workflow_runs_these_tests_on_three_systems() -> None:
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text("utf-8"))
    assert found["permissions"] == {"contents": "read"}
    matrix = found["jobs"]["test"]["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["system"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == ["3.11", "3.14"]
    for job in found["jobs"].values():
        assert job["timeout-minutes"] <= 60
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert used == [name for name in used if re.fullmatch(r"actions/[a-z-]+@v\d+", name)] != []

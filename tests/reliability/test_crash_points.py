"""A writer that is killed, or whose disk fails, at any of its system calls: the old file or the new one, whole."""

import errno
import itertools
import os
import random
import re
import resource
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from stylebank.errors import OutputError
from stylebank.files import atomic

# Python 3.12 warns of forks beside threads, which an earlier test's torch may have; these children never touch torch.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

# Functions in C through which a writer reaches the disk, as Python's profiler names them.
SYSTEM = {
    *("open", "close", "write", "flush", "fsync", "replace", "unlink", "mkdir"),
    *("flock", "fchmod", "stat", "lstat", "fstat", "listdir", "scandir", "readlink"),
}
# In this order a write must meet them, for the claims below to say anything.
COMMIT = ["open", "flock", "fstat", "write", "flush", "fsync", "replace", "open", "fsync", "close"]

OLD, NEW = b"old" * 1000, b"new" * 20_000
FIRST = [None, OLD]  # what is there before: nothing, or an older file
first_ids = ["nothing", "a file"]

Profile = Callable[[FrameType, str, object], None]


@contextmanager
def profiled(act: Profile) -> Iterator[None]:
    before = sys.getprofile()
    sys.setprofile(act)
    try:
        yield
    finally:
        sys.setprofile(before)


def at_step(number: int, events: set[str], act: Callable[[], None], steps: list[str]) -> Profile:
    """Act at the entry into (`c_call`) or the return from (`c_return`) the number-th system function."""

    def profile(_frame: FrameType, event: str, called: object) -> None:
        name = getattr(called, "__name__", "")
        if event in events and name in SYSTEM:
            steps.append(name)
            if len(steps) == number + 1:
                act()

    return profile


def steps_of_a_write(path: Path, events: set[str]) -> list[str]:
    steps: list[str] = []
    with profiled(at_step(-1, events, lambda: None, steps)):
        atomic.write_atomically(path, NEW)
    return steps


def prepare(path: Path, first: bytes | None) -> None:
    path.unlink(missing_ok=True)
    if first is not None:
        path.write_bytes(first)


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def temporaries(path: Path) -> list[Path]:
    return [other for other in path.parent.iterdir() if other != path]


def in_child(work: Callable[[], None]) -> int:
    """Run in a child process; minus the signal that killed it, or 0 if it came to its end."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_write_goes_through_the_steps_that_make_it_durable(tmp_path: Path) -> None:
    prepare(tmp_path / "file", OLD)
    steps = steps_of_a_write(tmp_path / "file", {"c_call"})
    assert re.search(".*".join(COMMIT), " ".join(steps)), steps
    assert steps.index("fchmod") < steps.index("write"), "a private file is never open to all, not half of it"
    assert steps.count("fsync") == 2, "the file before the rename, the folder after it"


@pytest.mark.parametrize("first", FIRST, ids=first_ids)
def test_killed_before_or_after_any_step_the_old_or_the_new_bytes_are_there(
    first: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    both = {"c_call", "c_return"}
    prepare(path, first)
    steps = steps_of_a_write(path, both)
    outcomes, leftovers = [], 0
    for number in range(len(steps)):
        prepare(path, first)

        def work(number: int = number) -> None:
            with profiled(at_step(number, both, die, [])):
                atomic.write_atomically(path, NEW)

        assert in_child(work) == -signal.SIGKILL
        outcomes.append(content(path))
        leftovers += bool(temporaries(path))
        atomic.write_atomically(path, NEW)  # the next writer
        assert temporaries(path) == [], f"swept after a kill at step {number}, {steps[number]}"
        assert path.read_bytes() == NEW
    # There is one instant of change, the rename, and no other content at any time.
    assert outcomes == [first] * outcomes.count(first) + [NEW] * outcomes.count(NEW)
    assert min(outcomes.count(first), outcomes.count(NEW)) > 2
    assert leftovers > 2, "kills did fall between the creation of the temporary file and the rename"


def generation(number: int) -> bytes:
    return b"%08d" % number * 20_000


def torn_by_kills(write: Callable[[Path, bytes], object], path: Path) -> int:
    """In how many of 40 kills of a writing loop the file is neither its last finished write nor the next."""
    instants, torn, finished = random.Random(0), 0, 0
    started = time.monotonic()
    for _ in range(10):
        write(path, generation(0))
    seconds = time.monotonic() - started  # ten writes: on a slow disk, too, kills fall in and between writes
    for _ in range(40):
        write(path, generation(0))
        receiver, sender = os.pipe()

        def work(sender: int = sender) -> None:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the kernel's own kill: no Python runs after it
            signal.setitimer(signal.ITIMER_REAL, instants.uniform(0.01, 1) * seconds)
            for number in itertools.count(1):
                write(path, generation(number))
                os.write(sender, b".")

        instants.random()  # the child draws from a copy; the next child draws another
        assert in_child(work) == -signal.SIGALRM
        os.close(sender)
        with os.fdopen(receiver, "rb") as pipe:
            last = len(pipe.read())
        finished += last
        torn += path.read_bytes() not in (generation(last), generation(last + 1))
    assert finished > 40, "the loops did write"
    return torn


def test_a_writing_loop_killed_at_random_instants_never_loses_a_finished_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert torn_by_kills(atomic.write_atomically, path) == 0
    atomic.write_atomically(path, NEW)
    assert temporaries(path) == []
    assert torn_by_kills(Path.write_bytes, path) > 0, "the control: a plain write is caught in the middle"


@pytest.mark.parametrize("written", [1, 4096, len(NEW) - 1])
def test_killed_inside_the_write_the_old_bytes_are_there(written: int, tmp_path: Path) -> None:
    """The kernel kills a process that writes beyond its limit, when it has written up to the limit."""
    path = tmp_path / "file"
    prepare(path, OLD)
    path.chmod(0o600)

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))
        atomic.write_atomically(path, NEW)

    assert in_child(work) == -signal.SIGXFSZ
    assert path.read_bytes() == OLD
    (half,) = temporaries(path)
    assert half.read_bytes() == NEW[:written]
    assert stat.S_IMODE(half.stat().st_mode) == 0o600
    atomic.write_atomically(path, NEW)
    assert (path.read_bytes(), temporaries(path)) == (NEW, [])


def test_a_disk_that_takes_half_of_it_leaves_the_old_file_and_one_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    prepare(path, OLD)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot be written \(File too large\); free space"):
            atomic.write_atomically(path, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (path.read_bytes(), temporaries(path)) == (OLD, [])


@pytest.mark.parametrize("first", FIRST, ids=first_ids)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_an_error_at_any_step_is_one_line_and_leaves_the_old_or_the_new_file(
    code: int, first: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "file"

    def fail() -> None:
        raise OSError(code, os.strerror(code))

    prepare(path, first)
    steps = steps_of_a_write(path, {"c_call"})
    renamed = steps.index("replace")
    message = f"{path}: cannot be written ({os.strerror(code)}); free space or choose another place"
    refused = []
    for number, step in enumerate(steps):
        prepare(path, first)
        said = None
        try:
            with profiled(at_step(number, {"c_call"}, fail, [])):
                atomic.write_atomically(path, NEW)
        except OutputError as error:
            said = str(error)
            refused.append(step)
        assert said in (None, message)
        assert content(path) == (first if said and number <= renamed else NEW), f"step {number}, {step}"
        assert temporaries(path) == [], f"step {number}, {step}"
    # Only looking around may fail unheard: is this a link, is the folder there, does it hold leftovers.
    assert set(COMMIT) <= set(refused)
    assert set(steps) - set(refused) <= {"lstat", "readlink", "mkdir", "listdir", "scandir"}
    assert refused.count("fsync") == 2


def test_an_interrupt_at_any_step_leaves_no_temporary_file(tmp_path: Path) -> None:
    """Ctrl-C is raised between two bytecodes: here, at the entry into each step."""
    path = tmp_path / "file"

    def interrupt() -> None:
        raise KeyboardInterrupt

    prepare(path, OLD)
    steps = steps_of_a_write(path, {"c_call"})
    for number, step in enumerate(steps):
        prepare(path, OLD)
        with (
            pytest.raises(KeyboardInterrupt),
            profiled(at_step(number, {"c_call"}, interrupt, [])),
        ):
            atomic.write_atomically(path, NEW)
        assert content(path) == (OLD if number <= steps.index("replace") else NEW)
        assert temporaries(path) == [], f"step {number}, {step}"

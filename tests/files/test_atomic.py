"""Files are written whole or not at all, by one writer at a time, and never over somebody else's."""

import errno
import hashlib
import multiprocessing
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import lock_descriptor

from stylebank.errors import OutputError
from stylebank.files import atomic

if sys.platform != "win32":
    import fcntl

# Python 3.12 warns of forks beside threads, which an earlier test's torch may have; these children never touch torch.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

PROCESSES = 8
TOKEN = "0123456789abcdef"


@contextmanager
def processes(work: Callable[[int], None]) -> Iterator[Callable[[], bool]]:
    """Run work(0) ... work(7) at once; gives whether any still runs, and ends when all have ended well."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(number,)) for number in range(PROCESSES)]
    for worker in workers:
        worker.start()
    try:
        yield lambda: any(worker.is_alive() for worker in workers)
    finally:
        for worker in workers:
            worker.join()
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(path: Path) -> str:
    """The message with which a path is refused; it is one line and names the path."""
    with pytest.raises(OutputError) as caught:
        atomic.write_atomically(path, b"new")
    message = str(caught.value)
    assert message.startswith(f"{path}: cannot be written (")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("data", [b"", b"new", bytes(3_000_000)], ids=len)
def test_a_file_is_written_with_its_folders_and_nothing_beside_it(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    atomic.write_atomically(path, data)
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.posix
def test_an_old_file_is_replaced_and_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old and longer")
    with path.open("rb") as reader:
        atomic.write_atomically(path, b"new")
        assert reader.read() == b"old and longer", "who has it open reads on"
    assert path.read_bytes() == b"new"


@pytest.mark.posix
@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
def test_a_new_file_has_the_permissions_that_the_umask_leaves(mask: int, tmp_path: Path) -> None:
    with umask(mask):
        atomic.write_atomically(tmp_path / "file", b"new")
    assert mode(tmp_path / "file") == 0o666 & ~mask


@pytest.mark.posix
@pytest.mark.parametrize("permissions", [0o600, 0o664, 0o444])
def test_a_replaced_file_keeps_its_permissions(permissions: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(permissions)
    with umask(0o022):
        atomic.write_atomically(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", permissions)


@pytest.mark.posix
@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_is_written_through(there: bool, tmp_path: Path) -> None:
    target, link = tmp_path / "far" / "target", tmp_path / "link"
    if there:
        target.parent.mkdir()
        target.write_bytes(b"old")
    link.symlink_to("far/target")
    atomic.write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "folder" in refusal(tmp_path / "folder")
    assert list(tmp_path.rglob("*")) == [tmp_path / "folder"]


@pytest.mark.posix
def test_a_device_is_refused_and_kept(tmp_path: Path) -> None:
    """Replacing one would put a file in its place: for root, even in that of /dev/null."""
    os.mkfifo(tmp_path / "pipe")
    assert "device" in refusal(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.posix
def test_a_folder_closed_to_listing_is_written_and_flushed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes: list[str] = []

    def closed(*_: object) -> None:  # root may list everything
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        for function in ("open", "listdir", "scandir"):
            patch.setattr(os, function, closed)
        patch.setattr(os, "sync", lambda: flushes.append((tmp_path / "file").read_text()))
        atomic.write_atomically(tmp_path / "file", b"new")
    assert flushes == ["new"], "the rename is made durable after it is made"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.posix
def test_a_path_that_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for path in (tmp_path / "file" / "below", tmp_path / ("long" * 100), tmp_path / "a" / "below"):
        refusal(path)
        with pytest.raises(OutputError, match="cannot be locked"), atomic.locked(path):
            pass
    assert (tmp_path / "file").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.posix
@pytest.mark.parametrize("name", ["file", "photo[1].png", "a*b?", ".hidden"])
@pytest.mark.parametrize("left", [b"", b"half"])
def test_what_a_dead_writer_left_is_swept_whatever_the_name(name: str, left: bytes, tmp_path: Path) -> None:
    (tmp_path / f".{name}.{TOKEN}.tmp").write_bytes(left)
    atomic.write_atomically(tmp_path / name, b"new")
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_what_is_not_its_own_is_not_swept(tmp_path: Path) -> None:
    others = {f".{name}.{TOKEN}.tmp" for name in ("other", "file.png", "a.file")} | {
        ".file.notes.tmp",
        "x.tmp",
    }
    for other in others:
        (tmp_path / other).write_bytes(b"theirs")
    atomic.write_atomically(tmp_path / "file", b"new")
    assert {path.name for path in tmp_path.iterdir()} == others | {"file"}


@pytest.mark.posix
def test_the_file_of_a_living_writer_is_not_swept(tmp_path: Path) -> None:
    theirs = tmp_path / f".file.{TOKEN}.tmp"
    with theirs.open("xb") as file:
        assert lock_descriptor(file.fileno())
        atomic.write_atomically(tmp_path / "file", b"new")
        assert theirs.exists()
    atomic.write_atomically(tmp_path / "file", b"new")
    assert not theirs.exists(), "the control: it was the lock that kept it"


@pytest.mark.posix
def test_a_writer_swept_between_open_and_lock_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open
    swept: list[Path] = []

    def late(path: Path, mode: str = "r", *others: Any, **named: Any) -> Any:
        file = opened(path, mode, *others, **named)
        if mode == "xb" and len(swept) < 3:
            swept.append(path)
            atomic.write_atomically(tmp_path / "file", b"theirs")  # the other writer, sweeping
            assert not path.exists()
        return file

    # Each writer is the one that comes late for the writer before.
    monkeypatch.setattr(Path, "open", late)
    atomic.write_atomically(tmp_path / "file", b"new")
    assert len(swept) >= 3
    assert (tmp_path / "file").read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_writer_whose_file_a_sweep_holds_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [True, True]
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "lock_descriptor", lambda *_, **__: not (held and held.pop()))
        atomic.write_atomically(tmp_path / "file", b"new")
    assert held == []
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Windows does otherwise: no open file is replaced or removed, no folder opened, and calls are missing."""

    def closed_only(act: Callable[..., None]) -> Callable[..., None]:
        def refuse_open(path: Path, *others: Any, **named: Any) -> None:
            names = {os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()}
            if names & {os.path.realpath(name) for name in (path, *others)}:
                raise PermissionError(13, "it is open")
            act(path, *others, **named)

        return refuse_open

    def no_folder(path: Path, *_: object) -> int:
        raise PermissionError(13, f"{path} is a folder")

    for name in ("fchmod", "sync"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(os, "replace", closed_only(os.replace))
    monkeypatch.setattr(Path, "unlink", closed_only(Path.unlink))
    monkeypatch.setattr(os, "open", no_folder)
    monkeypatch.setattr(atomic, "_WINDOWS", True)


@pytest.mark.linux
@pytest.mark.usefixtures("windows")
def test_a_file_is_replaced_with_what_windows_offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    for data in (b"old", b"new"):
        atomic.write_atomically(path, data)
    assert path.read_bytes() == b"new"
    monkeypatch.setattr(atomic, "_WINDOWS", False)
    monkeypatch.setattr(os, "fchmod", lambda *_: None, raising=False)
    assert "it is open" in refusal(path), "the control: elsewhere the file stays open to the end"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.linux
@pytest.mark.usefixtures("windows")
def test_on_windows_a_file_that_somebody_has_open_is_waited_for_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        monkeypatch.setattr(atomic, "_OPEN_FOR", 0.05)
        assert "it is open" in refusal(path)
        monkeypatch.setattr(atomic, "_OPEN_FOR", 60)
        monkeypatch.setattr(time, "sleep", lambda _: reader.close())
        atomic.write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.posix
@pytest.mark.parametrize(("number", "is_known"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_folder_that_knows_no_flushing_is_written_and_one_that_fails_to_is_an_error(
    number: int, is_known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync

    def of_files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", of_files_only)
    if is_known:
        atomic.write_atomically(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"new"
    else:
        refusal(tmp_path / "file")


def test_where_files_have_no_number_their_names_tell_them_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    found = Path.stat

    def without_number(path: Path, **how: Any) -> Any:
        status = found(path, **how)
        return os.stat_result((status.st_mode, 0, *status[2:]))

    monkeypatch.setattr(Path, "stat", without_number)
    first, second, again = (
        atomic.identity(tmp_path / name) for name in ("a", "b", "../" + tmp_path.name + "/a")
    )
    assert first == again != second
    assert atomic.identity(tmp_path / "none") is None


@pytest.mark.linux
@pytest.mark.usefixtures("windows")
def test_on_windows_what_an_old_dead_writer_left_is_swept_and_what_may_be_renamed_now_is_not(
    tmp_path: Path,
) -> None:
    young, living, dead = (tmp_path / f".file.{token * 16}.tmp" for token in "abc")
    for path in (young, living, dead):
        path.write_bytes(b"half")
    for path in (living, dead):
        os.utime(path, (0, 0))
    with living.open("rb") as file:
        assert lock_descriptor(file.fileno())
        atomic.sweep(tmp_path)
        assert sorted(tmp_path.iterdir()) == [young, living]


@pytest.mark.posix
def test_readers_beside_many_writers_see_one_writer_s_whole_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = {bytes([number]) * (100_000 + 1000 * number) for number in range(PROCESSES)}

    def write(number: int) -> None:
        for _ in range(20):
            atomic.write_atomically(path, bytes([number]) * (100_000 + 1000 * number))

    atomic.write_atomically(path, bytes(100_000))
    seen, reads = set(), 0
    with processes(write) as running:
        while running():
            seen.add(path.read_bytes())
            reads += 1
    assert seen <= contents
    assert reads > 10
    assert len(seen) > 1, "it did read while they wrote"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.posix
@pytest.mark.parametrize("through_link", [False, True])
def test_no_update_under_the_lock_is_lost(through_link: bool, tmp_path: Path) -> None:
    path, link = tmp_path / "count", tmp_path / "link"
    path.write_text("0")
    link.symlink_to(path)

    def count(number: int) -> None:
        for _ in range(5):
            with atomic.locked(link if through_link and number % 2 else path):
                value = int(path.read_text())
                time.sleep(0.002)  # another process would read the same value here, were it not locked out
                path.write_text(str(value + 1))

    with processes(count):
        pass
    assert path.read_text() == str(5 * PROCESSES)


@pytest.mark.posix
def test_a_lock_is_free_again_after_an_error_and_after_a_kill(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic.locked(tmp_path / "new" / "file"):
        raise ZeroDivisionError

    def die_with_it(_number: int) -> None:
        with atomic.locked(tmp_path / "new" / "file"):
            os._exit(0)

    with processes(die_with_it):
        pass
    with atomic.locked(tmp_path / "new" / "file"):
        assert not (tmp_path / "new" / "file").exists(), "the lock is another file"


@pytest.mark.posix
def test_who_does_not_wait_is_told_that_another_has_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def ask(_number: int) -> None:
        with pytest.raises(OutputError, match="another process is using it"), atomic.locked(path, wait=False):
            pass

    with atomic.locked(path):
        with processes(ask):
            pass
        with pytest.raises(OutputError, match=r"cannot be locked \(Deadlock"), atomic.locked(path):
            pass  # the same thread would wait for itself for ever
    with atomic.locked(path, wait=False):
        pass


@pytest.mark.posix
def test_a_file_system_without_locks_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(OutputError, match="cannot be locked") as caught, atomic.locked(tmp_path / "file"):
        pass
    assert str(caught.value).count("\n") == 0
    refusal(tmp_path / "file")
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.posix
@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that takes no files")
def test_a_folder_that_takes_no_files_is_refused_at_once() -> None:
    with pytest.raises(OutputError, match="cannot be locked"), atomic.locked(Path("/proc/bank.safetensors")):
        pass


def test_only_a_file_of_another_kind_needs_force(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for force in (True, False):
        atomic.refuse_foreign(path, lambda _: False, force=force)  # nothing there
    path.write_bytes(b"old")
    atomic.refuse_foreign(path, lambda found: found == path, force=False)
    atomic.refuse_foreign(path, lambda _: False, force=True)
    with pytest.raises(OutputError, match=r"another kind of file; .*--force"):
        atomic.refuse_foreign(path, lambda _: False, force=False)
    assert path.read_bytes() == b"old"


@pytest.mark.posix
@pytest.mark.parametrize("force", [True, False])
def test_a_folder_or_a_device_is_refused_with_force_too(force: bool, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder; give a file name"):
        atomic.refuse_foreign(tmp_path, lambda _: True, force=force)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="is a device; give a file name"):
        atomic.refuse_foreign(tmp_path / "pipe", lambda _: True, force=force)


def test_a_name_that_no_file_can_have_is_refused_before_the_work_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    for path in (tmp_path / ("long" * 100), tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="cannot be written"):
            atomic.refuse_foreign(path, lambda _: True, force=True)


@pytest.mark.parametrize("data", [b"", b"abc", bytes(1_000_000)], ids=len)
def test_digests_are_sha256_in_hexadecimal(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    expected = hashlib.sha256(data).hexdigest()
    assert atomic.sha256_file(tmp_path / "file") == atomic.sha256_bytes(data) == expected
    assert atomic.sha256_bytes(b"abc").startswith("ba7816bf"), "the standard's own example"

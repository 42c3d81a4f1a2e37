"""Write files so that a crash leaves the old one or the new one; locks; digests."""

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout, lock_descriptor

from stylebank.errors import OutputError

_WINDOWS = os.name == "nt"
"""There a file that is open can be neither replaced nor removed."""

_CLOSED_FOR = 60.0
"""Seconds that a writer on Windows may take between closing its file and renaming it."""

_ROOM = 100
"""Bytes of a name that others are made of: some file systems allow 143 in all."""

LONGEST_NAME = 255
"""Bytes of a name that a file system takes, at most."""
_OPEN_FOR = 2.0
"""Seconds that somebody else may have a file open on Windows before it is given up to replace it."""

_POLL = 0.01
"""Seconds between two attempts to get a lock, or to replace a file that is open."""


def write_atomically(path: Path, data: bytes, *, sweeping: bool = True) -> None:
    """Write a file so that at every instant, and after a crash, the old or the new bytes are there, whole.

    Missing folders are made; a symbolic link is written through; a replaced file keeps its permissions (on Windows,
    one that is marked read-only is not replaced).

    Args:
        path: the file.
        data: its bytes.
        sweeping: whether what writers of this file left when they were killed is removed: a look at every name in the
            folder. Who writes many files into one folder calls `sweep` once instead.

    Raises:
        OutputError: the disk is full, the folder cannot be written, the path is a folder or a device.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            raise OSError(errno.EISDIR, "it is a folder or a device")  # a device would be replaced by a file
        target.parent.mkdir(parents=True, exist_ok=True)
        if sweeping:
            sweep(target.parent, target.name)
        temporary, file = _temporary(target)
        try:
            with file:
                if not _WINDOWS:  # which has one bit of them: against being replaced
                    with suppress(FileNotFoundError):  # before there is content
                        os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                if _WINDOWS:
                    file.close()
                _rename(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except (OSError, RuntimeError) as error:  # RuntimeError: links that go in a circle, until Python 3.13
        raise _unwritten(path, error) from error


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """Write a file that is too large for memory: the name of a new one beside it, which goes in its place at the end.

    Whatever is raised inside leaves the old file; otherwise the contract is that of `write_atomically`.

    Raises:
        OutputError: see there.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            raise OSError(errno.EISDIR, "it is a folder or a device")
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent, target.name)
        temporary, file = _temporary(target)
    except (OSError, RuntimeError) as error:
        raise _unwritten(path, error) from error
    try:
        if _WINDOWS:  # which would lock the writer out
            file.close()
        else:
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
        yield temporary
        try:
            if not _WINDOWS:
                os.fsync(file.fileno())
            _rename(temporary, target)
            _sync_folder(target.parent)
        except OSError as error:
            raise _unwritten(path, error) from error
    finally:
        file.close()
        temporary.unlink(missing_ok=True)


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove temporary files in a folder whose writer is dead, nobody holds their lock: those of `name`, or all.

    On Windows, where a writer gives its lock up before it renames, they are also old.
    """
    own = re.escape(_short(name)) if name else ".+"
    leftover = re.compile(rf"\.{own}\.[0-9a-f]{{16}}\.tmp", re.DOTALL)
    with suppress(OSError):  # a folder may be missing, or closed to listing and open to writing
        for entry in os.scandir(folder):
            if leftover.fullmatch(entry.name) and not (_WINDOWS and _is_young(entry)):
                with suppress(OSError), Path(entry).open("rb") as file:
                    if lock_descriptor(file.fileno(), blocking=False):
                        if _WINDOWS:
                            file.close()
                        Path(entry).unlink()


@contextmanager
def locked(path: Path, *, wait: bool = True, tidy: bool = False) -> Iterator[None]:
    """Hold the lock that belongs to a path, waiting for whoever has it; the lock file lies beside it, hidden.

    A symbolic link and what it points to have one lock. It is not re-entrant.

    Args:
        path: what the lock belongs to.
        wait: for whoever has it.
        tidy: whether the lock file goes at the end, where nobody waits for it.

    Raises:
        OutputError: the folder cannot be written, its file system has no locks, this thread holds the lock already,
            or, without waiting, somebody else does.
    """
    with ExitStack() as stack:
        try:
            target = path.resolve()
            target.parent.mkdir(parents=True, exist_ok=True)
            place = target.with_name(f".{_short(target.name)}.lock")
            if not place.exists():
                place.touch()  # a folder that takes no files, as /proc: filelock would try it for ever
            # Where there are no locks, a file that merely lies there would lock for ever after a kill.
            lock = FileLock(place, fallback_to_soft=False, poll_interval=_POLL)
            stack.enter_context(lock.acquire(blocking=wait))
        except Timeout as error:
            raise OutputError(
                f"{path}: another process is using it; wait for that, or choose another"
            ) from error
        except (OSError, RuntimeError, NotImplementedError) as error:
            raise OutputError(f"{path}: cannot be locked ({_reason(error)}); choose another place") from error
        try:
            yield
        finally:
            if tidy:
                with suppress(OSError):  # Windows lets no open file go
                    place.unlink()


def refuse_foreign(path: Path, is_own: Callable[[Path], bool], *, force: bool) -> None:
    """Refuse to replace a file that is not of the writer's own kind.

    Raises:
        OutputError: the file exists, is of another kind, and `force` is False; or, even with `force`, the path is
            a folder, a device, or no path.
    """
    try:
        found = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({_reason(error)}); choose another name") from error
    if not stat.S_ISREG(found):
        raise OutputError(f"{path}: is a {'folder' if stat.S_ISDIR(found) else 'device'}; give a file name")
    if not force and not is_own(path):
        raise OutputError(f"{path}: exists and is another kind of file; choose another name, or add --force")


def identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of what a path leads to, equal for two names of one file; None if nothing can be reached."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # also names that are too long, and links in circles
        return None
    if not status.st_ino:  # file systems of a network, on Windows: then it is the name that counts
        return status.st_dev, -1 - int(sha256_bytes(os.path.normcase(path.resolve()).encode())[:15], 16)
    return status.st_dev, status.st_ino


def is_folder(path: Path) -> bool:
    """Whether a path leads to a folder; an impossible path does not."""
    return identity(path) is not None and path.is_dir()


def shortened(name: str, room: int, *, digest: str) -> str:
    """The start of a name that is too long, and a digest that tells it from others, in so many bytes."""
    start = os.fsencode(name)[: room - len(f"~{digest}")].decode(errors="ignore")
    return f"{start}~{digest}"


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _temporary(target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside the target, locked while its writer lives: tells it from a dead writer's."""
    while True:
        temporary = target.with_name(f".{_short(target.name)}.{secrets.token_hex(8)}.tmp")
        file = temporary.open("xb")
        try:
            # Between open and lock another writer's sweep may have taken it for a dead one's; then once more.
            if lock_descriptor(file.fileno(), blocking=False) and os.fstat(file.fileno()).st_nlink:
                return temporary, file
        except BaseException:
            file.close()
            temporary.unlink(missing_ok=True)
            raise
        file.close()
        temporary.unlink(missing_ok=True)  # the sweep may have stopped before it came to that


def _short(name: str) -> str:
    """A file's name, or the start of a long one with a digest: there is room for more behind it."""
    if not _ROOM < len(os.fsencode(name)) <= LONGEST_NAME:
        return name  # also of one that no file system takes: it is refused by its own length
    return shortened(name, _ROOM, digest=sha256_bytes(os.fsencode(name))[:16])


def _is_young(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return time.time() - entry.stat().st_mtime < _CLOSED_FOR
    return True


def _rename(temporary: Path, target: Path) -> None:
    """Put a file in the place of another; on Windows once whoever has that open, such as a virus scanner, lets go."""
    patience = time.monotonic() + _OPEN_FOR
    while True:
        try:
            os.replace(temporary, target)
            return
        except PermissionError:
            if not _WINDOWS or time.monotonic() > patience:
                raise
        time.sleep(_POLL)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; on Windows that is the file system's own business, and no folder can be opened."""
    if _WINDOWS:
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # closed to listing, see above: then the whole system's writes are flushed
        os.sync()
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems of a network may not know it
            raise
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _unwritten(path: Path, error: Exception) -> OutputError:
    return OutputError(f"{path}: cannot be written ({_reason(error)}); free space or choose another place")

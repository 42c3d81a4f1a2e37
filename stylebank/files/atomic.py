"""Write files so that a crash leaves the old one or the new one; locks; digests."""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from stylebank.errors import OutputError


def write_atomically(path: Path, data: bytes, *, sweeping: bool = True) -> None:
    """Write a file so that at every instant, and after a crash, the old or the new bytes are there, whole.

    Missing folders are made; a symbolic link is written through; a replaced file keeps its permissions.

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
                with suppress(FileNotFoundError):
                    os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))  # before there is content
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except (OSError, RuntimeError) as error:  # RuntimeError: links that go in a circle, until Python 3.13
        raise OutputError(
            f"{path}: cannot be written ({_reason(error)}); free space or choose another place"
        ) from error


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove temporary files in a folder whose writer is dead, nobody holds their lock: those of `name`, or all."""
    leftover = re.compile(rf"\.{re.escape(name) if name else '.+'}\.[0-9a-f]{{16}}\.tmp", re.DOTALL)
    with suppress(OSError):  # a folder may be missing, or closed to listing and open to writing
        for entry in os.scandir(folder):
            if leftover.fullmatch(entry.name):
                with suppress(OSError), Path(entry).open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    Path(entry).unlink()


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock that belongs to a path, waiting for whoever has it; the lock file lies beside it, hidden.

    A symbolic link and what it points to have one lock. It is not re-entrant.

    Raises:
        OutputError: the folder cannot be written, its file system has no locks, or, without waiting, somebody
            else holds it.
    """
    with ExitStack() as stack:
        try:
            target = path.resolve()
            target.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(target.with_name(f".{target.name}.lock").open("ab"))
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"{path}: another process is using it; wait for that, or choose another"
            ) from error
        except (OSError, RuntimeError) as error:
            raise OutputError(f"{path}: cannot be locked ({_reason(error)}); choose another place") from error
        yield


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
    return status.st_dev, status.st_ino


def is_folder(path: Path) -> bool:
    """Whether a path leads to a folder; an impossible path does not."""
    return identity(path) is not None and path.is_dir()


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
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        file = temporary.open("xb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Between open and lock another writer's sweep may have taken it for a dead one's; then once more.
            if os.fstat(file.fileno()).st_nlink:
                return temporary, file
        except BaseException:
            temporary.unlink(missing_ok=True)
            file.close()
            raise
        file.close()


def _sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # closed to listing, see above: then the whole system's writes are flushed
        os.sync()
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)

"""Write files so that a crash leaves the old one or the new one; locks; digests."""

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stylebank.errors import OutputError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that at every instant, and after a crash, the old or the new bytes are there, whole.

    Missing folders are made; a symbolic link is written through; a replaced file keeps its permissions. Leftovers
    of writers that were killed are removed.

    Raises:
        OutputError: the disk is full, the folder cannot be written, the path is a folder.
    """
    target = path.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask()
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # held while alive: tells this file from a dead writer's
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
                os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written ({reason}); free space or choose another place"
        ) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that belongs to a path, waiting for whoever has it; the lock file lies beside it, hidden.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(f".{path.name}.lock").open("ab")
    except OSError as error:
        raise OutputError(f"{path}: cannot be locked ({error.strerror}); choose another place") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def refuse_foreign(path: Path, is_own: Callable[[Path], bool], *, force: bool) -> None:
    """Refuse to replace a file that is not of the writer's own kind.

    Raises:
        OutputError: the file exists, is of another kind, and `force` is False; or the path is a folder.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give a file name")
    if path.exists() and not force and not is_own(path):
        raise OutputError(f"{path}: exists and is another kind of file; choose another name, or add --force")


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sweep(target: Path) -> None:
    """Remove temporary files of this target whose writer is dead: nobody holds their lock."""
    for leftover in target.parent.glob(f".{target.name}.*.tmp"):
        with suppress(OSError), leftover.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between a writer's open and its lock the file is empty and young: leave that one alone.
            if os.fstat(file.fileno()).st_size:
                leftover.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask

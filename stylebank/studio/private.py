"""A folder of the studio's own, for what is learnt: closed to others, and gone when the studio is.

One that was killed left its folder; the next studio clears it away, by the lock that nobody holds any more.
"""

import os
import shutil
import stat
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from threading import RLock

from stylebank.errors import OutputError
from stylebank.files import atomic

_PREFIX, _IN_USE = "stylebank-studio-", "in-use"
_YOUNG = 60.0  # seconds in which one that makes a folder has locked it


class Private:
    """The folder, made when it is first asked for."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._stack, self._lock = ExitStack(), RLock()

    def folder(self) -> Path:
        """Where it is.

        Raises:
            OutputError: there is no place for temporary files.
        """
        with self._lock:
            if self._folder is None:
                try:
                    made = Path(tempfile.mkdtemp(prefix=_PREFIX))
                except OSError as error:
                    raise OutputError(
                        f"temporary folder: cannot be made ({error.strerror}); set TMPDIR"
                    ) from error
                self._stack.enter_context(atomic.locked(made / _IN_USE))
                self._folder = made
            return self._folder

    def close(self) -> None:
        """Remove it."""
        with self._lock:
            self._stack.close()
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def sweep() -> None:
    """Remove the folders of one's own studios that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if not _is_own(folder.lstat()):
                continue
            with atomic.locked(folder / _IN_USE, wait=False):
                pass
        except (OSError, OutputError):  # it is in use, or gone by now
            continue
        shutil.rmtree(folder, ignore_errors=True)


def _is_own(facts: os.stat_result) -> bool:
    """Whether it is a folder, of this user, that nobody is just making: what others put there is not touched."""
    mine = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
    return stat.S_ISDIR(facts.st_mode) and mine and time.time() - facts.st_mtime > _YOUNG

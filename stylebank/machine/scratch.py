"""A map on disk, written and read in windows: what is too large for memory and too dear to compute twice."""

import os
import shutil
import tempfile
import weakref
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from stylebank.errors import OutputError


class Scratch:
    """A map (C, H, W) float32 in a temporary file without a name: it is gone when dropped, whatever ends the process.

    It is read and written by system calls, not mapped: a map's pages would count as the process's memory.

    Raises:
        OutputError: the disk of the temporary folder has not that much room; also on writing.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        self._row, self._cell = 4 * channels * width, 4 * channels
        self._channels, self._bytes = channels, height * self._row
        try:
            if shutil.disk_usage(tempfile.gettempdir()).free < self._bytes:
                raise self._full("No space left on device")
            file = tempfile.TemporaryFile(prefix="stylebank-", buffering=0)  # noqa: SIM115  # see finalize
        except OSError as error:
            raise self._full(error.strerror) from error
        self._descriptor, self._seeking = file.fileno(), Lock()
        weakref.finalize(self, file.close)

    def write(self, x: NDArray[np.float32], top: int, left: int) -> None:
        """Write x (C, h, w) at a place."""
        pixels = np.ascontiguousarray(x.transpose(1, 2, 0))
        try:
            for place, row in enumerate(pixels, top):
                rest, offset = row.data.cast("B"), place * self._row + left * self._cell
                while rest:
                    written = self._write(rest, offset)
                    rest, offset = rest[written:], offset + written
        except OSError as error:
            raise self._full(error.strerror) from error

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[np.float32]:
        """Read (C, height, width) from a place."""
        pixels = np.empty((height, width, self._channels), np.float32)
        for place, row in enumerate(pixels, top):
            rest, offset = row.data.cast("B"), place * self._row + left * self._cell
            while rest:
                found = self._read(rest, offset)
                assert found, "read before it was written"
                rest, offset = rest[found:], offset + found
        return pixels.transpose(2, 0, 1)

    def _write(self, data: memoryview, offset: int) -> int:
        """Bytes that were written of `data`; several threads do so at the same time."""
        if hasattr(os, "pwrite"):
            return os.pwrite(self._descriptor, data, offset)
        with self._seeking:  # Windows has one place in the file for all
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.write(self._descriptor, data)

    def _read(self, room: memoryview, offset: int) -> int:
        """Bytes that were read into `room`; several threads do so at the same time."""
        if hasattr(os, "preadv"):
            return os.preadv(self._descriptor, [room], offset)
        if hasattr(os, "pread"):  # macOS had no preadv until version 11
            found = os.pread(self._descriptor, len(room), offset)
        else:
            with self._seeking:
                os.lseek(self._descriptor, offset, os.SEEK_SET)
                found = os.read(self._descriptor, len(room))
        room[: len(found)] = found
        return len(found)

    def _full(self, reason: str | None) -> OutputError:
        return OutputError(
            f"temporary folder {tempfile.gettempdir()}: cannot hold {self._bytes / 1e9:.3g} GB of features ({reason}); "
            "free space, set TMPDIR to another folder, or allow more memory"
        )

"""What an interrupted clip has done already: finished pieces of it in a hidden folder beside the file to be made.

A piece is some frames, encoded by themselves. Where a run goes on it begins with the first frame of the piece that was
not finished, and with what the painter remembered there, so that the clip becomes what it would have become at once.
The record is a line for each piece, written after the piece; a kill at any moment leaves whole lines and one to ignore.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylebank.errors import OutputError, TensorFileError
from stylebank.files import atomic, tensorfile
from stylebank.files.tensorfile import Arrays

_KIND = "frames"
"""Of the file of what a painter remembers."""


@dataclass(frozen=True)
class Done:
    """A finished piece.

    Attributes:
        name: of its file; empty where frames are files of their own.
        times: when its frames are shown and for how long, in ticks.
    """

    name: str
    times: tuple[tuple[int, int], ...]


class Pieces:
    """The pieces of one clip.

    Args:
        target: the file to be made.
        settings: plain JSON data: all that the frames depend on.
    """

    def __init__(self, target: Path, settings: Mapping[str, Any]) -> None:
        self.target = target
        self.folder = target.with_name(
            f".{atomic.shortened(target.name, 100, digest=atomic.sha256_bytes(str(target).encode())[:8])}.pieces"
            if len(target.name) > 100
            else f".{target.name}.pieces"
        )
        self._digest = atomic.sha256_bytes(json.dumps(settings, sort_keys=True).encode())
        self.is_other = self.is_begun = self._has_state = False
        self._own: list[list[int]] = []
        self.done: list[Done] = self._read()
        self.state: Arrays = self._state()

    @property
    def frames(self) -> int:
        """How many frames are done."""
        return sum(len(piece.times) for piece in self.done)

    @property
    def paths(self) -> list[Path]:
        """Files of the pieces, in order."""
        return [self.folder / piece.name for piece in self.done if piece.name]

    def owns(self, path: Path) -> bool:
        """Whether a file is what an interrupted run with this record made."""
        try:
            return _stamp(path) in self._own
        except OSError:
            return False

    def begin(self) -> None:
        """Make the folder, and clear away what does not belong to this run.

        Raises:
            OutputError: it cannot be written.
        """
        if not self.done:
            self.remove()
        lines = [{"head": self._digest}, *({"own": each} for each in self._own)]
        lines += [_entry(piece, has_state=bool(self.state)) for piece in self.done]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)  # anew: the last line may be cut short
        atomic.write_atomically(self._record, text.encode())
        kept = {piece.name for piece in self.done} | {self._record.name, self._state_name(len(self.done))}
        for path in self.folder.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def add(self, data: bytes, suffix: str, times: Sequence[tuple[int, int]], state: Arrays) -> None:
        """Record one more piece.

        Raises:
            OutputError: the disk is full.
        """
        number = len(self.done) + 1
        name = f"{number:06}{suffix}" if data else ""
        if name:
            atomic.write_atomically(self.folder / name, data, sweeping=False)
        if state:
            tensorfile.write(self.folder / self._state_name(number), kind=_KIND, tensors=state, manifest={})
        piece = Done(name, tuple(times))
        self._append(_entry(piece, has_state=bool(state)))
        self.done.append(piece)
        (self.folder / self._state_name(number - 1)).unlink(missing_ok=True)

    def partial(self, data: bytes, suffix: str) -> Path:
        """A file for what was begun of a piece; it is of no use later, and the next run takes it away."""
        path = self.folder / f"part{suffix}"
        atomic.write_atomically(path, data, sweeping=False)
        return path

    def own(self, path: Path) -> None:
        """Record a file, as yet under another name, as this run's own: a later one may replace it."""
        stamp = _stamp(path)
        self._own.append(stamp)
        self._append({"own": stamp})

    def remove(self) -> None:
        """Take everything away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _record(self) -> Path:
        return self.folder / "record"

    @staticmethod
    def _state_name(number: int) -> str:
        return f"{number:06}.state"

    def _append(self, entry: Mapping[str, Any]) -> None:
        try:
            with self._record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise OutputError(
                f"{self._record}: cannot be written ({error.strerror}); free space or choose another place"
            ) from error

    def _read(self) -> list[Done]:
        """What is recorded under these settings, up to the first line that is no whole one."""
        try:
            head, *lines = self._record.read_text("utf-8", errors="replace").splitlines()
            is_own = json.loads(head).get("head") == self._digest
        except (OSError, ValueError, AttributeError):
            return []
        self.is_begun = is_own
        found: list[Done] = []
        for line in lines:
            try:
                entry = json.loads(line)
                if "own" in entry:
                    self._own.append(list(entry["own"]))
                    continue
                piece = Done(str(entry["piece"]), tuple((int(a), int(b)) for a, b in entry["times"]))
            except (ValueError, TypeError, KeyError):
                break
            if piece.name and not (self.folder / piece.name).is_file():
                break
            found.append(piece)
            self._has_state = bool(entry.get("state"))
        self.is_other = not is_own and bool(found)
        return found if is_own else []

    def _state(self) -> Arrays:
        """What the painter remembered at the end of the last piece; without it all is done anew."""
        if not self.done or not self._has_state:
            return {}
        try:
            return tensorfile.read(self.folder / self._state_name(len(self.done)), kind=_KIND)[0]
        except TensorFileError:
            self.done = []
            return {}


def _entry(piece: Done, *, has_state: bool) -> dict[str, Any]:
    return {"piece": piece.name, "times": piece.times, "state": has_state}


def _stamp(path: Path) -> list[int]:
    """What stays of a file when it is renamed, and tells it from others."""
    status = path.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns]

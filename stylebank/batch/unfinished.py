"""What an interrupted run over many photos has left to do: a record of the pictures it made, in the output folder.

A picture is done if it and its photo are still the files of the record, and the run has the same settings. The record
is there only until the run comes to its end.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stylebank.batch.planning import Job
from stylebank.errors import OutputError
from stylebank.files.atomic import sha256_bytes, write_atomically


class Unfinished:
    """The record of one run, or of one process of a run that several share.

    Args:
        folder: where the pictures go.
        settings: plain JSON data: all that the pictures depend on besides the photos.
        process: which of how many, from 0.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], *, process: tuple[int, int] = (0, 1)
    ) -> None:
        self._path = folder / f".stylebank-unfinished-{process[0] + 1}-of-{process[1]}"
        self._digest = sha256_bytes(json.dumps(settings, sort_keys=True).encode())
        self._done = self._read()

    def remaining(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs that no interrupted run with these settings has done."""
        return [job for job in jobs if not self._has(job)]

    def begin(self) -> None:
        """Set the record up, unless the run continues one.

        Raises:
            OutputError: the folder cannot be written.
        """
        if not self._done:
            write_atomically(self._path, f"{self._digest}\n".encode())

    def add(self, job: Job) -> None:
        """Record a picture that is written.

        Raises:
            OutputError: the folder cannot be written.
        """
        line = json.dumps([str(job.picture), _stamps(job)])
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise OutputError(
                f"{self._path}: cannot be written ({error.strerror}); free space or choose another place"
            ) from error

    def finish(self) -> None:
        """Take the record away: another run of the same command makes all pictures anew."""
        self._path.unlink(missing_ok=True)

    def _has(self, job: Job) -> bool:
        stamps = self._done.get(str(job.picture))
        return stamps is not None and stamps == _stamps(job)

    def _read(self) -> dict[str, object]:
        """What is recorded under these settings; a line that was cut short is none."""
        try:
            head, *lines = self._path.read_text("utf-8", errors="replace").splitlines()
        except (OSError, ValueError):  # there is none, or it is empty
            return {}
        if head != self._digest:
            return {}
        found = {}
        for line in lines:
            try:
                picture, stamps = json.loads(line)
                found[picture] = stamps
            except (ValueError, TypeError):
                continue
        return found


def _stamps(job: Job) -> list[list[int]] | None:
    """What tells the picture and the photo from other files of their names; None if one is missing."""
    try:
        return [_stamp(job.picture), _stamp(job.photo)]
    except OSError:
        return None


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]

"""What an interrupted run over many photos has left to do: a marker in the output folder says since when it runs.

Pictures are written whole or not at all, so one that is younger than the marker of a run with the same settings is
done. The marker is there only until the run comes to its end.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stylebank.batch import Job
from stylebank.files import sha256_bytes, write_atomically


class Unfinished:
    """The marker of one run, or of one process of a run that several share.

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

    def remaining(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs that no interrupted run with these settings has done; a photo that has changed is to do again."""
        since = self._since()
        return list(jobs) if since is None else [job for job in jobs if not _is_done(job, since)]

    def begin(self) -> None:
        """Set the marker, unless the run continues one.

        Raises:
            OutputError: the folder cannot be written.
        """
        if self._since() is None:
            write_atomically(self._path, self._digest.encode())

    def finish(self) -> None:
        """Take the marker away: another run of the same command makes all pictures anew."""
        self._path.unlink(missing_ok=True)

    def _since(self) -> int | None:
        """When the run began, in nanoseconds; None if there is no marker with these settings."""
        try:
            is_ours = self._path.read_bytes() == self._digest.encode()
            return self._path.stat().st_mtime_ns if is_ours else None
        except OSError:
            return None


def _is_done(job: Job, since: int) -> bool:
    try:
        made, taken = (path.stat().st_mtime_ns for path in (job.picture, job.photo))
    except OSError:
        return False
    return made >= max(since, taken)

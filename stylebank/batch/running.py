"""The work on many photos: read, painted and written at the same time; what cannot be read is skipped and reported."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from stylebank.batch.planning import STREAM, Job
from stylebank.errors import ImageError, OutputError
from stylebank.files import atomic
from stylebank.machine.interrupts import is_broken_pipe
from stylebank.pixels import encoding, images

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Result:
    """What became of a job.

    Attributes:
        job: see there.
        size: width and height of the picture, in pixels; None if there is none.
        error: why there is none.
    """

    job: Job
    size: tuple[int, int] | None = None
    error: str | None = None

    def to_json(self) -> dict[str, object]:
        """As plain JSON data."""
        found: dict[str, object] = {"photo": str(self.job.photo)}
        if self.size is None:
            return found | {"error": self.error}
        return found | {"picture": str(self.job.picture), "width": self.size[0], "height": self.size[1]}


def run(
    jobs: Iterable[Job],
    paint: Callable[[list["Image"]], list["Image"]],
    *,
    workers: int,
    together: int,
    report: Callable[[Result], None],
    give_up: Callable[[], object] = lambda: None,
) -> None:
    """Make every picture; each worker reads, paints and writes, so that these overlap between workers.

    Args:
        jobs: taken as they are needed.
        paint: paints photos of one size; called by several threads at the same time.
        workers: threads.
        together: photos that a worker takes at a time, and paints at once where they are of one size.
        report: told of each photo in the order of the jobs, in the caller's thread.
        give_up: called when the work ends before its time; makes what is being painted end too, by an error.

    Raises:
        OutputError: a picture cannot be written; no further one is begun.
    """
    failed, swept = Event(), set[Path]()

    def make(group: list[Job]) -> list[Result]:
        if failed.is_set():
            return []
        try:
            return _make(group, paint)
        except BaseException:
            failed.set()
            raise

    waiting: deque[Future[list[Result]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for group in _groups(jobs, together):
                for folder in {job.picture.parent for job in group} - swept:
                    atomic.sweep(folder)
                    swept.add(folder)
                waiting.append(pool.submit(make, group))
                if len(waiting) > 2 * workers:
                    _tell(waiting.popleft(), report)
            while waiting:
                _tell(waiting.popleft(), report)
        except BaseException:
            failed.set()
            give_up()
            raise


def _tell(future: "Future[list[Result]]", report: Callable[[Result], None]) -> None:
    for result in future.result():
        report(result)


def _groups(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    """Consecutive jobs, `size` at a time."""
    rest = iter(jobs)
    while group := list(islice(rest, size)):
        yield group


def _make(group: Sequence[Job], paint: Callable[[list["Image"]], list["Image"]]) -> list[Result]:
    """Read, paint and write a few photos; those of one size are painted at once."""
    results: dict[Job, Result] = {}
    by_size: dict[tuple[int, int], tuple[list[Job], list[Image]]] = {}
    for job in group:
        try:
            photo = _read(job.photo)
            jobs, photos = by_size.setdefault(photo.size, ([], []))
            jobs.append(job)
            photos.append(photo)
            del photo
        except ImageError as error:
            results[job] = Result(job, error=str(error))
    for size, (jobs, photos) in by_size.items():
        try:
            pictures = list(paint(photos))
        except (ImageError, OutputError) as error:  # too large for this machine, or for its temporary folder
            results |= {job: Result(job, error=f"{job.photo}: {error}") for job in jobs}
            continue
        photos.clear()  # a large one takes as much memory as its picture
        for job, picture in zip(jobs, pictures, strict=True):
            _write(job, picture)
            results[job] = Result(job, size=size)
    return [results[job] for job in group]


def _read(path: Path) -> "Image":
    if path != STREAM:
        return images.read(path)
    return images.read_bytes(sys.stdin.buffer.read() if sys.stdin else b"", "-")


def _write(job: Job, picture: "Image") -> None:
    if job.picture != STREAM:
        images.save(job.picture, picture, sweeping=False)
        return
    data = encoding.encode(picture, job.suffix)
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except (AttributeError, OSError) as error:  # None, if it is closed from the beginning
        if is_broken_pipe(error):
            raise
        raise OutputError(f"-: cannot be written ({error}); send the output elsewhere") from error

"""The work on many photos: read, painted and written at the same time; what cannot be read is skipped and reported."""

import errno
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeAlias

from stylebank.batch import streams
from stylebank.batch.planning import Job
from stylebank.errors import StyleBankError
from stylebank.files import atomic
from stylebank.machine.interrupts import is_broken_pipe
from stylebank.photos.decoding import one_line
from stylebank.photos.originals import Original
from stylebank.pixels import encoding
from stylebank.pixels.encoding import Beside, Encoding

if TYPE_CHECKING:
    from PIL.Image import Image

Paint: TypeAlias = "Callable[[list[Image], int], list[Image]]"
"""Pictures of photos of one size, in the style of this place; called by several threads at the same time."""

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""What ends the work: a disk that is full or broken would take no other picture either."""


@dataclass(frozen=True)
class Result:
    """What became of a job.

    Attributes:
        job: see there.
        size: width and height of the picture, in pixels; None if there is none.
        error: why there is none.
        notes: what to know about the photo, each without its name.
        bug: what the photo failed with, if it is none of this program's own errors.
    """

    job: Job
    size: tuple[int, int] | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()
    bug: Exception | None = None

    def to_json(self) -> dict[str, object]:
        """As plain JSON data."""
        found: dict[str, object] = {"photo": str(self.job.photo)}
        if self.size is None:
            return found | {"error": self.error}
        if self.notes:
            found["notes"] = list(self.notes)
        return found | {"picture": str(self.job.picture), "width": self.size[0], "height": self.size[1]}


def run(
    jobs: Iterable[Job],
    paint: Paint,
    *,
    workers: int,
    together: int,
    report: Callable[[Result], None],
    how: Encoding = encoding.USUAL,
    give_up: Callable[[], object] = lambda: None,
) -> None:
    """Make every picture; each worker reads, paints and writes, so that these overlap between workers.

    Args:
        jobs: taken as they are needed.
        paint: see there.
        workers: threads.
        together: jobs that a worker takes at a time, and paints at once where photos are of one size.
        report: told of each job in their order, in the caller's thread; whatever fails with one photo is its result.
        how: pictures are written.
        give_up: called when the work ends before its time; makes what is being painted end too, by an error.

    Raises:
        OutputError: the disk is full or broken; no further picture is begun.
    """
    failed, swept = Event(), set[Path]()

    def make(group: list[Job]) -> list[Result]:
        if failed.is_set():
            return []
        try:
            return _make(group, paint, how)
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


def _make(group: Sequence[Job], paint: Paint, how: Encoding) -> list[Result]:
    """Read, paint and write a few photos; those of one size are painted at once."""
    results: dict[Job, Result] = {}
    alike: dict[tuple[tuple[int, int], int], tuple[list[Job], list[Image]]] = {}
    beside: dict[Path, tuple[Beside, tuple[str, ...]]] = {}
    for job, photo in _read(group, results):
        jobs, photos = alike.setdefault((photo.image.size, job.style), ([], []))
        jobs.append(job)
        photos.append(photo.image)
        beside[job.photo] = Beside.of(photo), photo.notes
        del photo
    for (size, style), (jobs, photos) in alike.items():
        for job, picture in zip(jobs, _painted(photos, style, paint), strict=True):
            try:
                if isinstance(picture, Exception):
                    raise picture
                kept, notes = beside[job.photo]
                streams.write(
                    job.picture, picture, how, kept, photo=job.photo, suffix=job.suffix, sweeping=False
                )
                results[job] = Result(job, size=size, notes=notes)
            except Exception as error:
                if is_broken_pipe(error) or _is_of_the_disk(error):
                    raise
                results[job] = _failed(job, error)
    return [results[job] for job in group]


def _read(group: Sequence[Job], results: dict[Job, Result]) -> Iterator[tuple[Job, Original]]:
    """The photos of a group, each read once for as many jobs as follow each other; of the others the reason why not."""
    for photo, jobs in groupby(group, lambda job: job.photo):
        try:
            original = streams.read(photo)
        except Exception as error:
            results |= {job: _failed(job, error) for job in jobs}
            continue
        for job in jobs:
            yield job, original
        del original


def _painted(photos: "list[Image]", style: int, paint: Paint) -> "Iterator[Image | Exception]":
    """The pictures, or why there is none; what fails together is tried one by one. Photos go as they are painted."""
    try:
        pictures = list(paint(photos, style))
    except Exception as error:
        if len(photos) == 1:
            yield error
            return
        for photo in photos:
            yield from _painted([photo], style, paint)
        return
    photos.clear()  # a large one takes as much memory as its picture
    yield from pictures


def _is_of_the_disk(error: Exception) -> bool:
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno in _OF_THE_DISK


def _failed(job: Job, error: Exception) -> Result:
    """A job with no picture: why, by what this program says, or by whatever else it ended in."""
    if not isinstance(error, StyleBankError):
        reason = f"failed ({type(error).__name__}: {one_line(error)}); try it alone"
        return Result(job, error=f"{job.photo}: {reason}", bug=error)
    names_it = str(error).startswith(f"{job.photo}: ")
    return Result(job, error=str(error) if names_it else f"{job.photo}: {error}")

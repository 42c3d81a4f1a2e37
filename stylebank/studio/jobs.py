"""What takes longer than an answer: pictures at full size, one after another, each to be watched, stopped and fetched.

A picture is made by the code of the commands: the bank as they load it, the photo as they read it, the file as they
write it.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

from stylebank.easel import album, commands, recipes
from stylebank.easel.album import Floats, Photograph
from stylebank.easel.commands import Form
from stylebank.easel.recipes import Recipe
from stylebank.easel.refusals import RefusedError
from stylebank.machine import memory
from stylebank.machine.halts import Halt
from stylebank.machine.memory import Tiling
from stylebank.painting import strokes
from stylebank.painting.painter import StyleBank
from stylebank.pixels import encoding
from stylebank.pixels.encoding import Beside
from stylebank.studio import api

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_JOBS = 64
MOST_WAITING = 8
"""Pictures that may wait; and so many pixels of their photos, which they hold on to."""
WAITING_PIXELS = 400_000_000
RESULT_BYTES = 512_000_000
"""Of pictures that are done and not fetched and forgotten yet: the oldest give way."""

_ENDED = ("done", "failed", "stopped")
_PACE = 0.4  # seconds for each megapixel and pass, before one has been measured


class Job:
    """Something that is being done.

    Attributes:
        id: a random word.
        kind: "render" or "style".
        state: "waiting", "running", "done", "failed" or "stopped".
        error: why it failed, in a line.
        share: how much of it is done, 0 to 1.
        begun: when it began to run, by the clock that only goes forward.
    """

    kind = ""

    def __init__(self) -> None:
        self.id = secrets.token_hex(8)
        self.state, self.error = "waiting", ""
        self.share, self.begun = 0.0, 0.0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes."""
        return self.state in _ENDED

    def left(self) -> float | None:
        """Seconds that it will take yet, as far as one knows."""
        spent = time.monotonic() - self.begun
        if self.state != "running" or self.share < 0.01 or spent < 0.2:
            return None
        return spent * (1 - self.share) / self.share

    def stop(self) -> None:
        """Let it end."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """What the page is told."""
        left = self.left()
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "done": round(self.share, 4),
            "left_s": None if left is None else round(left, 1),
            "error": self.error or None,
        }


class Render(Job):
    """A picture at full size.

    Args:
        photo: that is painted.
        recipe: by which.
        form: how the file is written.
        bank: makes the bank that paints, as a command loads it.
    """

    kind = "render"

    def __init__(
        self, photo: Photograph, recipe: Recipe, form: Form, bank: Callable[[Tiling], StyleBank]
    ) -> None:
        super().__init__()
        self._photo, self._recipe, self._form, self._bank = photo, recipe, form, bank
        self._levels = {region.mask: photo.levels(region.mask) for region in recipe.painted}
        self.pixels = photo.size[0] * photo.size[1]
        self.name = commands.picture_name(photo.name, recipe, form.format)
        self.result = b""
        self._tiling, self._halt = Tiling(report=self._report), Halt()
        self._expected = 0.0

    def stop(self) -> None:
        """Let it end, within a tile or where it is painted as a whole within a layer of the network."""
        self._tiling.give_up()
        self._halt.set()
        if not self.has_ended:
            self.state = "stopped"

    def run(self, pace: float) -> float:
        """Paint; the seconds that it took for each megapixel and pass, as `pace` says of those before.

        Painting as a whole tells of no progress: it is guessed by the pace.
        """
        if self.state != "waiting":
            return pace
        self.state, self.begun = "running", time.monotonic()
        work = self.pixels / 1e6 * sum(self._passes(each.stroke or 1) for each in self._recipe.mixtures())
        self._expected = pace * work
        try:
            with self._halt.heard():
                result = self._made()
        except InterruptedError:
            return pace
        except Exception as error:  # whatever it is, the next job is to be done
            if self.state == "running":
                self.error, self.state = api.of_error(error)[1]["error"], "failed"
            return pace
        finally:
            self._levels.clear()
        if self.state == "running":
            self.result, self.share = result, 1.0
            self.state = "done"
        return (time.monotonic() - self.begun) / max(work, 1e-3)

    def to_json(self) -> dict[str, Any]:
        """What the page is told."""
        if self.state == "running" and self._expected:
            self.share = max(self.share, min(0.95, (time.monotonic() - self.begun) / self._expected))
        height, width = self._photo.size
        facts = {"photo": self._photo.id, "name": self.name, "bytes": len(self.result)}
        return super().to_json() | facts | {"width": width, "height": height, "format": self._form.format}

    def _made(self) -> bytes:
        image = self._photo.image
        bank = self._bank(self._tiling)
        covers: Sequence[Floats] = [
            album.cover(self._levels[region.mask], self._photo.size) for region in self._recipe.painted
        ]
        found = recipes.paint(
            self._recipe,
            stylize=partial(bank.stylize, image),
            fuse=partial(bank.fuse, image),
            covers=covers,
            long_side=max(self._photo.size),
        )
        picture: Image = found or image
        self._halt.check()
        return encoding.encode(
            picture, self._form.format, self._form.encoding, Beside.of(self._photo.original)
        )

    def _passes(self, stroke: float) -> float:
        size = strokes.painted_size(self._photo.size, [stroke])
        larger = size[0] * size[1] / self.pixels
        return larger * sum((a * b) / (size[0] * size[1]) for a, b in strokes.sizes(size, stroke))

    def _report(self, done: float, total: float) -> None:
        self._expected = 0.0  # it is known now
        self.share = max(self.share, min(0.99, done / total))


class Jobs:
    """All jobs, and the thread that paints the pictures."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock, self._queue = RLock(), SimpleQueue[Render | None]()
        self._thread = Thread(target=self._work, name="renderer", daemon=True)
        self._thread.start()

    def add(self, job: Job) -> Job:
        """Take a job in; a render is painted when those before it are.

        Raises:
            RefusedError: too many wait.
        """
        with self._lock:
            waiting = [
                each for each in self._jobs.values() if isinstance(each, Render) and not each.has_ended
            ]
            if isinstance(job, Render):
                pixels = sum(each.pixels for each in waiting)
                if len(waiting) > MOST_WAITING or (waiting and pixels + job.pixels > WAITING_PIXELS):
                    raise RefusedError(429, f"renders: {len(waiting)} wait already; wait for one of them")
                self._queue.put(job)
            self._jobs[job.id] = job
            self._forget()
        return job

    def get(self, identity: str) -> Job:
        """A job.

        Raises:
            RefusedError: there is none.
        """
        with self._lock:
            if identity not in self._jobs:
                raise RefusedError(404, "job: is unknown, or was forgotten; start it again")
            return self._jobs[identity]

    def all(self) -> list[Job]:
        """Every job, the oldest first."""
        with self._lock:
            return list(self._jobs.values())

    def remove(self, identity: str) -> Job:
        """Stop a job and forget it.

        Raises:
            RefusedError: there is none.
        """
        with self._lock:
            job = self.get(identity)
            job.stop()
            del self._jobs[identity]
            return job

    def close(self, seconds: float) -> bool:
        """Stop all of them, and wait so long for the thread that paints; whether it has ended."""
        for job in self.all():
            job.stop()
        self._queue.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _forget(self) -> None:
        """Let the oldest that have ended give way, where there are too many, or too many bytes of them."""
        ended = [each for each in self._jobs.values() if each.has_ended]
        while ended and (
            len(self._jobs) > MOST_JOBS
            or sum(len(each.result) for each in ended if isinstance(each, Render)) > RESULT_BYTES
        ):
            del self._jobs[ended.pop(0).id]

    def _work(self) -> None:
        pace = _PACE
        while (job := self._queue.get()) is not None:
            pace = 0.5 * pace + 0.5 * job.run(pace)
            with self._lock:
                self._forget()
            del job
            memory.give_back()

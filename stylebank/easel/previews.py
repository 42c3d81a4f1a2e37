"""What the page sees while somebody looks and slides: one thread that paints small pictures, the urgent ones first.

Of one client only the newest preview is painted: what is superseded ends at once, and a large one that is being painted
makes way for a small one. A photo is encoded once for each size it is looked at in, and painted from there.
"""

import heapq
import itertools
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from stylebank.bank.mixture import Mixture
from stylebank.easel import closeups, recipes
from stylebank.easel.album import Floats, Photograph
from stylebank.easel.closeups import Ascent, Box
from stylebank.easel.recipes import Recipe
from stylebank.easel.refusals import RefusedError
from stylebank.machine import memory
from stylebank.machine.halts import Halt
from stylebank.painting.canvas import Canvas
from stylebank.painting.painter import StyleBank
from stylebank.pixels import resampling

if TYPE_CHECKING:
    from PIL.Image import Image

QUICK, SLOW, WHENEVER = 0, 1, 2
"""A preview while a slider moves; one at rest; a thumbnail."""

QUICK_SIDE = 512
"""Pixels of the long side up to which a preview is quick."""

IDLE = 10.0
"""Seconds without anything to paint after which memory is given back."""

SIDES = (1, 2048)
"""Least and most pixels of the long side of a preview."""

_CANVASES = 6
"""Photos at a size that are kept encoded, of all photos."""
_ASCENTS = 12
"""Mixtures of a photo whose coarse passes are kept, for windows at full size."""
_CLIENTS = 256
_WAITING = 128

Made = TypeVar("Made")


@dataclass(eq=False)
class _Errand:
    """Something to be done, and what is known of it.

    Attributes:
        priority: see `Painter`.
        place: of all errands, in the order in which they came.
        work: what is done.
        client: see `Painter.submit`.
        number: likewise.
        future: of what it makes; pending until that is there, so that it can be cancelled at any time.
        halt: ends what is being done.
        is_old: whether a newer one of its client came while it was being done.
    """

    priority: int
    place: int
    work: Callable[[], Any]
    client: str
    number: int
    future: Future[Any] = field(default_factory=Future)
    halt: Halt = field(default_factory=Halt)
    is_old: bool = False

    def __lt__(self, other: "_Errand") -> bool:
        return (self.priority, self.place) < (other.priority, other.place)

    def end(self, made: object = None, error: BaseException | None = None) -> None:
        """Tell whoever asked, if anybody listens."""
        if self.future.set_running_or_notify_cancel():
            if error is None:
                self.future.set_result(made)
            else:
                self.future.set_exception(error)


class Painter:
    """A thread that does one thing after another: of the lowest priority number first, of equal ones the oldest.

    What is being done gives way: to something more urgent, after which it begins anew; to a newer one of its client,
    unless it is quick; and when whoever asked for it goes away.

    Args:
        rest: called when nothing has been asked for `IDLE` seconds.
    """

    def __init__(self, rest: Callable[[], object] = int) -> None:
        self._rest, self._is_rested = rest, True
        self._waiting: list[_Errand] = []
        self._now: _Errand | None = None
        self._newest: OrderedDict[str, int] = OrderedDict()
        self._order, self._ready, self._closed = itertools.count(), Condition(), False
        self._thread = Thread(target=self._work, name="painter", daemon=True)
        self._thread.start()

    def submit(
        self, work: Callable[[], Made], *, priority: int, client: str = "", number: int = 0
    ) -> "Future[Made]":
        """Let something be done; the future says when, and takes being cancelled.

        Args:
            work: what; it may be begun more than once.
            priority: see the class.
            client: of which only the highest number counts; empty for what is never superseded.
            number: its own.

        Raises:
            RefusedError: too much waits, or a later one of the client was here before.
        """
        with self._ready:
            if client:
                self._supersede(client, number)
            self._waiting = [each for each in self._waiting if not each.future.done()]
            heapq.heapify(self._waiting)
            if self._closed or (len(self._waiting) >= _WAITING and priority >= QUICK):
                raise RefusedError(
                    429, f"studio: {len(self._waiting)} pictures wait already; ask again later"
                )
            errand = _Errand(priority, next(self._order), work, client, number)
            heapq.heappush(self._waiting, errand)
            if self._now and QUICK <= priority < self._now.priority:
                self._now.halt.set()
            self._ready.notify()
        return errand.future

    def close(self, seconds: float) -> bool:
        """Let the thread end, and wait so long; whether it has ended."""
        with self._ready:
            self._closed = True
            for errand in self._waiting:
                errand.future.cancel()
            if self._now:
                self._now.halt.set()
            self._ready.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _supersede(self, client: str, number: int) -> None:
        if number < self._newest.get(client, number):
            raise superseded()
        self._newest[client] = number
        self._newest.move_to_end(client)
        if len(self._newest) > _CLIENTS:
            self._newest.popitem(last=False)
        for errand in self._waiting:
            if errand.client == client and errand.number < number:
                errand.end(error=superseded())
        now = self._now
        # A quick one is let to its end: who drags a slider would never see a picture else.
        if now and now.client == client and now.number < number and now.priority > QUICK:
            now.is_old = True
            now.halt.set()

    def _work(self) -> None:
        while not self._closed:
            errand = self._next()
            if errand is None:
                self._rest()
            elif not errand.future.done():
                errand.future.add_done_callback(partial(_left, errand.halt))
                self._do(errand)
            del errand

    def _next(self) -> _Errand | None:
        """What is to be done now; None to rest, once after something was done and nothing came."""
        with self._ready:
            self._now = None
            seconds = None if self._is_rested else IDLE
            self._ready.wait_for(lambda: self._waiting or self._closed, seconds)
            self._is_rested = not self._waiting
            if self._is_rested:
                return None
            self._now = heapq.heappop(self._waiting)
            self._now.halt = Halt()
            return self._now

    def _do(self, errand: _Errand) -> None:
        try:
            with errand.halt.heard():
                errand.end(errand.work())
        except InterruptedError as error:
            with self._ready:
                if errand.is_old or not errand.halt.is_set:
                    errand.end(error=superseded() if errand.is_old else error)
                elif self._closed:
                    errand.future.cancel()
                elif not errand.future.done():
                    heapq.heappush(self._waiting, errand)
        except BaseException as error:  # whoever asked is told, whatever it is
            errand.end(error=error)


def _left(halt: Halt, future: Future[Any]) -> None:
    if future.cancelled():
        halt.set()


def superseded() -> RefusedError:
    """What is answered to a preview that a later one made useless."""
    return RefusedError(409, "preview: a newer one was asked for", superseded=True)


class Easel:
    """Photos that a bank has encoded, at the sizes they are looked at; for the painter's thread alone.

    Args:
        bank: that paints.
    """

    def __init__(self, bank: StyleBank) -> None:
        self.bank = bank
        self._ascents: OrderedDict[tuple[str, Mixture], Ascent] = OrderedDict()
        self._canvases: OrderedDict[tuple[str, tuple[int, int]], tuple[Image, Canvas[Image]]] = OrderedDict()

    def preview(self, photo: Photograph, recipe: Recipe, side: int) -> "tuple[Image, float]":
        """The picture at a long side of up to so many pixels, and the milliseconds that it took to paint."""
        small, canvas = self._canvas(photo, side)
        begun = time.perf_counter()
        size = small.height, small.width
        covers = [photo.cover(region.mask, size) for region in recipe.painted]
        found = recipes.paint(
            recipe, stylize=canvas.stylize, fuse=canvas.fuse, covers=covers, long_side=max(size)
        )
        return found or small, 1000 * (time.perf_counter() - begun)

    def rest(self) -> None:
        """Give back the memory that the engine keeps of what it painted last; it is set up anew in a blink."""
        self.bank.stages.release()
        memory.give_back()

    def closeup(self, photo: Photograph, recipe: Recipe, window: Box) -> "tuple[Image, float]":
        """A window of the picture at full size, and the milliseconds that it took; see `closeups`."""
        begun, mixtures = time.perf_counter(), recipe.mixtures()
        if not closeups.fits(photo.size, mixtures):
            whole, _ = self.preview(photo, recipe, max(photo.size))
            return whole.crop(window), 1000 * (time.perf_counter() - begun)
        ascents = [self._ascent(photo, each) for each in mixtures]
        found = closeups.painted(self.bank, photo, recipe, window, ascents)
        return found, 1000 * (time.perf_counter() - begun)

    def thumbnail(self, photo: Photograph, style: str, side: int) -> "Image":
        """The photo in a style: a quick preview, shrunk, as smaller it would be painted no sooner."""
        return resampling.fitted(self._canvas(photo, QUICK_SIDE)[1].stylize(style), long_side=side)

    def regions(self, photo: Photograph, count: int, seed: int) -> list[tuple[str, float]]:
        """Masks of what is found in a photo, kept with it, and the share that each covers, the largest first.

        It touches no canvas, so that any thread may look.
        """
        from stylebank.painting import regions  # brings along what takes longer to load than all else

        labels = regions.clustered(self.bank, photo.image, count, seed=seed)
        found = []
        for label in range(1, int(labels.max()) + 1):
            mask: Floats = (labels == label).astype(np.float32)
            found.append((photo.add_mask(mask), round(float(mask.mean()), 4)))
        return found

    def _ascent(self, photo: Photograph, mixture: Mixture) -> Ascent:
        key = photo.id, mixture
        if key not in self._ascents:
            self._ascents[key] = closeups.ascend(self.bank, photo.image, mixture)
            while len(self._ascents) > _ASCENTS:
                self._ascents.popitem(last=False)
        self._ascents.move_to_end(key)
        return self._ascents[key]

    def _canvas(self, photo: Photograph, side: int) -> "tuple[Image, Canvas[Image]]":
        long = max(photo.size)
        scale = min(1.0, side / long)
        key = photo.id, (round(photo.size[0] * scale), round(photo.size[1] * scale))
        if key not in self._canvases:
            small = resampling.fitted(photo.image, long_side=side)
            self._canvases[key] = small, self.bank.open(small)
            while len(self._canvases) > _CANVASES:
                self._canvases.popitem(last=False)
        self._canvases.move_to_end(key)
        return self._canvases[key]

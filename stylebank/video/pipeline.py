"""Threads around a painter: one decodes ahead, one encodes behind, piece by piece.

Where pieces end depends on the clip alone: what was interrupted and goes on has the same pieces as what was not.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Protocol

from stylebank.errors import ConfigError
from stylebank.files.tensorfile import Arrays
from stylebank.footage.clips import FPS, Clip, Facts, Frame, Piece, Writer
from stylebank.persistence.pieces import Pieces
from stylebank.photos import srgb
from stylebank.pixels import resampling
from stylebank.video.looks import Look

if TYPE_CHECKING:
    from PIL.Image import Image

_PIECE = 60
"""Frames of a piece at most: what a kill costs, and from one key frame to the next."""

_PIXELS = 240_000_000
"""Of a piece at most: where frames are large there are fewer."""

_AHEAD = 4  # frames decoded before they are painted, and painted before they are encoded


class Painter(Protocol):
    """Paints frames in their order; see `steadiness.SteadyPainter`."""

    def paint(self, frame: "Image", look: Look) -> "Image":
        """The picture of the next frame."""
        ...

    def state(self) -> Arrays:
        """What it remembers of past frames."""
        ...

    def restore(self, state: Arrays) -> None:
        """Remember what another painter did."""
        ...

    def reset(self) -> None:
        """Forget all frames."""
        ...


@dataclass(frozen=True)
class Order:
    """What is to be done with a clip.

    Attributes:
        clip: see there.
        size: (H, W) in which it is painted.
        writer: see there.
        look: how the frame of a time in seconds, from the clip's first frame, is painted.
        start: seconds from the first frame to the first that is painted.
        length: seconds that are painted; None for all.
    """

    clip: Clip
    size: tuple[int, int]
    writer: Writer
    look: Callable[[Fraction], Look]
    start: Fraction = Fraction(0)
    length: Fraction | None = None

    @property
    def count(self) -> int | None:
        """How many frames there are to paint, as far as is known."""
        facts = self.clip.facts
        if not self.start and self.length is None:
            return facts.count
        if facts.rate is None or (self.length is None and facts.seconds is None):
            return None
        whole = facts.seconds - self.start if facts.seconds is not None else self.length
        assert whole is not None
        return max(1, round(min(whole, self.length or whole) * facts.rate))


def piece_length(size: tuple[int, int]) -> int:
    """How many frames (H, W) make a piece."""
    return max(2, min(_PIECE, _PIXELS // (size[0] * size[1])))


def ahead(order: Order, pieces: Pieces) -> Iterator[Frame]:
    """The frames that are left, decoded by a thread of their own before they are asked for."""
    queue: Queue[Frame | BaseException | None] = Queue(_AHEAD)
    ended = threading.Event()

    def put(found: Frame | BaseException | None) -> None:
        while not ended.is_set():
            try:
                queue.put(found, timeout=0.1)
                return
            except Full:
                continue

    def decode() -> None:
        try:
            for frame in _left(order, pieces):
                put(frame)
                if ended.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=decode, name="decoding", daemon=True)
    thread.start()
    try:
        while True:
            try:
                found = queue.get(timeout=1)  # a wait without end would not hear Ctrl-C on Windows
            except Empty:
                continue
            if isinstance(found, BaseException):
                raise found
            if found is None:
                return
            yield found
    finally:
        ended.set()
        thread.join()


def _left(order: Order, pieces: Pieces) -> Iterator[Frame]:
    """Frames that are not done, at the size in which they are painted, each as long as until the next."""
    return _from(order, sum(pieces.done[-1].times[-1]) if pieces.done else _begins(order))


def first(order: Order) -> "Image":
    """The first frame that is to be painted, whatever has been, at the size in which it is painted.

    Raises:
        ConfigError: there is none.
    """
    with closing(_from(order, _begins(order))) as frames:
        for frame in frames:
            return frame.image
    raise is_empty(order)


def is_empty(order: Order) -> ConfigError:
    """The complaint that there is no frame in the window."""
    return ConfigError(
        f"{order.clip.path}: has no frame from there on; give an earlier --start, or a longer --preview"
    )


def _begins(order: Order) -> int | None:
    """The time in ticks from which on frames are painted; None for all."""
    facts = order.clip.facts
    return facts.start + -(-order.start // facts.time_base) if order.start else None


def _from(order: Order, since: int | None) -> Generator[Frame]:
    facts = order.clip.facts
    end = None if order.length is None else (order.start + order.length) / facts.time_base + facts.start
    for frame in _measured(order.clip.frames(since), facts):
        if end is not None and frame.time >= end:
            return
        image, alpha = frame.image, frame.alpha
        if alpha is not None:
            image = srgb.over_white(image, alpha)
        if (image.height, image.width) != order.size:
            image = resampling.resized(image, size=order.size)
            alpha = alpha and resampling.resized(alpha, size=order.size)
        yield replace(frame, image=image, alpha=alpha)


def _measured(frames: Iterator[Frame], facts: Facts) -> Iterator[Frame]:
    """Frames with their lengths: until the next one; of the last what the file says, or as usual."""
    before: Frame | None = None
    for frame in frames:
        if before is not None:
            yield replace(before, length=frame.time - before.time)
        before = frame
    if before is not None:
        usual = max(1, round(1 / ((facts.rate or FPS) * facts.time_base)))
        yield replace(before, length=before.length or usual)


class Encoding:
    """Pieces that are encoded by a thread of their own, in order."""

    def __init__(self, writer: Writer, pieces: Pieces, length: int) -> None:
        self._writer, self._pieces, self._length = writer, pieces, length
        self._pool = ThreadPoolExecutor(1, "encoding")
        self._waiting: deque[Future[None]] = deque()
        self._piece: Piece | None = None
        self._times: list[tuple[int, int]] = []
        self._place = pieces.frames

    def __enter__(self) -> "Encoding":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def add(self, frame: Frame, painter: Painter) -> None:
        """Encode a frame; where that ends a piece, with what the painter remembers there."""
        begins = None if self._times else self._place
        self._times.append((frame.time, frame.length))
        self._place += 1
        self._submit(lambda: self._add(frame, begins))
        if len(self._times) == self._length:
            self._finish(painter)

    def close(self, *, is_whole: bool, painter: Painter) -> tuple[list[Path], list[tuple[int, int]]]:
        """Wait for all that is encoded: files of pieces, and times of all frames."""
        if self._times and is_whole:
            self._finish(painter)
        self._wait(0)
        paths = self._pieces.paths
        times = [each for piece in self._pieces.done for each in piece.times]
        if self._times:
            assert self._piece is not None
            if data := self._piece.close():
                paths = [*paths, self._pieces.partial(data, self._writer.suffix)]
            times += self._times
        return paths, times

    def _finish(self, painter: Painter) -> None:
        times, state = list(self._times), {name: each.copy() for name, each in painter.state().items()}
        self._times.clear()

        def record() -> None:
            assert self._piece is not None
            self._pieces.add(self._piece.close(), self._writer.suffix, times, state)

        self._submit(record)

    def _add(self, frame: Frame, begins: int | None) -> None:
        if begins is not None:
            self._piece = self._writer.begin(begins)
        assert self._piece is not None
        self._piece.add(frame)

    def _submit(self, work: Callable[[], None]) -> None:
        self._waiting.append(self._pool.submit(work))
        self._wait(_AHEAD)

    def _wait(self, most: int) -> None:
        while len(self._waiting) > most:
            self._waiting.popleft().result()

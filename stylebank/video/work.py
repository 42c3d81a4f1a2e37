"""The work on one clip: read, painted and encoded at the same time, piece by piece, so that it can be interrupted.

What reads ahead and encodes behind is in `pipeline`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stylebank.errors import ConfigError
from stylebank.files.tensorfile import Arrays
from stylebank.footage.clips import Facts
from stylebank.painting.painter import StyleBank
from stylebank.persistence.pieces import Pieces
from stylebank.photos import srgb
from stylebank.video.looks import Look
from stylebank.video.pipeline import Encoding, Order, Painter, ahead, is_empty, piece_length

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass
class Outcome:
    """What became of it.

    Attributes:
        frames: that the file has.
        painted: of these, in this run.
        seconds: that this run took.
        shown: seconds that the file plays.
        is_whole: whether the clip came to its end, and nobody asked to stop.
        notes: a line each.
    """

    frames: int = 0
    painted: int = 0
    seconds: float = 0.0
    shown: float = 0.0
    is_whole: bool = True
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plain:
    """A painter of frames by themselves."""

    bank: StyleBank

    def paint(self, frame: "Image", look: Look) -> "Image":
        """See `Painter`."""
        return look.painted(self.bank, frame)

    def state(self) -> Arrays:
        """See `Painter`."""
        return {}

    def restore(self, state: Arrays) -> None:
        """See `Painter`."""

    def reset(self) -> None:
        """See `Painter`."""


def size_of(facts: Facts, longest: int | None) -> tuple[int, int]:
    """(H, W) of a clip's pictures, even where they are made smaller.

    Raises:
        ConfigError: `longest` is less than 16.
    """
    if longest is None or longest >= max(facts.size):
        return facts.size
    if longest < 16:
        raise ConfigError(f"--max-side {longest}: is out of range; give 16 pixels or more")
    scale = longest / max(facts.size)
    height, width = (max(2, 2 * round(side * scale / 2)) for side in facts.size)
    return height, width


def run(
    order: Order,
    painter: Painter,
    pieces: Pieces,
    *,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], object] = lambda _: None,
) -> Outcome:
    """Paint a clip, or what is left of it, and make its file; when asked to stop, a file of what there is.

    Raises:
        ConfigError: there is no frame in the window.
        StyleBankError: a frame cannot be painted, or the disk is full.
    """
    begun, outcome = time.monotonic(), Outcome(frames=pieces.frames)
    pieces.begin()
    painter.reset()
    painter.restore(pieces.state)
    with Encoding(order.writer, pieces, piece_length(order.size)) as encoding:
        for frame in ahead(order, pieces):
            at = (frame.time - order.clip.facts.start) * order.clip.facts.time_base
            picture = painter.paint(frame.image, order.look(at))
            alpha = frame.alpha if order.writer.keeps_alpha else None
            if alpha:  # what was painted was laid over white
                picture = srgb.without_white(picture, alpha)
            encoding.add(replace(frame, image=picture, alpha=alpha), painter)
            outcome.painted += 1
            progress(pieces_done := outcome.frames + outcome.painted)
            if stop() and pieces_done != order.count:
                outcome.is_whole = False
                break
        paths, times = encoding.close(is_whole=outcome.is_whole, painter=painter)
    outcome.frames += outcome.painted
    if not times:
        raise is_empty(order)
    outcome.notes = order.writer.join(pieces.target, paths, times, pieces.own)
    last, length = times[-1]
    outcome.shown = float((last + length - times[0][0]) * order.clip.facts.time_base)
    outcome.seconds = time.monotonic() - begun
    if outcome.is_whole:
        pieces.remove()
    return outcome

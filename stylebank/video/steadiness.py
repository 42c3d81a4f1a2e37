"""A painter of frames that hold still where the scene does: paint is carried along, and renewed where it must be.

Each frame is painted by itself, and that of the frame before is moved to where the scene has gone. The carried paint
stays, mark by mark; to blend it with fresh paint would blur both, because a network draws its marks by the grid of its
features, which does not move with the scene. Fresh paint comes

- where the frame before showed nothing of what is there now, or no longer the same: what each piece of paint was made
  of is carried with it, and compared with the frame;
- in cells whose turn it is, so that marks which were moved and stretched do not last for ever;
- everywhere, in the light and colour of large parts, a little with each frame.
"""

import hashlib
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from stylebank.bank import mixture
from stylebank.bank.mixture import PHOTO
from stylebank.errors import ConfigError
from stylebank.files.tensorfile import Arrays
from stylebank.painting.painter import StyleBank
from stylebank.pixels import images
from stylebank.video import cuts, motion
from stylebank.video.looks import Look
from stylebank.video.motion import Floats, Levels, Motion

if TYPE_CHECKING:
    from PIL.Image import Image

STEADY = 0.9
"""Steadiness where nobody asks for another."""

_FOLLOW = 0.1  # share of a change of light and colour that carried paint takes on with each frame
_PART = 8, 3.0  # pixels of a part whose light counts, and deviation, in parts, of the window
_OTHER = 0.15  # share of the cells whose paint is renewed with each frame, at least, where the look changes
_CELL = 8  # half-size pixels from a cell to the next
_FRAMES = 3  # in which a cell is renewed
_TURNS = 1 << 12  # frames after which turns begin again


@dataclass
class _Memory:
    """What is known of past frames.

    Attributes:
        painted: (H, W, 3), levels: the last picture.
        seen: (h, w, 3 + R) at half the size, levels: what its paint was made of, of the frame and of regions' masks.
        grey: (h, w) the last frame at half the size.
        look: digest of how it was painted.
        count: of frames since the scene's first.
    """

    painted: Floats
    seen: Floats
    grey: Levels
    look: str
    count: int


class SteadyPainter:
    """Paints the frames of a clip in their order.

    >>> painter = SteadyPainter(bank, steady=0.9)
    >>> pictures = [painter.paint(frame, Look("mosaic")) for frame in frames]

    Args:
        bank: that paints.
        steady: 0, each frame by itself, to 1: paint stays as long as what it shows is there.

    Raises:
        ConfigError: `steady` is not in [0, 1].
    """

    def __init__(self, bank: StyleBank, *, steady: float = STEADY) -> None:
        if not 0 <= steady <= 1:
            raise ConfigError(
                f"steady {steady:g}: is out of range; give 0 (each frame by itself) to 1 (steadiest)"
            )
        self._bank, self._steady = bank, steady
        self._memory: _Memory | None = None
        self._beside = ThreadPoolExecutor(1)

    def reset(self) -> None:
        """Forget all frames: a new clip begins."""
        self._memory = None

    def paint(self, frame: "Image", look: Look) -> "Image":
        """The picture of the next frame, of its size.

        Args:
            frame: RGB; where it has another size than the last one, a new clip begins.
            look: see there.

        Raises:
            UnknownStyleError, ConfigError, ImageError: see `Look.painted`.
        """
        if not self._steady:
            return look.painted(self._bank, frame)
        before = self._memory
        levels = motion.halved(images.to_pixels(frame))
        now = _seen(levels, look)
        if before is None or before.painted.shape[:2] != (frame.height, frame.width):
            return self._begun(look.painted(self._bank, frame), now, motion.grey(levels), look)
        moving = self._beside.submit(_moved, before, motion.grey(levels))
        fresh = look.painted(self._bank, frame)
        moved, painted, seen = moving.result()
        if cuts.is_cut(moved):
            return self._begun(fresh, now, motion.grey(levels), look)
        digest = _digest(look)
        rate = (1 - self._steady) ** 2 + abs(math.log(moved.growth))
        if digest != before.look:
            rate = max(rate, _OTHER)
        if seen.shape != now.shape:  # another number of regions
            seen = np.concatenate([seen[..., :3], now[..., 3:]], 2)
        lit = _light(now[..., :3] - seen[..., :3])
        share = np.maximum(_strayed(now, seen, lit, moved), 1 - moved.known)
        share = np.maximum(share, _turns(now.shape[:2], before.count, rate))
        if look.regions and look.share == PHOTO:
            share = np.maximum(share, 1 - now[..., 3:].max(2) / 255)
        return self._renewed(fresh, painted, seen, share, now, lit, motion.grey(levels), digest)

    def state(self) -> Arrays:
        """What is remembered of past frames, by names: a painter that it is given to goes on as this one would."""
        if self._memory is None:
            return {}
        known = self._memory
        words = json.dumps({"look": known.look, "count": known.count}).encode()
        arrays = {"painted": known.painted, "seen": known.seen, "grey": known.grey}
        return {**arrays, "words": np.frombuffer(words, np.uint8)}

    def restore(self, state: Arrays) -> None:
        """Remember what another painter did; see `state`."""
        self._memory = None
        if state:
            words = json.loads(bytes(state["words"]))
            arrays = (state[name].copy() for name in ("painted", "seen", "grey"))
            self._memory = _Memory(*arrays, words["look"], words["count"])

    def _begun(self, fresh: "Image", now: Floats, grey: Levels, look: Look) -> "Image":
        self._memory = _Memory(np.asarray(fresh, np.float32), now, grey, _digest(look), 0)
        return fresh

    def _renewed(
        self,
        fresh: "Image",
        painted: Floats,
        seen: Floats,
        share: Floats,
        now: Floats,
        lit: Floats,
        grey: Levels,
        digest: str,
    ) -> "Image":
        levels = np.asarray(fresh, np.float32)
        painted += _FOLLOW * _large(levels - painted)
        painted = _sharpened(painted, levels)
        large = cv2.resize(share, (fresh.width, fresh.height))[..., None]
        painted += large * (levels - painted)
        seen[..., :3] += _FOLLOW * lit
        seen += share[..., None] * (now - seen)
        count = self._memory.count + 1
        self._memory = _Memory(painted.clip(0, 255), seen, grey, digest, count % _TURNS)
        return images.from_pixels(np.rint(self._memory.painted).astype(np.uint8))


def _digest(look: Look) -> str:
    mixes = [mixture.of(mix, strength=look.strength, stroke=look.stroke) for _, mix in look.regions]
    if look.share != PHOTO:
        mixes.append(mixture.of(look.share, strength=look.strength, stroke=look.stroke))
    return hashlib.sha256(repr((mixes, look.keep_color)).encode()).hexdigest()


def _seen(levels: Levels, look: Look) -> Floats:
    """What a frame's paint is made of, (h, w, 3 + R): the frame at half the size, and its regions' masks."""
    masks = [motion.halved(np.asarray(mask.convert("L"), np.uint8)) for mask, _ in look.regions]
    return np.dstack([levels, *masks]).astype(np.float32)


def _moved(before: _Memory, grey: Levels) -> tuple[Motion, Floats, Floats]:
    """The motion since the last frame; what was painted, and of what, as moved by it."""
    found = motion.between(before.grey, grey)
    return found, motion.carried(before.painted, found), motion.carried(before.seen, found)


def _light(change: Floats) -> Floats:
    """The part of a frame's change (h, w, 3) that is a change of light: the same over a large window."""
    return np.asarray(cv2.GaussianBlur(change.clip(-40, 40), (0, 0), 12), np.float32)


def _large(change: Floats) -> Floats:
    """A change (H, W, 3) as it is over large parts."""
    height, width = change.shape[:2]
    parts = max(1, width // _PART[0]), max(1, height // _PART[0])
    small = cv2.GaussianBlur(cv2.resize(change, parts, interpolation=cv2.INTER_AREA), (0, 0), _PART[1])
    return np.asarray(cv2.resize(small, (width, height)), np.float32)


_LEAST = 6.0  # levels by which a thing may have changed
_EDGE = 0.6  # half-size pixels by which edges may have strayed


def _strayed(now: Floats, seen: Floats, lit: Floats, moved: Motion) -> Floats:
    """Whether (h, w) paint shows no longer what is there, in [0, 1]."""
    change = now - seen
    change[..., :3] -= lit
    off = cv2.GaussianBlur(np.square(change).max(2), (0, 0), 1.5)
    slope = sum(
        np.square(cv2.Sobel(now, cv2.CV_32F, *way, ksize=3, scale=1 / 8)).max(2) for way in ((1, 0), (0, 1))
    )
    slope = cv2.GaussianBlur(slope, (0, 0), 1.5)
    allowed = _LEAST**2 + 4 * float(np.median(moved.error)) + _EDGE**2 * slope
    return np.asarray(((off / allowed - 1) / 2).clip(0, 1), np.float32)


def _sharpened(painted: Floats, fresh: Floats) -> Floats:
    """Carried paint (H, W, 3), as sharp as fresh paint is: each move takes a little."""
    fine = painted - cv2.GaussianBlur(painted, (0, 0), 1.0)
    wanted = fresh - cv2.GaussianBlur(fresh, (0, 0), 1.0)
    lack = 1 - float(np.abs(fine).mean()) / max(float(np.abs(wanted).mean()), 1e-3)
    return painted + np.float32(min(max(lack, 0), _SHARPER)) * fine if lack > 0 else painted


_SHARPER = 0.1  # of the finest part of carried paint, at most, that is added with each frame


def _turns(size: tuple[int, int], count: int, rate: float) -> Floats:
    """The share (h, w) of fresh paint in cells whose turn it is: a third, a half, all."""
    phase, cells = _cells(*size)
    left = ((phase + count * rate) % 1.0) / max(rate, 1e-9)
    share = np.where(left < _FRAMES, 1 / np.maximum(_FRAMES - np.floor(left), 1), 0) if rate else 0 * left
    if not share.any():
        return np.zeros(size, np.float32)
    return np.asarray(cv2.GaussianBlur(share.astype(np.float32)[cells], (0, 0), 1.0), np.float32)


@lru_cache(maxsize=2)
def _cells(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """When it is each cell's turn, (N,) in [0, 1), and the number (h, w) of the cell that a pixel is in.

    A pixel is in the cell whose centre is nearest; centres lie at random places, one in each square of a grid.
    """
    rows, columns = (-(-length // _CELL) + 2 for length in (height, width))
    phase, y, x = np.random.Generator(np.random.Philox(key=height << 16 | width)).random((3, rows, columns))
    centres = (
        np.stack([x, y], -1) + np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1) - 1
    ) * _CELL
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
    square = places // _CELL + 1
    nearest = np.full((height, width), np.inf)
    cells = np.zeros((height, width), np.int64)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            row, column = square[..., 1] + down, square[..., 0] + right
            inside = (row < rows) & (column < columns)
            row, column = np.minimum(row, rows - 1), np.minimum(column, columns - 1)
            away = np.where(inside, np.square(centres[row, column] - places).sum(-1), np.inf)
            cells = np.where(away < nearest, row * columns + column, cells)
            nearest = np.minimum(nearest, away)
    return phase.ravel(), cells

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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stylebank.bank import mixture
from stylebank.bank.mixture import PHOTO
from stylebank.errors import ConfigError
from stylebank.files.tensorfile import Arrays
from stylebank.painting.painter import StyleBank
from stylebank.pixels import images
from stylebank.video import cuts, motion, renewal
from stylebank.video.looks import Look
from stylebank.video.motion import Floats, Levels, Motion

if TYPE_CHECKING:
    from PIL.Image import Image

STEADY = 0.95
"""Steadiness where nobody asks for another."""

_FOLLOW = 0.1  # share of a change of light and colour that carried paint takes on with each frame
_OTHER = 0.15  # share of the cells whose paint is renewed with each frame, at least, where the look changes
_TURNS = 1 << 12  # frames after which turns begin again


@dataclass(frozen=True)
class _Memory:
    """What is known of past frames.

    Attributes:
        painted: (H, W, 3), levels: the last picture.
        seen: (h, w, 3 + R) at half the size, levels: what its paint was made of, of the frame and of regions' masks.
        wet: (h, w) in [0, 1], where that was not made at once.
        grey: (h, w) the last frame at half the size.
        look: digest of how it was painted.
        count: of frames since the scene's first.
        left: frames in which all that is wet is renewed; 0 for not yet.
    """

    painted: Floats
    seen: Floats
    wet: Floats
    grey: Levels
    look: str
    count: int = 0
    left: int = 0

    def moved(self, grey: Levels) -> "tuple[Motion, _Memory]":
        """The motion to the next frame, and all this as moved by it."""
        found = motion.between(self.grey, grey)
        painted, seen = (motion.carried(x, found) for x in (self.painted, self.seen))
        wet = motion.carried(self.wet, found, fine=False)
        return found, replace(self, painted=painted, seen=seen, wet=wet, grey=grey)


class SteadyPainter:
    """Paints the frames of a clip in their order.

    >>> painter = SteadyPainter(bank, steady=0.95)
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
        levels = motion.halved(images.to_pixels(frame))
        grey, now, before = motion.grey(levels), _seen(levels, look), self._memory
        if before is None or before.painted.shape[:2] != (frame.height, frame.width):
            return self._begun(look.painted(self._bank, frame), now, grey, look)
        moving = self._beside.submit(before.moved, grey)
        fresh = look.painted(self._bank, frame)
        found, carried = moving.result()
        if cuts.is_cut(found):
            return self._begun(fresh, now, grey, look)
        self._memory = self._renewed(carried, found, np.asarray(fresh, np.float32), now, look)
        return images.from_pixels(np.rint(self._memory.painted).astype(np.uint8))

    def state(self) -> Arrays:
        """What is remembered of past frames, by names: a painter that it is given to goes on as this one would."""
        if self._memory is None:
            return {}
        known = self._memory
        words = json.dumps([known.look, known.count, known.left]).encode()
        return {name: getattr(known, name) for name in _ARRAYS} | {"words": np.frombuffer(words, np.uint8)}

    def restore(self, state: Arrays) -> None:
        """Remember what another painter did; see `state`."""
        self._memory = None
        if state:
            look, count, left = json.loads(bytes(state["words"]))
            painted, seen, wet, grey = (state[name] for name in _ARRAYS)
            self._memory = _Memory(painted, seen, wet, grey, look, count, left)

    def _begun(self, fresh: "Image", now: Floats, grey: Levels, look: Look) -> "Image":
        dry = np.zeros(grey.shape, np.float32)
        self._memory = _Memory(np.asarray(fresh, np.float32), now, dry, grey, _digest(look))
        return fresh

    def _renewed(self, carried: _Memory, found: Motion, fresh: Floats, now: Floats, look: Look) -> _Memory:
        """What is remembered with the next picture.

        Args:
            carried: what was, as moved.
            found: by which motion.
            fresh: (H, W, 3), levels: the frame painted by itself.
            now: (h, w, 3 + R), see `_Memory.seen`.
            look: see there.
        """
        digest, seen, left = _digest(look), carried.seen, carried.left
        rate = (1 - self._steady) ** 2 + abs(math.log(found.growth))
        if digest != carried.look:
            rate = max(rate, _OTHER)
        if seen.shape != now.shape:  # another number of regions
            seen = np.concatenate([seen[..., :3], now[..., 3:]], 2)
        light = renewal.light(now[..., :3] - seen[..., :3])
        forced = np.maximum(renewal.strayed(now, seen, light, found), 1 - found.known)
        wet = np.maximum(carried.wet, forced)
        if not left and renewal.is_ripe(wet, carried.count):
            left = renewal.FRAMES
        share = np.maximum(forced, renewal.turns(forced.shape, carried.count, rate))
        if left:
            share = np.maximum(share, wet / left)
        if look.regions:
            share = np.maximum(share, _bare(now[..., 3:] / np.float32(255), look))
        painted = carried.painted + _FOLLOW * renewal.large(fresh - carried.painted)
        painted = renewal.sharpened(painted, fresh)
        painted += renewal.enlarged(share, fresh.shape[:2])[..., None] * (fresh - painted)
        light = np.dstack([_FOLLOW * light, np.zeros_like(now[..., 3:])])
        seen = seen + light + share[..., None] * (now - seen - light)
        wet = np.zeros_like(wet) if left == 1 else wet
        count = (carried.count + 1) % _TURNS
        return _Memory(painted.clip(0, 255), seen, wet, carried.grey, digest, count, max(left - 1, 0))


_ARRAYS = ("painted", "seen", "wet", "grey")


def _digest(look: Look) -> str:
    mixes = [mixture.of(mix, strength=look.strength, stroke=look.stroke) for _, mix in look.regions]
    if look.share != PHOTO:
        mixes.append(mixture.of(look.share, strength=look.strength, stroke=look.stroke))
    return hashlib.sha256(repr((mixes, look.keep_color)).encode()).hexdigest()


def _bare(masks: Floats, look: Look) -> Floats:
    """How much of each cell (h, w) shows the frame's own pixels, of its regions' masks (h, w, R)."""
    bare = np.zeros(masks.shape[:2], np.float32)
    if look.share == PHOTO:
        bare = 1 - masks.max(2)
    for place, (_, mix) in enumerate(look.regions):
        if mix == PHOTO:
            later = masks[..., place + 1 :].sum(2) if look.overlap == "over" else 0
            bare = np.maximum(bare, np.minimum(masks[..., place], 1 - later))
    return bare


def _seen(levels: Levels, look: Look) -> Floats:
    """What a frame's paint is made of, (h, w, 3 + R): the frame at half the size, and its regions' masks."""
    masks = [motion.halved(np.asarray(mask.convert("L"), np.uint8)) for mask, _ in look.regions]
    return np.dstack([levels, *masks]).astype(np.float32)

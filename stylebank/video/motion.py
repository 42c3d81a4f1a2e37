"""Where each pixel of a frame was in the frame before: optical flow, made exact where a camera's motion explains it.

Flow is DIS (Kroeger et al. 2016), as OpenCV has it, at half the size. It errs by a few tenths of a pixel, which shows
in carried paint; so one affine motion is fitted to it, then to the pixels themselves (Gauss and Newton, as Lucas and
Kanade), and goes before the flow wherever it explains the frame as well. A camera at rest has the identity, exactly.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Levels = NDArray[np.uint8]
Affine = NDArray[np.float64]
"""(2, 3): from a frame's half-size pixels, x then y, to those of the frame before."""

_ROUNDS = 4  # of Gauss and Newton
_REST = 0.04  # half-size pixels: a camera whose corners move less is at rest
_AS_WELL = 1.3  # times the flow's squared error that the camera's may have
_NOISE = 4.0  # and that many squared levels more
_FAINT = 6.0  # squared levels up to which nobody looks closer
_PLAIN = 64.0  # squared levels, beside nine times the median, above which a camera's motion explains nothing
_EDGE = 0.25  # half-size pixels that a place may lie outside
_WINDOW = 6.0  # deviation of the window, in half-size pixels, over which both are compared
_STRAY = 0.5, 0.02  # squared pixels that flows to and fro may differ by, and that share of their squares more


@dataclass(frozen=True)
class Motion:
    """How the frame before became this one.

    Attributes:
        origins: (h, w, 2), x then y, at half the size: where a pixel was.
        known: (h, w) in [0, 1], whether it was to be seen there.
        error: (h, w), squared levels between the frame and the moved one before.
        still: whether no pixel moved.
    """

    origins: Floats
    known: Floats
    error: Floats
    still: bool

    @property
    def growth(self) -> float:
        """By which factor what is seen has become larger, in area."""
        (height, width), x, y = self.known.shape, self.origins[..., 0], self.origins[..., 1]
        if min(height, width) < 2:
            return 1.0
        sides = np.mean(x[:, -1] - x[:, 0]) / (width - 1), np.mean(y[-1] - y[0]) / (height - 1)
        return float(1 / min(max(sides[0] * sides[1], 0.25), 4.0))


def halved(levels: Levels) -> Levels:
    """Pixels (H, W, C) or (H, W) at half the size, rounded up."""
    size = -(-levels.shape[1] // 2), -(-levels.shape[0] // 2)
    return np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_AREA), np.uint8)


def grey(levels: Levels) -> Levels:
    """Luma (H, W) of RGB (H, W, 3)."""
    return np.asarray(cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY), np.uint8)


def between(before: Levels, now: Levels) -> Motion:
    """The motion from one half-size frame (h, w), grey, to the next."""
    home, before = _home(*now.shape), _lit(before, now)
    rough = _flow(now, before, _ROUGH)
    # Smoothed: between two pixels of a frame at half the size lies what neither shows.
    first, last = (cv2.GaussianBlur(x, (0, 0), 1.0).astype(np.float32) for x in (before, now))
    camera = _camera(first, last, rough)
    moved = (_through(camera, home) - home).astype(np.float32)
    if np.abs(moved).max() < _REST:
        moved[:] = 0
    error = _error(first, last, home + moved)
    plain = 9 * float(np.median(error)) + _PLAIN
    if np.all((error <= np.maximum(_AS_WELL * _error(first, last, home + rough), _FAINT)) & (error <= plain)):
        return Motion(home + moved, _inside(home + moved, now.shape), error, not moved.any())
    flow = _flow(now, before, _FINE)
    share = (error <= _AS_WELL * _error(first, last, home + flow) + _NOISE) & (error <= plain)
    share = np.clip(2 * _blurred(share.astype(np.float32), 2.0) - 0.5, 0, 1)[..., None]
    total = moved * share + flow * (1 - share)
    origins = home + total
    known = np.maximum(_returning(_flow(before, now, _FINE), total), share[..., 0])
    return Motion(origins, known * _inside(origins, now.shape), _error(first, last, origins), False)


def carried(picture: Floats, found: Motion, *, fine: bool = True) -> Floats:
    """A picture (H, W, C) or (H, W) of the frame before, moved to where its pixels are now.

    With `fine` it keeps its sharpness (Lanczos, 8 x 8 pixels), as what is carried on and on must.
    """
    if found.still:
        return picture.copy()
    origins, (height, width) = found.origins, picture.shape[:2]
    if origins.shape[:2] != (height, width):
        # Pixels' centres: that of half-size pixel x lies at 2 x + 0.5.
        moved = cv2.resize(origins - _home(*origins.shape[:2]), (width, height))
        origins = _home(height, width) + 2 * moved
    how = cv2.INTER_LANCZOS4 if fine else cv2.INTER_LINEAR
    return _sampled(picture, origins, how)


def _lit(before: Levels, now: Levels) -> Levels:
    """A frame with the mean and the contrast of another: in a lamp's flicker nothing moves."""
    (mean, deviation), (wanted, spread) = ((float(x.mean()), float(x.std())) for x in (before, now))
    gain = min(max((spread + 1) / (deviation + 1), 0.5), 2.0)
    levels = np.rint(before * gain + (wanted - gain * mean))
    return np.asarray(levels.clip(0, 255), np.uint8)


_ROUGH, _FINE = False, True


@cache
def _finder(fine: bool) -> Any:
    if not fine:
        return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    found = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found.setFinestScale(0)
    return found


def _flow(start: Levels, end: Levels, fine: bool) -> Floats:
    """By how much (h, w, 2) the pixels of one frame are moved to be those of another."""
    if min(start.shape) < 16:  # less than a patch
        return np.zeros((*start.shape, 2), np.float32)
    return np.asarray(_finder(fine).calc(start, end, None), np.float32)


@cache
def _home(height: int, width: int) -> Floats:
    places = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    found: Floats = np.stack(places, -1)
    found.flags.writeable = False
    return found


def _sampled(values: Floats, places: Floats, how: int = cv2.INTER_LINEAR) -> Floats:
    if values.ndim == 3 and values.shape[2] > _CHANNELS:
        parts = (values[..., first : first + _CHANNELS] for first in range(0, values.shape[2], _CHANNELS))
        return np.dstack([_sampled(part, places, how) for part in parts])
    found = cv2.remap(values, places, None, how, borderMode=cv2.BORDER_REFLECT_101)  # type: ignore[call-overload]  # its stubs know no map without a second one
    return np.asarray(found, np.float32)


_CHANNELS = 4  # OpenCV's remap takes no more


def _through(affine: Affine, points: Floats) -> NDArray[np.float64]:
    found: NDArray[np.float64] = points @ affine[:, :2].T + affine[:, 2]
    return found


def _blurred(values: Floats, deviation: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), deviation), np.float32)


def _error(before: Floats, now: Floats, origins: Floats) -> Floats:
    moved = _sampled(before, origins)
    return _blurred(np.square(now - moved) * _inside(origins, now.shape), _WINDOW)


def _inside(origins: Floats, size: tuple[int, ...]) -> Floats:
    x, y = origins[..., 0], origins[..., 1]
    found = (x > -_EDGE) & (y > -_EDGE) & (x < size[1] - 1 + _EDGE) & (y < size[0] - 1 + _EDGE)
    return found.astype(np.float32)


def _returning(forth: Floats, flow: Floats) -> Floats:
    """Whether (h, w) the flow from the frame before comes back to where this one's started."""
    places = _home(*flow.shape[:2]) + flow
    back = _sampled(forth, places)
    stray = np.square(flow + back).sum(2)
    allowed = _STRAY[0] + _STRAY[1] * (np.square(flow).sum(2) + np.square(back).sum(2))
    lost = cv2.dilate((stray > allowed).astype(np.float32), np.ones((3, 3), np.uint8))
    return np.asarray(1 - lost, np.float32)


def _camera(first: Floats, last: Floats, flow: Floats) -> Affine:
    """The affine motion of most pixels: fitted to a flow, then to the levels of both frames."""
    home, size = _home(*last.shape), last.shape
    start, moved = home[2::4, 2::4].reshape(-1, 2), flow[2::4, 2::4].reshape(-1, 2)
    if len(start) < 12:
        return np.eye(2, 3)
    ones = np.column_stack([start, np.ones(len(start))]).astype(np.float64)
    weight, fit = np.ones(len(start)), np.zeros((3, 2))
    for _ in range(_ROUNDS):
        fit = np.asarray(np.linalg.lstsq(ones * weight[:, None], moved * weight[:, None], rcond=None)[0])
        stray = np.square(moved - ones @ fit).sum(1)
        weight = 1 / (1 + stray / max(float(np.median(stray)), 1e-4))
    affine: Affine = np.eye(2, 3) + fit.T
    slopes = [cv2.Sobel(last, cv2.CV_32F, *way, ksize=3, scale=1 / 8)[::2, ::2] for way in ((1, 0), (0, 1))]
    x, y = (home[::2, ::2, axis].ravel() for axis in (0, 1))
    # What a level changes by with each of the six numbers, were the frame moved by them.
    columns = np.stack([s.ravel() * f for s in slopes for f in (x, y, np.float32(1))], 1)
    for _ in range(3 * _ROUNDS):
        moved_frame = cv2.warpAffine(
            first, affine, size[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=-1e4
        )
        off = (last - moved_frame)[::2, ::2].ravel()
        off[np.abs(off) > 1e3] = 1e6  # from outside
        scale = max(1.5 * float(np.median(np.abs(off[::5]))), 0.5)
        weights = 1 / (1 + np.square(off / (2 * scale))) ** 2
        weights[np.abs(off) > 255] = 0
        weighed = columns * weights[:, None]
        normal = columns.T @ weighed + 1e-3 * np.diag(np.square(columns).sum(0) + 1e-6)
        step = np.linalg.solve(normal.astype(np.float64), (weighed.T @ off).astype(np.float64)).reshape(2, 3)
        # The step moves this frame; composed with the motion it moves the one before.
        update = np.vstack([np.eye(2, 3) + step, [0, 0, 1]])
        affine = affine @ update
        if np.abs(step @ [*size[::-1], 1]).max() < _REST / 20:
            break
    return affine

"""Clips whose motion is known to the last digit, made of photos: a camera, an object before it, noise, light."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

NOISE = 3.0
"""Deviation of a sensor's noise, in levels of 255."""


@dataclass(frozen=True)
class Scene:
    """A clip.

    Attributes:
        frames: RGB, of one size.
        origins: for each frame after the first, where its pixels (H, W, 2), x then y, were in the one before.
        seen: and whether (H, W) they were to be seen there.
    """

    frames: list[Image.Image]
    origins: list[Floats]
    seen: list[NDArray[np.bool_]]


Affine = NDArray[np.float64]
"""(2, 3): from a frame's pixels to the photo's."""


def _affine(scale: float, degrees: float, centre: tuple[float, float], size: tuple[int, int]) -> Affine:
    """The view of a camera: the middle of a frame (H, W) looks at `centre` (x, y) of the photo."""
    turn = scale * np.array(
        [
            [math.cos(math.radians(degrees)), -math.sin(math.radians(degrees))],
            [math.sin(math.radians(degrees)), math.cos(math.radians(degrees))],
        ]
    )
    middle = np.array([size[1] / 2, size[0] / 2])
    return np.column_stack([turn, np.array(centre) - turn @ middle])


def _seen(photo: Image.Image, view: Affine, size: tuple[int, int]) -> Image.Image:
    # Not by Pillow's bicubic, which moves what lies between pixels by up to 0.15 of one. OpenCV counts from centres.
    inner = np.column_stack([view[:, :2], view[:, 2] + (view[:, :2].sum(1) - 1) / 2])
    how = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REFLECT_101
    return Image.fromarray(cv2.warpAffine(np.asarray(photo), inner, size[::-1], flags=how, borderMode=border))


def _grid(size: tuple[int, int]) -> NDArray[np.float64]:
    """Places (H, W, 2) of the pixels' centres."""
    return np.stack(np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5), -1)


def _through(view: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = points @ view[:, :2].T + view[:, 2]
    return found


def _back(view: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (points - view[:, 2]) @ np.linalg.inv(view[:, :2]).T
    return found


def _inside(points: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    x, y = points[..., 0], points[..., 1]
    found: NDArray[np.bool_] = (x >= 1) & (y >= 1) & (x <= size[1] - 1) & (y <= size[0] - 1)
    return found


def camera(photo: Image.Image, size: tuple[int, int], views: list[Affine]) -> Scene:
    """A camera before a photo."""
    grid = _grid(size)
    frames = [_seen(photo, view, size) for view in views]
    places = [_back(before, _through(view, grid)) for before, view in itertools.pairwise(views)]
    seen = [_inside(points, size) for points in places]
    return Scene(frames, [(points - 0.5).astype(np.float32) for points in places], seen)


def _covering(photo: Image.Image, size: tuple[int, int], margin: float) -> Image.Image:
    """A photo enlarged to cover a frame of size (H, W) with a margin."""
    scale = margin * max(size[0] / photo.height, size[1] / photo.width)
    return photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC)


def pan(photo: Image.Image, size: tuple[int, int], count: int) -> Scene:
    """To the side and down, by no whole pixels."""
    large = _covering(photo, size, 1.25)
    x, y = large.width / 2, large.height / 2
    places = [place - count / 2 for place in range(count)]
    return camera(large, size, [_affine(1, 0, (x + 2.3 * t, y + 0.7 * t), size) for t in places])


def zoom(photo: Image.Image, size: tuple[int, int], count: int) -> Scene:
    """Nearer, by 1 in 100 a frame."""
    large = _covering(photo, size, 1.0)
    centre = large.width / 2, large.height / 2
    return camera(large, size, [_affine(0.99**t, 0, centre, size) for t in range(count)])


def rotation(photo: Image.Image, size: tuple[int, int], count: int) -> Scene:
    """By half a degree a frame."""
    large = _covering(photo, size, 1.25)
    centre = large.width / 2, large.height / 2
    return camera(large, size, [_affine(1, 0.5 * (t - count / 2), centre, size) for t in range(count)])


def thing(photo: Image.Image, size: tuple[int, int], count: int, other: Image.Image) -> Scene:
    """An ellipse of another photo before a still one."""
    large, small = _covering(photo, size, 1.0), _covering(other, (size[0] // 2, size[0] // 2), 1.0)
    still = camera(large, size, [_affine(1, 0, (large.width / 2, large.height / 2), size)] * count)
    grid = _grid(size)
    radius = small.width * 0.45, small.height * 0.45
    frames, covers, shifts = [], [], []
    for t in range(count):
        shift = np.array([size[1] * 0.2 + 4.6 * t, size[0] * 0.25 + 1.3 * t])
        view = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]]])
        away = (grid - shift - [small.width / 2, small.height / 2]) / radius
        cover = np.clip((1 - np.hypot(away[..., 0], away[..., 1])) * radius[1] + 0.5, 0, 1)
        mask = Image.fromarray(np.rint(cover * 255).astype(np.uint8))
        frames.append(Image.composite(_seen(small, view, size), still.frames[t], mask))
        covers.append(cover)
        shifts.append(shift)
    origins, seen = [], []
    for t in range(1, count):
        inside = covers[t] >= 1
        places = np.where(inside[..., None], grid - (shifts[t] - shifts[t - 1]), grid)
        clear = (covers[t] <= 0) & (covers[t - 1] <= 0)
        origins.append((places - 0.5).astype(np.float32))
        seen.append((_eroded(inside) | _eroded(clear)) & _inside(places, size))
    return Scene(frames, origins, seen)


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without the pixels at its border, which interpolation would mix."""
    found = np.pad(mask, 2, mode="edge")
    for axis in (0, 1):
        found = np.logical_and.reduce([np.roll(found, shift, axis) for shift in (-2, -1, 0, 1, 2)])
    return found[2:-2, 2:-2]


def still(photo: Image.Image, size: tuple[int, int], count: int) -> Scene:
    """Nothing moves, without any noise."""
    large = _covering(photo, size, 1.0)
    return camera(large, size, [_affine(1, 0, (large.width / 2, large.height / 2), size)] * count)


def noisy(photo: Image.Image, size: tuple[int, int], count: int, *, seed: int = 0) -> Scene:
    """Nothing moves but a sensor's noise."""
    scene, chance = still(photo, size, count), np.random.default_rng(seed)

    def seen(frame: Image.Image) -> Image.Image:
        levels = np.asarray(frame, np.float32)
        levels = levels + NOISE * chance.standard_normal(levels.shape, np.float32)
        return Image.fromarray(np.rint(levels).clip(0, 255).astype(np.uint8))

    return Scene([seen(frame) for frame in scene.frames], scene.origins, scene.seen)


def dimmed(photo: Image.Image, size: tuple[int, int], count: int) -> Scene:
    """Nothing moves; the light goes up and down by a tenth."""
    scene = still(photo, size, count)

    def seen(frame: Image.Image, t: int) -> Image.Image:
        gain = 1 + 0.1 * math.sin(2 * math.pi * t / 12)
        return Image.fromarray(np.rint(np.asarray(frame) * (0.9 * gain)).clip(0, 255).astype(np.uint8))

    return Scene([seen(x, t) for t, x in enumerate(scene.frames)], scene.origins, scene.seen)


KINDS: dict[str, Callable[[Image.Image, tuple[int, int], int], Scene]] = {
    "pan": pan,
    "zoom": zoom,
    "rotation": rotation,
    "noise": noisy,
    "light": dimmed,
}
"""Of one photo each; `thing` takes two."""

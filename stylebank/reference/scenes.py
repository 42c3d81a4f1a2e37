"""A drawn scene whose sky, ground and edges are known, and a photo whose border lies elsewhere, for `inspection`."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stylebank.pixels import images
from stylebank.reference.spectra import Floats

if TYPE_CHECKING:
    from PIL.Image import Image

SKY, HAZE, GROUND = (112, 152, 206), (206, 218, 232), (146, 138, 126)
BOXES = (
    ((0.62, 0.3, 0.74, 0.68), (40, 38, 44)),
    ((0.74, 0.4, 0.94, 0.68), (236, 228, 210)),
)
"""Left, top, right, bottom in shares of the side, and colour."""
DISCS = (((0.21, 0.73, 0.11), (176, 44, 38)), ((0.44, 0.82, 0.06), (24, 60, 34)))
"""Centre from the left, from the top and radius, and colour."""


def scene(side: int) -> "Image":
    """A square scene: a sky that grows lighter downwards, ground of one grey, and few things with hard edges on it."""
    places: Floats = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
    share = np.minimum(places * 2, 1)[:, None, None]
    pixels = np.array(SKY, np.float32) * (1 - share) + np.array(HAZE, np.float32) * share
    pixels = np.repeat(pixels, side, 1)
    pixels[side // 2 :] = GROUND
    for (left, top, right, bottom), colour in BOXES:
        _lay(pixels, _covered(places, top, bottom)[:, None] * _covered(places, left, right), colour)
    for (across, down, radius), colour in DISCS:
        distance = np.hypot(places[:, None] - down, places - across)
        _lay(pixels, ((radius - distance) * side + 0.5).clip(0, 1), colour)
    return images.from_pixels(pixels.round().astype(np.uint8))


def mirrored(photo: "Image", margin: int) -> "Image":
    """A photo continued by its mirror image, `margin` pixels on every side."""
    pixels = images.to_pixels(photo)
    return images.from_pixels(np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric"))


def _covered(places: Floats, start: float, end: float) -> Floats:
    """How much of each pixel lies between two shares of the side."""
    side = len(places)
    found: Floats = (np.minimum(places - start, end - places) * side + 0.5).clip(0, 1)
    return found


def _lay(pixels: Floats, cover: NDArray[np.floating], colour: tuple[int, int, int]) -> None:
    """Lay a colour over pixels (H, W, 3) where it covers them (H, W)."""
    pixels += cover[..., None].astype(np.float32) * (np.array(colour, np.float32) - pixels)

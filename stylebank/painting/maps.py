"""Images and their features by windows, and what is made of them value by value: sums, shares of regions, colours.

A map is a function of a window; nothing is computed before somebody reads it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from stylebank.engines.stages import Affine, Array, Floats, Stages, averaged
from stylebank.painting.windows import PIXELS, Shape, Window, places
from stylebank.photos.srgb import LUMA


@dataclass(frozen=True)
class Map:
    """An image or its features, by windows.

    Attributes:
        shape: of the whole.
        read: what lies in a window of h x w cells, (B, C, n h, n w).
    """

    shape: Shape
    read: Callable[[Window], Array]


def extended(shape: Shape, read: Callable[[int, int, int, int], Array], size: tuple[int, int]) -> Map:
    """A map of pixels (H, W) that `read` gives by boxes (top, left, bottom, right), mirrored past its last ones."""

    def window_of(window: Window) -> Array:
        rows, columns = places(window.top, window.bottom, size[0]), places(window.left, window.right, size[1])
        (top, bottom), (left, right) = ((int(x.min()), int(x.max()) + 1) for x in (rows, columns))
        part = read(top, left, bottom, right)
        if len(rows) != bottom - top:
            part = part[..., rows - top, :]
        return part if len(columns) == right - left else part[..., columns - left]

    return Map(shape, window_of)


def shown(values: Floats) -> Map:
    """A map of values (R, H, W) for each pixel, NumPy's."""

    def read(top: int, left: int, bottom: int, right: int) -> Array:
        return values[None, :, top:bottom, left:right]

    return extended(Shape(len(values), PIXELS.step), read, (values.shape[1], values.shape[2]))


def alone(batch: Map, place: int) -> Map:
    """One image of a batch."""
    return Map(batch.shape, lambda window: batch.read(window)[place : place + 1])


def batched(stages: Stages, images: Sequence[Map]) -> Map:
    """Maps of single images as one of all."""
    if len(images) == 1:
        return images[0]

    def read(window: Window) -> Array:
        return stages.array(np.concatenate([stages.numpy(x.read(window)) for x in images]))

    return Map(images[0].shape, read)


def at(masks: Map | None, window: Window, height: int = 0) -> Floats | None:
    """Shares (R, h, w) of a window, if there are masks, averaged over the cells of a map of so many rows."""
    if masks is None:
        return None
    shares: Floats = masks.read(window)[0]
    return averaged(shares, shares.shape[1] // height) if height else shares


def inside(stages: Stages, found: Map, masks: Map, region: int) -> Map:
    """Features (1, C, h, w) times a region's share of each cell."""

    def read(window: Window) -> Array:
        x = found.read(window)
        share = masks.read(window)[0, region : region + 1]
        return x * stages.array(averaged(share, share.shape[1] // x.shape[-2]))

    return Map(found.shape, read)


def total(terms: Iterable[Map]) -> Map:
    """The sum of maps of one size."""
    maps = list(terms)
    widest = max((each.shape for each in maps), key=lambda shape: shape.wrong)
    work = sum(each.shape.work for each in maps)
    return Map(replace(widest, work=work), lambda window: reduce(add, (each.read(window) for each in maps)))


def between(first: Map, second: Map, share: float) -> Map:
    """Of two maps of one shape the first, with a share in [0, 1] of the second."""
    return Map(first.shape, lambda window: first.read(window) * (1 - share) + second.read(window) * share)


def scaled(stages: Stages, found: Map, rows: Affine, masks: Map | None) -> Map:
    """A map times scales and plus shifts: of each image, or of regions by their shares of each value."""

    def read(window: Window) -> Array:
        x = found.read(window)
        shares = at(masks, window, x.shape[-2])
        if shares is None:
            scale, shift = (values[:, :, None, None] for values in rows)
        else:
            scale, shift = (np.einsum("rc,rhw->chw", values, shares)[None] for values in rows)
        return x * stages.array(scale) + stages.array(shift)

    return Map(found.shape, read)


def shifted(stages: Stages, found: Map, by: Floats) -> Map:
    """A map plus a number for each of its channels, (C,)."""
    return replace(found, read=lambda window: found.read(window) + stages.array(by[:, None, None]))


def laid_over(stages: Stages, photo: Map, output: Map, cover: Map) -> Map:
    """The output where the cover (1, 1, H, W) is 1, and the photo where it is 0."""

    def read(window: Window) -> Array:
        share = stages.array(cover.read(window))
        return output.read(window) * share + photo.read(window) * (1 - share)

    return Map(output.shape, read)


def finished(output: Map, photo: Map, *, keep_color: bool) -> Map:
    """A picture in [0, 1]; to keep colours is to keep the photo's chroma, and of the output the luma alone.

    In Y'CbCr (ITU-R BT.601) grey has no chroma, so that another luma is one number added to R, G and B.
    """

    def read(window: Window) -> Array:
        picture = output.read(window).clip(0, 1)
        if not keep_color:
            return picture
        content = photo.read(window)
        change = picture - content
        luma = sum(weight * change[:, place : place + 1] for place, weight in enumerate(LUMA))
        return (content + luma).clip(0, 1)

    return Map(output.shape, read)

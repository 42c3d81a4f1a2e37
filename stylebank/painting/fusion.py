"""Linear and region-wise fusion of styles, at any strength (section 4.3 of the paper, and past it), on windows.

Legend: F = E(I); K_i filter of style i, g_i its gain, w_i its weight; s strength; M_r mask of region r, O output.

- A mixture is one filter, K = sum_i w_i g_i K_i. The gains make it hold what its weights say: filters differ tenfold
  in scale, which training leaves open.
- Strength is a filter too: (1 - p) identity + p K with p = s^1.25, so that s = 0 is the auto-encoder branch. What that
  branch gives back of the photo's brightness and contrast is faded by 1 - p.
- Regions share one E and one D pass, but not the statistics of D's instance norms; see `Mode`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Literal

import numpy as np

from stylebank.engines.stages import Affine, Array, Floats, Moments, averaged
from stylebank.network.architecture import FLAT, parts
from stylebank.painting.passes import Map, Passes
from stylebank.painting.windows import Window
from stylebank.pixels.srgb import LUMA

Mode = Literal["exact", "region", "paper"]
"""Whose statistics D's norms use where styles meet.

exact: each style's own over the full image, collected in a pass of its own: away from the seams a region looks exactly
    as if the whole image had its style.
region: what the regions have inside their masks.
paper: the image's own, over all regions, so that every style changes every other (the paper's equation 7).
"""


@dataclass(frozen=True)
class Paint:
    """What a whole image or a region of it is painted with.

    Attributes:
        kernel: (1 - p) identity + p K, (C, C, k, k) float32.
        share: p, of the style against the photo's own features, in [0, 1].
    """

    kernel: Floats
    share: float = 1.0


def encode(passes: Passes, photo: Map) -> Map:
    """F = E(I) of a photo (B, 3, H, W) in [0, 1], kept, so that it can be painted from again and again."""
    x = photo
    for part in parts(passes.bank.network)[:-1]:
        if passes.is_whole:
            x = passes.keep(passes.run(part, x))
            continue
        # The last convolution's output is kept before its norm, so that one pass serves norm and features.
        known = passes.survey(part, x, last=1)
        raw, moments = passes.keep_measured(passes.run(part, x, norms=known))
        last = part.layers[-1]
        norm = passes.norm(last, moments)
        x = _normalised(passes, raw, norm, relu=last.relu, beside=x if part.residual else None)
    return x


def _normalised(passes: Passes, raw: Map, norm: Affine, *, relu: bool, beside: Map | None) -> Map:
    scale, shift = (passes.stages.array(values[:, :, None, None]) for values in norm)

    def read(window: Window) -> Array:
        y = raw.read(window) * scale + shift
        y = y.clip(0, None) if relu else y
        return y if beside is None else beside.read(window) + y

    return Map(raw.shape, read)


def paint(passes: Passes, photo: Map, features: Map | None, with_paint: Paint) -> Map:
    """Paint images in one style or mixture.

    Args:
        passes: over the windows of the images.
        photo: (B, 3, H, W) in [0, 1].
        features: F of it; None if it is painted whole and only once.
        with_paint: see there.

    Returns:
        (B, 3, H, W), near [0, 1].
    """
    if features is None:
        output = passes.paint(photo, with_paint.kernel)
    else:
        decoder = parts(passes.bank.network)[-1]
        norms = None
        if not passes.is_whole:
            norms = passes.survey(decoder, passes.filter(features, with_paint.kernel))
        output = passes.run(decoder, features, kernel=with_paint.kernel, norms=norms)
    if not _restores(passes, [with_paint]):
        return output
    output = passes.keep(output)
    moments = passes.moments(output), passes.moments(photo)
    return _blended(passes, output, _restoring(*moments, np.array(with_paint.share)), None)


def fuse(
    passes: Passes, photo: Map, features: Map, paints: Sequence[Paint], masks: Map, *, mode: Mode
) -> Map:
    """Paint the regions of one image.

    Args:
        passes: see `paint`.
        photo: see `paint`; B = 1.
        features: see `paint`.
        paints: one for each of R regions.
        masks: (1, R, H, W) NumPy float32 in [0, 1], 1 in sum at each pixel.
        mode: see `Mode`.
    """
    if mode == "exact":
        return _exact(passes, photo, features, paints, masks)
    decoder = parts(passes.bank.network)[-1]
    mixed = passes.keep(
        _sum(
            passes.filter(_inside(passes, features, masks, region), each.kernel)
            for region, each in enumerate(paints)
        )
    )
    inside = masks if mode == "region" else None
    own = passes.is_whole and inside is None
    norms = None if own else passes.survey(decoder, mixed, masks=inside)
    output = passes.run(decoder, mixed, norms=norms, masks=inside)
    if not _restores(passes, paints):
        return output
    output = passes.keep(output)
    found, wanted = (passes.moments(image, inside) for image in (output, photo))
    shares = np.array([[each.share] for each in paints])
    return _blended(passes, output, _restoring(found, wanted, shares), masks)


def _exact(passes: Passes, photo: Map, features: Map, paints: Sequence[Paint], masks: Map) -> Map:
    """Each style's own statistics, injected; the regions meet in the features, so that D paints the seams."""
    decoder = parts(passes.bank.network)[-1]
    restored = _restores(passes, paints)
    wanted = passes.moments(photo) if restored else None
    surveys: list[list[Affine]] = []
    affines = []
    filtered = [passes.filter(features, each.kernel) for each in paints]
    if passes.is_whole:  # in tiles what is filtered is cheaper to compute again than to keep
        filtered = [passes.keep(found) for found in filtered]
    for each, source in zip(paints, filtered, strict=True):
        norms = passes.survey(decoder, source)
        surveys.append(norms)
        if wanted:
            alone = passes.keep(passes.run(decoder, source, norms=norms))
            affines.append(_restoring(passes.moments(alone), wanted, np.array(each.share)))
    together = [_stacked(norms) for norms in zip(*surveys, strict=True)]
    mixed = _sum(_inside(passes, found, masks, region) for region, found in enumerate(filtered))
    output = passes.run(decoder, mixed, norms=together, masks=masks)
    return _blended(passes, output, _stacked(affines), masks) if restored else output


def _inside(passes: Passes, found: Map, masks: Map, region: int) -> Map:
    """Features (1, C, h, w) times a region's share of each cell."""

    def read(window: Window) -> Array:
        x = found.read(window)
        share = masks.read(window)[0, region : region + 1]
        return x * passes.stages.array(averaged(share, share.shape[1] // x.shape[-2]))

    return Map(found.shape, read)


def _sum(terms: Iterable[Map]) -> Map:
    """The sum of maps of one size."""
    maps = list(terms)
    widest = max((each.shape for each in maps), key=lambda shape: shape.wrong)
    work = sum(each.shape.work for each in maps)
    return Map(replace(widest, work=work), lambda window: reduce(add, (each.read(window) for each in maps)))


def _stacked(norms: Sequence[Affine]) -> Affine:
    """Norms of one region each as one of all regions."""
    scales, shifts = zip(*norms, strict=True)
    return Affine(np.concatenate(scales), np.concatenate(shifts))


def _restores(passes: Passes, paints: Sequence[Paint]) -> bool:
    """Whether an output so painted gets back some of the photo's brightness and contrast."""
    return passes.bank.network.restore_moments and any(each.share < 1 for each in paints)


def _restoring(
    found: Moments, wanted: Moments, share: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> Affine:
    """The affine map that gives outputs as much of the photo's moments as the style's share leaves."""
    scale = np.sqrt(wanted.variance / np.maximum(found.variance, FLAT))
    shift = wanted.mean - found.mean * scale
    parts_ = 1 + (1 - share) * (scale - 1), (1 - share) * shift
    return Affine(*(part.astype(np.float32) for part in parts_))


def _blended(passes: Passes, output: Map, rows: Affine, masks: Map | None) -> Map:
    """The output times scales and plus shifts: of each image, or of regions by their shares."""

    def read(window: Window) -> Array:
        if masks is None:
            scale, shift = (values[:, :, None, None] for values in rows)
        else:
            shares = masks.read(window)[0]
            scale, shift = (np.einsum("rc,rhw->chw", values, shares)[None] for values in rows)
        return output.read(window) * passes.stages.array(scale) + passes.stages.array(shift)

    return Map(output.shape, read)


def laid_over(passes: Passes, photo: Map, output: Map, cover: Map) -> Map:
    """The output where the cover (1, 1, H, W) is 1, and the photo where it is 0."""

    def read(window: Window) -> Array:
        share = passes.stages.array(cover.read(window))
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

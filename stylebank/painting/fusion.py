"""Linear and region-wise fusion of styles, at any strength (section 4.3 of the paper, and past it), on windows.

Legend: F = E(I); K_i filter of style i, g_i its gain, w_i its weight; s strength; M_r mask of region r, O output.

- A mixture is one filter, K = sum_i w_i g_i K_i. The gains make it hold what its weights say: filters differ tenfold
  in scale, which training leaves open.
- Strength is a filter too: (1 - p) identity + p K with p = s^1.25, so that s = 0 is the auto-encoder branch. What that
  branch gives back of the photo's brightness and contrast is faded by 1 - p.
- Regions share D, and E where they are painted over the same, but not the statistics of D's instance norms; see
  `Mode`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from stylebank.engines.stages import Affine, Floats, Moments
from stylebank.network import centring
from stylebank.network.architecture import FLAT, decoder, encoder
from stylebank.painting import maps
from stylebank.painting.maps import Map
from stylebank.painting.passes import Passes

Mode = Literal["exact", "region", "paper"]
"""Whose statistics D's norms use where styles meet.

exact: each style's own over the full image, collected in a pass of its own: away from the seams a region looks exactly
    as if the whole image had its style.
region: what the regions have inside their masks.
paper: the image's own, over all regions, so that every style changes every other (the paper's equation 7).
"""

_SURVEYS = 32  # of a region that are kept, the last used mixtures'; as many as there are regions


@dataclass(frozen=True)
class Paint:
    """What a whole image or a region of it is painted with.

    Attributes:
        kernel: (1 - p) identity + p K, (C, C, k, k) float32; see `Bundle.filter_of`.
        share: p, of the style against the photo's own features, in [0, 1].
    """

    kernel: Floats
    share: float = 1.0


@dataclass
class Ground:
    """What is painted over: the photo, or a painting at another size.

    Attributes:
        image: (B, 3, H, W) in [0, 1].
        once: whether it is painted over only once, so that what the encoder makes of it need not be kept.
        surveys: of paints that it was painted over with as a whole, in regions: their norms, and what restores moments.
    """

    image: Map
    once: bool = False
    _features: Map | None = None
    _plan: object = None
    surveys: list[tuple[Paint, list[list[Affine]], Affine | None]] = field(default_factory=list)

    def features(self, passes: Passes) -> Map:
        """F = E(I), (B, C, h, w), from the second time on as they were kept."""
        if self._features is None or self._plan not in (None, passes.owner):
            self._features = _encoded(passes, self.image)
            self._plan = (
                passes.owner if passes.is_plan else None
            )  # what is planned is known to its plan alone
        return self._features

    def apart(self, passes: Passes, count: int) -> "list[Ground]":
        """The images of a batch, whose statistics are their own, one by one."""
        if count == 1:
            return [self]
        features = self.features(passes)
        return [
            Ground(maps.alone(self.image, place), _features=maps.alone(features, place))
            for place in range(count)
        ]


def _encoded(passes: Passes, image: Map) -> Map:
    if passes.is_whole:
        return passes.keep(passes.whole(image, passes.stages.encode))
    x = passes.centred(image)
    for part in encoder(passes.bank.network):
        _, x = passes.trace(part, x)
    return x


def paint(passes: Passes, ground: Ground, with_paint: Paint) -> Map:
    """Paint images in one style or mixture: (B, 3, H, W), near [0, 1], over the windows of the passes."""
    stages, kernel = passes.stages, with_paint.kernel
    if not passes.is_whole:
        output = passes.filter(ground.features(passes), kernel)
        for part in decoder(passes.bank.network):
            _, output = passes.trace(part, output)
    elif ground.once:
        output = passes.whole(ground.image, lambda x: stages.paint(x, kernel))
    else:
        output = passes.whole(ground.features(passes), lambda x: stages.decode(x, kernel))
    if not restores(passes, [with_paint]):
        return output
    output = passes.keep(output)
    moments = passes.moments(output), passes.moments(ground.image)
    return maps.scaled(stages, output, restoring(*moments, np.array(with_paint.share)), None)


def fuse(
    passes: Passes, grounds: Sequence[Ground], paints: Sequence[Paint], masks: Map, *, mode: Mode
) -> Map:
    """Paint the regions of one image: (1, 3, H, W), near [0, 1].

    Args:
        passes: over the windows of the image.
        grounds: what each of R regions is painted over, B = 1; a region sees nothing of another's but at their seam.
        paints: one for each.
        masks: (1, R, H, W) NumPy float32 in [0, 1], 1 in sum at each pixel.
        mode: see `Mode`.
    """
    if mode == "exact":
        return _exact(passes, grounds, paints, masks)
    stages, within = passes.stages, masks if mode == "region" else None
    # Differences between styles that a flat photo shows are part of the formula.
    rest = centring.rest(passes.bank.network, passes.bank.coder)
    mixed = maps.total(
        passes.filter(
            maps.inside(stages, maps.shifted(stages, ground.features(passes), rest), masks, region),
            each.kernel,
        )
        for region, (ground, each) in enumerate(zip(grounds, paints, strict=True))
    )
    output = passes.keep(mixed)
    for part in decoder(passes.bank.network):
        if passes.is_whole and not within:
            output = passes.keep(passes.run(part, output))
        else:
            _, output = passes.trace(part, output, masks=within)
    if not restores(passes, paints):
        return output
    output = passes.keep(output)
    wanted = _wanted(passes, grounds, within)
    shares = np.array([[each.share] for each in paints])
    return maps.scaled(stages, output, restoring(passes.moments(output, within), wanted, shares), masks)


def _exact(passes: Passes, grounds: Sequence[Ground], paints: Sequence[Paint], masks: Map) -> Map:
    """Each style's own statistics, injected; the regions meet in the features, so that D paints the seams."""
    surveys: list[list[list[Affine]]] = []
    affines: list[Affine] = []
    filtered = [
        passes.filter(ground.features(passes), each.kernel)
        for ground, each in zip(grounds, paints, strict=True)
    ]
    if passes.is_whole:  # in tiles what is filtered is cheaper to compute again than to keep
        filtered = [passes.keep(found) for found in filtered]
    wanted = _wanted(passes, grounds, None) if restores(passes, paints) else None
    for region, alone in enumerate(filtered):
        found = next((known for known in grounds[region].surveys if known[0] is paints[region]), None)
        if not found or (wanted and found[2] is None):
            own: list[list[Affine]] = []
            for part in decoder(passes.bank.network):
                norms, alone = passes.trace(part, alone)
                own.append(norms)
            share, back = np.array(paints[region].share), None
            if wanted:
                back = restoring(passes.moments(alone), wanted.row(region), share)
            found = paints[region], own, back
            if passes.is_whole:
                grounds[region].surveys.append(found)
                del grounds[region].surveys[:-_SURVEYS]
        surveys.append(found[1])
        affines += [found[2]] if found[2] and wanted else []
    mixed = maps.total(maps.inside(passes.stages, x, masks, region) for region, x in enumerate(filtered))
    for part, of_part in zip(decoder(passes.bank.network), zip(*surveys, strict=True), strict=True):
        norms = [stacked(of_norm) for of_norm in zip(*of_part, strict=True)]
        mixed = passes.run(part, mixed, norms=norms, masks=masks)
        mixed = passes.keep(mixed) if part.residual else mixed
    return maps.scaled(passes.stages, mixed, stacked(affines), masks) if wanted else mixed


def _wanted(passes: Passes, grounds: Sequence[Ground], masks: Map | None) -> Moments:
    """Moments of what each region is painted over, a row each: of the whole, or of what lies inside its mask."""
    apart = {id(ground): ground for ground in grounds}
    found = {key: passes.moments(ground.image, masks) for key, ground in apart.items()}
    rows = [found[id(ground)].row(region if masks else 0) for region, ground in enumerate(grounds)]
    return Moments(*map(np.concatenate, zip(*((x.weight, x.mean, x.square) for x in rows), strict=True)))


def stacked(norms: Sequence[Affine]) -> Affine:
    """Norms of one region each as one of all regions."""
    scales, shifts = zip(*norms, strict=True)
    return Affine(np.concatenate(scales), np.concatenate(shifts))


def restores(passes: Passes, paints: Sequence[Paint]) -> bool:
    """Whether an output so painted gets back some of the brightness and contrast of what it is painted over."""
    return passes.bank.network.restore_moments and any(each.share < 1 for each in paints)


def restoring(
    found: Moments, wanted: Moments, share: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> Affine:
    """The affine map that gives outputs as much of the wanted moments as the style's share leaves."""
    scale = np.sqrt(wanted.variance / np.maximum(found.variance, FLAT))
    shift = wanted.mean - found.mean * scale
    parts = 1 + (1 - share) * (scale - 1), (1 - share) * shift
    return Affine(*(part.astype(np.float32) for part in parts))

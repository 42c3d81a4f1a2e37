"""What revisions paint over: photos painted small in the same style, enlarged.

Legend: K_i, R_i filters of style i; E, D encoder and decoder. A photo is shrunk and painted, D(K_i (*) E(I)), enlarged,
and painted again, D(R_i (*) E(.)); the enlarged painting, not the photo, is what the second pass is to keep the content
of. So K finds the forms, at the size that suits them, and R draws them with fine marks.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from stylebank.config import MINIMUM_SIDE
from stylebank.network.model import StyleBankNetwork
from stylebank.network.tensors import resized
from stylebank.supervision import metrics

_STEP = 16  # pixels; sides of what is painted small are multiples


def ground(
    network: StyleBankNetwork,
    content: Tensor,
    styles: Sequence[int],
    *,
    grain: float,
    chained: float,
    key: str,
) -> Tensor:
    """What a revision of crops is painted over, without gradient.

    Half of the crops are painted at half their size, the others at up to three quarters: pictures of any size are
    reached by equal steps of at most two. Half of the grounds get back some of the photo's detail, as pictures painted
    at less than full strength do.

    Args:
        network: paints them.
        content: (B, 3, side, side) in [0, 1]; side is divisible by 16.
        styles: B styles.
        grain: share of the grain that first passes are given.
        chained: share of grounds that are revisions themselves.
        key: of everything random.

    Returns:
        (B, 3, side, side) in [0, 1].
    """
    chance, side = random.Random(key), content.shape[-1]
    # Small crops have no room for a side in between, or for as many.
    choices = range(side // 2, side * 3 // 4 + 1, _STEP)
    small = side // 2 if chance.random() < 0.5 else chance.choice(choices)
    sides = [small // 2, small, side] if chance.random() < chained else [small, side]
    sides = [length for length in sides if length >= MINIMUM_SIDE]
    detail = 0.0 if chance.random() < 0.5 else chance.random()
    with torch.no_grad():
        return _ground(network, content, styles, sides, grain=grain, detail=detail)


def coarse_to_fine(network: StyleBankNetwork, photos: Tensor, styles: Sequence[int], *, small: int) -> Tensor:
    """Photos (B, 3, side, side) painted at `small` pixels, a multiple of 4, and once more at their own size."""
    with torch.no_grad():
        over = _ground(network, photos, styles, [small, photos.shape[-1]], grain=1.0, detail=0.0)
        return network.stylize(over, styles, again=True)


def gains(network: StyleBankNetwork, photos: Tensor, style: int) -> tuple[float, float]:
    """Gains, as `entries.Entry` has them, of K_i over photos (B, 3, side, side), 8 divides side, and of R_i."""
    first = metrics.filter_gain(network, network.shown(photos), network.filters[style])
    if not len(network.revisions):
        return first, 1.0
    sides = [photos.shape[-1] // 2, photos.shape[-1]]
    with torch.no_grad():
        over = _ground(network, photos, [style] * len(photos), sides, grain=1.0, detail=0.0)
    return first, metrics.filter_gain(network, over, network.revisions[style])


def _ground(
    network: StyleBankNetwork,
    content: Tensor,
    styles: Sequence[int],
    sides: Sequence[int],
    *,
    grain: float,
    detail: float,
) -> Tensor:
    over = before = resized(content, (sides[0], sides[0]))
    for place, side in enumerate(sides[1:]):
        size = side, side
        picture = network.stylize(over if place else network.shown(over, grain), styles, again=place > 0)
        photo = resized(content, size)
        over = resized(picture.clamp(0, 1), size) + detail * (photo - resized(before, size))
        before = photo
    return over.clamp(0, 1)

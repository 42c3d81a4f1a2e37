"""Where a new filter starts: the best linear mixture of the filters that the bank was trained with.

Filters are linear, so every mixture of them is a style that the decoder can already paint. The few weights of the
mixture are learnt first, by the same loss; then all of the filter from there. A bank without filters starts at the
identity, which paints the photo itself.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stylebank.bank import bundle
from stylebank.bank.entries import Entry
from stylebank.network.model import StyleBankNetwork, apply_filters, identity_filter
from stylebank.supervision.objective import Objective
from stylebank.training.feature_pool import FeaturePool, Features

STEPS = 30
"""Steps of Adam on the weights of the mixture; with ten weights or a hundred, the loss is flat by then."""

_RATE = 0.05

_MANY = 64
_SHORTLIST = 16
"""Of more candidates than `_MANY` all are judged by a glimpse, a fourteenth of the time, and as many as these by the
whole batch; of 50 styles the glimpse had the best one first (for three paintings)."""

_LEAST = 16  # cells a side of a glimpse, 64 px


def candidates(entries: Sequence[Entry], *, channels: int, kernel: int) -> Tensor:
    """What a mixture is made of: the identity, then filters as long as it is, (N, C, C, k, k) float32.

    Only entries trained jointly with encoder and decoder count, so that a new style does not depend on which others
    were added before it; and only those no larger than the new filter, padded with zeros.
    """
    identity = identity_filter(channels, kernel).detach()
    found = [
        torch.from_numpy(bundle.padded(entry.filter.astype("float32"), kernel))
        for entry in entries
        if entry.is_joint and entry.style.kernel <= kernel
    ]
    return torch.stack([identity, *(weight * (identity.norm() / weight.norm()) for weight in found)])


def best_mixture(
    network: StyleBankNetwork,
    objective: Objective,
    pool: FeaturePool,
    mixed: Tensor,
    *,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Tensor:
    """Learn the mixture of (N, C, C, k, k) that suits the objective's only style best: (C, C, k, k) float32.

    It is as long a vector as the identity filter: D's first norm erases a filter's scale, but Adam's step is felt
    relative to it. `progress` is told (done, of how many) after each of the candidates and of the steps.
    """
    mixed = mixed.to(objective.unstyled.device)
    if len(mixed) > 1:
        weights = _learn_weights(network, objective, pool, mixed, progress)
        mixture = torch.einsum("n,noiyx->oiyx", weights, mixed)
    else:
        mixture = mixed[0]
    scaled: Tensor = mixture * (mixed[0].norm() / mixture.norm())
    return scaled


def _learn_weights(
    network: StyleBankNetwork,
    objective: Objective,
    pool: FeaturePool,
    mixed: Tensor,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Tensor:
    """N weights: from the best single candidate, of many the best on a shortlist, by Adam."""

    def loss(mixture: Tensor, crops: Features) -> Tensor:
        output = network.decode(apply_filters(crops.encoded, [mixture] * len(crops.encoded)))
        return objective(output, crops.kept, [0] * len(output)).total

    near: Sequence[int] = range(len(mixed))
    tried, steps = 0, STEPS + len(mixed) + (_SHORTLIST if len(mixed) > _MANY else 0)

    def judged(places: Sequence[int], crops: Features) -> Tensor:
        nonlocal tried
        found = mixed.new_empty(len(places))
        for place, candidate in enumerate(places):
            found[place] = loss(mixed[candidate], crops)
            progress(tried := tried + 1, steps)
        return found

    crops = pool.batch(0)
    with torch.no_grad():
        if len(mixed) > _MANY:
            rough = judged(near, _glimpse(crops))
            near = rough.argsort()[:_SHORTLIST].tolist()
        best = near[int(judged(near, crops).argmin())]
    weights = F.one_hot(torch.tensor(best, device=mixed.device), len(mixed)).float().requires_grad_()
    adam = torch.optim.Adam([weights], lr=_RATE)
    for number in range(STEPS):
        adam.zero_grad()
        loss(torch.einsum("n,noiyx->oiyx", weights, mixed), pool.batch(number)).backward()
        adam.step()
        progress(tried + number + 1, steps)
    return weights.detach()


def _glimpse(crops: Features) -> Features:
    """A corner of the first crop of a batch, a quarter of it, where that leaves VGG's deepest layer a few cells.

    Without edges and flat ground, which are told by places in the whole crop.
    """
    first = next(crops.split())
    if min(first.encoded.shape[2:]) < 2 * _LEAST:
        return first
    encoded, content, parts = (x[..., : x.shape[2] // 2, : x.shape[3] // 2] for x in first[:3])
    return Features(encoded, content, parts, torch.zeros_like(first.edges), torch.zeros_like(first.flat))

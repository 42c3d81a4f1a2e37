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
from stylebank.training.feature_pool import FeaturePool

STEPS = 30
"""Steps of Adam on the weights of the mixture; with ten weights or a hundred, the loss is flat by then."""

_RATE = 0.05


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
    """N weights: from the best single candidate by Adam."""

    def loss(mixture: Tensor, number: int) -> Tensor:
        features, content = pool.batch(number)
        output = network.decode(apply_filters(features, [mixture] * len(features)))
        return objective(output, content, [0] * len(features)).total

    singles = mixed.new_empty(len(mixed))
    with torch.no_grad():
        for place, candidate in enumerate(mixed):
            singles[place] = loss(candidate, 0)
            progress(place + 1, len(mixed) + STEPS)
    weights = F.one_hot(singles.argmin(), len(mixed)).float().requires_grad_()
    adam = torch.optim.Adam([weights], lr=_RATE)
    for number in range(STEPS):
        adam.zero_grad()
        loss(torch.einsum("n,noiyx->oiyx", weights, mixed), number).backward()
        adam.step()
        progress(len(mixed) + number + 1, len(mixed) + STEPS)
    return weights.detach()

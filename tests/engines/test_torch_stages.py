"""PyTorch's stages compute in their precision, pictures in float32, and leave no gradients and no input changed."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from stylebank.bank.bundle import Bundle
from stylebank.engines.stages import Affine, Given
from stylebank.engines.torch_stages import TorchStages
from stylebank.network import centring
from stylebank.network.architecture import decoder, encoder

SAME = 2e-5
"""Up to nine layers of float32 sums whose terms are rounded about other centres."""


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3})


def stages_of(bank: Bundle, precision: torch.dtype) -> TorchStages:
    return TorchStages(bank, device=torch.device("cpu"), precision=precision, workers=1)


def photo() -> Tensor:
    return torch.rand(1, 3, 24, 28, generator=torch.Generator().manual_seed(0))


def test_its_parts_are_the_network_s(bank: Bundle) -> None:
    """Training's network and the painter's are the same modules, but that the painter's are centred."""
    stages, network = stages_of(bank, torch.float32), bank.build()
    first = encoder(bank.network)[0]
    with torch.no_grad():
        features = network.encode(photo())
        rest = torch.from_numpy(centring.rest(bank.network, bank.coder))[:, None, None]
        for found in (stages.run(first, photo()), stages.encode(photo())):
            assert (found + rest - features).abs().max() < SAME
        x = found
        for part in decoder(bank.network):
            x = stages.run(part, x)
        assert (x - network.decode(features)).abs().max() < SAME
        kernel = bank.entries[0].filter.astype(np.float32)
        assert (stages.decode(found, kernel) - network.stylize(photo(), [0])).abs().max() < SAME
        assert (stages.decode(found, kernel) - network.decode(features)).abs().max() > 100 * SAME, (
            "the control"
        )


def test_the_precision_is_that_of_features_and_statistics_and_pictures_are_float32(bank: Bundle) -> None:
    first, last = encoder(bank.network)[0], decoder(bank.network)[-1]
    exact, rough = stages_of(bank, torch.float32), stages_of(bank, torch.bfloat16)
    features = rough.run(first, rough.array(photo()))
    assert features.dtype == torch.bfloat16
    assert rough.filter(features, np.eye(16, dtype=np.float32)[:, :, None, None]).dtype == torch.bfloat16
    assert rough.run(last, features).dtype == torch.float32
    assert rough.numpy(features).dtype == np.float32
    (found, second) = rough.measure(last, features, given=Given([]))
    wanted, _ = exact.measure(last, features.float(), given=Given([]))
    # A value is rounded by 2^-9 of itself; means and variances of 672 such values by less.
    assert np.abs(found.mean - wanted.mean).max() < 2**-8 * np.abs(found.mean).max()
    assert np.abs(found.variance - wanted.variance).max() < 2**-7 * np.abs(found.variance).max()
    assert second.mean.dtype == np.float64


def test_a_norm_by_regions_is_computed_in_float32_whatever_the_precision(bank: Bundle) -> None:
    last, chance = decoder(bank.network)[-1], np.random.default_rng(0)
    masks = np.stack([np.ones((24, 28)), np.zeros((24, 28))]).astype(np.float32)
    masks[:, :, 13:] = masks[::-1, :, 13:]
    norms = [Affine(*chance.random((2, 2, layer.outputs)).astype(np.float32)) for layer in last.norms]
    features = torch.rand(1, 16, 6, 7, generator=torch.Generator().manual_seed(1)).bfloat16()
    found = [
        stages_of(bank, precision).run(last, features, given=Given(norms[:1], masks)).float()
        for precision in (torch.bfloat16, torch.float32)
    ]
    # Two layers of sums, of inputs, weights and results that are each rounded to 2^-9 of themselves.
    assert (found[0] - found[1]).abs().max() < 2**-6 * found[1].abs().max()
    other = stages_of(bank, torch.float32).run(last, features, given=Given(norms[:1], masks[::-1].copy()))
    assert (other - found[1]).abs().max() > 2**-6 * found[1].abs().max(), "the control: masks exchanged"


def test_an_image_that_wants_a_gradient_gets_none_and_stays_as_it_was(bank: Bundle) -> None:
    stages, image = stages_of(bank, torch.float32), photo().requires_grad_()
    before = image.detach().clone()
    array = stages.array(image)
    assert not array.requires_grad
    for part in (*encoder(bank.network), *decoder(bank.network)):
        array = stages.run(part, array)
    assert not array.requires_grad
    assert torch.equal(image, before)

"""Photos primed on a device are those that painting primes, to the last digits."""

import numpy as np
import pytest
import torch
from torch import Tensor

from stylebank.config import Network
from stylebank.network import primer
from stylebank.network.model import StyleBankNetwork
from stylebank.priming import ground

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
]


def photos(height: int, width: int) -> Tensor:
    """An ordinary photo, smooth with an edge; a faint one; a flat one; noise."""
    down, right = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    ordinary = torch.stack([down * right, (right + down > 0.9).float(), 0.5 + 0.3 * torch.sin(9 * right)])
    noise = torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))
    return torch.stack([ordinary, 0.5 + 0.02 * (ordinary - 0.5), torch.full_like(ordinary, 0.4), noise])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(96, 96), (80, 120), (67, 101), (33, 20), (7, 9), (1, 7), (1, 1)])
def test_it_is_the_processor_s(size: tuple[int, int], device: str) -> None:
    given = photos(*size)
    found = primer.primed(given.to(device), 0.8).cpu().numpy()
    for photo, one in zip(given.numpy(), found, strict=True):
        apart = np.abs(one - ground.primed(photo, 0.8))
        # A step that is rounded the other way leads a stroke elsewhere: few, and a little.
        assert np.quantile(apart, 0.999) < 1e-5
        assert apart.max() < 0.02
    assert min(size) < 20 or np.abs(found[0] - given[0].numpy()).max() > 0.05, "the control"


@pytest.mark.parametrize("device", DEVICES)
def test_a_flat_photo_stays(device: str) -> None:
    flat = photos(64, 64)[2:3].to(device)
    assert torch.equal(primer.primed(flat, 1.0), flat)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_network_shows_crops_on_a_gpu_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "primed", lambda *_: pytest.fail("went to the processor"))
    given = photos(64, 64).cuda().to(memory_format=torch.channels_last).requires_grad_()
    found = StyleBankNetwork(Network(width=4), [3]).cuda().shown(given)
    assert found.is_cuda
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert not found.requires_grad

"""Photos as first passes see them, as tensors."""

import numpy as np
import pytest
import torch
from torch import Tensor

from stylebank.network.tensors import primed
from stylebank.priming import ground


def photos() -> Tensor:
    """Two photos, flat at the right."""
    found = torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    found[..., 20:] = 0.5
    return found


def test_each_photo_is_primed_by_itself() -> None:
    found = primed(photos(), 0.7)
    for photo, one in zip(photos(), found, strict=True):
        assert np.array_equal(one.numpy(), ground.primed(photo.numpy(), 0.7))
    assert (found - photos()).abs().max() > 0.02, "the control"


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
def test_it_is_float32_in_the_photos_layout_and_without_gradient(kind: torch.dtype) -> None:
    given = photos().to(kind, memory_format=torch.channels_last).requires_grad_()
    found = primed(given, 1.0)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert not found.requires_grad
    assert torch.equal(found, primed(given.detach().float().contiguous(), 1.0))


def test_without_a_share_photos_stay() -> None:
    assert torch.equal(primed(photos(), 0.0), photos())

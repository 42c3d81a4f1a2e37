"""PyTorch's stages on a GPU paint what they paint on the CPU; skipped where there is none."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from stylebank.bank.bundle import Bundle
from stylebank.config import Network
from stylebank.engines.stages import Given
from stylebank.engines.torch_stages import TorchStages
from stylebank.network.architecture import decoder, encoder

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SHAPES = [Network(width=4, blocks=2), Network(width=4, blocks=0, outer_kernel=9)]


def stages_of(bank: Bundle, device: str, precision: torch.dtype) -> TorchStages:
    return TorchStages(bank, device=torch.device(device), precision=precision, workers=1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_picture_is_the_cpu_s(
    make_bank: Callable[..., Bundle], shape: Network, precision: torch.dtype
) -> None:
    bank = make_bank({"wave": 3}, shape=shape)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 128, 3), dtype=np.uint8)
    kernel = bank.entries[0].filter.astype(np.float32)
    engines = (stages_of(bank, "cuda", precision), stages_of(bank, "cpu", torch.float32))
    pictures = [each.pixels(each.paint(each.photo(pixels), kernel)).astype(int) for each in engines]
    distance = np.abs(pictures[0] - pictures[1])
    # TF32 has ten bits of mantissa, bfloat16 eight; this network of random weights has a slope of some ten.
    assert distance.mean() < (0.5 if precision == torch.float32 else 4)
    assert distance.max() < (8 if precision == torch.float32 else 80)


def test_parts_by_given_statistics_and_moments_are_the_cpu_s(make_bank: Callable[..., Bundle]) -> None:
    bank = make_bank({"wave": 3})
    photo = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    found = []
    for device in ("cuda", "cpu"):
        stages = stages_of(bank, device, torch.float32)
        features = stages.encode(stages.array(photo))
        (block, *_), (first, *_) = decoder(bank.network), encoder(bank.network)
        moments = stages.measure(block, features, given=Given([]))
        moments += stages.measure(first, stages.array(photo), given=Given([]))
        found.append([*moments[0].mean[0], *moments[-1].variance[0]])
    assert np.allclose(found[0], found[1], rtol=0.02, atol=0.02)

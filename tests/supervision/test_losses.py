"""Each loss against a float64 transcription of its formula, by hand values, and per image."""

import numpy as np
import pytest
import torch
from torch import Tensor

from stylebank.supervision import losses


def gram_by_loops(features: np.ndarray) -> np.ndarray:
    """G_ij = sum_k F_ik F_jk / (h w), equation 3 of Gatys et al., in float64, one number at a time."""
    channels, height, width = features.shape
    result = np.zeros((channels, channels))
    for i in range(channels):
        for j in range(channels):
            for y in range(height):
                for x in range(width):
                    result[i, j] += features[i, y, x] * features[j, y, x]
    average: np.ndarray = result / (height * width)
    return average


def test_gram_is_the_formula() -> None:
    features = torch.rand(2, 5, 4, 3, dtype=torch.float64)
    found = losses.gram(features)
    for image in (0, 1):
        # The result is float32: 2^-24 of numbers below one.
        assert np.abs(found[image].numpy() - gram_by_loops(features[image].numpy())).max() < 1e-6


def test_gram_is_per_image_and_not_over_the_batch() -> None:
    features = torch.rand(2, 5, 4, 3)
    alone = losses.gram(features[:1])
    assert torch.allclose(losses.gram(features)[:1], alone)
    flat = features.transpose(0, 1).flatten(1)
    over_the_batch = flat @ flat.T / flat.shape[1]
    assert not torch.allclose(over_the_batch, alone[0], atol=1e-2), (
        "the control: the common bug is another number"
    )


def test_gram_does_not_depend_on_the_size_of_a_uniform_image() -> None:
    pattern = torch.rand(1, 5, 1, 1)
    small, large = losses.gram(pattern.expand(1, 5, 2, 3)), losses.gram(pattern.expand(1, 5, 8, 9))
    assert torch.allclose(small, large)


def test_style_distance_by_hand() -> None:
    output = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]])
    target = torch.tensor([[[0.0, 1.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 3.0]]])
    assert losses.style_distance(output, target).tolist() == [6.0, 9.0]


def test_content_distance_by_hand() -> None:
    target = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    assert losses.content_distance(torch.zeros_like(target), target).tolist() == [1.0]
    assert losses.content_distance(target, target).tolist() == [0.0]
    assert losses.content_distance(3 * target, target).tolist() == [4.0]


def test_total_variation_by_hand() -> None:
    image = torch.tensor([[0.0, 1.0], [1.0, 0.5]]).expand(1, 3, 2, 2)
    # down: |1 - 0|, |0.5 - 1|; right: |1 - 0|, |0.5 - 1|
    assert losses.total_variation(image).tolist() == [0.75 + 0.75]
    assert losses.total_variation(torch.full((2, 3, 4, 4), 0.3)).tolist() == [0.0, 0.0]


def test_identity_distance_by_hand() -> None:
    image = torch.zeros(2, 3, 2, 2)
    output = image.clone()
    output[1, 0, 0, 0] = 0.6
    assert losses.identity_distance(output, image).tolist() == pytest.approx([0.0, 0.36 / 12])


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: losses.content_distance(x, torch.full_like(x, 0.7)).sum(),
        lambda x: losses.total_variation(x).sum(),
        lambda x: losses.identity_distance(x, torch.full_like(x, 0.7)).sum(),
        lambda x: losses.style_distance(losses.gram(x), torch.ones(2, 3, 3)).sum(),
    ],
    ids=["content", "tv", "identity", "style"],
)
def test_the_gradient_is_the_slope(loss: object) -> None:
    """Against a finite difference in a random direction; float32 inside costs about 1e-3 of it."""
    assert callable(loss)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 5, 5, generator=generator, requires_grad=True)
    direction = torch.randn(2, 3, 5, 5, generator=generator)
    value: Tensor = loss(x)
    (gradient,) = torch.autograd.grad(value, x)
    step = 1e-2 * direction / direction.norm()
    with torch.no_grad():
        slope = (loss(x + step) - loss(x - step)) / 2
    assert float(slope) == pytest.approx(float((gradient * step).sum()), rel=2e-2, abs=1e-6)


def test_bfloat16_features_give_nearly_the_same_gram() -> None:
    features = torch.rand(1, 32, 24, 24)
    exact, rough = losses.gram(features), losses.gram(features.bfloat16())
    assert rough.dtype == torch.float32
    # Inputs rounded by 2^-9 each and the sum once more.
    assert (rough / exact - 1).abs().max() < 3 * 2**-9

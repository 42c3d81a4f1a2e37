"""Gram matrices added up over tiles are those of the whole picture, whatever its size and theirs."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stylebank.pixels import images
from stylebank.reference import tiled_grams
from stylebank.supervision import losses
from stylebank.supervision.vgg import STYLE_LAYERS, VGG


@pytest.fixture(scope="module")
def network(vgg_weights: dict[str, Tensor]) -> VGG:
    """With biases, so that padding's zeros are nothing that a layer would make itself."""
    generator = torch.Generator().manual_seed(1)
    noisy = {
        key: 40 * torch.rand(weight.shape, generator=generator) if key.endswith("bias") else weight
        for key, weight in vgg_weights.items()
    }
    return VGG(noisy)


def picture(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def whole(network: VGG, image: Image.Image) -> list[Tensor]:
    features = network(images.to_tensor(image), STYLE_LAYERS)
    return [losses.gram(features[layer])[0] for layer in STYLE_LAYERS]


def error(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


# Even, odd, and sizes whose last row and column of cells poolings drop; tiles of one cell of relu5_1 and more.
@pytest.mark.parametrize(
    ("width", "height", "tile"),
    [(176, 112, 64), (131, 87, 50), (63, 79, 16), (17, 31, 16), (16, 16, 16), (100, 70, 1024)],
)
def test_grams_of_tiles_are_those_of_the_whole(width: int, height: int, tile: int, network: VGG) -> None:
    image = picture(width, height)
    found = tiled_grams.grams(network, image, STYLE_LAYERS, tile=tile)
    for layer, tensor, wanted in zip(STYLE_LAYERS, found, whole(network, image), strict=True):
        # Sums of up to 19,712 products of float32, in another order.
        assert error(tensor, wanted) < 1e-5, layer
        assert tensor.dtype == torch.float32


@pytest.mark.parametrize(("layer", "halo"), [("relu5_1", 48), ("relu4_1", 16), ("relu1_1", 0)])
def test_a_smaller_halo_would_be_seen(
    layer: str, halo: int, network: VGG, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, place = picture(176, 112), STYLE_LAYERS.index(layer)
    wanted = whole(network, image)[place]
    monkeypatch.setattr(tiled_grams, "_HALO", halo)
    (found,) = tiled_grams.grams(network, image, [layer], tile=64)
    assert error(found, wanted) > 1e-4


def test_only_the_layers_asked_for_are_given_in_their_order(network: VGG) -> None:
    image = picture(80, 64)
    all_layers = whole(network, image)
    found = tiled_grams.grams(network, image, ["relu3_1", "relu1_1"], tile=32)
    assert [error(tensor, all_layers[place]) < 1e-5 for tensor, place in zip(found, (2, 0), strict=True)]
    assert [tensor.shape[0] for tensor in found] == [256, 64]


def test_tiles_cover_a_side_without_gap_and_are_no_larger_than_asked() -> None:
    for length in (16, 17, 1024, 1025, 4096, 5000):
        for tile in (16, 300, 1024):
            spans = list(tiled_grams._spans(length, tile))
            cores = [(start, end) for _, _, start, end in spans]
            assert cores[0][0] == 0
            assert cores[-1][1] == length
            assert all(end == start for (_, end), (start, _) in pairwise(cores))
            assert max(end - start for start, end in cores) <= -(-tile // 16) * 16
            assert all(begin % 16 == 0 for begin, *_ in spans)


def test_no_pass_is_larger_than_a_tile_and_its_halo(network: VGG) -> None:
    sides = []
    hook = network.register_forward_pre_hook(lambda _, inputs: sides.extend(inputs[0].shape[-2:]))
    tiled_grams.grams(network, picture(600, 20), ["relu1_1"], tile=96)
    hook.remove()
    assert len(sides) == 2 * 7
    assert max(sides) <= 96 + 2 * 64

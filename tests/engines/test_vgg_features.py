"""Every engine sees with VGG-16 what PyTorch sees with it."""

from typing import get_args

import numpy as np
import pytest

from stylebank.engines import vgg_features
from stylebank.engines.choice import Computing, Engine

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)


@pytest.mark.parametrize("layer", ["relu3_1", "relu5_1"])
@pytest.mark.parametrize("engine", [engine for engine in get_args(Engine) if engine != "torch"])
def test_features_are_pytorch_s(engine: str, layer: str) -> None:
    wanted = vgg_features.extractor(Computing("torch", "float32", "cpu"), layer)(PIXELS)
    found = vgg_features.extractor(Computing(engine, "float32", "cpu"), layer)(PIXELS)
    assert found.shape == wanted.shape
    # Float32 sums in another order, eleven layers deep.
    assert abs(found - wanted).max() < 1e-4 * wanted.max()
    turned = vgg_features.extractor(Computing(engine, "float32", "cpu"), layer)(PIXELS[..., ::-1])
    assert abs(turned - wanted).max() > 1e-2 * wanted.max(), "the control: blue for red"


def test_a_cell_of_relu5_1_is_as_large_as_said() -> None:
    cells = vgg_features.extractor(Computing("torch", "float32", "cpu"))(PIXELS).shape[1:]
    assert tuple(vgg_features.CELL * side for side in cells) == PIXELS.shape[:2]


def test_the_next_photo_finds_it_made() -> None:
    computing = Computing("torch", "float32", "cpu")
    assert vgg_features.extractor(computing) is vgg_features.extractor(computing)

"""The strength slider of the shipped bank: from the photo, by even steps, to the full style."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylebank import StyleBank
from stylebank.bank.entries import Entry
from stylebank.engines.choice import Computing
from stylebank.files import resources
from stylebank.painting import strokes
from stylebank.painting.fusion import Mode
from stylebank.pixels import folders, images, resampling
from stylebank.supervision import losses, metrics, vgg
from stylebank.training import data

pytestmark = pytest.mark.primed

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
SIDE = 128  # pixels
STROKE = strokes.FIRST / SIDE
"""Photos of this side are painted in one pass at their own size, with marks as large in pixels as the paintings'."""

DRAWN = Path(__file__).resolve().parents[2] / "configs" / "styles"


@pytest.fixture(scope="module")
def bank() -> StyleBank:
    return StyleBank.load(engine="torch", precision="float32", device="cpu")


@pytest.fixture(scope="module")
def photos() -> Tensor:
    """The photos that come along, (5, 3, SIDE, SIDE)."""
    folder = resources.photos_folder()
    return data.read_squares(folders.find_photos(folder), SIDE, pytest.fail)


@pytest.fixture(scope="module")
def network() -> vgg.VGG:
    return vgg.load(resources.vgg_weights())


def grams(network: vgg.VGG, image: Tensor, layers: Sequence[str] = vgg.STYLE_LAYERS) -> dict[str, Tensor]:
    with torch.no_grad():
        found = network(image, layers)
    return {layer: losses.gram(features) for layer, features in found.items()}


def style_loss(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
    """Of each layer, the mean over images."""
    return torch.stack(
        [losses.style_distance(found[layer], wanted[layer]).mean() for layer in vgg.STYLE_LAYERS]
    )


def falls(bank: StyleBank, network: vgg.VGG, photos: Tensor, entry: Entry, folder: Path) -> Tensor:
    """How much of the whole fall in mean style ratio each of the four steps of the slider does."""
    wanted: dict[str, Tensor] = {}
    for source, size in {(image.source, image.size) for image in entry.style.layers}:
        painting = resampling.resized(images.read(next(folder.rglob(source))), size=size)
        layers = [image.layer for image in entry.style.layers if (image.source, image.size) == (source, size)]
        wanted |= grams(network, images.to_tensor(painting), layers)
    unstyled = style_loss(grams(network, photos), wanted)
    painted = (bank.stylize(photos, entry.name, strength=strength, stroke=STROKE) for strength in STRENGTHS)
    ratios = torch.stack([(style_loss(grams(network, x), wanted) / unstyled).mean() for x in painted])
    return (ratios[:-1] - ratios[1:]) / (ratios[0] - ratios[-1])


def test_at_strength_0_there_is_the_photo(bank: StyleBank, photos: Tensor) -> None:
    again = bank.stylize(photos, bank.styles[0], strength=0.0)
    assert metrics.psnr(again, photos).mean() >= 24
    assert metrics.psnr(bank.stylize(photos, bank.styles[0], strength=0.5), photos).mean() < 24


def test_a_drawn_style_comes_by_even_steps(bank: StyleBank, photos: Tensor, network: vgg.VGG) -> None:
    found = falls(bank, network, photos, bank.contents.find("mosaic"), DRAWN / "mosaic")
    assert found.min() > 0
    assert found.max() <= 0.5


@pytest.mark.shared
@pytest.mark.parametrize("name", ["van_gogh_starry_night", "picabia_udnie", "kandinsky_composition_vii"])
def test_a_painting_comes_by_even_steps(
    name: str, bank: StyleBank, photos: Tensor, network: vgg.VGG, shared: Path
) -> None:
    found = falls(bank, network, photos, bank.contents.find(name), shared / "styles")
    assert found.min() > 0
    assert found.max() <= 0.5


@pytest.mark.shared
def test_without_the_gain_the_first_quarter_of_a_loud_filter_does_more_than_half(
    bank: StyleBank, photos: Tensor, network: vgg.VGG, shared: Path
) -> None:
    # Training leaves a filter's scale open: in some banks it is ten times that of the photo's features.
    entries = tuple(replace(entry, filter=entry.filter * 4, gain=1.0) for entry in bank.contents.entries)
    loud = StyleBank(replace(bank.contents, entries=entries), computing=Computing("torch", "float32", "cpu"))
    found = falls(loud, network, photos, loud.contents.find("picabia_udnie"), shared / "styles")
    assert found.max() > 0.5


def test_region_mode_gives_each_region_its_own_brightness_back(bank: StyleBank, photos: Tensor) -> None:
    dark = photos.clone()
    dark[..., : SIDE // 2] *= 0.4
    left = np.zeros((SIDE, SIDE), np.float32)
    left[:, : SIDE // 2] = 1
    regions = [(left, bank.styles[0]), (1 - left, bank.styles[1])]
    halves = (slice(0, SIDE // 2), slice(SIDE // 2, SIDE))

    def error(photo: Tensor, mode: Mode) -> float:
        """In levels, the largest of both halves and three channels."""
        again = bank.fuse(photo, regions, strength=0.0, mode=mode, stroke=STROKE)
        return max(float((again[..., x] - photo[..., x]).mean(dim=(2, 3)).abs().max()) for x in halves) * 255

    # Of middle values none is clamped to [0, 1]: means of float32 are left. Over the whole image the paper's mode keeps
    # them too, but not in each half.
    for photo in (0.35 + 0.3 * dark).split(1):
        assert error(photo, "region") < 0.01
        assert error(photo, "paper") > 0.03, "the control"

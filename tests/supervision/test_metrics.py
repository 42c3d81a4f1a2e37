"""Figures against their definitions and against scikit-image's own."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from stylebank.config import Loss, Network
from stylebank.network.model import StyleBankNetwork
from stylebank.network.tensors import primed
from stylebank.supervision.losses import total_variation
from stylebank.supervision.metrics import (
    filter_gain,
    measure,
    one_pass,
    output_figures,
    psnr,
    ssim,
    style_figures,
    tone,
)
from stylebank.supervision.objective import Objective
from stylebank.supervision.styleset import BLANK, LayerImage, StyleSet
from stylebank.supervision.vgg import STYLE_LAYERS, VGG


def test_psnr_by_hand() -> None:
    image = torch.zeros(2, 3, 4, 4)
    other = image + torch.tensor([0.1, 0.5]).view(2, 1, 1, 1)
    assert psnr(other, image).tolist() == pytest.approx([20.0, -20 * math.log10(0.5)], rel=1e-5)


def test_ssim_is_scikit_image_s() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 24, 31, generator=generator, dtype=torch.float64)
    other = (image + 0.2 * torch.randn(image.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)
    maps = [
        structural_similarity(  # type: ignore[no-untyped-call]
            image[0, channel].numpy(),
            other[0, channel].numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
            full=True,
        )[1]
        for channel in range(3)
    ]
    inside = np.stack(maps)[:, 5:-5, 5:-5]  # where the whole 11x11 window lies in the image
    assert float(ssim(image, other)) == pytest.approx(float(inside.mean()), rel=1e-6)


def test_equal_images_are_similar_to_the_full() -> None:
    image = torch.rand(2, 3, 16, 16)
    assert ssim(image, image).tolist() == pytest.approx([1.0, 1.0])
    assert psnr(image, image).min() >= 120


def photos_of_noise(count: int = 2, height: int = 80, width: int = 112) -> Tensor:
    """Photos that are light and dark in areas of any size."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, height // 16, width // 16, generator=generator)
    return F.interpolate(coarse, (height, width), mode="bilinear")


def test_tone_is_scipy_s_rank_correlation_of_the_areas_lightness() -> None:
    photos = photos_of_noise()
    pictures = (0.5 * photos + 0.5 * photos.flip(3)).round(decimals=1)  # equal areas too
    for picture, photo, found in zip(pictures, photos, tone(pictures, photos), strict=True):
        lightness = [
            np.tensordot([0.299, 0.587, 0.114], x.double().numpy(), 1).reshape(5, 16, 7, 16).mean((1, 3))
            for x in (picture, photo)
        ]
        # Lightness is ranked in sixteenths of a level: two areas of 35 may be equal for that.
        assert float(found) == pytest.approx(
            spearmanr(lightness[0], lightness[1], axis=None).statistic, abs=2e-3
        )
    assert tone(pictures, photos.flip(0)) != pytest.approx(tone(pictures, photos), abs=0.1), "the control"


def test_tone_is_one_for_the_photo_and_minus_one_for_its_negative() -> None:
    photos = photos_of_noise()
    assert tone(photos, photos).tolist() == pytest.approx([1.0, 1.0])
    assert tone(1 - photos, photos).tolist() == pytest.approx([-1.0, -1.0])
    assert tone(0.2 + 0.5 * photos, photos).tolist() == pytest.approx([1.0, 1.0]), "lighter and flatter"


def test_tone_does_not_see_colour_or_marks() -> None:
    photos = photos_of_noise()
    grey = photos.mean(dim=1, keepdim=True).expand_as(photos)
    weave = 0.1 * (torch.arange(112) % 2 - 0.5)
    tinted = grey + torch.tensor([0.587, -0.299, 0.0]).view(3, 1, 1) * 0.2  # of the same luma
    assert tone(tinted + weave, grey).tolist() == pytest.approx([1.0, 1.0], abs=1e-3)


def test_what_is_of_one_lightness_has_no_tone() -> None:
    photo = photos_of_noise(1, 68, 100)  # areas of different sizes, whose sums are rounded differently
    flat = torch.full_like(photo, 0.3)
    assert tone(flat, photo).tolist() == tone(photo, flat).tolist() == tone(flat, flat).tolist() == [0.0]


def test_the_figures_have_the_median_of_the_tone(white: Objective) -> None:
    photos = photos_of_noise(3, 64, 64)
    outputs = torch.cat([photos[:2], 1 - photos[2:]])
    assert output_figures(outputs, white, photos, 0).tone == pytest.approx(1.0)
    assert output_figures(1 - outputs, white, photos, 0).tone == pytest.approx(-1.0)


def test_the_gain_makes_filtered_features_as_strong_as_their_own() -> None:
    network = StyleBankNetwork(Network(width=4, blocks=2), [3])
    photos = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    weight = network.filters[0]
    assert filter_gain(network, photos, weight) == pytest.approx(1.0)
    assert filter_gain(network, photos, 4 * weight) == pytest.approx(0.25)
    assert filter_gain(network, photos, 0 * weight) == 1.0


class Copy(nn.Module):
    """A network that returns the photo, in every style."""

    filters = (None,)

    def shown(self, photos: Tensor) -> Tensor:
        return primed(photos, 1.0)

    def stylize(self, content: Tensor, _styles: list[int]) -> Tensor:
        return content

    def reconstruct(self, content: Tensor) -> Tensor:
        return content


@pytest.fixture(scope="module")
def white(vgg_weights: dict[str, Tensor]) -> Objective:
    layers = tuple(LayerImage(x, BLANK, "", (0, 0, 32, 32), (32, 32), 1.0) for x in STYLE_LAYERS)
    reference = torch.rand(2, 3, 32, 32)
    style = StyleSet(name="white", kernel=3, layers=layers)
    return Objective(VGG(vgg_weights), Loss(tone=0.0, color=0.0), [style], reference, precision=torch.float32)


def test_an_unstyled_photo_has_style_ratio_one(white: Objective) -> None:
    photos = torch.rand(
        5, 3, 32, 32
    ).round()  # so much contrast that no part of it is flat and is given a grain
    figures = measure(Copy(), white, photos)  # type: ignore[arg-type]
    assert figures.styles[0].style_ratio == pytest.approx([1.0] * 5)
    assert figures.styles[0].content == pytest.approx(0.0, abs=1e-6)
    assert figures.styles[0].ssim == pytest.approx(1.0)
    assert figures.ssim == pytest.approx(1.0)
    assert figures.median_style_ratio() == pytest.approx([1.0] * 5)


def test_perfect_statistics_have_style_ratio_zero(white: Objective) -> None:
    class White(Copy):
        def stylize(self, content: Tensor, _styles: list[int]) -> Tensor:
            return torch.ones_like(content)

    figures = style_figures(White(), white, torch.rand(3, 3, 32, 32), 0)  # type: ignore[arg-type]
    assert max(figures.style_ratio) < 1e-6
    assert figures.content > 0.01


def test_figures_do_not_depend_on_how_photos_are_grouped(white: Objective) -> None:
    torch.manual_seed(0)
    network = StyleBankNetwork(Network(width=4, blocks=2), [3])
    photos = torch.rand(6, 3, 32, 32)
    forth, back = (style_figures(network, white, x, 0) for x in (photos, photos.flip(0)))
    assert forth.style_ratio == pytest.approx(back.style_ratio, rel=1e-4)


def test_output_figures_are_means_over_photos_of_the_objective_s_terms(white: Objective) -> None:
    generator = torch.Generator().manual_seed(0)
    photos, outputs = (torch.rand(3, 3, 32, 32, generator=generator) for _ in range(2))
    figures = output_figures(outputs, white, photos, 0)
    terms = [
        white(output, white.kept(photo), [0])
        for output, photo in zip(outputs.split(1), photos.split(1), strict=True)
    ]
    assert figures.total == pytest.approx(sum(float(found.total) for found in terms) / 3)
    assert figures.content == pytest.approx(sum(float(found.content) for found in terms) / 3)
    assert figures.tv == pytest.approx(float(total_variation(outputs).mean()))
    assert figures.ssim == pytest.approx(float(ssim(outputs, photos).mean()), abs=1e-6)
    swapped = output_figures(outputs, white, photos.flip(0), 0)
    assert swapped.content != pytest.approx(figures.content, rel=1e-3), "the control: each with its own photo"


def test_the_total_is_the_weighted_sum_of_the_other_figures(white: Objective) -> None:
    photos = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    figures = output_figures(photos.flip(3) * 0.5, white, photos, 0)
    loss = Loss()
    # Photos of noise are all as far from white: ratios of means are means of ratios, by a few percent.
    style = loss.style * sum(figures.style_ratio) / 5
    unit = output_figures(photos, white, photos, 0)
    scale = (unit.total - loss.tv * unit.tv) / loss.style
    wanted = loss.content * figures.content + style * scale + loss.tv * figures.tv
    assert figures.total == pytest.approx(wanted, rel=0.05)
    assert figures.tv == pytest.approx(unit.tv / 2, rel=1e-5), "half the contrast"


def test_style_figures_are_those_of_outputs_in_range_over_photos_with_their_grain(white: Objective) -> None:
    class Double(Copy):
        def stylize(self, content: Tensor, _styles: list[int]) -> Tensor:
            return 2 * content

    photos = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    photos[..., 16:] = 0.4
    found = style_figures(Double(), white, photos, 0)  # type: ignore[arg-type]
    outputs = 2 * primed(photos, 1.0)
    assert found == output_figures(outputs.clamp(0, 1), white, photos, 0)
    for other in (outputs, (2 * photos).clamp(0, 1)):
        assert found != output_figures(other, white, photos, 0), "the controls"


def test_a_johnson_network_a_yardstick_is_measured_on_bare_photos() -> None:
    torch.manual_seed(0)
    network = StyleBankNetwork(Network(kind="johnson", width=4, outer_kernel=9), [1])
    photos = torch.full((1, 3, 32, 32), 0.4)
    photos[..., :8] = 0.9
    with torch.no_grad():
        assert torch.equal(one_pass(network, photos, 0), network.stylize(photos, [0]).clamp(0, 1))
        bank = StyleBankNetwork(Network(width=4, blocks=2), [3])
        assert not torch.equal(one_pass(bank, photos, 0), bank.stylize(photos, [0]).clamp(0, 1)), (
            "the control"
        )

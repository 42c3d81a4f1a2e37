"""Fused styles: mixtures and strengths are one filter; away from the seams a region looks as if it were alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage
from torch import Tensor

from stylebank.bank import editing, mixture
from stylebank.bank.bundle import Bundle
from stylebank.errors import ConfigError, ImageError, UnknownStyleError
from stylebank.network.instance_norm import Normalize, PerRegion, own
from stylebank.network.layers import reflect_conv
from stylebank.network.model import match_moments, pad_to_stride
from stylebank.painting import fusion
from stylebank.painting.fusion import Mode, Paint
from stylebank.painting.painter import StyleBank

KERNELS = {"dot": 1, "wave": 3, "night": 5, "scream": 7, "rain": 3}
NAMES = tuple(KERNELS)
SCALES = (1.0, 0.1, 0.3, 0.05, 1.0)  # their features are 0.35 to 5.5 times as strong as the photo's

HALF = 2.0**-11  # relative error of one rounding to float16

SAME = 1e-4
"""What two orders of the same float32 sums may differ by: 1e-6 a layer, and norms that enlarge small channels."""


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> StyleBank:
    made = make_bank(KERNELS)
    entries = [replace(x, filter=x.filter * scale) for x, scale in zip(made.entries, SCALES, strict=True)]
    return StyleBank(replace(made, entries=tuple(entries)), device="cpu")


def drawn(height: int, width: int) -> Tensor:
    """A photo whose parts differ, with grain."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    grain = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    return 0.8 * torch.stack([y, 0.5 + 0.4 * torch.sin(20 * x * y), x * x]) + 0.2 * grain


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return drawn(37, 50)


@pytest.fixture(scope="module")
def left() -> Tensor:
    """A mask of the photo's left part."""
    return (torch.arange(50) < 22).float().expand(37, 50)


def scaled(bank: StyleBank, name: str) -> Tensor:
    """g K in float64."""
    entry = bank.contents.find(name)
    return torch.from_numpy(entry.filter).double() * entry.gain


def test_a_mixture_is_the_sum_of_separate_convolutions_of_any_size(bank: StyleBank) -> None:
    weights = dict(zip(NAMES, (0.4, 0.1, 0.2, 0.05, 0.25), strict=True))
    features = torch.randn(2, 16, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = bank.paint(weights).filter.double()
    assert whole.shape[-1] == 7
    apart = {name: share * reflect_conv(features, scaled(bank, name)) for name, share in weights.items()}
    wanted = torch.stack(list(apart.values())).sum(0)
    # What the roundings of the weights to float16 can add up to, at each cell.
    bound = 1.01 * HALF * reflect_conv(features.abs(), whole.abs()) + 1e-6
    assert ((reflect_conv(features, whole) - wanted).abs() <= bound).all()
    moved = reflect_conv(features, whole.roll(1, 3))
    no_gains = sum(part / bank.contents.find(name).gain for name, part in apart.items())
    assert ((moved - wanted).abs() > bound).any(), "the control: kernels off their centre"
    assert ((no_gains - wanted).abs() > bound).any(), "the control: without the gains"


@pytest.mark.parametrize("name", NAMES)
def test_a_mixture_of_one_style_is_that_style(name: str, bank: StyleBank, photo: Tensor) -> None:
    entry = bank.contents.find(name)
    filter_, gain = bank.contents.mixed_filter([(name, 1.0)])
    assert np.array_equal(filter_, entry.filter)
    assert gain == entry.gain
    alone = bank.stylize(photo, name)
    for mix in ({name: 3.0}, {name: 1.0, "wave" if name == "dot" else "dot": 0.0}, f"{name}:0.2"):
        assert torch.equal(bank.stylize(photo, mix), alone)
    assert not torch.equal(bank.stylize(photo, NAMES[NAMES.index(name) - 1]), alone), "the control"


def test_mixtures_of_a_baked_mixture_are_mixtures_of_its_parts(bank: StyleBank) -> None:
    baked = editing.baking("both", mixture.parse("wave:0.5+night:0.5"))(bank.contents)
    found = baked.mixed_filter([("both", 0.5), ("dot", 0.5)])[0].astype(float)
    both = baked.find("both").filter.astype(float)
    for shift, same in ((0.0, True), (0.01, False)):  # the control: other shares
        parts = [("wave", 0.25 + shift), ("night", 0.25 - shift), ("dot", 0.5)]
        wanted = baked.mixed_filter(parts)[0].astype(float)
        # Three roundings to float16: of the half that was baked, of the one mixture, of the other.
        bound = HALF * (0.5 * abs(both) + abs(found) + abs(wanted)) + 1e-6
        assert (abs(found - wanted) <= 1.01 * bound).all() == same


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_mixture_costs_one_convolution_however_many_styles(
    count: int, bank: StyleBank, photo: Tensor, left: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes, conv2d = [], F.conv2d

    def counted(x: Tensor, weight: Tensor, *rest: object, **options: object) -> Tensor:
        shapes.append(tuple(weight.shape))
        return conv2d(x, weight, *rest, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(F, "conv2d", counted)
    bank.stylize(photo, dict.fromkeys(NAMES[:count], 1.0), strength=0.5)
    side = max(KERNELS[name] for name in NAMES[:count])
    # Only filters have 16 channels on both sides; E has three convolutions and D as many.
    assert [shape for shape in shapes if shape[:2] == (16, 16)] == [(16, 16, side, side)]
    assert len(shapes) == 7
    bank.fuse(photo, [(left, name) for name in NAMES[:count]] + [(1 - left, "rain")], mode="paper")
    assert len(shapes) == 7 + 7 + count, "the control: each region has its convolution"


@pytest.mark.parametrize("name", NAMES)
def test_strength_0_reconstructs_and_1_is_the_style(name: str, bank: StyleBank, photo: Tensor) -> None:
    ungained = tuple(replace(entry, gain=1.0) for entry in bank.contents.entries)
    bank = StyleBank(replace(bank.contents, entries=ungained), device="cpu")
    padded = pad_to_stride(photo[None])
    for strength, near, whole in (
        (0.0, 0.01, bank.network.reconstruct(padded)),
        (1.0, 0.99, bank.network.stylize(padded, [NAMES.index(name)])),
    ):
        wanted = whole[0, :, :37, :50].clamp(0, 1)
        assert torch.equal(bank.stylize(photo, name, strength=strength), wanted)
        assert (bank.stylize(photo, name, strength=near) - wanted).abs().max() > SAME, "the control"


@pytest.mark.parametrize("restored", [True, False])
@pytest.mark.parametrize("strength", [0.1, 0.5, 0.9])
def test_between_them_is_the_formula(strength: float, restored: bool, bank: StyleBank, photo: Tensor) -> None:
    network = bank.contents.build().double()
    network.precision, network.restore_moments = torch.float64, restored
    content, night = pad_to_stride(photo[None]).double(), scaled(bank, "night")

    def formula(share: float) -> Tensor:
        features = network.encode(content)
        plain = network.decode((1 - share) * features + share * reflect_conv(features, night))
        matched = match_moments(plain, content) if restored else plain
        return (1 - share) * matched + share * plain

    found = fusion.paint(network, content, Paint(night.float(), mixture.parse(f"night@{strength}").share))
    # The blended filter is summed in float32 here, and the moments are float32.
    assert (found - formula(strength**1.25)).abs().max() < 1e-5
    assert (found - formula(strength)).abs().max() > 1e-5, "the control: another evenness"


def quarters(count: int, height: int, width: int) -> Tensor:
    """Masks (R, H, W), 0 or 1: left and right, quarters, quarters and a disc in their middle."""
    y, x = torch.meshgrid(torch.arange(height) - height // 2, torch.arange(width) - width // 2, indexing="ij")
    labels = (x >= 0).long() + 2 * (y >= 0).long()
    labels = labels % 2 if count == 2 else labels.clamp(max=count - 1)
    if count == 5:
        labels[y * y + x * x < 54 * 54] = 4
    return torch.stack([(labels == label).float() for label in range(count)])


@pytest.mark.parametrize("edges", ["hard", "grey", "feathered"])
@pytest.mark.parametrize(("count", "width"), [(2, 173), (3, 203), (4, 190), (5, 173)])
def test_48_pixels_from_a_seam_a_region_looks_as_if_it_were_alone(
    count: int, width: int, edges: str, bank: StyleBank
) -> None:
    photo, masks = drawn(211, width), quarters(count, 211, width)
    mixes = ["scream", "rain", "night@0.3", "dot:0.5+wave:0.5", "wave@0.6"][:count]
    grey = F.avg_pool2d(F.pad(masks, (7,) * 4, mode="replicate"), 15, stride=1).clamp(0, 1)
    given = grey if edges == "grey" else masks
    regions = list(zip(given, mixes, strict=True))
    feather = 12.0 if edges == "feathered" else 0.0
    pictures = {mode: bank.fuse(photo, regions, mode=mode, feather=feather) for mode in get_args(Mode)}
    for mask, mix in zip(masks, mixes, strict=True):
        far = torch.from_numpy(ndimage.distance_transform_edt(mask.numpy()) > 48)
        assert far.sum() > 20
        alone = bank.stylize(photo, mix)
        errors = {mode: (pictures[mode] - alone)[:, far].square().mean() for mode in pictures}
        # A mean square of 1e-6 is a PSNR of 60 dB: a quarter of an 8-bit level.
        assert errors["exact"] <= 1e-6
        assert min(errors["region"], errors["paper"]) > 1e-4, "the control: statistics of the mixed image"


@pytest.mark.parametrize("mode", get_args(Mode))
def test_a_style_has_no_seam_with_itself(mode: Mode, bank: StyleBank, photo: Tensor, left: Tensor) -> None:
    alone = bank.stylize(photo, "rain@0.7")
    whole = bank.fuse(photo, [(torch.ones(37, 50), "rain@0.7")], mode=mode)
    assert (whole - alone).abs().max() < SAME
    for mask in (left, 0.3 * left):
        painted = bank.fuse(photo, [(mask, "rain@0.7"), (1 - mask, "rain@0.7")], mode=mode)
        assert ((painted - alone).abs().max() < SAME) == (mode != "region")


def test_paper_and_region_mode_are_equation_7(bank: StyleBank, photo: Tensor, left: Tensor) -> None:
    masks = pad_to_stride(torch.stack([left, 1 - left])[:, None])[:, 0]

    def equation(normalize: Normalize, *names: str) -> Tensor:
        features = bank.network.encode(pad_to_stride(photo[None]))
        pairs = zip(F.avg_pool2d(masks, 4), names, strict=True)
        one, two = (reflect_conv(mask * features, scaled(bank, name).float()) for mask, name in pairs)
        return bank.network.decode(one + two, normalize)[0, :, :37, :50]

    norms: dict[Mode, Normalize] = {"paper": own, "region": PerRegion(masks)}
    for (mode, norm), other in zip(norms.items(), reversed(norms.values()), strict=True):
        found = bank.fuse(photo, [(left, "wave"), (1 - left, "night")], mode=mode)
        assert (found - equation(norm, "wave", "night")).abs().max() < SAME
        for wrong in (equation(norm, "night", "wave"), equation(other, "wave", "night")):
            assert (found - wrong).abs().max() > SAME, "the control: masks or norms exchanged"


@pytest.mark.parametrize("mode", get_args(Mode))
def test_rest_photo_keeps_uncovered_pixels(mode: Mode, bank: StyleBank, photo: Tensor, left: Tensor) -> None:
    for feather, far in ((0.0, 0), (4.0, 5)):  # a feather reaches as far as its width
        painted = bank.fuse(photo, [(left, "night@0.5")], mode=mode, feather=feather)
        assert torch.equal(painted[..., 22 + far :], photo[..., 22 + far :])
        assert torch.equal(painted[..., 22], photo[..., 22]) == (feather == 0), "the control: the seam"
    colours = Image.fromarray((photo.permute(1, 2, 0).numpy() * 255).astype(np.uint8))
    shown = bank.fuse(colours, [(left, "night")], mode=mode, keep_color=True)
    assert np.array_equal(np.array(shown)[:, 22:], np.array(colours)[:, 22:])


def test_rest_mix_paints_uncovered_pixels(bank: StyleBank, photo: Tensor, left: Tensor) -> None:
    mask, rest = 0.7 * left, "night:1+dot:1@0.5"
    wanted = bank.fuse(photo, [(mask, "wave"), (1 - mask, rest)])
    assert (bank.fuse(photo, [(mask, "wave")], rest=rest) - wanted).abs().max() < SAME
    for other in ("night:1+dot:1", "photo"):
        assert (bank.fuse(photo, [(mask, "wave")], rest=other) - wanted).abs().max() > SAME, "the control"


def test_overlapping_masks_share_the_pixel(bank: StyleBank, photo: Tensor, left: Tensor) -> None:
    painted = bank.fuse(photo, [(torch.ones(37, 50), "wave"), (left, "night")])
    for share, same in ((0.5, True), (1.0, False)):  # the control: the last mask wins
        wanted = bank.fuse(photo, [(1 - share * left, "wave"), (share * left, "night")])
        assert ((painted - wanted).abs().max() < SAME) == same


@pytest.mark.parametrize("mode", get_args(Mode))
def test_batches_and_pil_are_fused_alike(mode: Mode, bank: StyleBank, photo: Tensor, left: Tensor) -> None:
    levels = (photo * 255).round()
    regions = [(left, "wave"), (0.5 * left.flip(1), "night@0.4")]
    alone = bank.fuse(levels / 255, regions, mode=mode)
    batch = bank.fuse(torch.stack([levels.flip(0), levels]) / 255, regions, mode=mode)
    assert (batch[1] - alone).abs().max() < SAME
    assert (batch[0] - alone).abs().max() > SAME, "the control: the other image"
    image, mask = (Image.fromarray(x.byte().numpy()) for x in (levels.permute(1, 2, 0), 255 * left))
    picture = bank.fuse(image, [(mask, "wave"), (regions[1][0].numpy(), "night@0.4")], mode=mode)
    assert (picture.mode, picture.size) == ("RGB", (50, 37))
    shown = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
    assert (shown - alone).abs().max() < 0.5 / 255 + SAME  # half a level is lost by rounding


def ycbcr(image: Tensor) -> Tensor:
    """ITU-R BT.601 in float64: luma, Cb, Cr of (..., 3, N)."""
    red, green, blue = image.double().unbind(-2)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([luma, (blue - luma) / 1.772, (red - luma) / 1.402], -2)


def test_keep_color_takes_luma_and_leaves_chroma(bank: StyleBank, photo: Tensor, left: Tensor) -> None:
    output, regions = drawn(37, 50).flip(0, 2), [(left, "wave"), (1 - left, "night@0.5")]
    pairs = [(fusion.keep_color(output[None], photo[None])[0], output)]
    pairs.append((bank.stylize(photo, "wave", keep_color=True), bank.stylize(photo, "wave")))
    pairs.append((bank.fuse(photo, regions, keep_color=True), bank.fuse(photo, regions)))
    for kept, plain in pairs:
        # Elsewhere the bank had to clamp what did not fit into [0, 1]; the formula alone does not clamp.
        fits = torch.ones(37, 50).bool() if plain is output else ((kept > 0) & (kept < 1)).all(0)
        assert fits.float().mean() > 0.5
        found, painted, before = (ycbcr(x[:, fits]) for x in (kept, plain, photo))
        # Ten float32 roundings of numbers below 2.
        assert (found[0] - painted[0]).abs().max() < 2e-6
        assert (found[1:] - before[1:]).abs().max() < 2e-6
        assert (found[0] - before[0]).abs().max() > 0.1, "the control: the photo's luma"
        assert (found[1:] - painted[1:]).abs().max() > 0.1, "the control: the output's chroma"


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"mode": "papre"}, ConfigError, r"'papre': is unknown; choose one of exact, region, paper"),
        ({"regions": []}, ConfigError, r"regions: there are none"),
        ({"feather": -1.0}, ConfigError, r"feather -1: is out of range"),
        ({"strength": 1.5}, ConfigError, r"strength 1\.5 is out of range"),
        ({"regions": [(torch.ones(4, 4), "nihgt")]}, UnknownStyleError, r"'nihgt'.*did you mean 'night'"),
        ({"rest": {"wave": 1.0, "raim": 1.0}}, UnknownStyleError, r"'raim'.*did you mean 'rain'"),
        ({"regions": [(torch.ones(1, 4, 4), "wave")]}, ImageError, r"mask: is float32 of shape \(1, 4, 4\)"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(
    wrong: dict[str, object], error: type[Exception], message: str, bank: StyleBank, photo: Tensor
) -> None:
    right: dict[str, object] = {"regions": [(torch.ones(4, 4), "wave")]}
    assert bank.fuse(photo, **right).shape == photo.shape  # type: ignore[arg-type]
    with pytest.raises(error, match=message) as raised:
        bank.fuse(photo, **right | wrong)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)

"""Regions of one photo: away from the seams each looks as if it were alone, on every engine."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from stylebank.errors import ConfigError, ImageError, UnknownStyleError
from stylebank.network.layers import reflect_conv
from stylebank.painting.fusion import Mode
from stylebank.painting.painter import StyleBank
from stylebank.painting.passes import Passes
from stylebank.pixels.masks import Mask, Overlap

pytestmark = pytest.mark.usefixtures("in_one_pass")

Floats = NDArray[np.float32]

NAMES = ("dot", "wave", "night", "scream", "rain")

SAME = 1e-4
"""What two orders of the same float32 sums may differ by: 1e-6 a layer, and norms that enlarge small channels."""


def filter_of(bank: StyleBank, name: str) -> Tensor:
    """K in float64."""
    return torch.from_numpy(bank.contents.find(name).filter).double()


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
    count: int, width: int, edges: str, bank: StyleBank, draw: Callable[[int, int], Tensor]
) -> None:
    photo, masks = draw(211, width), quarters(count, 211, width)
    mixes = ["scream", "rain", "night@0.3", "dot:0.5+wave:0.5", "wave@0.6"][:count]
    grey = F.avg_pool2d(F.pad(masks, (7,) * 4, mode="replicate"), 15, stride=1).clamp(0, 1)
    given = grey if edges == "grey" else masks
    regions = list(zip(given.numpy(), mixes, strict=True))
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
def test_a_style_has_no_seam_with_itself(mode: Mode, bank: StyleBank, photo: Tensor, left: Floats) -> None:
    alone = bank.stylize(photo, "rain@0.7")
    whole = bank.fuse(photo, [(np.ones((37, 50)), "rain@0.7")], mode=mode)
    assert (whole - alone).abs().max() < SAME
    for mask in (left, 0.3 * left):
        painted = bank.fuse(photo, [(mask, "rain@0.7"), (1 - mask, "rain@0.7")], mode=mode)
        assert ((painted - alone).abs().max() < SAME) == (mode != "region")


def decoded(bank: StyleBank, x: Tensor, masks: Tensor | None) -> Tensor:
    """D in float64: norms by the statistics inside masks (R, 1, H, W), or by the image's own."""
    tensors = {name: torch.from_numpy(values).double() for name, values in bank.contents.coder.items()}

    def normalised(x: Tensor, norm: str) -> Tensor:
        cells = (
            x.new_ones(1, 1, 1, 1) if masks is None else F.avg_pool2d(masks, masks.shape[-1] // x.shape[-1])
        )
        cells = cells.expand(-1, 1, *x.shape[2:])
        share = cells / cells.sum((2, 3), keepdim=True)
        mean = (share * x).sum((2, 3), keepdim=True)
        variance = (share * (x - mean).square()).sum((2, 3), keepdim=True)
        weight, bias = (tensors[f"{norm}.{name}"][:, None, None] for name in ("weight", "bias"))
        return (cells * (weight * (x - mean) / (variance + 1e-5).sqrt() + bias)).sum(0, keepdim=True)

    for block in ("decoder.0", "decoder.1"):
        y = normalised(reflect_conv(x, tensors[f"{block}.first.conv.weight"]), f"{block}.first.norm").relu()
        x = x + normalised(reflect_conv(y, tensors[f"{block}.second.weight"]), f"{block}.norm")
    for layer in ("decoder.2", "decoder.3"):
        x = reflect_conv(F.interpolate(x, scale_factor=2.0), tensors[f"{layer}.conv.weight"])
        x = normalised(x, f"{layer}.norm").relu()
    return reflect_conv(x, tensors["decoder.4.weight"], tensors["decoder.4.bias"]).sigmoid()


def test_paper_and_region_mode_are_equation_7(bank: StyleBank, photo: Tensor, left: Floats) -> None:
    network = bank.contents.build().double()
    network.precision = torch.float64
    given = torch.from_numpy(np.stack([left, 1 - left])).double()[:, None]
    content, masks = (F.pad(x, (0, 2, 0, 3), mode="reflect") for x in (photo[None].double(), given))

    def equation(inside: Tensor | None, *names: str) -> Tensor:
        pairs = zip(F.avg_pool2d(masks, 4), names, strict=True)
        features = network.encode(content)
        one, two = (reflect_conv(mask * features, filter_of(bank, name)) for mask, name in pairs)
        return decoded(bank, one + two, inside)[0, :, :37, :50]

    norms: dict[Mode, Tensor | None] = {"paper": None, "region": masks}
    for (mode, inside), other in zip(norms.items(), reversed(norms.values()), strict=True):
        found = bank.fuse(photo, [(left, "wave"), (1 - left, "night")], mode=mode)
        assert (found - equation(inside, "wave", "night")).abs().max() < SAME
        for wrong in (equation(inside, "night", "wave"), equation(other, "wave", "night")):
            assert (found - wrong).abs().max() > SAME, "the control: masks or norms exchanged"


@pytest.mark.parametrize("mode", get_args(Mode))
def test_rest_photo_keeps_uncovered_pixels(mode: Mode, bank: StyleBank, photo: Tensor, left: Floats) -> None:
    for feather, far in ((0.0, 0), (4.0, 5)):  # a feather reaches as far as its width
        painted = bank.fuse(photo, [(left, "night@0.5")], mode=mode, feather=feather)
        assert torch.equal(painted[..., 22 + far :], photo[..., 22 + far :])
        assert torch.equal(painted[..., 22], photo[..., 22]) == (feather == 0), "the control: the seam"
    colours = Image.fromarray((photo.permute(1, 2, 0).numpy() * 255).astype(np.uint8))
    shown = bank.fuse(colours, [(left, "night")], mode=mode, keep_color=True)
    assert np.array_equal(np.array(shown)[:, 22:], np.array(colours)[:, 22:])


@pytest.mark.parametrize("overlap", get_args(Overlap))
def test_a_region_of_the_photo_stays_as_it_is(
    overlap: Overlap, bank: StyleBank, photo: Tensor, left: Floats
) -> None:
    kept = torch.from_numpy(left == 1)
    found = bank.fuse(photo, [(left, "photo")], overlap=overlap, rest="rain")
    assert torch.equal(found[:, kept], photo[:, kept])
    # What is kept is no region of what is painted: the rest looks as where nothing else is painted.
    alone = bank.fuse(photo, [(1 - left, "rain")])
    assert (found - alone).abs().max() < SAME
    assert (found - bank.fuse(photo, [(1 - left, "wave")])).abs().max() > 0.1
    both = bank.fuse(photo, [(left, "wave"), (left, "photo")], overlap=overlap)
    painted = bank.fuse(photo, [(left, "wave")])
    share = 1.0 if overlap == "over" else 0.5
    assert (both - (share * photo + (1 - share) * painted)).abs().max() < SAME
    with pytest.raises(ConfigError, match="all keep the photo"):
        bank.fuse(photo, [(left, "photo")])


def test_rest_mix_paints_uncovered_pixels(bank: StyleBank, photo: Tensor, left: Floats) -> None:
    mask, rest = 0.7 * left, "night:1+dot:1@0.5"
    wanted = bank.fuse(photo, [(mask, "wave"), (1 - mask, rest)])
    assert (bank.fuse(photo, [(mask, "wave")], rest=rest) - wanted).abs().max() < SAME
    for other in ("night:1+dot:1", "photo"):
        assert (bank.fuse(photo, [(mask, "wave")], rest=other) - wanted).abs().max() > SAME, "the control"


@pytest.mark.parametrize("overlap", get_args(Overlap))
def test_later_regions_are_painted_over_earlier_ones_or_share_the_pixel(
    overlap: Overlap, bank: StyleBank, photo: Tensor, left: Floats
) -> None:
    painted = bank.fuse(photo, [(np.ones((37, 50)), "wave"), (left, "night")], overlap=overlap)
    for share, way in ((0.5, "share"), (1.0, "over")):  # each the other's control
        wanted = bank.fuse(photo, [(1 - share * left, "wave"), (share * left, "night")])
        assert ((painted - wanted).abs().max() < SAME) == (way == overlap)


def test_a_mask_of_another_shape_is_stretched_only_if_asked(
    bank: StyleBank, photo: Tensor, left: Floats
) -> None:
    turned = np.ascontiguousarray(left.T)
    given: list[tuple[Mask, str]] = [(turned, "wave")]
    for mask in (turned, Image.fromarray((255 * turned).astype(np.uint8))):
        with pytest.raises(
            ImageError, match=r"^mask: is 37 x 50 px, and the photo 50 x 37: .* or give fit=True$"
        ):
            bank.fuse(photo, [(mask, "wave")])
    assert bank.fuse(photo, given, fit=True).shape == photo.shape
    assert bank.fuse(photo, [(left[:18, :25], "wave")]).shape == photo.shape, "the control: half the size"


def test_arrays_of_8_bits_are_masks(bank: StyleBank, photo: Tensor, left: Floats) -> None:
    levels = (255 * left).astype(np.uint8)
    assert torch.equal(bank.fuse(photo, [(levels, "wave")]), bank.fuse(photo, [(left, "wave")]))


@pytest.mark.parametrize("mode", get_args(Mode))
def test_batches_and_pil_are_fused_alike(mode: Mode, bank: StyleBank, photo: Tensor, left: Floats) -> None:
    levels = (photo * 255).round()
    regions = [(left, "wave"), (0.5 * left[:, ::-1].copy(), "night@0.4")]
    alone = bank.fuse(levels / 255, regions, mode=mode)
    batch = bank.fuse(torch.stack([levels.flip(0), levels]) / 255, regions, mode=mode)
    assert (batch[1] - alone).abs().max() < SAME
    assert (batch[0] - alone).abs().max() > SAME, "the control: the other image"
    image = Image.fromarray(levels.permute(1, 2, 0).byte().numpy())
    mask = Image.fromarray((255 * left).astype(np.uint8))
    picture = bank.fuse(image, [(mask, "wave"), (torch.from_numpy(regions[1][0]), "night@0.4")], mode=mode)
    assert (picture.mode, picture.size) == ("RGB", (50, 37))
    shown = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
    assert (shown - alone).abs().max() < 0.5 / 255 + SAME  # half a level is lost by rounding


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"mode": "papre"}, ConfigError, r"'papre': is unknown; choose one of exact, region, paper"),
        ({"overlap": "under"}, ConfigError, r"overlap 'under': is unknown; choose one of over, share"),
        ({"regions": []}, ConfigError, r"regions: there are none"),
        ({"regions": [("mask", "wave", 3)]}, ConfigError, r"regions: are no pairs"),
        ({"regions": 5}, ConfigError, r"regions: are no pairs"),
        ({"feather": -1.0}, ConfigError, r"feather -1: is out of range"),
        ({"feather": 51.0}, ConfigError, r"feather 51: is more than the image's 50 pixels"),
        ({"strength": 1.5}, ConfigError, r"strength 1\.5 is out of range"),
        ({"regions": [(np.ones((37, 50)), "nihgt")]}, UnknownStyleError, r"'nihgt'.*did you mean 'night'"),
        ({"rest": {"wave": 1.0, "raim": 1.0}}, UnknownStyleError, r"'raim'.*did you mean 'rain'"),
        (
            {"regions": [(np.ones((1, 4, 4), np.float32), "wave")]},
            ImageError,
            r"mask: is float32 of shape \(1, 4, 4\)",
        ),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(
    wrong: dict[str, object], error: type[Exception], message: str, bank: StyleBank, photo: Tensor
) -> None:
    right: dict[str, object] = {"regions": [(np.ones((37, 50)), "wave")]}
    assert bank.fuse(photo, **right).shape == photo.shape  # type: ignore[arg-type]
    with pytest.raises(error, match=message) as raised:
        bank.fuse(photo, **right | wrong)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_another_mask_takes_no_survey_again_and_the_picture_is_the_same(
    bank: StyleBank, photo: Tensor, left: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    surveyed, trace = list[object](), Passes.trace
    image = Image.fromarray((photo.permute(1, 2, 0).numpy() * 255).astype(np.uint8))

    def counted(self: Passes, *given: Any, **more: Any) -> Any:
        surveyed.append(given)
        return trace(self, *given, **more)

    monkeypatch.setattr(Passes, "trace", counted)
    canvas = bank.open(image)
    canvas.fuse([(left, "wave")], rest="rain@0.5")
    first = len(surveyed)
    found = canvas.fuse([(left.T.copy().reshape(left.shape), "wave")], rest="rain@0.5")
    assert (first > 0, len(surveyed)) == (True, first)
    expected = bank.fuse(image, [(left.T.copy().reshape(left.shape), "wave")], rest="rain@0.5")
    assert np.array_equal(np.asarray(found), np.asarray(expected))
    canvas.fuse([(left, "scream")], rest="rain@0.5")  # the control: another style is surveyed
    assert len(surveyed) > 2 * first

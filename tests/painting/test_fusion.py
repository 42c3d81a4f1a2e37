"""Mixtures and strengths are one filter, on every engine: what they weigh, cost, keep and restore."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from stylebank.bank import editing, mixture
from stylebank.engines.stages import Array, Given
from stylebank.engines.torch_stages import TorchStages
from stylebank.network.architecture import Part
from stylebank.network.layers import reflect_conv
from stylebank.network.model import match_moments
from stylebank.painting.painter import StyleBank

pytestmark = pytest.mark.usefixtures("in_one_pass")

Floats = NDArray[np.float32]

KERNELS = {"dot": 1, "wave": 3, "night": 5, "scream": 7, "rain": 3}
NAMES = tuple(KERNELS)

HALF = 2.0**-11  # relative error of one rounding to float16

SAME = 1e-4
"""What two orders of the same float32 sums may differ by: 1e-6 a layer, and norms that enlarge small channels."""


def scaled(bank: StyleBank, name: str) -> Tensor:
    """g K in float64."""
    entry = bank.contents.find(name)
    return torch.from_numpy(entry.filter).double() * entry.gain


def test_a_mixture_is_the_sum_of_separate_convolutions_of_any_size(bank: StyleBank) -> None:
    weights = dict(zip(NAMES, (0.4, 0.1, 0.2, 0.05, 0.25), strict=True))
    features = torch.randn(2, 16, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = torch.from_numpy(bank.contents.filter_of(mixture.of(weights))).double()
    assert whole.shape[-1] == 7
    strength = sum(share / bank.contents.find(name).gain for name, share in weights.items())
    apart = {
        name: strength * share * reflect_conv(features, scaled(bank, name)) for name, share in weights.items()
    }
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
def test_a_mixture_costs_one_filter_however_many_styles(
    count: int, bank: StyleBank, photo: Tensor, left: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []
    at_once: list[int] = []
    encode, decode = bank.stages.encode, bank.stages.decode
    filter_, paint, run = bank.stages.filter, bank.stages.paint, bank.stages.run

    def painted(x: Array, kernel: Floats) -> Array:
        at_once.append(len(kernel[0, 0]))
        return paint(x, kernel)

    def encoded(x: Array) -> Array:
        seen.append(("encoder", 0))
        return encode(x)

    def decoded(x: Array, kernel: Floats) -> Array:
        seen.append(("decoder", len(kernel[0, 0])))
        return decode(x, kernel)

    def ran(part: Part, x: Array, *, kernel: Floats | None = None, given: Given | None = None) -> Array:
        if part.name != "encoder":
            seen.append((part.name, 0 if kernel is None else len(kernel[0, 0])))
        return run(part, x, kernel=kernel, given=given)

    def filtered(x: Array, kernel: Floats) -> Array:
        seen.append(("filter", len(kernel[0, 0])))
        return filter_(x, kernel)

    monkeypatch.setattr(bank.stages, "encode", encoded)
    monkeypatch.setattr(bank.stages, "decode", decoded)
    monkeypatch.setattr(bank.stages, "run", ran)
    monkeypatch.setattr(bank.stages, "filter", filtered)
    monkeypatch.setattr(bank.stages, "paint", painted)
    mix, side = dict.fromkeys(NAMES[:count], 1.0), max(KERNELS[name] for name in NAMES[:count])
    bank.stylize(photo, mix, strength=0.5)
    assert at_once == [side]
    seen.clear()  # what it is made of by some engines
    bank.open(photo).stylize(mix, strength=0.5)
    assert seen[:2] == [("encoder", 0), ("decoder", side)]
    seen.clear()
    regions = [(left, name) for name in NAMES[:count]] + [(1 - left, "rain")]
    bank.fuse(photo, regions, mode="paper")
    filters = [("filter", KERNELS[name]) for name in (*NAMES[:count], "rain")]
    parts = [("decoder.0", 0), ("decoder.1", 0), ("decoder", 0)]
    assert seen == [("encoder", 0), *filters, *parts], "the control: each region has its filter"


def test_a_part_costs_one_convolution_for_each_layer_and_filter(
    bank: StyleBank, photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes, conv2d = [], F.conv2d

    def counted(x: Tensor, weight: Tensor, *rest: object, **options: object) -> Tensor:
        shapes.append(tuple(weight.shape))
        return conv2d(x, weight, *rest, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(F, "conv2d", counted)
    bank.stylize(photo, dict.fromkeys(NAMES, 1.0), strength=0.5)
    if isinstance(bank.stages, TorchStages):
        # E and D have three convolutions each beside two residual blocks.
        assert [shape for shape in shapes if shape[:2] == (16, 16)] == [(16, 16, 7, 7), *4 * [(16, 16, 3, 3)]]
        assert len(shapes) == 11
    else:
        assert shapes == [], "graphs need no PyTorch"


def extended(photo: Tensor) -> Tensor:
    """(1, 3, 40, 52) of a photo of 37 x 50 pixels: mirrored in its last row and column."""
    return F.pad(photo[None], (0, 2, 0, 3), mode="reflect")


@pytest.mark.parametrize("name", NAMES)
def test_strength_0_reconstructs_and_1_is_the_style(name: str, bank: StyleBank, photo: Tensor) -> None:
    ungained = tuple(replace(entry, gain=1.0) for entry in bank.contents.entries)
    bank = StyleBank(replace(bank.contents, entries=ungained), computing=bank.computing)
    network, content = bank.contents.build(), extended(photo)
    for strength, near, whole in (
        (0.0, 0.01, network.reconstruct(content)),
        (1.0, 0.99, network.stylize(content, [NAMES.index(name)])),
    ):
        wanted, found = whole[0, :, :37, :50].clamp(0, 1), bank.stylize(photo, name, strength=strength)
        assert (found - wanted).abs().max() < SAME
        assert (bank.stylize(photo, name, strength=near) - wanted).abs().max() > SAME, "the control"


@pytest.mark.parametrize("restored", [True, False])
@pytest.mark.parametrize("strength", [0.1, 0.5, 0.9])
def test_between_them_is_the_formula(strength: float, restored: bool, bank: StyleBank, photo: Tensor) -> None:
    shape = replace(bank.contents.network, restore_moments=restored)
    bank = StyleBank(replace(bank.contents, network=shape), computing=bank.computing)
    network = bank.contents.build().double()
    network.precision = torch.float64
    content, night, gain = extended(photo).double(), scaled(bank, "night"), bank.contents.find("night").gain

    def formula(share: float) -> Tensor:
        features = network.encode(content)
        mixed = (1 - share) * features + share * reflect_conv(features, night)
        plain = network.decode((1 - share + share / gain) * mixed)
        matched = match_moments(plain, content) if restored else plain
        return ((1 - share) * matched + share * plain)[0, :, :37, :50].clamp(0, 1)

    found = bank.stylize(photo, "night", strength=strength)
    # Six layers of float32 against float64, as in SAME; 1e-6 was measured.
    assert (found - formula(strength**1.25)).abs().max() < SAME / 10
    assert (found - formula(strength)).abs().max() > SAME, "the control: another evenness"


def ycbcr(image: Tensor) -> Tensor:
    """ITU-R BT.601 in float64: luma, Cb, Cr of (..., 3, N)."""
    red, green, blue = image.double().unbind(-2)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([luma, (blue - luma) / 1.772, (red - luma) / 1.402], -2)


def test_keep_color_takes_luma_and_leaves_chroma(bank: StyleBank, photo: Tensor, left: Floats) -> None:
    regions = [(left, "wave"), (1 - left, "night@0.5")]
    pairs = [(bank.stylize(photo, "wave", keep_color=True), bank.stylize(photo, "wave"))]
    pairs.append((bank.fuse(photo, regions, keep_color=True), bank.fuse(photo, regions)))
    for kept, plain in pairs:
        # Elsewhere the bank had to clamp what did not fit into [0, 1].
        fits = ((kept > 0) & (kept < 1)).all(0)
        assert fits.float().mean() > 0.5
        found, painted, before = (ycbcr(x[:, fits]) for x in (kept, plain, photo))
        # Ten float32 roundings of numbers below 2.
        assert (found[0] - painted[0]).abs().max() < 2e-6
        assert (found[1:] - before[1:]).abs().max() < 2e-6
        assert (found[0] - before[0]).abs().max() > 0.1, "the control: the photo's luma"
        assert (found[1:] - painted[1:]).abs().max() > 0.1, "the control: the output's chroma"

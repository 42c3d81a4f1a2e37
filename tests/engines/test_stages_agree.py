"""Every engine computes of every stage what float64 says: by own statistics, by given ones, in regions and crops.

All of it less what it is of a flat photo; `test_centring` has that the pictures are the same.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Network
from stylebank.engines.choice import Computing, Engine
from stylebank.engines.stages import Affine, Crop, Floats, Given, Stages, averaged
from stylebank.network.architecture import Layer, Part, decoder, encoder
from stylebank.network.centring import centred, rest_of
from stylebank.network.model import StyleBankNetwork

ENGINES: tuple[Engine, ...] = get_args(Engine)

SAME = 2e-5
"""Of the largest value: three layers of float32 sums of up to 243 products, and norms that divide by deviations."""

SHAPES = {
    "bank": Network(width=4, blocks=2),
    "first edition": Network(width=4, blocks=0, outer_kernel=9),
    "linear": Network(width=4, blocks=1, output="linear"),
    "johnson": Network(width=4, kind="johnson"),
}
PARTS = {
    "encoder": ("bank", 0),
    "decoder": ("bank", -1),
    "decoder of 9 x 9": ("first edition", -1),
    "residual block of the decoder": ("bank", -2),
    "linear decoder": ("linear", -1),
    "residual block": ("johnson", 2),
}


@pytest.fixture(scope="module")
def banks(make_bank: Callable[..., Bundle]) -> dict[str, Bundle]:
    """A bank, one with a linear output, and a johnson, with random weights."""
    style = make_bank({"wave": 1}).entries[0].style
    found = {}
    for place, (name, shape) in enumerate(SHAPES.items()):
        network = StyleBankNetwork(shape, [1])
        generator = torch.Generator().manual_seed(place)
        with torch.no_grad():
            for weight in network.parameters():
                weight.normal_(std=0.3, generator=generator)
        found[name] = bundle.from_network(network, shape, [style], {})
    return found


@pytest.fixture(scope="module")
def engines(banks: dict[str, Bundle]) -> dict[tuple[str, str], Stages]:
    """By the names of engine and bank."""
    return {
        (engine, name): Computing(engine, "float32", "cpu").stages(bank, workers=1, threads=1)
        for engine in ENGINES
        for name, bank in banks.items()
    }


def numbers(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def shares(regions: int, height: int, width: int) -> Floats:
    """Soft masks that sum to 1."""
    found: Floats = np.exp(2 * numbers(regions, height, width, seed=7))
    found /= found.sum(0)
    return found


def filtered(x: Tensor, kernel: Floats) -> Tensor:
    """A convolution with a mirrored border, in float64."""
    margin = kernel.shape[-1] // 2
    return F.conv2d(F.pad(x, (margin,) * 4, mode="reflect"), torch.from_numpy(kernel).double())


def convolved(bank: Bundle, layer: Layer, x: Tensor) -> Tensor:
    """The convolution of a layer, as `Layer` describes it, in float64."""
    coder = centred(bank.network, bank.coder)
    weight, bias = (coder.get(f"{layer.name}.{name}") for name in ("weight", "bias"))
    assert weight is not None
    x = F.interpolate(x, scale_factor=2.0, mode="nearest") if layer.upsampling else x
    x = F.pad(x, (layer.kernel // 2,) * 4, mode="reflect")
    double = [None if values is None else torch.from_numpy(values).double() for values in (weight, bias)]
    assert double[0] is not None
    return F.conv2d(x, double[0], double[1], stride=layer.stride)


def normalised(bank: Bundle, layer: Layer, x: Tensor, norm: Affine | None, masks: Floats | None) -> Tensor:
    """The norm of a layer by own statistics or given ones, and its ReLU."""
    coder = centred(bank.network, bank.coder)
    if norm is None:
        weight, bias = (
            torch.from_numpy(coder[f"{layer.norm}.{name}"]).double() for name in ("weight", "bias")
        )
        x = F.instance_norm(x, weight=weight, bias=bias)
    else:
        scales, shifts = (torch.from_numpy(values).double()[..., None, None] for values in norm)
        terms = x * scales + shifts  # (R, C, h, w), as B is 1
        if masks is not None:
            step = masks.shape[-1] // x.shape[-1]
            terms *= F.avg_pool2d(torch.from_numpy(masks).double()[:, None], step)
        x = terms.sum(0, keepdim=True)
    rest = rest_of(coder, layer)
    return x if rest is None else x.relu() - torch.from_numpy(rest).double()[:, None, None]


def transcribed(
    bank: Bundle, part: Part, x: Floats, *, kernel: Floats | None = None, given: Given | None = None
) -> tuple[Tensor, list[Tensor]]:
    """The result of a part, as if norms without given statistics had their own, and what enters its norms."""
    y = torch.from_numpy(x).double()
    y = before = y if kernel is None else filtered(y, kernel)
    entering = []
    norms: Sequence[Affine] = given.norms if given else []
    for place, layer in enumerate(part.layers):
        y = convolved(bank, layer, y)
        if layer.norm:
            entering.append(y)
            norm = norms[place] if place < len(norms) else None
            y = normalised(bank, layer, y, norm, given.masks if given else None)
    if part.residual:
        return before + y, entering
    is_picture = part.name == "decoder" and bank.network.output == "sigmoid"
    return y.sigmoid() if is_picture else y, entering


def agree(found: Floats, wanted: Tensor) -> bool:
    assert found.shape == tuple(wanted.shape)
    assert found.dtype == np.float32
    return float((torch.from_numpy(found) - wanted).abs().max() / wanted.abs().max()) < SAME


def setting(case: str, banks: dict[str, Bundle]) -> tuple[str, Bundle, Part, Floats]:
    """Name of a bank, the bank, one of its parts, and an input of one image."""
    name, place = PARTS[case]
    part = (*encoder(SHAPES[name]), *decoder(SHAPES[name]))[place]
    size = (28, 44) if part.layers[0].inputs == 3 else (7, 11)
    return name, banks[name], part, np.abs(numbers(1, part.layers[0].inputs, *size))


def given_norms(part: Part, count: int, regions: int) -> list[Affine]:
    """Made-up statistics of the first norms."""
    return [
        Affine(
            np.abs(numbers(regions, layer.outputs, seed=place)) + np.float32(0.3),
            numbers(regions, layer.outputs, seed=9 + place),
        )
        for place, layer in enumerate(part.norms[:count])
    ]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", PARTS)
def test_a_part_by_its_own_statistics(
    case: str, engine: str, banks: dict[str, Bundle], engines: dict[tuple[str, str], Stages]
) -> None:
    name, bank, part, one = setting(case, banks)
    stages = engines[engine, name]
    x = np.concatenate([one, 2 * one[..., ::-1], one * one])
    found = stages.numpy(stages.run(part, stages.array(x)))
    wanted, _ = transcribed(bank, part, x)
    assert agree(found, wanted)
    assert not agree(found, transcribed(bank, part, x[::-1].copy())[0]), "the control: images exchanged"
    for place in range(3):
        alone = stages.numpy(stages.run(part, stages.array(x[place : place + 1])))
        assert agree(alone, wanted[place : place + 1]), "a batch is its images one by one"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", PARTS)
@pytest.mark.parametrize("regions", [0, 1, 3])
def test_a_part_by_given_statistics_of_all_its_norms_or_some(
    regions: int, case: str, engine: str, banks: dict[str, Bundle], engines: dict[tuple[str, str], Stages]
) -> None:
    name, bank, part, x = setting(case, banks)
    stages = engines[engine, name]
    masks = shares(regions, 4 * x.shape[2], 4 * x.shape[3]) if regions else None
    for count in range(len(part.norms) + 1):
        given = Given(given_norms(part, count, max(1, regions)), masks)
        whole, entering = transcribed(bank, part, x, given=given)
        found = stages.numpy(stages.run(part, stages.array(x), given=given))
        assert agree(found, whole if count == len(part.norms) else entering[count])
        if count:
            exchanged = replace(
                given, norms=[Affine(*(2 * values for values in norm)) for norm in given.norms]
            )
            other, inside = transcribed(bank, part, x, given=exchanged)
            assert not agree(found, other if count == len(part.norms) else inside[count]), "the control"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", PARTS)
def test_what_enters_norms_is_measured_of_all_of_them_or_of_the_next_in_a_crop(
    case: str, engine: str, banks: dict[str, Bundle], engines: dict[tuple[str, str], Stages]
) -> None:
    name, bank, part, x = setting(case, banks)
    stages = engines[engine, name]
    for count in range(len(part.norms)):
        for regions in (1, 2):
            masks = None if regions == 1 else shares(2, 4 * x.shape[2], 4 * x.shape[3])
            given = Given(given_norms(part, count, regions), masks)
            _, entering = transcribed(bank, part, x, given=given)
            height, width = entering[count].shape[2:]
            crop = Crop(1, 2, height - 2, width - 1)
            cut = entering[count][..., crop.top : crop.bottom, crop.left : crop.right]
            for crop_, maps in ((None, entering[count:]), (crop, [cut])):
                found = stages.measure(part, stages.array(x), given=given, crop=crop_)
                assert len(found) == len(maps)
                for moments, values in zip(found, maps, strict=True):
                    mean, variance = values.mean((2, 3)), values.var((2, 3), correction=0)
                    # Of the largest value, or its square, as in SAME.
                    largest = float(values.abs().max())
                    assert (torch.from_numpy(moments.mean) - mean).abs().max() < SAME * largest
                    assert (torch.from_numpy(moments.variance) - variance).abs().max() < SAME * largest**2
                    assert moments.weight.shape == (1, 1)
            whole = stages.measure(part, stages.array(x), given=given)[0]
            assert abs(whole.mean - found[0].mean).max() > 1e-3, "the control: the crop is another picture"
            assert found[0].weight[0, 0] == (height - 3) * (width - 3), "so that crops can be added up"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", PARTS)
def test_a_trace_is_the_result_and_what_entered_the_norms(
    case: str, engine: str, banks: dict[str, Bundle], engines: dict[tuple[str, str], Stages]
) -> None:
    name, bank, part, x = setting(case, banks)
    stages = engines[engine, name]
    moments, found = stages.trace(part, stages.array(x))
    wanted, entering = transcribed(bank, part, x)
    assert agree(stages.numpy(found), wanted)
    assert len(moments) == len(entering)
    for each, values in zip(moments, entering, strict=True):
        largest = float(values.abs().max())
        assert (torch.from_numpy(each.mean) - values.mean((2, 3))).abs().max() < SAME * largest
        distance = torch.from_numpy(each.variance) - values.var((2, 3), correction=0)
        assert distance.abs().max() < SAME * largest**2
    other = transcribed(bank, part, 2 * x[..., ::-1].copy())[0]
    assert not agree(stages.numpy(found), other), "the control"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("side", [1, 3, 5, 7])
def test_a_filter_alone_or_before_a_part(
    side: int, engine: str, banks: dict[str, Bundle], engines: dict[tuple[str, str], Stages]
) -> None:
    stages, bank, last = engines[engine, "bank"], banks["bank"], decoder(SHAPES["bank"])[-1]
    x, kernel = numbers(2, 16, 7, 11), numbers(16, 16, side, side, seed=1) * np.float32(0.3 / side)
    array = stages.array(x)
    wanted = filtered(torch.from_numpy(x).double(), kernel)
    assert agree(stages.numpy(stages.filter(array, kernel)), wanted)
    turned = np.ascontiguousarray(kernel.transpose(1, 0, 2, 3))
    assert not agree(stages.numpy(stages.filter(array, turned)), wanted), "the control: C and C' exchanged"
    run = stages.numpy(stages.run(last, array, kernel=kernel))
    assert agree(run, transcribed(bank, last, x, kernel=kernel)[0])
    given = Given(given_norms(last, 2, 3), shares(3, 28, 44))
    inside = stages.numpy(stages.run(last, stages.array(x[:1]), kernel=kernel, given=given))
    assert agree(inside, transcribed(bank, last, x[:1], kernel=kernel, given=given)[0])
    assert np.array_equal(stages.numpy(array), x), "what was given is left as it was"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SHAPES)
def test_a_picture_in_one_go_is_the_parts_one_after_another(
    name: str, engine: str, banks: dict[str, Bundle], engines: dict[tuple[str, str], Stages]
) -> None:
    stages, kernel = engines[engine, name], numbers(16, 16, 3, 3, seed=1) * np.float32(0.1)
    photos = np.abs(numbers(2, 3, 28, 44))
    x = photos
    for part in encoder(SHAPES[name]):
        x = transcribed(banks[name], part, x)[0].numpy()
    features, filtered_ = x, filtered(torch.from_numpy(x).double(), kernel).numpy()
    for part in decoder(SHAPES[name]):
        x, filtered_ = (transcribed(banks[name], part, each)[0].numpy() for each in (x, filtered_))
    wanted = torch.from_numpy(filtered_)
    painted = stages.numpy(stages.paint(stages.array(photos), kernel))
    encoded = stages.numpy(stages.encode(stages.array(photos)))
    decoded = stages.numpy(stages.decode(stages.array(features), kernel))
    for found in (painted, decoded):
        # Up to sixteen layers of sums, and norms that enlarge small channels.
        assert float((torch.from_numpy(found) - wanted).abs().max() / wanted.abs().max()) < 5 * SAME
        assert not agree(found, torch.from_numpy(x)), "the control: no filter"
    assert agree(encoded, torch.from_numpy(features).double())


@pytest.mark.parametrize("engine", ENGINES)
def test_masks_that_are_averaged_for_a_norm_are_those_of_its_cells(
    engine: str, banks: dict[str, Bundle], engines: dict[tuple[str, str], Stages]
) -> None:
    name, bank, part, x = setting("decoder", banks)
    stages, masks = engines[engine, name], shares(2, 28, 44)
    norms = given_norms(part, 2, 2)
    found = stages.numpy(stages.run(part, stages.array(x), given=Given(norms, masks)))
    for wrong in (
        np.roll(masks, 1, axis=2),
        masks[::-1].copy(),
        averaged(masks, 2).repeat(2, 1).repeat(2, 2),
    ):
        assert not agree(found, transcribed(bank, part, x, given=Given(norms, wrong))[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_pixels_come_back_as_they_were(engine: str, engines: dict[tuple[str, str], Stages]) -> None:
    stages = engines[engine, "bank"]
    pixels = np.random.default_rng(0).permutation(np.arange(2 * 16 * 24 * 3) % 256).astype(np.uint8)
    pixels = pixels.reshape(2, 16, 24, 3)
    photo = stages.photo(pixels)
    # 1 / 255 is rounded before the product: one rounding more than a division.
    assert np.abs(stages.numpy(photo) - pixels.transpose(0, 3, 1, 2) / 255).max() <= 1.2e-7
    assert np.array_equal(stages.pixels(photo), pixels)
    between = stages.array(stages.numpy(photo) * np.float32(0.999) + np.float32(0.4 / 255))
    assert (stages.pixels(between)[pixels < 100] == pixels[pixels < 100]).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_that_call_at_the_same_time_get_each_its_own(
    engine: str, banks: dict[str, Bundle], engines: dict[tuple[str, str], Stages]
) -> None:
    name, _, part, x = setting("encoder", banks)
    stages = engines[engine, name]
    inputs = [stages.array(x * factor) for factor in np.linspace(0.1, 1, 40, dtype=np.float32) ** 2]
    alone = [stages.numpy(stages.run(part, one)) for one in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: stages.numpy(stages.run(part, one)), inputs))
    assert all(map(np.array_equal, found, alone))
    assert not np.array_equal(alone[0], alone[1]), "the control"

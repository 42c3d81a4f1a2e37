"""Flat photos stay flat and faint ones are painted right, by every engine in every precision it has here."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Network
from stylebank.engines.choice import Computing, Engine
from stylebank.engines.stages import Stages
from stylebank.files import resources
from stylebank.files.tensorfile import Arrays
from stylebank.machine import devices
from stylebank.network import centring
from stylebank.network.architecture import encoder
from stylebank.network.model import StyleBankNetwork

Floats = NDArray[np.float32]

NATIVE = pytest.mark.skipif(not devices._cpu_has_bfloat16(), reason="needs a CPU that multiplies bfloat16")

WAYS = [pytest.param(engine, "float32") for engine in get_args(Engine)]
WAYS += [pytest.param(engine, "bfloat16", marks=NATIVE) for engine in ("openvino", "torch")]

COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0), "grey": (128, 128, 128), "red": (200, 30, 90)}

STYLES = ("van_gogh_starry_night", "mosaic")

BOUNDS = {"float32": (0.2, 0.02), "bfloat16": (24.0, 0.7)}
"""Levels of 255 that a picture is from float64's, at most and in the mean; measured 0.02 and 0.001, 10 and 0.4."""


@pytest.fixture(scope="module")
def banks(make_bank: Callable[..., Bundle]) -> dict[str, Bundle]:
    """The bank that comes along, and one with random weights."""
    shape, generator = Network(width=8, blocks=2), torch.Generator().manual_seed(0)
    network = StyleBankNetwork(shape, [3])
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.3, generator=generator)
    random = bundle.from_network(network, shape, [make_bank({"wave": 3}).entries[0].style], {})
    return {"shipped": bundle.read(resources.default_bank()), "random": random}


def computed(bank: Bundle, engine: str, precision: str) -> Stages:
    return Computing(engine, precision, "cpu").stages(bank, workers=1, threads=1)


def photo(contrast: float, height: int = 96, width: int = 128) -> Floats:
    """Forms and grain about a light grey, (1, 3, H, W)."""
    y, x = np.mgrid[0:height, 0:width] / width
    forms = np.stack([np.sin(20 * x * y), y + x * x, np.cos(9 * x)])
    grain = np.random.default_rng(0).standard_normal(forms.shape)
    found: Floats = (0.8 + contrast * (0.15 * forms + 0.05 * grain))[None].astype(np.float32)
    return found


def levels(stages: Stages, x: Floats, kernel: Floats) -> Floats:
    picture = stages.paint(stages.array(x), kernel)
    apart = stages.decode(stages.encode(stages.array(x)), kernel)
    found = stages.numpy(picture) * np.float32(255)
    # The features between are rounded to what they are kept as.
    assert np.abs(stages.numpy(apart) * 255 - found).max() < 40
    return found


@pytest.mark.parametrize("name", ["shipped", "random"])
@pytest.mark.parametrize(("engine", "precision"), WAYS)
def test_a_flat_photo_stays_flat(engine: str, precision: str, name: str, banks: dict[str, Bundle]) -> None:
    bank, stages = banks[name], computed(banks[name], engine, precision)
    kernel = bank.entries[0].filter.astype(np.float32)
    found = []
    small, large = (40, 64), (1032, 1040)  # large maps have norms of their own
    for height, width in [small] if name == "shipped" else [small, large]:
        for colour in COLOURS.values():
            pixels = np.broadcast_to(np.array(colour, np.uint8), (1, height, width, 3))
            picture = levels(stages, stages.numpy(stages.photo(pixels.copy())), kernel)
            assert np.ptp(picture, (2, 3)).max() < 0.01
            found.append(picture[..., 0, 0])
            if height == large[0]:
                break
    assert np.ptp(found, 0).max() < 0.01, "whatever its colour is"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("contrast", [1.0, 0.1, 0.02])
@pytest.mark.parametrize(("engine", "precision"), WAYS)
def test_a_faint_photo_is_painted_as_float64_says(
    engine: str, precision: str, contrast: float, style: str, banks: dict[str, Bundle]
) -> None:
    bank = banks["shipped"]
    kernel, x = bank.find(style).filter.astype(np.float32), photo(contrast)
    network = bank.build().double()
    network.precision = torch.float64
    with torch.no_grad():
        wanted = 255 * network.stylize(torch.from_numpy(x).double(), [bank.names.index(style)]).numpy()
    found = levels(computed(bank, engine, precision), x, kernel)
    most, mean = BOUNDS[precision]
    assert np.abs(found - wanted).max() < most
    assert np.abs(found - wanted).mean() < mean
    assert wanted.std((2, 3)).min() > 10, "the control: there is something to see"


REDUCED = [way for way in WAYS if "bfloat16" in way.values]


@pytest.mark.parametrize(("engine", "precision"), REDUCED)
def test_of_a_network_that_is_not_centred_white_has_a_pattern(
    engine: str, precision: str, banks: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    for module in ("graph_stages", "torch_stages"):
        monkeypatch.setattr(f"stylebank.engines.{module}.centred", uncentred)
    stages = computed(banks["shipped"], engine, precision)
    white, kernel = np.ones((1, 3, 64, 96), np.float32), banks["shipped"].entries[0].filter.astype(np.float32)
    picture = stages.numpy(stages.paint(stages.array(white), kernel))
    assert np.ptp(255 * picture, (2, 3)).max() > 10


def uncentred(network: Network, coder: Arrays) -> Arrays:
    """Weights as they are in the bank, with nothing to subtract."""
    rests = [name for name in centring.centred(network, coder) if name not in coder]
    return {**coder, **{name: np.zeros_like(coder[name.replace(".rest", ".bias")]) for name in rests}}


@pytest.mark.parametrize(("engine", "precision"), REDUCED)
def test_with_its_mean_a_faint_photo_is_painted_wrong(
    engine: str, precision: str, banks: dict[str, Bundle]
) -> None:
    """The control: the encoder's part takes a photo as it is."""
    bank = banks["shipped"]
    kernel, (first,) = bank.find(STYLES[0]).filter.astype(np.float32), encoder(bank.network)
    stages = computed(bank, engine, precision)
    right, wrong = (
        stages.numpy(stages.decode(features, kernel))
        for x in [stages.array(photo(0.02))]
        for features in (stages.encode(x), stages.run(first, x))
    )
    assert np.abs(255 * (wrong - right)).max() > 2 * BOUNDS[precision][0]

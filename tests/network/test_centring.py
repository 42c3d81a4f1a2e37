"""A centred network paints what the network paints, in float64; of a flat photo there is nothing in it."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Network
from stylebank.files.tensorfile import Arrays
from stylebank.network.architecture import Part, decoder, encoder
from stylebank.network.centring import centred, rest, rest_of
from stylebank.network.model import StyleBankNetwork

SHAPES = {
    "bank": Network(width=4, blocks=2),
    "first edition": Network(width=4, blocks=0, outer_kernel=9),
    "linear": Network(width=4, blocks=1, output="linear"),
    "johnson": Network(width=4, kind="johnson"),
}

SAME = 1e-6
"""Biases are rounded to float32: 6e-8 of numbers of size one, in sums of up to 324."""


@pytest.fixture(params=SHAPES)
def bank(make_bank: Callable[..., Bundle], request: pytest.FixtureRequest) -> Bundle:
    """A bank with random weights and biases."""
    shape, generator = SHAPES[request.param], torch.Generator().manual_seed(2)
    network = StyleBankNetwork(shape, [1])
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.3, generator=generator)
    return bundle.from_network(network, shape, [make_bank({"wave": 1}).entries[0].style], {})


def made(coder: Arrays, parts: tuple[Part, ...], x: Tensor) -> Tensor:
    """What parts make of x by their own statistics, in float64, before any sigmoid."""
    for part in parts:
        y = x
        for layer in part.layers:
            tensors = {
                name: torch.from_numpy(coder[name]).double()
                for name in (*layer.shapes(), f"{layer.norm}.rest")
                if name in coder
            }
            y = F.interpolate(y, scale_factor=2.0) if layer.upsampling else y
            y = F.pad(y, (layer.kernel // 2,) * 4, mode="reflect")
            bias = None if layer.norm else tensors[f"{layer.name}.bias"]
            y = F.conv2d(y, tensors[f"{layer.name}.weight"], bias, stride=layer.stride)
            if layer.norm:
                y = F.instance_norm(
                    y, weight=tensors[f"{layer.norm}.weight"], bias=tensors[f"{layer.norm}.bias"]
                )
            if layer.relu:
                y = y.relu() - (
                    0 if rest_of(coder, layer) is None else tensors[f"{layer.norm}.rest"][:, None, None]
                )
        x = x + y if part.residual else y
    return x


def test_pictures_are_the_same_and_features_lack_the_rest(bank: Bundle) -> None:
    photo = torch.rand(2, 3, 32, 44, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    about = photo - photo.mean((2, 3), keepdim=True)
    coder, parts = centred(bank.network, bank.coder), (encoder(bank.network), decoder(bank.network))
    features, own = made(bank.coder, parts[0], photo), made(coder, parts[0], about)
    missing = torch.from_numpy(rest(bank.network, bank.coder)).double()[:, None, None]
    assert (own + missing - features).abs().max() < SAME
    picture = made(bank.coder, parts[1], features)
    scale = picture.abs().max()
    # Norms enlarge what is small.
    assert (made(coder, parts[1], own) - picture).abs().max() < 20 * SAME * scale
    last = f"{parts[1][-1].layers[-1].name}.bias"
    wrong = made({**coder, last: bank.coder[last]}, parts[1], own)
    assert (wrong - picture).abs().max() > 1e-2, "the control: the last bias is the trained one"


def test_of_a_flat_photo_nothing_is_left_and_by_the_trained_biases_much(bank: Bundle) -> None:
    flat = torch.zeros(1, 3, 32, 44, dtype=torch.float64)
    coder, parts = centred(bank.network, bank.coder), (*encoder(bank.network), *decoder(bank.network)[:-1])
    for count in range(1, len(parts) + 1):
        assert made(coder, parts[:count], flat).abs().max() == 0
        assert made(bank.coder, parts[:count], flat).abs().max() > 0.1, "the control"

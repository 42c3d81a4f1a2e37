"""The network: exact rewrites, residual blocks, linear filters, second filters, mixed batches, moments."""

from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylebank.config import Network
from stylebank.network.layers import Conv, OutputConv, UpsampleConv, reflect_conv
from stylebank.network.model import StyleBankNetwork, apply_filters, identity_filter, match_moments


@pytest.fixture
def network() -> StyleBankNetwork:
    torch.manual_seed(0)
    return StyleBankNetwork(Network(width=4, blocks=2), [3, 5, 3])


def random_filters(count: int, channels: int = 4, kernel: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(channels, channels, kernel, kernel, generator=generator) for _ in range(count)]


def test_the_paper_s_sizes() -> None:
    network = StyleBankNetwork(Network(width=32, blocks=0, outer_kernel=9), [3])
    assert network.filters[0].numel() == 147_456
    assert len(network.revisions) == 0
    shared = [*network.encoder.parameters(), *network.decoder.parameters()]
    # E: 3*32*81 + 32*64*9 + 64*128*9; D the same plus 3 biases; and 2 norm weights for 32+64+128+64+32 channels.
    assert sum(weight.numel() for weight in shared) == 2 * (7776 + 18432 + 73728) + 3 + 2 * 320


def test_the_standard_network_has_fewer_weights_than_the_papers() -> None:
    network = StyleBankNetwork(Network(), [3], revises=True)
    assert network.filters[0].numel() == network.revisions[0].numel() == 80 * 80 * 9
    shared = [*network.encoder.parameters(), *network.decoder.parameters()]
    # E: 3*20*25 + 20*40*9 + 40*80*9; D the same plus 3 biases; 2 norm weights for 20+40+80+40+20 channels; and five
    # blocks of two 3x3 convolutions over 80 channels and two norms.
    blocks = 5 * 2 * (80 * 80 * 9 + 2 * 80)
    assert sum(weight.numel() for weight in shared) == 2 * (1500 + 7200 + 28800) + 3 + 2 * 200 + blocks


@pytest.mark.parametrize("size", [(4, 6), (1, 1), (7, 3)])
def test_phase_convolutions_equal_upsampling_and_a_3x3_convolution(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    conv = UpsampleConv(3, 5).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    large = F.interpolate(x, scale_factor=2.0, mode="nearest")
    wanted = F.conv2d(F.pad(large, (1, 1, 1, 1), mode="reflect"), conv.weight)
    found = conv(x)
    # float64 sums of 27 products: 1e-12 is far above rounding and far below any wrong weight.
    assert (found - wanted).abs().max() < 1e-12
    gradient = torch.randn_like(wanted)
    (one,) = torch.autograd.grad(wanted, conv.weight, gradient)
    (two,) = torch.autograd.grad(found, conv.weight, gradient)
    assert (one - two).abs().max() < 1e-10
    if size != (1, 1):
        zero_padded = F.conv2d(F.pad(large, (1, 1, 1, 1)), conv.weight)
        assert (found - zero_padded).abs().max() > 1e-3, "the control: another padding is another function"


@pytest.mark.parametrize(("kernel", "stride"), [(9, 1), (3, 2), (5, 1)])
def test_conv_is_torch_s_own_with_reflection(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    own = Conv(3, 6, kernel, stride=stride, bias=True)
    reference = nn.Conv2d(3, 6, kernel, stride=stride, padding=kernel // 2, padding_mode="reflect")
    reference.load_state_dict(own.state_dict())
    x = torch.randn(1, 3, 20, 24)
    assert torch.equal(own(x), reference(x))


def test_shapes_and_range(network: StyleBankNetwork) -> None:
    photo = torch.rand(2, 3, 24, 40)
    assert network.encode(photo).shape == (2, 16, 6, 10)
    for output in (network.stylize(photo, [0, 1]), network.decode(network.encode(photo))):
        assert output.shape == photo.shape
        assert output.dtype == torch.float32
        assert output.min() >= 0
        assert output.max() <= 1


def test_the_papers_linear_output_is_not_bounded() -> None:
    torch.manual_seed(0)
    network = StyleBankNetwork(Network(width=4, output="linear"), [3])
    output = network.stylize(torch.rand(1, 3, 32, 32), [0])
    assert output.min() < 0 or output.max() > 1


def test_a_new_filter_returns_its_input(network: StyleBankNetwork) -> None:
    features = torch.randn(1, 16, 5, 5)
    for weight in (identity_filter(16, 1), identity_filter(16, 3), identity_filter(16, 7)):
        assert torch.equal(apply_filters(features, [weight]), features)
    photo = torch.rand(1, 3, 16, 16)
    assert torch.equal(network.stylize(photo, [1]), network.decode(network.encode(photo)))


@pytest.mark.parametrize("order", [[0, 0, 0, 0], [0, 1, 2, 3], [2, 0, 2, 1], [1, 1, 0, 0]])
def test_a_mixed_batch_gives_each_image_its_own_filter(order: list[int]) -> None:
    filters = [*random_filters(3), *random_filters(1, kernel=5)]
    features = torch.randn(4, 4, 9, 8)
    mixed = apply_filters(features, [filters[index] for index in order])
    alone = [
        apply_filters(features[place : place + 1], [filters[index]]) for place, index in enumerate(order)
    ]
    # Batched and single convolutions may add in another order: float32 sums of 36 or 100 products of size one.
    assert (mixed - torch.cat(alone)).abs().max() < 1e-4
    if len(set(order)) > 1:
        shifted = apply_filters(features, [filters[index] for index in order[1:] + order[:1]])
        assert (mixed - shifted).abs().max() > 1e-1, "the control"


def test_only_drawn_filters_get_gradients(network: StyleBankNetwork) -> None:
    network.stylize(torch.rand(3, 3, 16, 16), [0, 2, 0]).sum().backward()
    assert [weight.grad is not None for weight in network.filters] == [True, False, True]


def test_a_mixture_of_filters_is_a_filter() -> None:
    """The paper's linear fusion; the control puts a ReLU inside the entry, which breaks it."""
    one, two = random_filters(2)
    features = torch.randn(1, 4, 8, 8)
    mixture = apply_filters(features, [0.3 * one + 0.7 * two])
    parts = [apply_filters(features, [weight]) for weight in (one, two)]
    assert (mixture - (0.3 * parts[0] + 0.7 * parts[1])).abs().max() < 1e-4
    bent = 0.3 * parts[0].relu() + 0.7 * parts[1].relu()
    assert (mixture.relu() - bent).abs().max() > 1e-1


def test_matched_moments_are_the_reference_s() -> None:
    image, reference = torch.rand(2, 3, 30, 20), 0.2 + 0.1 * torch.randn(2, 3, 17, 9)
    matched = match_moments(image, reference)
    assert torch.allclose(matched.mean((2, 3)), reference.mean((2, 3)), atol=1e-5)
    assert torch.allclose(matched.std((2, 3), correction=0), reference.std((2, 3), correction=0), atol=1e-5)


def test_a_flat_image_takes_the_mean_without_nan() -> None:
    matched = match_moments(torch.full((1, 3, 8, 8), 0.5), torch.rand(1, 3, 8, 8) * 0.1 + 0.7)
    assert matched.isfinite().all()
    assert (matched.amax((2, 3)) - matched.amin((2, 3))).max() < 1e-3


def test_reconstruction_has_the_photo_s_moments_unless_told_otherwise(network: StyleBankNetwork) -> None:
    photo = torch.rand(1, 3, 32, 32) * 0.2
    restored = network.reconstruct(photo)
    network.restore_moments = False
    plain = network.reconstruct(photo)
    assert torch.allclose(restored.mean((2, 3)), photo.mean((2, 3)), atol=1e-5)
    assert not torch.allclose(plain.mean((2, 3)), photo.mean((2, 3)), atol=1e-2)
    assert torch.equal(plain, network.decode(network.encode(photo)))


def test_bfloat16_is_close_to_float32(network: StyleBankNetwork) -> None:
    photo = torch.rand(1, 3, 32, 32)
    exact = network.stylize(photo, [0])
    network.precision = torch.bfloat16
    rough = network.stylize(photo, [0])
    assert rough.dtype == torch.float32
    # Ten layers, each rounding by 2^-9 of values of size one, before a sigmoid of slope 1/4.
    assert 0 < (exact - rough).abs().max() < 10 * 2**-9 * 4


@pytest.mark.parametrize("kernel", [1, 3, 9])
def test_output_convolution_is_the_convolution_it_stands_for(kernel: int) -> None:
    torch.manual_seed(0)
    conv = OutputConv(5, 3, kernel).double()
    x = torch.rand(2, 5, 12, 18, dtype=torch.double)
    wanted = reflect_conv(x, conv.weight, conv.bias)
    torch.testing.assert_close(conv(x), wanted)
    assert not torch.allclose(conv(x).flip(3), wanted), "the control: pixels have their places"


def transcribed_decoder(network: StyleBankNetwork, blocks: int, *, relu_after: bool = False) -> nn.Sequential:
    """D of torch's own modules, in float64, with the same weights: residual blocks, then the mirror of E."""

    def conv(inputs: int, outputs: int, kernel: int, *, bias: bool = False) -> nn.Conv2d:
        return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="reflect", bias=bias)

    def norm(channels: int) -> nn.Module:
        return nn.InstanceNorm2d(channels, affine=True)

    class Residual(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            total: Tensor = x + super().forward(x)  # type: ignore[no-untyped-call]  # torch's own has no types
            return total.relu() if relu_after else total

    found = nn.Sequential(
        *(Residual(conv(16, 16, 3), norm(16), nn.ReLU(), conv(16, 16, 3), norm(16)) for _ in range(blocks)),
        *(nn.Upsample(scale_factor=2), conv(16, 8, 3), norm(8), nn.ReLU()),
        *(nn.Upsample(scale_factor=2), conv(8, 4, 3), norm(4), nn.ReLU()),
        *(conv(4, 3, 5, bias=True), nn.Sigmoid()),
    ).double()
    for one, other in zip(found.parameters(), network.decoder.parameters(), strict=True):
        one.data.copy_(other)
    return found


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_the_decoder_is_residual_blocks_and_the_mirror_of_the_encoder(blocks: int) -> None:
    network = StyleBankNetwork(Network(width=4, blocks=blocks), []).double().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        weight.data.copy_(torch.rand(weight.shape, generator=generator) * 0.4 - 0.15)
    features = torch.randn(2, 16, 6, 5, generator=generator, dtype=torch.float64)
    # Pictures leave the network as float32, whose last bit near 1 is 6e-8.
    wanted = transcribed_decoder(network, blocks)(features)
    assert (network.decode(features).double() - wanted).abs().max() < 1e-6
    if blocks:
        other = transcribed_decoder(network, blocks, relu_after=True)(features)
        assert (other - wanted).abs().max() > 1e-3, "the control: no ReLU after the sum"


def test_a_picture_is_painted_again_with_the_second_filter() -> None:
    torch.manual_seed(0)
    network = StyleBankNetwork(Network(width=4, blocks=1), [3, 5], revises=True).requires_grad_(False)
    for weight in (*network.filters, *network.revisions):
        weight.normal_(std=0.3)
    photo = torch.rand(2, 3, 24, 24)
    features = network.encode(photo)
    wanted = network.decode(apply_filters(features, [network.revisions[1], network.revisions[0]]))
    assert torch.equal(network.stylize(photo, [1, 0], again=True), wanted)
    assert torch.equal(network(photo, [1, 0], again=True), wanted)
    assert (network.stylize(photo, [1, 0]) - wanted).abs().max() > 1e-3, "the control: K is another"


def test_a_network_that_does_not_revise_paints_again_with_the_first_filter(network: StyleBankNetwork) -> None:
    with torch.no_grad():
        network.filters[1].normal_(std=0.3)
    photo = torch.rand(1, 3, 24, 24)
    assert torch.equal(network.stylize(photo, [1], again=True), network.stylize(photo, [1]))
    assert len(network.revisions) == 0


def test_second_filters_get_gradients_when_a_picture_is_painted_again_and_only_then() -> None:
    network = StyleBankNetwork(Network(width=4, blocks=1), [3, 3], revises=True)
    for again, trained in ((False, network.filters), (True, network.revisions)):
        network.zero_grad(set_to_none=True)
        network.stylize(torch.rand(1, 3, 16, 16), [1], again=again).sum().backward()
        found = [weight for weight in (*network.filters, *network.revisions) if weight.grad is not None]
        assert [weight is trained[1] for weight in found] == [True]


@pytest.mark.parametrize("kind", ["stylebank", "johnson"])
def test_a_batch_of_one_has_the_gradient_of_its_part_of_a_batch(
    kind: Literal["stylebank", "johnson"],
) -> None:
    """In the layout of a training. Processes that share a batch may have an image each."""
    torch.manual_seed(0)
    network = StyleBankNetwork(Network(width=4, blocks=2, kind=kind), [1])
    network = network.to(memory_format=torch.channels_last)
    photos = torch.rand(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    weights = torch.randn(2, 3, 32, 32)

    def gradients(*parts: slice) -> dict[str, Tensor]:
        network.zero_grad(set_to_none=True)
        for part in parts:
            images = photos[part]
            (network.stylize(images, [0] * len(images)) * weights[part]).sum().backward()
        return {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}

    together, apart = gradients(slice(2)), gradients(slice(1), slice(1, 2))
    # The biases of norms before a norm have none but rounding.
    for name, gradient in together.items():
        # Float32 sums of 1e3 to 1e5 terms in another order: 1e-6 to 1e-5 of them.
        assert (gradient - apart[name]).norm() < 1e-4 * gradient.norm() + 1e-5, name

"""Encoder, style filters, decoder: the network of the paper's figure 2.

Chen, Yuan, Liao, Yu, Hua, "StyleBank: An Explicit Representation for Neural Image Style Transfer", CVPR 2017
(arXiv 1703.09210), section 3.1. Legend: I content image, E encoder, F = E(I) features, K_i the filter of
style i, F_i = K_i (*) F stylized features, D decoder, O output image.

A filter is linear (no norm, no activation): a mixture of filters is itself a filter. The network knows tensors
and indices only; names, files and images are the business of other modules.

Differs from the paper: a style has a second filter R_i, its revision, for painting over an enlarged painting of its
own, so that pictures are made from coarse to fine; D begins with residual blocks, and E and D are half as wide
(`blocks=0, width=32, outer_kernel=9` is the paper's); the output is bounded by a sigmoid (a linear last layer stops
learning styles after a few hundred steps; `output="linear"` is the paper's); filters start as the identity instead of
noise.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from stylebank.config import Network
from stylebank.network import primer
from stylebank.network.architecture import FLAT
from stylebank.network.instance_norm import Statistics, statistics_of
from stylebank.network.layers import (
    Conv,
    ConvBlock,
    OutputConv,
    ResidualBlock,
    UpsampleConv,
    reflect_conv,
)
from stylebank.network.tensors import indices, primed

Output = Literal["sigmoid", "linear"]


class Encoder(nn.Sequential):
    """E: three convolutions, (B, 3, H, W) in [0, 1] -> F (B, 4 width, H / 4, W / 4), H and W divisible by 4."""

    def __init__(self, width: int, outer_kernel: int, blocks: int) -> None:
        super().__init__(
            ConvBlock(Conv(3, width, outer_kernel)),
            ConvBlock(Conv(width, 2 * width, 3, stride=2)),
            ConvBlock(Conv(2 * width, 4 * width, 3, stride=2)),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
        )


class Decoder(nn.Sequential):
    """D: residual blocks and the mirror of E, (B, 4 width, h, w) -> O (B, 3, 4 h, 4 w), in [0, 1] after a sigmoid."""

    def __init__(self, width: int, outer_kernel: int, blocks: int, output: Output) -> None:
        super().__init__(
            *(ResidualBlock(4 * width) for _ in range(blocks)),
            ConvBlock(UpsampleConv(4 * width, 2 * width)),
            ConvBlock(UpsampleConv(2 * width, width)),
            OutputConv(width, 3, outer_kernel),
        )
        if output == "sigmoid":
            self.append(nn.Sigmoid())


class StyleBankNetwork(nn.Module):
    """E, D and the bank {K_i}: one convolution filter per style, addressed by its index.

    Args:
        shape: of E and D. A johnson network (Johnson, Alahi, Fei-Fei, "Perceptual losses for real-time style transfer",
            ECCV 2016) has its residual blocks in E; they paint its only style, the filter stays the identity, kernel 1.
        kernels: the kernel size of each style's filter, odd; its length is the number of styles.
        revises: whether each style has a second filter R_i, of the size of K_i.

    Attributes:
        filters: K_i.
        revisions: R_i; empty if it does not revise.
        precision: dtype that convolutions compute in; weights stay float32.
    """

    def __init__(self, shape: Network, kernels: Sequence[int], *, revises: bool = False) -> None:
        super().__init__()
        self.encoder = Encoder(shape.width, shape.outer_kernel, shape.encoder_blocks)
        self.decoder = Decoder(shape.width, shape.outer_kernel, shape.decoder_blocks, shape.output)
        channels = 4 * shape.width
        self.filters = nn.ParameterList([identity_filter(channels, kernel) for kernel in kernels])
        self.revisions = nn.ParameterList(
            [identity_filter(channels, kernel) for kernel in kernels if revises]
        )
        self.is_bank = shape.is_bank
        self.filters.requires_grad_(shape.is_bank)
        self.restore_moments = shape.restore_moments
        self.precision = torch.float32

    def forward(self, content: Tensor, styles: Sequence[int] | None = None, *, again: bool = False) -> Tensor:
        """Either branch of a training: `stylize`, or `reconstruct` where no styles are given."""
        return self.reconstruct(content) if styles is None else self.stylize(content, styles, again=again)

    def shown(self, photos: Tensor, share: float = 1.0) -> Tensor:
        """Crops (B, 3, H, W) as first passes see them, see `primed`; bare for a johnson network, a yardstick."""
        if not self.is_bank:
            return photos
        if photos.device.type == "cuda" and share:  # which would wait for the processor
            return primer.primed(photos, share)
        return primed(photos, share)

    def encode(self, content: Tensor) -> Tensor:
        """F = E(I): (B, 3, H, W) in [0, 1], sRGB -> (B, 4 width, H / 4, W / 4) in the network's precision."""
        features: Tensor = self.encoder(content.to(self.precision))
        return features

    def decode(self, features: Tensor) -> Tensor:
        """O = D(F): (B, 4 width, h, w) -> (B, 3, 4 h, 4 w) float32."""
        output: Tensor = self.decoder(features)
        return output.float()

    def stylize(self, content: Tensor, styles: Sequence[int], *, again: bool = False) -> Tensor:
        """Stylizing branch, O_b = D(K_i (*) E(I_b)) with i = styles[b]: (B, 3, H, W) -> (B, 3, H, W).

        With `again`, of paintings that were enlarged: O_b = D(R_i (*) E(I_b)); K_i where a network has no R_i.
        """
        bank = self.revisions if again and len(self.revisions) else self.filters
        features = self.encode(content)
        return self.decode(apply_filters(features, [bank[index] for index in styles]))

    def reconstruct(self, content: Tensor) -> Tensor:
        """Auto-encoder branch, D(E(I)): (B, 3, H, W) in [0, 1] -> (B, 3, H, W), near [0, 1].

        Differs from the paper: instance norm throws away the brightness and contrast of each image, which no
        D can bring back, so the content's own channel means and deviations are given to the output.
        """
        output = self.decode(self.encode(content))
        return match_moments(output, content) if self.restore_moments else output


def identity_filter(channels: int, kernel: int) -> nn.Parameter:
    """A filter (C, C, k, k) that returns its input: 1 at the centre of its diagonal."""
    weight = torch.zeros(channels, channels, kernel, kernel)
    weight[:, :, kernel // 2, kernel // 2] = torch.eye(channels)
    return nn.Parameter(weight)


def apply_filters(features: Tensor, filters: Sequence[Tensor]) -> Tensor:
    """Convolve each image's features with its own filter, F_i = K_i (*) F, styles mixed within one batch.

    Args:
        features: (B, C, h, w).
        filters: B tensors (C, C, k, k), k odd; sizes may differ from image to image.

    Returns:
        (B, C, h, w). One convolution per distinct filter, run on all the images that share it.
    """
    assert len(filters) == features.shape[0], "one filter per image"
    positions: dict[int, list[int]] = {}
    for position, weight in enumerate(filters):
        positions.setdefault(id(weight), []).append(position)
    if len(positions) == 1:
        return reflect_conv(features, filters[0].to(features.dtype))
    order = [position for group in positions.values() for position in group]
    inverse = sorted(range(len(order)), key=order.__getitem__)
    groups = features[indices(order, features.device)].split([len(group) for group in positions.values()])
    filtered = [
        reflect_conv(group, filters[where[0]].to(features.dtype))
        for group, where in zip(groups, positions.values(), strict=True)
    ]
    return torch.cat(filtered)[indices(inverse, features.device)]


def match_moments(image: Tensor, reference: Tensor) -> Tensor:
    """Give each channel of each image the mean and standard deviation of the reference's: (B, 3, H, W) twice."""
    scale, shift = moments_affine(statistics_of(image), statistics_of(reference))
    return image * scale[..., None, None] + shift[..., None, None]


def moments_affine(found: Statistics, wanted: Statistics) -> tuple[Tensor, Tensor]:
    """The scale and the shift, (B, 3) each, that lead from one image's moments to another's."""
    scale = wanted.variance.sqrt() / found.variance.clamp_min(FLAT).sqrt()
    return scale, wanted.mean - found.mean * scale

"""What encoder and decoder are built of: convolutions with reflected borders, rewritten where that is faster.

Every rewrite computes the same function as the layer that it is named after.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylebank.network.instance_norm import InstanceNorm


class Conv(nn.Conv2d):
    """Convolution with reflection padding and odd kernel, computed in the precision of its input.

    Weights are kept in float32 and cast on the way in: mixed precision without autocast, whose float32-only
    padding costs more than bfloat16 convolutions save.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, bias: bool = False
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return reflect_conv(x, self.weight.to(x.dtype), bias, stride=self.stride[0])


class UpsampleConv(Conv):
    """Nearest x2 upsampling and a 3x3 convolution, as four 2x2 convolutions on the small map.

    After nearest upsampling a 3x3 window sees only 2x2 different cells, so each of the four phases of the
    output is a 2x2 convolution with summed weights: 4/9 of the work, the same function (reflection padding of
    the large map is replication on the small one). No transposed convolution, hence no checkerboard.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, 2 H, 2 W)."""
        images, _, height, width = x.shape
        phases = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), self.phase_weight().to(x.dtype))
        phases = phases.view(images, 2, 2, self.out_channels, height + 1, width + 1)
        rows = [
            torch.stack([phases[:, i, j, :, i : i + height, j : j + width] for j in (0, 1)], dim=-1)
            for i in (0, 1)
        ]
        return torch.stack(rows, dim=3).reshape(images, self.out_channels, 2 * height, 2 * width)

    def phase_weight(self) -> Tensor:
        """The 2x2 kernels of the four phases (row, column), stacked: (4 outputs, inputs, 2, 2)."""
        low = self.weight.new_tensor([[1, 0, 0], [0, 1, 1]])  # an even row sees the cell above and its own
        high = self.weight.new_tensor([[1, 1, 0], [0, 0, 1]])  # an odd row its own and the cell below
        fold = torch.stack([low, high])
        return torch.einsum("pay,qbx,oiyx->pqoiab", fold, fold, self.weight).flatten(0, 2)


class OutputConv(Conv):
    """A convolution to few channels on maps of even sides, as one of stride 2 that makes the pixels of 2x2 squares.

    Processors compute 16 channels at a time, however few there are: three colours cost as much as these twelve, so a
    quarter of the places is a quarter of the time, less what the kernel grows by. The same function.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W), H and W even."""
        assert self.bias is not None
        bias = self.bias.repeat_interleave(4).to(x.dtype)
        margin = self.kernel_size[0] // 2
        x = F.pad(x, (margin,) * 4, mode="reflect")
        return F.pixel_shuffle(F.conv2d(x, self.square_weight().to(x.dtype), bias, stride=2), 2)

    def square_weight(self) -> Tensor:
        """The kernels of a square's four pixels, of each output channel in turn: (4 outputs, inputs, k + 1, k + 1)."""
        corners = [F.pad(self.weight, (right, 1 - right, low, 1 - low)) for low in (0, 1) for right in (0, 1)]
        return torch.stack(corners, dim=1).flatten(0, 1)


class ConvBlock(nn.Module):
    """A convolution, instance norm and ReLU: every layer of E and D but the last."""

    def __init__(self, conv: Conv) -> None:
        super().__init__()
        self.conv = conv  # without bias: the norm subtracts each channel's mean, and any bias with it
        self.norm = InstanceNorm(conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to what the convolution makes of it, normalised and not negative."""
        return F.relu(self.norm(self.conv(x)), inplace=True)


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), 3x3, no ReLU after the sum (Johnson et al. 2016, supplement)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(Conv(channels, channels, 3))
        self.second = Conv(channels, channels, 3)
        self.norm = InstanceNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        normalised: Tensor = self.norm(self.second(self.first(x)))
        return x + normalised


def reflect_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1) -> Tensor:
    """Convolve (B, C, H, W) with (C', C, k, k), k odd, the border mirrored: (B, C', H / stride, W / stride)."""
    margin = weight.shape[-1] // 2
    return F.conv2d(F.pad(x, (margin,) * 4, mode="reflect"), weight, bias, stride=stride)

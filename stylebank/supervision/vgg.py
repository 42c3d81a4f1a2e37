"""Frozen VGG-16 features by layer name.

Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition" (arXiv 1409.1556):
the original Oxford weights, as `torchvision.models.VGG16_Weights.IMAGENET1K_FEATURES` distributes them. Layers
are called `relu3_1` (third block, first convolution, after its ReLU). A request runs the network only as deep
as the deepest layer asked for; nothing above relu5_1 is kept.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylebank.errors import TensorFileError
from stylebank.files import tensorfile
from stylebank.network.tensors import to_torch
from stylebank.supervision import vgg_plan
from stylebank.supervision.vgg_plan import POOL, WIDTHS

PLAN, LAYERS = vgg_plan.PLAN, vgg_plan.LAYERS

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""The layers of a layered style set, from the finest marks to the largest forms."""


class VGG(nn.Module):
    """VGG-16 up to relu5_1, frozen: images (B, 3, H, W) in [0, 1], sRGB -> named features.

    Args:
        weights: `features.N.weight` and `features.N.bias` in torchvision's numbering, any float dtype.
    """

    mean: Tensor

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(vgg_plan.MEAN).view(1, 3, 1, 1))
        self.convolutions = nn.ModuleDict()
        inputs = 3
        for name, key in PLAN:
            if name == POOL:
                continue
            outputs = WIDTHS[name]
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
            state = {part: weights[f"{key}.{part}"] for part in ("weight", "bias")}
            convolution.load_state_dict(state)
            self.convolutions[name] = convolution
            inputs = outputs
        self.requires_grad_(False)

    @property
    def precision(self) -> torch.dtype:
        """What the convolutions compute in, and the dtype of the features."""
        weight: Tensor = self.convolutions["relu1_1"].weight  # type: ignore[assignment]
        return weight.dtype

    def compute_in(self, precision: torch.dtype) -> "VGG":
        """Cast the convolutions, but not the input transform: a bfloat16 mean colour would be off by a level."""
        self.convolutions.to(precision)
        return self

    def forward(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Features after the ReLU of each named layer: (B, C, H / 2^(block - 1), W / 2^(block - 1)).

        Args:
            image: (B, 3, H, W) in [0, 1], sRGB; both sides at least 2^(deepest block - 1).
            layers: names out of `LAYERS`.
        """
        wanted = set(layers)
        assert wanted <= set(LAYERS), f"unknown VGG layers {wanted - set(LAYERS)}"
        found: dict[str, Tensor] = {}
        x = ((image.float() - self.mean) * vgg_plan.SCALE).to(self.precision)
        for name, _ in PLAN:
            if len(found) == len(wanted):
                break
            if name == POOL:
                x = F.max_pool2d(x, 2)
                continue
            x = F.relu(self.convolutions[name](x), inplace=True)
            if name in wanted:
                found[name] = x
        return found


def depth(layer: str) -> int:
    """Number of convolutions up to and including a layer: 1 for relu1_1, 11 for relu5_1."""
    return LAYERS.index(layer) + 1


def load(source: Path | str) -> VGG:
    """Read the weights from a file of this project, or from torchvision if `source` is "torchvision".

    Raises:
        TensorFileError: the file is missing, damaged, or lacks a layer.
    """
    if source == "torchvision":
        from torchvision.models import VGG16_Weights

        try:
            return VGG(VGG16_Weights.IMAGENET1K_FEATURES.get_state_dict(progress=True))
        except (OSError, RuntimeError) as error:
            raise TensorFileError(
                f"--vgg torchvision: cannot be downloaded ({error}); leave it out to use the bundled file"
            ) from error
    arrays, _ = tensorfile.read(Path(source), kind="vgg")
    try:
        return VGG(to_torch(arrays))
    except (KeyError, RuntimeError) as error:
        raise TensorFileError(
            f"{source}: is no VGG-16 ({error}); use the file that comes with StyleBank"
        ) from error

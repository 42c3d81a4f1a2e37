"""Content, Gram style, total variation, identity; emptiness, tone, colour: pure functions of tensors.

Section 3.2 of the StyleBank paper: L_K = alpha L_c + beta L_s + gamma L_tv for the stylizing branch, L_I for the
auto-encoder branch. Every function returns one figure per image, so that a batch of mixed styles is the mean of
single losses, whatever is in it.

Differs from the paper: the content distance is relative to the energy of its target, and `objective` divides each
layer's style distance by that of unstyled photos. VGG's activations span four orders of magnitude between layers
and paintings; relative distances make one set of weights serve every style. They differ from the raw ones by a
constant factor for each (style, layer) and each photo. Emptiness, tone and colour are this project's own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

PART = 16
"""Pixels a side of what tone and colour are means of: larger than strokes, smaller than what a picture shows."""

_RIDGE = 1e-4  # variance of a photo's colours far below which they explain nothing


def gram(features: Tensor) -> Tensor:
    """Gram matrix of each image, G = F F^T / (h w): (B, C, h, w) -> (B, C, C) float32.

    Divided by the number of cells, so that images of different sizes compare. Gatys, Ecker, Bethge
    (arXiv 1508.06576), equation 3, has no division; its 1 / (4 N^2 M^2) is a constant factor here.
    """
    flat = features.flatten(2)
    # Products of bfloat16 features add up in float32 inside; only the sums are rounded, by 2^-9 at most.
    return (flat @ flat.transpose(1, 2)).float() / flat.shape[2]


def style_distance(gram_output: Tensor, gram_target: Tensor) -> Tensor:
    """Squared Gram distance, ||G - A||^2: (B, C, C) twice -> (B,)."""
    return (gram_output - gram_target).square().sum(dim=(1, 2))


def content_distance(features: Tensor, target: Tensor) -> Tensor:
    """Relative squared feature distance, ||F - P||^2 / ||P||^2: (B, C, h, w) twice -> (B,); 0 is the photo."""
    features, target = features.float(), target.float()
    energy = target.square().sum(dim=(1, 2, 3))
    # 1e-8 only keeps a target of exact zeros, which no real photo has, from dividing by zero.
    return (features - target).square().sum(dim=(1, 2, 3)) / energy.clamp_min(1e-8)


def total_variation(image: Tensor) -> Tensor:
    """Anisotropic total variation, mean |difference| of neighbours: (B, 3, H, W) in [0, 1] -> (B,)."""
    down = (image[:, :, 1:] - image[:, :, :-1]).abs().mean(dim=(1, 2, 3))
    right = (image[:, :, :, 1:] - image[:, :, :, :-1]).abs().mean(dim=(1, 2, 3))
    return down + right


def identity_distance(output: Tensor, image: Tensor) -> Tensor:
    """Mean squared error of the auto-encoder branch, ||O - I||^2 / (3 H W): (B, 3, H, W) twice -> (B,)."""
    return (output - image).square().mean(dim=(1, 2, 3))


def local_contrast(image: Tensor) -> Tensor:
    """Deviation within squares of 16 px, half of them overlapping: (B, 3, H, W) in [0, 1] -> (B, h, w).

    Of the image shrunk by two: a weave of single pixels is no contrast.
    """
    small = F.avg_pool2d(image, 2)
    mean, square = (F.avg_pool2d(x, 8, stride=4) for x in (small, small.square()))
    variance = (square - mean.square()).clamp_min(0).mean(dim=1)
    return (variance + 1e-8).sqrt()


def parts(image: Tensor) -> Tensor:
    """Mean colours of squares of `PART` pixels: (B, 3, H, W) -> (B, 3, H // 16, W // 16) float32; one of less."""
    found: Tensor = F.avg_pool2d(image.float(), [min(PART, side) for side in image.shape[-2:]])
    return found


def tone_distance(painted: Tensor, photo: Tensor) -> Tensor:
    """How much of the picture's light and dark is not the photo's: parts (B, 3, h, w) twice -> (B,), 0 none, 1 all.

    The share of the variance of the picture's lightness that no linear function of the photo's explains. Whether light
    turns dark or is enlarged is the style's; glaring spots of its own are not. Beside a photo whose parts hardly
    differ it is 1 whatever is painted.
    """
    ours, theirs = (_less_mean(image.mean(dim=1).flatten(1)) for image in (painted, photo))
    common = (ours * theirs).mean(dim=1).square()
    whole = ours.square().mean(dim=1) * theirs.square().mean(dim=1)
    return 1 - common / (whole + 1e-6)


def color_distance(painted: Tensor, photo: Tensor) -> Tensor:
    """How much of the picture's colours does not follow the photo's: parts (B, 3, h, w) twice -> (B,), 0 none, 1 all.

    The share of the variance of the picture's colours that no linear function of the photo's and their squares
    explains: one palette for the whole picture, whatever it is. Patches of another colour, where the photo has
    nothing, are not. Beside a photo whose parts hardly differ it is 1 whatever is painted.
    """
    ours, theirs = (image.flatten(2) for image in (painted, photo))
    terms = _less_mean(torch.cat([theirs, theirs.square()], dim=1))  # (B, 6, parts)
    products = terms @ terms.transpose(1, 2) / terms.shape[2]
    # Not `inv`, which waits for a GPU to hear of matrices without inverse; with a ridge there are none.
    inverse, _ = torch.linalg.inv_ex(products + _RIDGE * torch.eye(terms.shape[1], device=terms.device))
    ours = _less_mean(ours)
    shared = ours @ terms.transpose(1, 2) / terms.shape[2]  # (B, 3, 6)
    explained: Tensor = (shared @ inverse * shared).sum(dim=(1, 2))
    whole = ours.square().mean(dim=2).sum(dim=1)
    return 1 - explained / (whole + 1e-4)


def _less_mean(values: Tensor) -> Tensor:
    return values - values.mean(dim=-1, keepdim=True)


def emptiness(image: Tensor, floor: Tensor) -> Tensor:
    """Mean squared lack of local contrast, relative to floors (B,) > 0: (B, 3, H, W) -> (B,); 0 nowhere, 1 blank."""
    lack = (1 - local_contrast(image) / floor[:, None, None]).clamp_min(0)
    return lack.square().mean(dim=(1, 2))

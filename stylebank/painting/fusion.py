"""Linear and region-wise fusion of styles, at any strength (section 4.3 of the paper, and past it).

Legend: F = E(I); K_i filter of style i, g_i its gain, w_i its weight; s strength; M_r mask of region r, O output.

- A mixture is one filter, K = sum_i w_i g_i K_i. The gains make it hold what its weights say: filters differ tenfold
  in scale, which training leaves open.
- Strength is a filter too: (1 - p) identity + p K with p = s^1.25, so that s = 0 is the auto-encoder branch. What that
  branch gives back of the photo's brightness and contrast is faded by 1 - p.
- Regions share one E and one D pass, but not the statistics of D's instance norms; see `Mode`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stylebank.network.instance_norm import (
    Blended,
    Collected,
    PerRegion,
    Statistics,
    at_cells,
    blend_affine,
    own,
    statistics_of,
)
from stylebank.network.layers import reflect_conv
from stylebank.network.model import StyleBankNetwork, identity_filter, moments_affine
from stylebank.pixels.srgb import LUMA

Mode = Literal["exact", "region", "paper"]
"""Whose statistics D's norms use where styles meet.

exact: each style's own over the full image, collected in a pass of its own: away from the seams a region looks exactly
    as if the whole image had its style. R + 1 passes through D.
region: what the regions have inside their masks. One pass.
paper: the image's own, over all regions, so that every style changes every other (the paper's equation 7). One pass.
"""


@dataclass(frozen=True)
class Paint:
    """What a whole image or a region of it is painted with.

    Attributes:
        filter: K, (C, C, k, k) float32, as strong as the photo's own features: gains are in it.
        share: p, of the style against the photo's own features, in [0, 1].
    """

    filter: Tensor
    share: float = 1.0

    def apply(self, features: Tensor) -> Tensor:
        """(1 - p) F + p K (*) F as one convolution: (B, C, h, w) -> (B, C, h, w)."""
        blended = self.share * self.filter
        if self.share < 1:
            channels, kernel = self.filter.shape[0], self.filter.shape[-1]
            blended = blended + (1 - self.share) * identity_filter(channels, kernel).to(blended.device)
        return reflect_conv(features, blended.to(features.dtype))


def paint(network: StyleBankNetwork, content: Tensor, with_paint: Paint) -> Tensor:
    """Paint whole images: (B, 3, H, W) in [0, 1], sides divisible by 4 -> (B, 3, H, W), near [0, 1]."""
    output = network.decode(with_paint.apply(network.encode(content)))
    if not restores(network, [with_paint]):
        return output
    scale, shift = restoring(statistics_of(output), statistics_of(content), with_paint.share)
    return output * scale[..., None, None] + shift[..., None, None]


def fuse(
    network: StyleBankNetwork, content: Tensor, paints: Sequence[Paint], masks: Tensor, *, mode: Mode
) -> Tensor:
    """Paint the regions of one image.

    Args:
        network: E and D.
        content: (1, 3, H, W) in [0, 1], sides divisible by 4.
        paints: one for each of R regions.
        masks: (R, H, W) float32 in [0, 1], 1 in sum at each pixel.
        mode: see `Mode`.

    Returns:
        (1, 3, H, W), near [0, 1].
    """
    features = network.encode(content)
    cells = at_cells(masks, features).to(features.dtype)
    if mode == "exact":
        return _exact(network, content, features, paints, masks, cells)
    filtered = sum(each.apply(mask * features) for each, mask in zip(paints, cells, strict=True))
    assert isinstance(filtered, Tensor)
    output = network.decode(filtered, PerRegion(masks) if mode == "region" else own)
    if not restores(network, paints):
        return output
    inside = masks if mode == "region" else torch.ones_like(masks)
    found, wanted = (statistics_of(image, inside) for image in (output, content))
    shares = masks.new_tensor([each.share for each in paints]).unsqueeze(1)
    return blend_affine(output, *restoring(found, wanted, shares), masks)


def _exact(
    network: StyleBankNetwork,
    content: Tensor,
    features: Tensor,
    paints: Sequence[Paint],
    masks: Tensor,
    cells: Tensor,
) -> Tensor:
    """Each style's own statistics, injected; the regions meet in the features, so that D paints the seams."""
    restored = restores(network, paints)
    fused = torch.zeros_like(features)
    statistics, affines = [], []
    for each, mask in zip(paints, cells, strict=True):
        filtered = each.apply(features)
        fused += mask * filtered
        collected = Collected()
        if restored:
            alone = network.decode(filtered, collected)
            affines.append(restoring(statistics_of(alone), statistics_of(content), each.share))
        else:
            network.decoder.run_norms(filtered, collected)
        statistics.append(collected.found)
    output = network.decode(fused, Blended(statistics, masks))
    if not restored:
        return output
    scales, shifts = (torch.cat(part) for part in zip(*affines, strict=True))
    return blend_affine(output, scales, shifts, masks)


def keep_color(output: Tensor, photo: Tensor) -> Tensor:
    """The output's luma with the photo's chroma: (B, 3, H, W) twice, sRGB.

    In Y'CbCr (ITU-R BT.601) grey has no chroma, so that another luma is one number added to R, G and B.
    """
    luma = torch.tensor(LUMA, device=output.device).view(1, 3, 1, 1)
    return photo + ((output - photo) * luma).sum(1, keepdim=True)


def restores(network: StyleBankNetwork, paints: Sequence[Paint]) -> bool:
    """Whether an output so painted gets back some of the photo's brightness and contrast."""
    return network.restore_moments and any(each.share < 1 for each in paints)


def restoring(found: Statistics, wanted: Statistics, share: float | Tensor) -> tuple[Tensor, Tensor]:
    """The affine map (B, 3) twice that gives outputs as much of the photos' moments as the style's share leaves."""
    scale, shift = moments_affine(found, wanted)
    return 1 + (1 - share) * (scale - 1), (1 - share) * shift

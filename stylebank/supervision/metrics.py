"""Figures of a result: style ratio, relative content distance, tone, PSNR, SSIM."""

import math
from dataclasses import dataclass
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from stylebank.network.model import StyleBankNetwork, apply_filters
from stylebank.network.tensors import in_float64, luma
from stylebank.supervision.objective import Objective

_FAR = 16  # pixels a side of what tone sees as one
_BATCH = 4  # photos at a time: VGG's features of four 384 px photos take half a gigabyte


def psnr(image: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each image: (B, C, H, W) in [0, 1] twice -> (B,)."""
    error = (image - reference).square().mean(dim=(1, 2, 3))
    return -10 * torch.log10(error.clamp_min(1e-12))


def ssim(image: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity of each image: (B, C, H, W) in [0, 1] twice, sides >= 11 px -> (B,).

    Wang, Bovik, Sheikh, Simoncelli (2004): 11x11 Gaussian window of deviation 1.5 px, K1 = 0.01, K2 = 0.03, the
    mean over all places where the window fits, and over the channels.
    """
    channels = image.shape[1]
    place = torch.arange(11, dtype=image.dtype, device=image.device) - 5
    line = torch.exp(-place.square() / (2 * 1.5**2))
    window = torch.outer(line, line) / line.sum() ** 2
    kernel = window.expand(channels, 1, 11, 11)

    def local_mean(x: Tensor) -> Tensor:
        return F.conv2d(x, kernel, groups=channels)

    mean_x, mean_y = local_mean(image), local_mean(reference)
    variance_x = local_mean(image * image) - mean_x * mean_x
    variance_y = local_mean(reference * reference) - mean_y * mean_y
    covariance = local_mean(image * reference) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def tone(image: Tensor, reference: Tensor) -> Tensor:
    """Whether light and dark stay where they are: (B, 3, H, W) in [0, 1] twice, sRGB, sides >= 16 px -> (B,).

    Spearman's rank correlation of lightness, luma averaged over H / 16 x W / 16 areas: 1 if what was lighter is
    lighter, -1 in a negative, 0 where either is of one lightness.
    """
    first, second = (_ranks_of_lightness(x) for x in (image, reference))
    product = (first * second).sum(dim=1)
    return product / (first.square().sum(dim=1) * second.square().sum(dim=1)).sqrt().clamp_min(1e-12)


def spread(image: Tensor) -> Tensor:
    """Root mean square deviation from the mean colour of each image: (B, 3, H, W) in [0, 1] -> (B,)."""
    return (image - image.mean(dim=(2, 3), keepdim=True)).square().mean(dim=(1, 2, 3)).sqrt()


def _ranks_of_lightness(image: Tensor) -> Tensor:
    """Ranks of the areas' luma less their mean, equal ones sharing theirs: (B, 3, H, W) -> (B, areas) float64."""
    light = luma(image)[:, None]
    sides = [max(1, length // _FAR) for length in image.shape[-2:]]
    # A sixteenth of a level: areas of one lightness are not to be ranked by how their sums were rounded.
    areas = (F.interpolate(light, sides, mode="area").flatten(1) * (255 * 16)).round()
    found = []
    for levels in areas:
        _, places, counts = levels.unique(return_inverse=True, return_counts=True)
        last = in_float64(counts.cumsum(0))
        found.append((last - (counts - 1).to(last.device) / 2)[places.to(last.device)])
    ranks = torch.stack(found)
    return ranks - ranks.mean(dim=1, keepdim=True)


@dataclass(frozen=True)
class StyleFigures:
    """One style on a set of photos, means over them.

    Attributes:
        style_ratio: per layer, the style loss of the outputs over that of the photos: 0 perfect, 1 unstyled.
        content: relative content distance.
        ssim: of the outputs to the photos.
        tv: total variation of the outputs.
        total: the weighted loss.
        tone: of the outputs to the photos, the median over them.
        spread: deviation of an output's pixels from its mean colour; 0 is a picture of one colour.
    """

    style_ratio: tuple[float, ...]
    content: float
    ssim: float
    tv: float
    total: float
    tone: float
    spread: float


def style_figures(
    network: StyleBankNetwork, objective: Objective, photos: Tensor, style: int
) -> StyleFigures:
    """Measure one style on photos (B, 3, H, W) in [0, 1], sides divisible by 4, painted in one pass."""
    return output_figures(one_pass(network, photos, style), objective, photos, style)


def one_pass(network: StyleBankNetwork, photos: Tensor, style: int) -> Tensor:
    """What one pass makes of photos (B, 3, H, W) in [0, 1], sides divisible by 4: as many pictures, in [0, 1]."""
    with torch.no_grad():
        pictures = [network.stylize(photo, [style]).clamp(0, 1) for photo in network.shown(photos).split(1)]
    return torch.cat(pictures)


def output_figures(outputs: Tensor, objective: Objective, photos: Tensor, style: int) -> StyleFigures:
    """Measure the pictures (B, 3, H, W) that somebody made of photos in one style, both in [0, 1]."""
    before, terms, similarity, tones = [], [], [], []
    with torch.no_grad():
        for output, photo in zip(outputs.split(1), photos.split(1), strict=True):
            kept = objective.kept(photo)
            before.append(objective(photo, kept, [style]).style)
            terms.append(objective(output, kept, [style]))
            similarity.append(ssim(output, photo))
            tones.append(float(tone(output, photo)))
    after = torch.cat([found.style for found in terms])
    # Photos that have the style already, exactly, leave nothing to compare with: then any distance is a large ratio.
    ratio = after.mean(dim=0) / torch.cat(before).mean(dim=0).clamp_min(1e-6)
    return StyleFigures(
        style_ratio=tuple(ratio.tolist()),
        content=float(torch.cat([found.content for found in terms]).mean()),
        ssim=float(torch.cat(similarity).mean()),
        tv=float(torch.cat([found.tv for found in terms]).mean()),
        total=float(torch.stack([found.total for found in terms]).mean()),
        tone=median(tones),
        spread=float(spread(outputs).mean()),
    )


def reconstruction_figures(network: StyleBankNetwork, photos: Tensor) -> tuple[float, float]:
    """Mean PSNR in dB and mean SSIM of the auto-encoder branch on photos (B, 3, H, W), sides divisible by 4."""
    with torch.no_grad():
        outputs = torch.cat([network.reconstruct(batch) for batch in photos.split(_BATCH)]).clamp(0, 1)
    return float(psnr(outputs, photos).mean()), float(ssim(outputs, photos).mean())


def filter_gain(network: StyleBankNetwork, images: Tensor, weight: Tensor) -> float:
    """||F|| / ||K (*) F|| over images (B, 3, H, W): the factor that makes stylized features as strong as their own.

    Training leaves the scale of K open, as far as D's first norm erases that of its input; mixing needs it settled.
    """
    before, after = 0.0, 0.0
    with torch.no_grad():
        for batch in images.split(_BATCH):
            features = network.encode(batch)
            before += float(in_float64(features).square().sum())
            filtered = apply_filters(features, [weight] * len(batch))
            after += float(in_float64(filtered).square().sum())
    # A filter of zeros, or photos of one grey, have no strength to match.
    return math.sqrt(before / after) if before > 0 and after > 0 else 1.0


@dataclass(frozen=True)
class BankFigures:
    """A whole bank on a set of photos: figures by style index, and of the auto-encoder branch (PSNR in dB)."""

    styles: tuple[StyleFigures, ...]
    psnr: float
    ssim: float

    def median_style_ratio(self) -> tuple[float, ...]:
        """Median over styles of each layer's style ratio."""
        table = torch.tensor([figures.style_ratio for figures in self.styles])
        return tuple(table.quantile(0.5, dim=0).tolist())


def measure(network: StyleBankNetwork, objective: Objective, photos: Tensor) -> BankFigures:
    """Measure every style and the auto-encoder branch on photos (B, 3, H, W) in [0, 1], sides divisible by 4."""
    styles = range(len(network.filters))
    psnr_db, similarity = reconstruction_figures(network, photos)
    return BankFigures(
        styles=tuple(style_figures(network, objective, photos, style) for style in styles),
        psnr=psnr_db,
        ssim=similarity,
    )

"""Which region gets which style: the command line's words, label images, found things, and a choice by colour."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stylebank.bank import mixture
from stylebank.bank.mixture import PHOTO, STROKES, Mix, Mixture
from stylebank.engines import vgg_features
from stylebank.errors import ConfigError
from stylebank.painting import strokes
from stylebank.painting.painter import StyleBank
from stylebank.pixels import images, masks, resampling
from stylebank.pixels.masks import Labels, Mask

if TYPE_CHECKING:
    from PIL.Image import Image

AUTO = "auto"
"""In the place of a style: the program chooses one for each region that has none."""

Floats = NDArray[np.float32]

Regions = list[tuple[Mask, Mix]]

_SMALL = 256  # pixels of the long side at which styles are tried


def mask_and_style(region: str) -> tuple[str, str]:
    """Both halves of `--region MASK=STYLE`; the last = parts them.

    Raises:
        ConfigError: the words have another form.
    """
    path, equals, mix = region.rpartition("=")
    if not (path and equals and mix):
        raise ConfigError(f"--region {region}: has another form; write MASK=STYLE")
    return path, mix


def labels_and_styles(assigned: Sequence[str]) -> list[tuple[str, str]]:
    """Both halves of each `--assign LABEL=STYLE`, those that say auto left out; the last = parts them.

    Raises:
        ConfigError: the words have another form.
    """
    pairs = [words.rpartition("=") for words in assigned if words != AUTO]
    for key, _, mix in pairs:
        if not (key and mix):
            raise ConfigError(f"--assign {key or mix}: has another form; write LABEL=STYLE, or auto")
    return [(key, mix) for key, _, mix in pairs]


def meant(words: str, *, strength: float, where: str) -> Mix:
    """A mixture; or "photo", for a region that stays as it is.

    Raises:
        ConfigError: the words have another form; `where` begins the complaint.
    """
    return PHOTO if words == PHOTO else mixture.parse(words, strength=strength, where=where)


def from_masks(
    words: Sequence[str],
    *,
    size: tuple[int, int],
    strength: float,
    note: Callable[[str], None],
    fit: bool = False,
) -> Regions:
    """Read `--region MASK=MIX`: an image each.

    Args:
        words: at least one.
        size: (H, W) of the photo; a mask of another is resized, and `note` told.
        strength: of regions that say none of their own.
        note: receives lines of text.
        fit: whether masks of another shape are stretched.

    Raises:
        ConfigError: the words have another form.
        ImageError: a mask cannot be read, or has another shape than the photo.
    """
    found: Regions = []
    for region in words:
        path, mix = mask_and_style(region)
        mixed = meant(mix, strength=strength, where=f"--region {region}")
        mask = masks.read_mask(Path(path))
        _check_size(path, mask.shape, size, note, fit=fit)
        if not mask.any():
            note(f"{path}: is all black, or transparent, and covers nothing")
        found.append((masks.resized(mask, size), mixed))
    return found


def from_labels(
    labels: Labels,
    assigned: Sequence[str],
    *,
    bank: StyleBank,
    photo: "Image",
    strength: float,
    note: Callable[[str], None],
    fit: bool = False,
) -> Regions:
    """Give the regions of a label image their styles by `--assign LABEL=MIX`; the rest by `--assign auto`, if asked.

    Soft edges are settled at the label image's own size; see `labels`.

    Raises:
        ConfigError: the words have another form, or name a label twice.
        ImageError: the image has no such label, or another shape than the photo.
    """
    size = (photo.height, photo.width)
    _check_size(labels.source, labels.values.shape, size, note, fit=fit)
    pairs = labels_and_styles(assigned)
    mixes: dict[tuple[int, ...], Mix] = {
        labels.meant(key): meant(mix, strength=strength, where=f"--assign {key}={mix}") for key, mix in pairs
    }
    assigned_labels = list(itertools.chain(*mixes))
    if len(mixes) < len(pairs) or len(set(assigned_labels)) < len(assigned_labels):
        raise ConfigError("--assign: names a label twice; give each label one style")
    labels = labels.settled(assigned_labels).resized(size)
    others = [label for label in labels.found() if label not in assigned_labels]
    if AUTO in assigned and others:
        chosen = choose(bank, photo, [labels.mask(label) for label in others])
        for label, style in zip(others, chosen, strict=True):
            note(f"region {labels.shown(label)}: {style}")
            mixes[(label,)] = Mixture(((style, 1.0),), strength)
    elif others:
        share = float(np.isin(labels.values, others).mean())
        note(
            f"{labels.source}: {', '.join(map(labels.shown, others[:12]))} ({share:.0%} of the pixels) left to the rest"
        )
    return [(labels.mask(*each), mix) for each, mix in mixes.items()]


def clustered(bank: StyleBank, photo: "Image", count: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Labels (H, W) of a photo's things, from 1, the largest first; see `segmentation.segment`.

    Raises:
        ConfigError: the count is out of range.
        TensorFileError: the weights of VGG-16 that come along are missing or damaged.
    """
    from stylebank.painting import (
        segmentation,
    )  # here: SciPy is large, and masks that are given need none of it

    if not 2 <= count <= segmentation.MOST_REGIONS:
        raise ConfigError(f"{count} regions: is out of range; give 2 to {segmentation.MOST_REGIONS}")
    see, longest = vgg_features.extractor(bank.computing), max(photo.size)
    size, scale = (photo.height, photo.width), segmentation.LONG_SIDE / longest
    # To whole cells: poolings drop what is over.
    height, width = (max(1, round(side * scale / vgg_features.CELL)) * vgg_features.CELL for side in size)
    # A small photo is enlarged: the network knows things by their size in pixels too.
    small = images.to_pixels(resampling.resized(photo, size=(height, width)))
    large = images.to_pixels(resampling.fitted(photo, long_side=segmentation.FINE_SIDE))
    look, fine = (np.multiply(pixels, 1 / 255, dtype=np.float32) for pixels in (small, large))
    return segmentation.segment(see(small), look, fine, count, size=size, seed=seed)


def choose(bank: StyleBank, photo: "Image", regions: Sequence[Floats]) -> list[str]:
    """A style for each region (H, W): those that change the regions' mean colours least in all, none twice if possible.

    So a blue style takes the sky and a warm one the wood, and the fusion keeps the photo's order of colours.

    Raises:
        ConfigError: the bank has no styles, or there are more than 32 regions.
    """
    if not bank.styles or len(regions) > 32:
        raise ConfigError(
            f"--assign auto: cannot give {len(regions)} regions one of {len(bank.styles)} styles each; assign them"
        )
    from scipy.optimize import linear_sum_assignment

    small = resampling.fitted(photo, long_side=_SMALL)
    shares = np.stack([masks.resized(region, (small.height, small.width)) for region in regions])
    before, canvas = _mean_colours(small, shares), bank.open(small)
    stroke = min(
        STROKES[1], strokes.FIRST / max(small.size)
    )  # one pass at this size: colours come with the first
    pictures = (canvas.stylize(style, stroke=stroke) for style in bank.styles)
    changes = [_mean_colours(picture, shares) - before for picture in pictures]
    cost = np.linalg.norm(np.stack(changes, axis=1), axis=2)
    copies = -(-len(regions) // len(bank.styles))
    _, places = linear_sum_assignment(np.tile(cost, copies))
    return [bank.styles[place % len(bank.styles)] for place in places]


def _mean_colours(image: "Image", shares: Floats) -> NDArray[np.float64]:
    """Mean colour (R, 3) of an image inside masks (R, H, W), in [0, 1]."""
    weights = shares.reshape(len(shares), -1).astype(np.float64)
    found: NDArray[np.float64] = weights @ (images.to_pixels(image).reshape(-1, 3) / 255)
    found /= np.maximum(weights.sum(1, keepdims=True), 1e-6)
    return found


def _check_size(
    source: str, found: Sequence[int], wanted: tuple[int, int], note: Callable[[str], None], *, fit: bool
) -> None:
    """Refuse another shape, unless it is to be stretched; note another size."""
    if not fit:
        masks.check_shape(source, found, wanted, remedy="add --fit")
    if tuple(found) != wanted:
        note(f"{source}: resized from {found[1]} x {found[0]} to {wanted[1]} x {wanted[0]} px")

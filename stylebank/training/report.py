"""What a run shows of its styles: previews, and the report cards of what it made."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from stylebank.bank.entries import Card, Origin
from stylebank.network.model import StyleBankNetwork
from stylebank.pixels import images, pictures
from stylebank.supervision.metrics import StyleFigures
from stylebank.supervision.styleset import StyleSet
from stylebank.training import revision

PREVIEW_PHOTOS = 4
PREVIEW_SIDE = 256  # pixels


def emblem(style: StyleSet) -> Tensor:
    """The picture that stands for a style in previews: its middle layer's image, (3, H, W) in [0, 1]."""
    return style.layers[len(style.layers) // 2].load()[0]


def draw_preview(
    network: StyleBankNetwork, emblems: Mapping[str, Tensor], photos: Tensor, path: Path
) -> None:
    """Write a contact sheet: each photo, its reconstruction, and the photo in every style, below the styles' emblems.

    A network that revises paints at half the size, and once more.

    Args:
        network: on any device.
        emblems: S pictures by the styles' names, in the order of the filters.
        photos: (B, 3, side, side) in [0, 1], side divisible by 4.
        path: a PNG file; replaced.
    """
    white = torch.ones(3, 8, 8)
    rows = [[white, white, *emblems.values()]]
    device = next(network.parameters()).device
    with torch.no_grad():
        for photo in photos:
            batch = photo.unsqueeze(0).to(device)
            cells = [batch, network.reconstruct(batch)]
            cells += [_painted(network, batch, index) for index in range(len(emblems))]
            rows.append([cell[0].cpu() for cell in cells])
    names = ["photo", "auto-encoder", *emblems]
    images.save(path, pictures.contact_sheet(rows, column_labels=names))


def _painted(network: StyleBankNetwork, photo: Tensor, style: int) -> Tensor:
    if len(network.revisions):
        return revision.coarse_to_fine(network, photo, [style], small=photo.shape[-1] // 2)
    return network.stylize(network.shown(photo), [style])


def card(figures: StyleFigures, photos: Tensor, *, origin: Origin, steps: int, seconds: float = 0.0) -> Card:
    """The report card of a style that was measured on photos (B, 3, side, side)."""
    return Card(
        origin=origin,
        steps=steps,
        seconds=round(seconds, 1),
        photos=photos.shape[0],
        side=photos.shape[-1],
        style_ratio=tuple(round(ratio, 4) for ratio in figures.style_ratio),
        content=round(figures.content, 4),
        ssim=round(figures.ssim, 4),
    )

"""What a run leaves for its owner to look at: previews, loss curves, a table of losses."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from stylebank.bank.entries import Card, Origin
from stylebank.errors import ConfigError
from stylebank.files import atomic
from stylebank.network.model import StyleBankNetwork
from stylebank.pixels import charts, images, pictures
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
    return network.stylize(photo, [style])


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


class Losses(Protocol):
    """The losses of a run so far.

    Attributes:
        columns: names of a row's figures; the first is the step.
        history: rows, one for several steps; NaN where there is no figure.
        panels: titles of plots and the columns that each shows.
    """

    history: list[list[float]]

    @property
    def columns(self) -> tuple[str, ...]:
        """See above."""

    @property
    def panels(self) -> Sequence[tuple[str, Sequence[str]]]:
        """See above."""


def draw_curves(losses: Losses, path: Path) -> None:
    """Write the loss curves as PNG, and the same figures as a CSV table beside it."""
    column = {name: index for index, name in enumerate(losses.columns)}
    panels = [
        (title, {name: [(row[0], row[column[name]]) for row in losses.history] for name in names})
        for title, names in losses.panels
    ]
    images.save(path, charts.curve_panels(panels, x_label="step"))
    table = io.StringIO()
    csv.writer(table).writerows([losses.columns, *losses.history])
    atomic.write_atomically(path.with_name("losses.csv"), table.getvalue().encode())


class TensorBoard:
    """The losses as TensorBoard scalars, written into a folder."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    @staticmethod
    def require() -> None:
        """Make sure that TensorBoard is there.

        Raises:
            ConfigError: the extra `tensorboard` is not installed.
        """
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                "--tensorboard: is not installed; pip install 'stylebank[tensorboard]', or leave it out"
            ) from error

    def log(self, row: Mapping[str, float]) -> None:
        """Add one row of the history; `row["step"]` is the place on the axis."""
        for name, value in row.items():
            if name != "step" and not math.isnan(value):
                self._writer.add_scalar(f"loss/{name}", value, int(row["step"]))

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()

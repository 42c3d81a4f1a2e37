"""The losses of a run so far: curves, a table, TensorBoard."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from stylebank.errors import ConfigError
from stylebank.files import atomic
from stylebank.pixels import charts, images


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

"""One style by every system: bank, added entry, Johnson's network, per-image optimisation; same losses and photos."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer
from torch import Tensor

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Loss, Report
from stylebank.files import resources
from stylebank.pixels import folders
from stylebank.reference import optimization
from stylebank.reference.optimization import Progress, Settings
from stylebank.supervision import metrics, vgg
from stylebank.supervision.objective import Objective
from stylebank.training import data

STEPS = (20, 50, 100, 300)


def main(
    content: Annotated[Path, typer.Option(help="Folder of photos; those that trainings held back are used.")],
    styles: Annotated[Path, typer.Option(help="Folder that holds the style's images.")],
    bank: Annotated[
        Path | None, typer.Option(help="Has the style jointly trained. [default: the shipped one]")
    ] = None,
    added: Annotated[Path | None, typer.Option(help="Another bank, to which the style was added.")] = None,
    johnson: Annotated[Path | None, typer.Option(help="By configs/johnson.toml.")] = None,
    style: Annotated[str, typer.Option(help="Name of the style.")] = "van_gogh_starry_night",
    size: Annotated[int, typer.Option(help="Side of the photos, in pixels.")] = 256,
    photos: Annotated[int, typer.Option(help="How many.")] = 8,
) -> None:
    """Style ratios, content, SSIM, loss and seconds a photo, as a Markdown table."""
    shipped = bundle.read(bank or resources.shipped_bank())
    loss = shipped.trained_with(Loss, "loss")
    wanted = shipped.find(style).style.located(styles)
    _, held_back = data.hold_back(folders.find_photos(content), content, Report().held_back)
    squares = data.read_squares(held_back, size, typer.echo, count=photos)
    network = vgg.load(resources.vgg_weights()).to(memory_format=torch.channels_last)
    objective = Objective(network, loss, [wanted], squares, precision=torch.float32)
    typer.echo(
        f"{style}, {len(squares)} photos held back, {size} px; torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads\n"
    )
    heads = ["", *loss.style_layers, "mean", "content", "SSIM", "loss", "seconds a photo"]
    typer.echo(f"| {' | '.join(heads)} |\n" + "|---" * len(heads) + "|")

    def row(name: str, outputs: Tensor, seconds: float) -> None:
        found = metrics.output_figures(outputs, objective, squares, 0)
        ratios = [*found.style_ratio, sum(found.style_ratio) / len(found.style_ratio)]
        cells = [*(f"{ratio:.3f}" for ratio in ratios), f"{found.content:.2f}", f"{found.ssim:.3f}"]
        typer.echo(f"| {' | '.join([name, *cells, f'{found.total:.2f}', f'{seconds:.3g}'])} |")

    row("the photos", squares, 0)
    banks: dict[str, Bundle] = {"this bank": shipped}
    if added:
        banks["added"] = bundle.read(added)
    if johnson:
        banks["Johnson's network"] = bundle.read(johnson)
    for name, found in banks.items():
        row(name, *_painted(found, style, squares))
    for steps, outputs, seconds in _optimized(objective, squares):
        row(f"optimisation, {steps} steps", outputs, seconds)


def _painted(bank: Bundle, style: str, photos: Tensor) -> tuple[Tensor, float]:
    """Outputs and the median seconds of one."""
    network = replace(bank, entries=(bank.find(style),)).build()

    def paint(photo: Tensor) -> Tensor:
        return metrics.one_pass(network, photo, 0)

    paint(photos[:1])
    return _timed(paint, photos)


def _timed(paint: Callable[[Tensor], Tensor], photos: Tensor) -> tuple[Tensor, float]:
    outputs, times = [], []
    for photo in photos.split(1):
        start = time.perf_counter()
        outputs.append(paint(photo))
        times.append(time.perf_counter() - start)
    return torch.cat(outputs), median(times)


def _optimized(objective: Objective, photos: Tensor) -> Sequence[tuple[int, Tensor, float]]:
    """For each number of steps the best image so far of every photo, and the median seconds until then."""
    best: dict[int, list[Tensor]] = {steps: [] for steps in STEPS}
    times: dict[int, list[float]] = {steps: [] for steps in STEPS}
    for photo in photos.split(1):
        start, lowest, image = time.perf_counter(), float("inf"), photo

        def report(progress: Progress, start: float = start) -> bool:
            nonlocal lowest, image
            if progress.total < lowest:
                lowest, image = progress.total, progress.image
            if progress.step in best:
                best[progress.step].append(image)
                times[progress.step].append(time.perf_counter() - start)
            return True

        optimization.optimize(objective, photo, Settings(steps=max(STEPS)), report=report)
    return [(steps, torch.cat(best[steps]), median(times[steps])) for steps in STEPS]

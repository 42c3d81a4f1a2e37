"""Measure a bank on photos: style, content, reconstruction, speed, and what per-image optimisation needs to match it.

Style images are looked up by name and content, so that what is measured is what the bank was trained for. Losses are
those of the bank's own experiment; their unit, how far unstyled photos are from each style, is taken on the photos.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.config import Loss, Report
from stylebank.errors import StyleSetError
from stylebank.files import resources
from stylebank.machine.devices import choose_device
from stylebank.network.model import StyleBankNetwork
from stylebank.pixels import folders
from stylebank.reference import optimization
from stylebank.reference.optimization import Progress, Settings
from stylebank.reference.perceptual import Perceptual
from stylebank.supervision import metrics, vgg
from stylebank.supervision.metrics import StyleFigures
from stylebank.supervision.objective import Objective, check_layers
from stylebank.supervision.styleset import StyleSet
from stylebank.training import data

PHOTOS = Report().held_back


@dataclass(frozen=True)
class Row:
    """One style.

    Attributes:
        name: the style's.
        figures: over the photos, each painted in one pass.
        lpips: mean distance of the outputs to the photos; None without its backbone.
        bytes: of its filters in the file.
        optimization: median over photos of the L-BFGS steps that per-image optimisation needs to come to the same
            loss; None if it did not get there within the evaluation's `optimization` steps, or was not asked to.
    """

    name: str
    figures: StyleFigures
    lpips: float | None
    bytes: int
    optimization: float | None


@dataclass(frozen=True)
class Evaluation:
    """A bank on some photos.

    Attributes:
        layers: names of the style layers, in the order of every style ratio.
        photos: how many, squares of `side` pixels.
        side: in pixels.
        rows: one for each style that was measured.
        psnr: of the auto-encoder branch, in dB; None for a johnson network.
        ssim: of the auto-encoder branch.
        seconds: to stylize one photo in one pass, its grain included, the median.
        optimization: the most steps that per-image optimisation was given; 0 if it was not asked for.
        artfid: (1 + LPIPS) (1 + FID of all outputs to all style images); None without the backbones.
    """

    layers: tuple[str, ...]
    photos: int
    side: int
    rows: tuple[Row, ...]
    psnr: float | None
    ssim: float | None
    seconds: float
    optimization: int
    artfid: float | None

    def medians(self) -> tuple[float, ...]:
        """Median over styles of each layer's style ratio."""
        table = zip(*(row.figures.style_ratio for row in self.rows), strict=True)
        return tuple(median(ratios) for ratios in table)

    def tone(self) -> float:
        """Median over styles."""
        return median(row.figures.tone for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON data."""
        return asdict(self)


def evaluate(
    bank: Bundle,
    *,
    content: Path,
    styles: Path,
    side: int,
    count: int = PHOTOS,
    optimization: int = 0,
    device: str = "auto",
    vgg_weights: Path | str,
    perceptual: Perceptual | None = None,
    note: Callable[[str], None],
) -> Evaluation:
    """Measure every style of a bank whose images can be found.

    Args:
        bank: as read from its file.
        content: folder of photos. Of the folder that the bank was trained on, those are taken that were held back.
        styles: folder that holds the style images, nested; the drawn sets that come along are found without it.
        side: of the photos' centre squares, in pixels, divisible by 4.
        count: of photos.
        optimization: the most steps of per-image optimisation, for comparison; 0 for none.
        device: see `devices.choose_device`.
        vgg_weights: a VGG file, or "torchvision".
        perceptual: LPIPS and FID, if wanted.
        note: takes one line of text, such as a style that is skipped.

    Raises:
        StyleBankError: there are no photos, no style has its images, or VGG cannot be read.
    """
    bank, sets = with_images(bank, styles, note)
    target = choose_device(device)
    loss = bank.trained_with(Loss, "loss")
    check_layers(loss)
    photos = data.read_squares(unseen(bank, content), side, note, count=count).to(target)
    network = bank.build().to(target)
    features = vgg.load(vgg_weights).to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = Objective(features, loss, sets, photos, precision=torch.float32)
    has_branch = bank.network.is_bank
    psnr, ssim = metrics.reconstruction_figures(network, photos) if has_branch else (None, None)
    outputs = partial(metrics.one_pass, network, photos)
    rows = [
        _row(entry, objective, photos, outputs(style), style, optimization, perceptual)
        for style, entry in enumerate(bank.entries)
    ]
    return Evaluation(
        layers=loss.style_layers,
        photos=len(photos),
        side=side,
        rows=tuple(rows),
        psnr=psnr,
        ssim=ssim,
        seconds=_seconds(network, photos),
        optimization=optimization,
        artfid=_artfid(perceptual, rows, map(outputs, range(len(rows))), sets) if perceptual else None,
    )


def _row(
    entry: Entry,
    objective: Objective,
    photos: Tensor,
    outputs: Tensor,
    style: int,
    most: int,
    perceptual: Perceptual | None,
) -> Row:
    """One style's row; `most` is the limit of `optimization_steps`, 0 for not asked."""
    steps = math.inf
    if most:
        pairs = zip(photos.split(1), outputs.split(1), strict=True)
        steps = median(
            optimization_steps(objective, photo, output, style, most=most) for photo, output in pairs
        )
    return Row(
        name=entry.name,
        figures=metrics.output_figures(outputs, objective, photos, style),
        lpips=perceptual.lpips(outputs, photos) if perceptual else None,
        bytes=sum(tensor.nbytes for tensor in entry.tensors.values()),
        optimization=steps if math.isfinite(steps) else None,
    )


def optimization_steps(
    objective: Objective, photo: Tensor, output: Tensor, style: int, *, most: int
) -> float:
    """The L-BFGS steps from a photo (1, 3, H, W) until its loss is that of an output; infinity if more than `most`."""
    with torch.no_grad():
        goal = float(objective(output, objective.kept(photo), [style]).total)
    reached = math.inf

    def report(progress: Progress) -> bool:
        nonlocal reached
        if progress.total <= goal:
            reached = progress.step
        return progress.total > goal

    optimization.optimize(
        objective, photo, Settings(steps=most, coarse_to_fine=False), style=style, report=report
    )
    return reached


def with_images(bank: Bundle, folder: Path, note: Callable[[str], None]) -> tuple[Bundle, Sequence[StyleSet]]:
    """A bank of those entries whose style images are there, and these; the others are noted.

    Raises:
        StyleSetError: there is none.
    """
    found = []
    for entry in bank.entries:
        if entry.mixture:
            note(f"style '{entry.name}': is a mixture, which no image supervises; skipped")
            continue
        try:
            found.append((entry, entry.style.located(folder, resources.drawn_styles())))
        except StyleSetError as error:
            note(f"{error}; skipped")
    if not found:
        raise StyleSetError(
            f"{folder}: has the images of none of the bank's styles; name the folder that has them"
        )
    entries, sets = zip(*found, strict=True)
    return replace(bank, entries=entries), sets


def unseen(bank: Bundle, content: Path) -> list[Path]:
    """Photos of a folder; of one that the bank or a style of it was trained on, those that were held back.

    Raises:
        ContentError: the folder is missing or holds no image.
    """
    photos = folders.find_photos(content)
    report = bank.trained_with(Report, "report")
    known = {bank.training.get("photos"), *(entry.recipe.get("photos") for entry in bank.entries)}
    for count in dict.fromkeys((report.held_back, PHOTOS)):  # of the joint training, and of added styles
        trained, held_back = data.hold_back(photos, content, count)
        if held_back and data.digest(trained, content) in known:
            return held_back
    return photos


def _seconds(network: StyleBankNetwork, photos: Tensor) -> float:
    """Median time to stylize one photo; the first, which warms up, does not count."""
    times = []
    for photo in [photos[:1], *photos.split(1)]:
        start = time.perf_counter()
        metrics.one_pass(network, photo, 0).cpu()
        times.append(time.perf_counter() - start)
    return median(times[1:])


def _artfid(
    perceptual: Perceptual, rows: Sequence[Row], outputs: Iterable[Tensor], sets: Sequence[StyleSet]
) -> float | None:
    fid = perceptual.fid((image.load() for style in sets for image in style.layers), outputs)
    lpips = sum(row.lpips or 0.0 for row in rows) / len(rows)
    return None if fid is None else (1 + lpips) * (1 + fid)

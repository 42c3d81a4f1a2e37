"""What fusion costs against painting in one style: mixtures, strength, regions in the three modes."""

import itertools
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from stylebank import StyleBank
from stylebank.bank import bundle
from stylebank.bank.mixture import Mix
from stylebank.engines.choice import Computing
from stylebank.files import resources
from stylebank.machine import devices
from stylebank.machine.memory import Tiling
from stylebank.painting.fusion import Mode
from stylebank.pixels import images, resampling
from stylebank.pixels.masks import Mask

if TYPE_CHECKING:
    from PIL.Image import Image

Job = Callable[[], "Image"]


def main(
    size: Annotated[int, typer.Option(help="Long side of the photo, in pixels.")] = 512,
    rounds: Annotated[int, typer.Option(min=1, help="Of all, one after another; the median counts.")] = 9,
    engine: Annotated[str, typer.Option(help="auto, openvino, onnx or torch.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    path: Annotated[
        Path | None, typer.Option("--bank", help="A bank; else the one that comes along.")
    ] = None,
) -> None:
    """Milliseconds of each kind of fusion, and its ratio to one style, in one run."""
    computing = Computing(engine, precision, device)
    bank = StyleBank(bundle.read(path or resources.shipped_bank()), computing=computing, tiling=Tiling("off"))
    photo = resampling.fitted(images.read(resources.photos_folder() / "coffee.jpg"), long_side=size)
    names = bank.styles
    typer.echo(
        f"{computing.choose()}, {precision}, {bank.stages.device_type}, {devices.cores()} threads, "
        f"{photo.width} x {photo.height} px"
    )

    def stripes(count: int, mode: Mode) -> Job:
        edges = [photo.width * i // count for i in range(count + 1)]
        regions: list[tuple[Mask, Mix]] = []
        for place, (left, right) in enumerate(itertools.pairwise(edges)):
            mask = np.zeros((photo.height, photo.width), np.float32)
            mask[:, left:right] = 1
            regions.append((mask, names[place % len(names)]))
        return lambda: bank.fuse(photo, regions, mode=mode)

    canvas = bank.open(photo)
    jobs: dict[str, Job] = {
        "one style": lambda: bank.stylize(photo, names[0]),
        "encoded before": lambda: canvas.stylize(names[0]),
    }
    for count in (2, 4, 8):
        mixture = dict.fromkeys(names[:count], 1.0)
        jobs[f"mixture of {count}"] = partial(bank.stylize, photo, mixture)
    for stroke in (2, 4):
        jobs[f"stroke {stroke}"] = partial(bank.stylize, photo, names[0], stroke=stroke)
    jobs["strength 0.5"] = lambda: bank.stylize(photo, names[0], strength=0.5)
    for count in (2, 5):
        for mode in ("exact", "region", "paper"):
            jobs[f"{count} regions, {mode}"] = stripes(count, mode)
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):  # the first round warms up
        # In another order each round: how fast a job runs depends on the one before it.
        for name in random.Random(turn).sample(list(jobs), len(jobs)):
            start = time.perf_counter()
            jobs[name]()
            times[name].append(time.perf_counter() - start)
    base = times["one style"][1:]
    for name, found in times.items():
        ratio = median(a / b for a, b in zip(found[1:], base, strict=True))
        typer.echo(f"{name:20} {1000 * median(found[1:]):8.1f} ms {ratio:7.2f} x")

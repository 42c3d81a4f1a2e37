"""How fast a folder of photos is painted: a photo for each core, against loops over the photos."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer

from stylebank import StyleBank
from stylebank.bank import bundle
from stylebank.batch import running
from stylebank.batch.planning import Job
from stylebank.engines.choice import Computing
from stylebank.files import resources
from stylebank.machine import devices
from stylebank.pixels import folders, images, resampling


def main(
    content: Annotated[
        Path | None, typer.Option(help="Folder of photos. [default: those that come along]")
    ] = None,
    count: Annotated[int, typer.Option(min=2, help="Photos; fewer are taken several times.")] = 24,
    size: Annotated[int, typer.Option(help="Sides that they are cut to, in pixels.")] = 512,
    rounds: Annotated[int, typer.Option(min=1, help="Of all, one after another; the median counts.")] = 5,
    engine: Annotated[str, typer.Option(help="auto, openvino, onnx or torch.")] = "auto",
) -> None:
    """Photos a second by a loop over `StyleBank.stylize`, by PyTorch and by an engine, and as the command does it."""
    bank, asked = bundle.read(resources.shipped_bank()), Computing(engine, device="cpu")
    chosen, workers, style = asked.choose(), min(devices.cores(), count), bank.names[0]
    plain = StyleBank(bank, computing=replace(asked, engine="torch"))
    alone = StyleBank(bank, computing=asked)
    together = StyleBank(bank, computing=asked, workers=workers)
    with tempfile.TemporaryDirectory() as scratch:
        photos = _cut(content or resources.photos_folder(), Path(scratch) / "photos", count, size)
        for suffix in (".png", ".jpg"):
            jobs = [Job(photo, Path(scratch) / "pictures" / f"{photo.stem}{suffix}") for photo in photos]

            def loop(painter: StyleBank, jobs: list[Job] = jobs) -> None:
                torch.set_num_threads(devices.cores())
                for job in jobs:
                    images.save(job.picture, painter.stylize(images.read(job.photo), style))

            def crowd(jobs: list[Job] = jobs) -> None:
                torch.set_num_threads(max(1, devices.cores() // workers))
                running.run(
                    jobs,
                    lambda photos, _: together.stylize_all(photos, style),
                    workers=workers,
                    together=together.stages.together,
                    report=lambda _: None,
                )

            runs: dict[str, Callable[[], None]] = {
                "loop, torch": partial(loop, plain),
                f"loop, {chosen}": partial(loop, alone),
                f"batch, {chosen}": crowd,
            }
            rows = [[_seconds(run) for run in runs.values()] for _ in range(rounds + 1)][1:]
            for column, name in enumerate(runs):
                rate = count / median(row[column] for row in rows)
                ratio = median(row[0] / row[column] for row in rows)
                typer.echo(f"{size} px, {suffix}  {name:24} {rate:6.1f} photos/s {ratio:6.2f} x")


def _seconds(job: Callable[[], None]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def _cut(source: Path, target: Path, count: int, size: int) -> list[Path]:
    """Centre squares of photos as JPEG files."""
    found = folders.find_photos(source)
    paths = []
    for number in range(count):
        photo = images.read(found[number % len(found)])
        side = min(photo.size)
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        square = resampling.resized(photo, size=(size, size), box=(left, top, left + side, top + side))
        paths.append(target / f"{number}.jpg")
        images.save(paths[-1], square)
    return paths

"""How fast a folder of photos is painted: a photo for each core, against loops over the photos."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer

from stylebank import StyleBank
from stylebank.bank import bundle, mixture
from stylebank.batch import crew, planning
from stylebank.batch.planning import Job
from stylebank.engines import choice
from stylebank.engines.choice import Work
from stylebank.files import resources
from stylebank.pixels import images


def main(
    content: Annotated[
        Path | None, typer.Option(help="Folder of photos. [default: those that come along]")
    ] = None,
    count: Annotated[int, typer.Option(min=2, help="Photos; fewer are taken several times.")] = 24,
    size: Annotated[int, typer.Option(help="Sides that they are cut to, in pixels.")] = 512,
    rounds: Annotated[int, typer.Option(min=1, help="Of all, one after another; the median counts.")] = 5,
    engine: Annotated[str, typer.Option(help="auto, openvino, onnx or torch.")] = "auto",
) -> None:
    """Photos a second by a loop over `StyleBank.stylize`, by one over an engine, and as `stylebank stylize` does it."""
    bank = bundle.read(resources.default_bank())
    chosen = choice.choose(engine, device="cpu")
    work = Work(bank, mixture.parse(bank.names[0]), device="cpu")
    alone = choice.painter(chosen, Work(bank, work.mixture, threads=choice.cores(), device="cpu"))
    hands = crew.gather(chosen, work, photos=count)
    plain = StyleBank(bank, device="cpu")
    with tempfile.TemporaryDirectory() as scratch:
        photos = _cut(content or resources.photos_folder(), Path(scratch) / "photos", count, size)
        for suffix in (".png", ".jpg"):
            jobs = [Job(photo, Path(scratch) / "pictures" / f"{photo.stem}{suffix}") for photo in photos]

            def user(jobs: list[Job] = jobs) -> None:
                torch.set_num_threads(choice.cores())
                for job in jobs:
                    images.save(job.picture, plain.stylize(images.read(job.photo), bank.names[0]))

            def loop(jobs: list[Job] = jobs) -> None:
                for job in jobs:
                    pixels = alone(images.to_pixels(images.read(job.photo))[None])[0]
                    images.save(job.picture, images.from_pixels(pixels))

            def crowd(jobs: list[Job] = jobs) -> None:
                torch.set_num_threads(1)
                planning.run(
                    jobs, hands.paint, workers=hands.workers, together=hands.together, report=lambda _: None
                )

            rows = [(_seconds(user), _seconds(loop), _seconds(crowd)) for _ in range(rounds + 1)][1:]
            for name, column in (
                ("StyleBank.stylize", 0),
                (f"loop, {chosen}", 1),
                (f"batch.run, {chosen}", 2),
            ):
                rate = count / median(row[column] for row in rows)
                ratio = median(row[0] / row[column] for row in rows)
                typer.echo(f"{size} px, {suffix}  {name:24} {rate:6.1f} photos/s {ratio:6.2f} x")


def _seconds(job: Callable[[], None]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def _cut(source: Path, target: Path, count: int, size: int) -> list[Path]:
    """Centre squares of photos as JPEG files."""
    found = images.find_photos(source)
    paths = []
    for number in range(count):
        photo = images.read(found[number % len(found)])
        side = min(photo.size)
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        square = images.resized(photo, size=(size, size), box=(left, top, left + side, top + side))
        paths.append(target / f"{number}.jpg")
        images.save(paths[-1], square)
    return paths

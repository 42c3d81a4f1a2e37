"""What painting in tiles costs against painting whole: seconds, memory, and how many subpixels come out otherwise."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from stylebank.engines.choice import Computing
from stylebank.files import resources
from stylebank.machine import devices
from stylebank.pixels import images, resampling

_NAIVE = """
import sys
from stylebank.cli import app
from stylebank.painting import passes
def trace(self, part, source, **_):
    return [], self.keep(self.run(part, source))
passes.Passes.trace = trace
app.main(sys.argv[1:])
"""
"""The control: every norm by the statistics of its own tile."""


def main(
    megapixels: Annotated[list[float], typer.Option(help="Of the photos. May be repeated.")] = [1, 4, 12],  # noqa: B006
    tile: Annotated[list[int], typer.Option(help="Sides of tiles. May be repeated.")] = [256, 512, 1024],  # noqa: B006
    style: Annotated[str, typer.Option(help="Of the bank.")] = "van_gogh_starry_night",
    bank: Annotated[Path | None, typer.Option(help="A bank; else the one that comes along.")] = None,
    stroke: Annotated[float, typer.Option(help="From 0.25 to 8: larger ones take more passes.")] = 1.0,
    only_tiled: Annotated[
        bool, typer.Option("--only-tiled", help="Of photos too large to paint whole.")
    ] = False,
    engine: Annotated[str, typer.Option(help="auto, openvino, onnx or torch; in float32.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "cpu",
) -> None:
    """Each line is one `stylebank stylize` in a process of its own, reading and writing included."""
    typer.echo(f"engine {Computing(engine, 'float32', device).choose()}, {devices.cores()} cores\n")
    typer.echo("| megapixels | tiles | seconds | against whole | peak GiB | subpixels off | by at most |")
    typer.echo("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for count in megapixels:
            photo, whole = Path(folder, "photo.png"), Path(folder, "whole.png")
            _draw(count).save(photo)
            base = ["stylize", str(photo), "--style", style, "--device", device, "--stroke", str(stroke)]
            base += ["--bank", str(bank)] if bank else []
            base += ["--engine", engine, "--precision", "float32"]

            def row(name: str, program: list[str], target: Path, tile: str) -> tuple[str, float, str]:
                seconds, peak = _measured([*program, *base, "--tile", tile, "-o", str(target)])  # noqa: B023
                return f"| {count:g} | {name} | {seconds:.1f}", seconds, f"{peak:.2f}"  # noqa: B023

            module, alone = ["-m", "stylebank"], 0.0
            if not only_tiled:
                start, alone, peak = row("whole", module, whole, "off")
                typer.echo(f"{start} | 1 | {peak} | | |")
            runs = [(str(side), module, str(side)) for side in tile]
            for name, program, side in [*runs, ("512, naive", ["-c", _NAIVE], "512")]:
                target = Path(folder, "tiled.png")
                start, seconds, peak = row(name, program, target, side)
                ratio, off, most = "", "", ""
                if alone:
                    share, worst = _differences(whole, target)
                    ratio, off, most = f"{seconds / alone:.2f}", f"{share:.1e}", str(worst)
                typer.echo(f"{start} | {ratio} | {peak} | {off} | {most} |")


def _draw(megapixels: float) -> Image.Image:
    """A photo enlarged to an odd size, with the grain of a sensor."""
    photo = images.read(resources.photos_folder() / "coffee.jpg")
    scale = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
    size = (int(photo.height * scale) // 2 * 2 + 1, int(photo.width * scale) // 2 * 2 + 1)
    large, random = resampling.resized(photo, size=size), np.random.default_rng(0)
    for top in range(0, large.height, 512):
        box = (0, top, large.width, min(top + 512, large.height))
        part = np.asarray(large.crop(box), np.int16)
        part = part + random.integers(-12, 13, part.shape, np.int16)
        large.paste(Image.fromarray(part.clip(0, 255).astype(np.uint8)), box)
    return large


def _measured(arguments: list[str]) -> tuple[float, float]:
    """Seconds that a Python process takes, and the most memory, in GiB, that it holds."""
    # Of children waited for, the system keeps only the largest: so each has a parent of its own.
    watch = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:], stdout=sys.stderr); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    start = time.perf_counter()
    command = [sys.executable, "-c", watch, sys.executable, *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
    if found.returncode:
        raise SystemExit(found.stderr)
    return time.perf_counter() - start, int(found.stdout) / 2**20


def _differences(one: Path, other: Path) -> tuple[float, int]:
    """Share of subpixels that differ, and by how many levels at most."""
    found = np.abs(np.asarray(Image.open(one), np.int16) - np.asarray(Image.open(other), np.int16))
    return float((found > 0).mean()), int(found.max())

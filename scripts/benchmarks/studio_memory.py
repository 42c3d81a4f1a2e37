"""What memory the studio takes over many photos, looked at and painted, and whether it gives it back."""

import io
import json
import time
from typing import Annotated

import numpy as np
import psutil
import typer
from PIL import Image

from benchmarks.studio import Studio
from stylebank.files import resources
from stylebank.pixels import images

_SIZES = ((640, 480), (1600, 1200), (3000, 2000), (4242, 2828), (2400, 3600))
_EVERY = 10  # photos after which there is a row; of as many one is painted at full size


def main(
    photos: Annotated[int, typer.Option(min=1, help="That are sent, looked at, and some painted.")] = 200,
    most: Annotated[float, typer.Option(help="Gigabytes at the end, from which on it fails.")] = 3.0,
) -> None:
    """Gigabytes that the studio has after each ten photos, at rest at the end, and the most that it had."""
    studio, seed = Studio(["--bank", "shipped"]), np.random.default_rng(0)
    try:
        names = [style["name"] for style in json.loads(studio.ask("api/styles")[0])]
        program = psutil.Process(studio.number)
        typer.echo(f"{'photos':>8} {'GB':>8} {'most GB':>8} {'seconds':>8}")
        highest, begun = 0.0, time.perf_counter()
        for place in range(photos):
            _look(studio, place, names, seed)
            held = program.memory_info().rss / 1e9
            highest = max(highest, held)
            if place % _EVERY == _EVERY - 1:
                typer.echo(f"{place + 1:8} {held:8.2f} {highest:8.2f} {time.perf_counter() - begun:8.0f}")
        time.sleep(15)
        held = program.memory_info().rss / 1e9
        typer.echo(f"{'at rest':>8} {held:8.2f} {highest:8.2f}")
    finally:
        studio.close()
    if held > most:
        raise typer.Exit(1)


def _look(studio: Studio, place: int, names: list[str], seed: np.random.Generator) -> None:
    """Send a photo, look at it small, large, by areas and closely; paint one of ten."""
    width, height = _SIZES[place % len(_SIZES)]
    identity = json.loads(studio.ask(f"api/photos?name={place}.jpg", _photo(width, height, seed))[0])["id"]
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(255) * (np.arange(width // 4) < width // 8)[None].repeat(height // 4, 0)).save(
        buffer, "PNG"
    )
    mask = json.loads(studio.ask(f"api/photos/{identity}/masks", buffer.getvalue())[0])["mask"]
    style = {"style": names[place % len(names)]}
    areas = style | {"regions": [{"mask": mask, "style": names[(place + 1) % len(names)]}]}
    window = [width // 4, height // 4, min(900, width // 2), min(600, height // 2)]
    orders = [{"recipe": style, "side": 512}, {"recipe": style, "side": 1024}, {"recipe": areas, "side": 512}]
    orders += [{"recipe": areas, "side": 1024}] if place % 4 == 0 else []
    orders += [{"recipe": style, "window": window}] if place % 4 == 1 else []
    for order in orders:
        studio.ask(f"api/photos/{identity}/preview", json.dumps(order).encode())
    if place % _EVERY == 3:
        order = {"recipe": style, "format": ".jpg"}
        job = json.loads(studio.ask(f"api/photos/{identity}/renders", json.dumps(order).encode())[0])["job"]
        studio.ask(f"api/jobs/{job}/events")
        studio.ask(f"api/jobs/{job}/result")


def _photo(width: int, height: int, seed: np.random.Generator) -> bytes:
    photo = images.read(resources.photos_folder() / "coffee.jpg").resize((width, height))
    photo.putpixel((0, 0), tuple(int(x) for x in seed.integers(0, 256, 3)))  # another each time
    buffer = io.BytesIO()
    photo.rotate(float(seed.uniform(0, 360))).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()

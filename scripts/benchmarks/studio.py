"""How long the studio lets somebody wait: for its page, for thumbnails, for a preview after a slider has moved."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from stylebank.files import resources
from stylebank.machine import devices
from stylebank.pixels import encoding, images, resampling


class Studio:
    """The program as somebody starts it, asked through its port.

    Args:
        options: of the command.
    """

    def __init__(self, options: list[str]) -> None:
        self._begun = time.perf_counter()
        words = [sys.executable, "-m", "stylebank", "studio", "--no-browser", *options]
        self._program = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)  # noqa: S603
        assert self._program.stdout
        self.number = self._program.pid
        self._base, _, self._token = self._program.stdout.readline().strip().partition("#token=")

    def since(self) -> float:
        """Seconds since the command was given."""
        return time.perf_counter() - self._begun

    def ask(self, path: str, body: bytes | None = None) -> tuple[bytes, Any]:
        """Body and headers of an answer."""
        asked = urllib.request.Request(self._base + path, body, {"X-StyleBank-Token": self._token})  # noqa: S310
        with urllib.request.urlopen(asked) as answer:  # noqa: S310
            return answer.read(), answer.headers

    def close(self) -> None:
        """End it."""
        self._program.terminate()
        self._program.wait()


def main(
    photo: Annotated[
        Path | None, typer.Argument(help="A photo; else one that comes along, at 12 megapixels.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Of each; the median counts.")] = 9,
    engine: Annotated[str, typer.Option(help="auto, openvino, onnx or torch.")] = "auto",
) -> None:
    """Seconds from the command to the page, of all thumbnails, and milliseconds from a slider to its preview."""
    data = photo.read_bytes() if photo else _large()
    typer.echo(f"{devices.cores()} cores, a photo of {len(data) / 1e6:.1f} MB")
    starts: list[tuple[float, float]] = []
    for place in range(3):
        studio = Studio(["--bank", "shipped", "--engine", engine])
        studio.ask("")
        page = studio.since()
        studio.ask("api/state")
        starts.append((page, studio.since()))
        if place < 2:
            studio.close()
    pages, banks = zip(*starts, strict=True)
    typer.echo(f"{'page is there':32} {median(pages):8.2f} s")
    typer.echo(f"{'bank is read':32} {median(banks):8.2f} s")
    try:
        _measure(studio, data, rounds)
    finally:
        studio.close()


def _large() -> bytes:
    photo = images.read(resources.photos_folder() / "coffee.jpg")
    return encoding.encode(resampling.resized(photo, size=(2828, 4242)), ".jpg")


def _measure(studio: Studio, data: bytes, rounds: int) -> None:
    begun = time.perf_counter()
    identity = json.loads(studio.ask("api/photos?name=photo", data)[0])["id"]
    typer.echo(f"{'photo is taken in':32} {time.perf_counter() - begun:8.2f} s")
    names = [style["name"] for style in json.loads(studio.ask("api/styles")[0])]
    begun = time.perf_counter()
    studio.ask(f"api/photos/{identity}/thumbnails?side=192")
    typer.echo(f"{f'thumbnails of {len(names)} styles':32} {time.perf_counter() - begun:8.2f} s")
    number = 0

    def preview(side: int, **recipe: object) -> float:
        nonlocal number
        number += 1
        body = {"recipe": {"style": names[0]} | recipe, "side": side, "client": "bench", "number": number}
        begun = time.perf_counter()
        studio.ask(f"api/photos/{identity}/preview", json.dumps(body).encode())
        return 1000 * (time.perf_counter() - begun)

    for side in (512, 1024):
        preview(side)
        kinds: dict[str, list[float]] = {"another style": [], "another mixture": [], "another strength": []}
        for place in range(rounds):
            share = round(0.2 + 0.6 * place / rounds, 3)
            kinds["another style"].append(preview(side, style=names[place % len(names)]))
            kinds["another mixture"].append(
                preview(side, style=f"{names[0]}:{share}+{names[1]}:{1 - share:.3f}")
            )
            kinds["another strength"].append(preview(side, strength=share))
        for kind, found in kinds.items():
            typer.echo(f"{f'{side} px, {kind}':32} {median(found):8.0f} ms")

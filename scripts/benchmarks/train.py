"""Training speed against a plain transcription of the published loop."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image

from benchmarks.plain_loop import PlainLoop
from stylebank import config, data, resources, styleset, vgg
from stylebank.algorithm import Trainer
from stylebank.config import Config, Loss, Network, Report, Training
from stylebank.devices import choose_precision
from stylebank.objective import Objective
from stylebank.styleset import StyleSet

SETS = ("hatching", "mosaic", "flow_field", "paper_cut")
WIDTH = 32


def main(
    content: Annotated[Path | None, typer.Option(help="Folder of photos. [default: drawn noise]")] = None,
    crop: Annotated[int, typer.Option(help="Side of the crops, in pixels.")] = 256,
    batch: Annotated[int, typer.Option(help="Crops per iteration.")] = 4,
    blocks: Annotated[int, typer.Option(help="Blocks measured of each, alternating.")] = 5,
) -> None:
    """Seconds per iteration and images per second: this project against the plain loop, on the CPU."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = content or _draw_photos(Path(scratch))
        _measure(data.find_photos(folder)[:200], crop, batch, blocks)


def _measure(photos: list[Path], crop: int, batch: int, blocks: int) -> None:
    styles = [_one_image(name) for name in SETS]
    pictures = [style.layers[0].load() for style in styles]
    unstyled = data.read_squares(photos[:8], crop, typer.echo)
    device = torch.device("cpu")
    native = choose_precision("auto", device)

    def ours(precision: torch.dtype) -> Trainer:
        network = vgg.load(resources.vgg_weights()).to(memory_format=torch.channels_last)
        goal = Objective(network, Loss(), styles, unstyled, precision=precision)
        stream = data.ContentStream(photos, crop=crop, batch=batch, zoom=1.5, seed=0, report=typer.echo)
        setup = Config(Network(width=WIDTH), Training(crop=crop, batch=batch), Loss(), Report(), ())
        return Trainer(setup, stream, goal, device=device, precision=precision)

    fast, exact = ours(native), ours(torch.float32)
    plain = PlainLoop(
        exact.network,
        vgg.load(resources.vgg_weights()),
        Loss(),
        pictures,
        exact.objective.unstyled,
        photos=photos,
        width=WIDTH,
        crop=crop,
        batch=batch,
    )
    _check_equal_work(exact, plain, unstyled[:batch])
    rows: dict[str, Callable[[], None]] = {
        "plain loop, float32": plain.step,
        "stylebank, float32": exact.advance,
        f"stylebank, {native}".replace("torch.", ""): fast.advance,
    }
    seconds = _alternate(rows, blocks)
    typer.echo(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, crops of {crop} px, batch {batch}, "
        f"{len(styles)} styles, {blocks} blocks of 3 iterations each; median, and the ratio's range over blocks"
    )
    typer.echo(f"{'':24}  s/iteration  images/s  times the plain loop")
    base = seconds["plain loop, float32"]
    for name, times in seconds.items():
        ratios = sorted(b / t for b, t in zip(base, times, strict=True))
        typer.echo(
            f"{name:24}  {median(times):11.3f}  {batch / median(times):8.2f}  "
            f"{median(ratios):.2f}  ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def _alternate(steps: dict[str, Callable[[], None]], blocks: int) -> dict[str, list[float]]:
    """Seconds per iteration of each, block by block in turns: a busy machine slows all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for block in range(blocks + 1):  # the first one warms up
        for name, step in steps.items():
            started = time.perf_counter()
            for _ in range(3):  # a whole cycle of T + 1
                step()
            if block:
                seconds[name].append((time.perf_counter() - started) / 3)
    return seconds


def _check_equal_work(trainer: Trainer, plain: PlainLoop, photos: torch.Tensor) -> None:
    """Both must find the same loss on the same batch, or the comparison is of different things."""
    styles = [place % len(SETS) for place in range(len(photos))]
    with torch.no_grad():
        features = trainer.objective.content_features(photos)
        one = float(trainer.objective(trainer.network.stylize(photos, styles), features, styles).total)
        two = float(plain.stylizing_loss(photos, styles))
    if abs(one / two - 1) > 0.01:
        raise SystemExit(f"bench train: the two losses differ, {one} and {two}: not equal work")
    typer.echo(f"loss of one batch: {one:.5f} here, {two:.5f} in the plain loop")


def _one_image(name: str) -> StyleSet:
    """The middle image of a drawn set, at all five layers: what a plain loop can do too."""
    folder = Path(__file__).resolve().parents[2] / "configs" / "styles"
    style = config.Style(name=name, image=f"{name}/3_relu3_1.png", size=400, folder=str(folder))
    return styleset.resolve(style, Loss().style_layers, Loss().layer_weights)


def _draw_photos(folder: Path) -> Path:
    """Smooth noise as JPEG files of a photo's size."""
    random = np.random.default_rng(0)
    for place in range(24):
        small = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(small).resize((480, 360), Image.Resampling.BICUBIC).save(folder / f"{place}.jpg")
    return folder

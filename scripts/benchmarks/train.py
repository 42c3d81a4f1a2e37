"""Training speed against a plain transcription of the published loop."""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image

from benchmarks.plain_loop import PlainLoop
from stylebank import config
from stylebank.config import Config, Loss, Network, Report, Training
from stylebank.files import resources
from stylebank.machine.devices import choose_precision
from stylebank.pixels import folders
from stylebank.supervision import losses, styleset, vgg
from stylebank.supervision.objective import Objective
from stylebank.supervision.styleset import StyleSet
from stylebank.training import data
from stylebank.training.algorithm import Trainer
from stylebank.training.data import ContentStream

PAINTINGS = tuple(
    f"{style}/{image}"
    for image in ("3_relu3_1", "1_relu1_1", "2_relu2_1", "4_relu4_1", "5_relu5_1")
    for style in ("hatching", "mosaic", "flow_field", "paper_cut")
)
WIDTH = 32
CYCLE = Training().stylizing_steps + 1


def main(
    content: Annotated[Path | None, typer.Option(help="Folder of photos. [default: drawn noise]")] = None,
    crop: Annotated[int, typer.Option(help="Side of crops and style images, in pixels.")] = 256,
    batch: Annotated[int, typer.Option(min=1, help="Crops per iteration.")] = 4,
    iterations: Annotated[int, typer.Option(min=1, help=f"Of each; rounded up to blocks of {CYCLE}.")] = 15,
    styles: Annotated[int, typer.Option(min=1, max=len(PAINTINGS), help="Paintings to learn.")] = 4,
) -> None:
    """Seconds per iteration and images per second: this project against the plain loop, on the CPU."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = content or _draw_photos(Path(scratch))
        photos = folders.find_photos(folder)[:200]
        _measure(photos, crop=crop, batch=batch, blocks=-(-iterations // CYCLE), paintings=PAINTINGS[:styles])


def _measure(photos: list[Path], *, crop: int, batch: int, blocks: int, paintings: Sequence[str]) -> None:
    styles = [_painting(name, crop) for name in paintings]
    unstyled = data.read_squares(photos[: max(8, batch)], crop, typer.echo)
    device = torch.device("cpu")
    native = choose_precision("auto", device)
    # What the plain loop does: the paper's algorithm and losses.
    network = Network(width=WIDTH, blocks=0, outer_kernel=9)
    training = Training(crop=crop, batch=batch, grain=0.0, revisions=0.0)
    paper = Loss(far=0.0, empty=0.0, peaks=0.0, tone=0.0, color=0.0, seams=0.0, weave=0.0)
    setup = Config(network, training, paper, Report(), ())

    def ours(precision: torch.dtype) -> tuple[Trainer, ContentStream]:
        network = vgg.load(resources.vgg_weights()).to(memory_format=torch.channels_last)
        goal = Objective(network, setup.loss, styles, unstyled, precision=precision)
        zoom, seed = setup.training.zoom, setup.training.seed
        stream = ContentStream(photos, crop=crop, batch=batch, zoom=zoom, seed=seed, report=typer.echo)
        return Trainer(setup, stream, goal, device=device, precision=precision), stream

    def plain(output_passes: int) -> PlainLoop:
        return PlainLoop(
            exact.network,
            vgg.load(resources.vgg_weights()),
            setup.loss,
            [style.layers[0].load() for style in styles],
            exact.objective.unstyled,
            photos=photos,
            width=WIDTH,
            crop=crop,
            batch=batch,
            output_passes=output_passes,
        )

    exact, exact_stream = ours(torch.float32)
    once, twice = plain(1), plain(2)
    for loop in (once, twice):
        _check_equal_work(exact, loop, unstyled[:batch], len(styles))
    rows = {
        "plain loop, float32": lambda: _plain_cycle(once),
        "  output twice in VGG": lambda: _plain_cycle(twice),
        "stylebank, float32": lambda: _our_cycle(exact, exact_stream),
    }
    if native != torch.float32:
        fast, fast_stream = ours(native)
        rows[f"stylebank, {native}".replace("torch.", "")] = lambda: _our_cycle(fast, fast_stream)
    typer.echo(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, crops of {crop} px, batch {batch}, "
        f"{len(styles)} styles, {len(photos)} photos, {blocks} blocks of {CYCLE} iterations of each in turns; "
        "median, and the range of the ratio over blocks"
    )
    _print_table(_alternate(rows, blocks), batch)


def _print_table(seconds: dict[str, list[float]], batch: int) -> None:
    once, twice, *_ = seconds.values()
    typer.echo(
        f"{'':22} {'s/iteration':>12} {'images/s':>9}  {'times the plain loop':22}times with output twice"
    )
    for name, times in seconds.items():
        figures = f"{median(times):12.3f} {batch / median(times):9.2f}"
        typer.echo(f"{name:22} {figures}  {_ratio(once, times):22}{_ratio(twice, times)}")


def _ratio(base: Sequence[float], times: Sequence[float]) -> str:
    ratios = sorted(b / t for b, t in zip(base, times, strict=True))
    return f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def _plain_cycle(loop: PlainLoop) -> None:
    for _ in range(CYCLE):
        loop.step()


def _our_cycle(trainer: Trainer, stream: ContentStream) -> None:
    for _ in range(CYCLE):
        trainer.advance()
    # What it decodes ahead is paid here, not by whoever is measured next.
    wait(stream._pending.values())


def _alternate(cycles: dict[str, Callable[[], None]], blocks: int) -> dict[str, list[float]]:
    """Seconds per iteration of each, block by block in turns: a busy machine slows all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in cycles}
    for block in range(blocks + 1):  # the first one warms up
        for name, cycle in cycles.items():
            started = time.perf_counter()
            cycle()
            if block:
                seconds[name].append((time.perf_counter() - started) / CYCLE)
    return seconds


def _check_equal_work(trainer: Trainer, plain: PlainLoop, photos: torch.Tensor, styles: int) -> None:
    """Both must find the same losses on the same batch, or the comparison is of different things."""
    drawn = [place % styles for place in range(len(photos))]
    network, objective = trainer.network, trainer.objective
    with torch.no_grad():
        features = objective.kept(photos)
        pairs = {
            "stylizing": (
                float(objective(network.stylize(photos, drawn), features, drawn).total),
                float(plain.stylizing_loss(photos, drawn)),
            ),
            "auto-encoder": (
                float(losses.identity_distance(network.reconstruct(photos), photos).mean()),
                float(plain.identity_loss(photos)),
            ),
        }
    for name, (one, two) in pairs.items():
        if not abs(one / two - 1) <= 0.01:  # a NaN is no agreement
            raise SystemExit(f"bench train: the {name} losses differ, {one} and {two}: not equal work")
        typer.echo(f"{name} loss of one batch: {one:.5f} here, {two:.5f} in the plain loop")


def _painting(name: str, side: int) -> StyleSet:
    """One image of a drawn set, at all five layers and of the crops' size: what a plain loop can do too."""
    folder = Path(__file__).resolve().parents[2] / "configs" / "styles"
    style = config.Style(name=name.replace("/", "-"), image=f"{name}.png", size=side, folder=str(folder))
    return styleset.resolve(style, Loss().style_layers, Loss().layer_weights)


def _draw_photos(folder: Path) -> Path:
    """Smooth noise as JPEG files of a photo's size."""
    random = np.random.default_rng(0)
    for place in range(24):
        small = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(small).resize((480, 360), Image.Resampling.BICUBIC).save(folder / f"{place}.jpg")
    return folder

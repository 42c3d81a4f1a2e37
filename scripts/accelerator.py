"""Train a bank on a machine that is lent for minutes: pack here what it needs, train there in slices that continue.

    python scripts/accelerator.py pack --styles FOLDER --content PHOTOS --list photos.txt --out .pack
    python scripts/accelerator.py train .pack --run RUN --out bank.safetensors --minutes 9   # there; again continues

A pack holds photos at training size and, without loss, the images that supervise the styles: a hundredth of what they
were made of. A bank that is trained from it names the original files. The number of steps is set by the clock: a few
steps tell how long one takes, so that the learning rate has fallen when the time is over.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from stylebank import config
from stylebank.bank import bundle
from stylebank.config import Config, Style
from stylebank.files import resources
from stylebank.files.atomic import write_atomically
from stylebank.machine.devices import choose_device
from stylebank.persistence.session import Callbacks
from stylebank.pixels import folders, images, resampling
from stylebank.pixels.encoding import Encoding
from stylebank.supervision import styleset
from stylebank.supervision.styleset import LayerImage, StyleSet
from stylebank.training import data, joint
from stylebank.training.algorithm import Trainer
from stylebank.training.material import gather

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "release.toml"

_PROBE = 140  # steps that tell how long one takes
_WARM = 60  # of them, in which photos are read for the first time
_REVISIONS_COST = 1.15  # a run with revisions against its first steps, which have none; measured

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Packed(LayerImage):
    """A supervising image whose pixels lie in a pack."""

    def load(self) -> torch.Tensor:
        """See `LayerImage`."""
        assert self.path
        return images.load(self.path)


@app.command()
def pack(
    styles: Annotated[Path, typer.Option(help="Folder that holds the paintings which the config names.")],
    content: Annotated[Path, typer.Option(help="Folder of photos.")],
    out: Annotated[Path, typer.Option(help="Folder for the pack.")] = Path(".pack"),
    listed: Annotated[Path | None, typer.Option("--list", help="Photos, a path in --content a line.")] = None,
    experiment: Annotated[Path, typer.Option("--config", help="The experiment.")] = CONFIG,
    quality: Annotated[int, typer.Option(help="Of photos, WebP.")] = 55,
) -> None:
    """Write what a training needs into one small folder."""
    wanted = config.read(experiment, styles_folder=styles)
    (out / "photos").mkdir(parents=True, exist_ok=True)
    (out / "sets").mkdir(exist_ok=True)
    short = round(wanted.training.crop * wanted.training.zoom)
    photos = (
        [content / line for line in listed.read_text("utf-8").split("\n") if line]
        if listed
        else folders.find_photos(content)
    )
    for photo in photos:
        image = images.read(photo)
        scale = min(1.0, short / min(image.size))
        width, height = (round(length * scale) for length in image.size)
        name = "_".join(photo.relative_to(content).with_suffix(".webp").parts)
        images.save(
            out / "photos" / name, resampling.resized(image, size=(height, width)), Encoding(quality=quality)
        )
    known: dict[LayerImage, str] = {}
    sets = {}
    for style in wanted.styles:
        found = styleset.resolve(style, wanted.loss.style_layers, wanted.loss.layer_weights)
        for layer in found.layers:
            if layer.same_image() not in known and layer.source != styleset.BLANK:
                known[layer.same_image()] = name = f"{len(known):03}.webp"
                images.to_pil(layer.load()).save(out / "sets" / name, lossless=True)
        files = [known.get(layer.same_image(), "") for layer in found.layers]
        sets[style.name] = {"set": found.to_manifest(), "files": files}
    write_atomically(out / "sets.json", json.dumps(sets).encode())
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    typer.echo(f"{out}: {len(photos)} photos, {len(sets)} styles, {size / 2**20:.1f} MiB")


@app.command()
def train(
    folder: Annotated[Path, typer.Argument(help="A pack.")],
    run: Annotated[Path, typer.Option(help="Folder of the run.")],
    out: Annotated[Path, typer.Option(help="The bank.")],
    minutes: Annotated[
        float, typer.Option(help="For this slice; the first decides how many steps there are.")
    ],
    more: Annotated[float, typer.Option(help="Minutes of slices that will follow.")] = 0.0,
    experiment: Annotated[Path, typer.Option("--config", help="The experiment.")] = CONFIG,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    steps: Annotated[int | None, typer.Option(help="Instead of what the clock says.")] = None,
    start: Annotated[Path | None, typer.Option("--from", help="A bank to go on from.")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate, instead of the experiment's.")] = None,
    batch: Annotated[int | None, typer.Option(help="Photos a step, instead of the experiment's.")] = None,
) -> None:
    """Train, or continue; the bank is written in either case."""
    ends = time.monotonic() + 60 * minutes
    wanted = _from_pack(folder, config.read(experiment, styles_folder=folder))
    training = dataclasses.replace(
        wanted.training,
        learning_rate=rate or wanted.training.learning_rate,
        batch=batch or wanted.training.batch,
    )
    wanted = dataclasses.replace(wanted, training=training)
    saved = run / "steps.json"
    if saved.exists():
        steps = json.loads(saved.read_text("utf-8"))
    elif steps is None:
        seconds = _seconds_of_a_step(wanted, folder / "photos", device)
        left = 0.96 * (ends - time.monotonic() - 25 + 60 * more)
        steps = max(100, int(left / (seconds * _REVISIONS_COST)))
        typer.echo(f"{1e3 * seconds:.1f} ms a step: {steps} steps")
    run.mkdir(parents=True, exist_ok=True)
    write_atomically(saved, json.dumps(steps).encode())
    wanted = dataclasses.replace(wanted, training=dataclasses.replace(training, steps=steps))
    outcome = joint.train(
        wanted,
        content=folder / "photos",
        run=run,
        out=out,
        callbacks=_callbacks(lambda: time.monotonic() > ends - 15),
        device=device,
        vgg_weights=resources.vgg_weights(),
        force=True,
        start=bundle.read(start) if start else None,
    )
    typer.echo(f"step {outcome.step} of {steps}, {outcome.seconds:.0f} s")
    if outcome.figures:
        ratios = "/".join(f"{ratio:.3f}" for ratio in outcome.figures.median_style_ratio())
        typer.echo(f"{ratios}, auto-encoder {outcome.figures.psnr:.1f} dB {outcome.figures.ssim:.3f}")


def _from_pack(folder: Path, wanted: Config) -> Config:
    """Make the style sets of a pack known in the place of files that are not there."""
    listed = json.loads((folder / "sets.json").read_text("utf-8"))
    sets = {name: _packed(folder / "sets", found) for name, found in listed.items()}

    def resolve(style: Style, layers: Sequence[str], weights: Sequence[float]) -> StyleSet:
        del layers  # those of the experiment that was packed
        pairs = zip(sets[style.name].layers, styleset.weights_of(style, weights), strict=True)
        weighed = tuple(dataclasses.replace(image, weight=weight) for image, weight in pairs)
        return dataclasses.replace(sets[style.name], layers=weighed)

    styleset.resolve = resolve
    return wanted


def _packed(folder: Path, found: Mapping[str, Any]) -> StyleSet:
    style = styleset.from_manifest(found["set"])
    layers = []
    for image, name in zip(style.layers, found["files"], strict=True):
        layers.append(Packed(**(vars(image) | {"path": folder / name})) if name else image)
    return dataclasses.replace(style, layers=tuple(layers))


def _seconds_of_a_step(wanted: Config, photos: Path, device: str) -> float:
    target = choose_device(device)
    material = gather(wanted, photos, target, resources.vgg_weights(), typer.echo)
    stream = data.ContentStream.of(
        wanted.training, material.photos, report=typer.echo, pinned=target.type == "cuda"
    )
    trainer = Trainer(
        wanted,
        stream,
        material.objective(material.precision),
        device=material.device,
        precision=material.precision,
    )
    for step in range(_PROBE):
        if step == _WARM:
            _ = float(trainer.stylizing_norm)  # waits for the device
            start = time.monotonic()
        trainer.advance()
    _ = float(trainer.stylizing_norm)
    stream.close()
    return (time.monotonic() - start) / (_PROBE - _WARM)


def _callbacks(stop: Callable[[], bool]) -> Callbacks:
    def progress(step: int, losses: Mapping[str, float]) -> None:
        if step % 500 == 0:
            typer.echo(
                f"{time.strftime('%X')} {step}: " + " ".join(f"{k} {v:.3f}" for k, v in losses.items())
            )

    return Callbacks(note=typer.echo, progress=progress, stop=stop)


if __name__ == "__main__":
    app()

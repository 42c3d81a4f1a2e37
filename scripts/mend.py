"""Train styles of a bank further, encoder and decoder frozen: what a new loss mends, without a GPU.

    python scripts/mend.py BANK --styles FOLDER --content PHOTOS --run RUNS --out BANK NAME...

Each style goes on from its own filters, by the loss, the images and the photos of the experiment; all others, encoder
and decoder stay as they are, to the last bit. A style whose folder in RUNS has its entry is not trained again.
"""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from stylebank import config
from stylebank.bank import bundle, entries
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.files import resources
from stylebank.machine.devices import choose_device
from stylebank.training import data, report
from stylebank.training.added import POOL
from stylebank.training.addition import Addition
from stylebank.training.material import gather

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "release.toml"


def main(
    bank: Annotated[Path, typer.Argument(help="The bank.")],
    names: Annotated[list[str], typer.Argument(help="Its styles to train further.")],
    styles: Annotated[Path, typer.Option(help="Folder that holds the paintings which the config names.")],
    content: Annotated[Path, typer.Option(help="Folder of photos.")],
    run: Annotated[Path, typer.Option(help="Folder for finished entries.")],
    out: Annotated[Path, typer.Option(help="The bank with all of them.")],
    experiment: Annotated[Path, typer.Option("--config", help="The experiment.")] = CONFIG,
    steps: Annotated[int, typer.Option(help="For each filter.")] = 150,
    rate: Annotated[float, typer.Option(help="Learning rate at first.")] = 2e-3,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """See the file's first lines."""
    contents, wanted = bundle.read(bank), config.read(experiment, styles_folder=styles)
    training = dataclasses.replace(
        wanted.training,
        batch=2,
        crop=256,
        steps=steps,
        learning_rate=rate,
        warmup=10,
        schedule="cosine",
        hold=0.3,
    )
    wanted = dataclasses.replace(wanted, training=training, network=contents.network)
    run.mkdir(parents=True, exist_ok=True)
    mended = {}
    for entry in contents.entries:
        if entry.name in names:
            kept = run / f"{entry.name}.style.safetensors"
            if not kept.exists():
                entries.write(
                    kept,
                    _mended(entry, contents, wanted, content, run, device),
                    coder_digest=contents.coder_digest(),
                )
            mended[entry.name] = entries.read(kept)[0]
    both = tuple(mended.get(entry.name, entry) for entry in contents.entries)
    bundle.write(out, dataclasses.replace(contents, entries=both))


def _mended(
    entry: Entry, contents: Bundle, wanted: config.Config, content: Path, run: Path, device: str
) -> Entry:
    style = next(style for style in wanted.styles if style.name == entry.name)
    one = dataclasses.replace(wanted, styles=(style,))
    material = gather(one, content, choose_device(device), resources.vgg_weights(), typer.echo)
    stream = data.ContentStream.of(one.training, material.photos, batch=1, report=typer.echo)
    addition = Addition(
        contents,
        one,
        material,
        stream,
        run,
        until_flat=False,
        pool=POOL,
        stage=lambda *_: None,
        before=entry,
    )
    for name, trainer in addition.trainers():
        while not trainer.is_done():
            trainer.advance()
            if trainer.step % 25 == 0:
                figures = trainer.flush_history()
                typer.echo(
                    f"{entry.name} {name} {trainer.step}: {figures['total']:.3f} {figures['held_back']:.3f}"
                )
        trainer.check_frozen()
    stream.close()
    assert entry.card
    found, measured = addition.entry(steps=0, seconds=0)
    card = report.card(measured, material.held_back, origin="joint", steps=entry.card.steps)
    return dataclasses.replace(found, card=card)


if __name__ == "__main__":
    typer.run(main)

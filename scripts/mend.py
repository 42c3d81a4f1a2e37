"""Train styles of a bank further, encoder and decoder frozen: what a new loss mends, without a GPU.

    python scripts/mend.py BANK NAME... --styles FOLDER --content PHOTOS --run runs/mend --out BANK

Each style goes on from its own two filters, by the loss, the images and the photos of the experiment; all others,
encoder and decoder stay as they are, to the last bit. A style whose finished entry is in the run's folder is not
trained again: so several of these may share the work, each with some of the names, and one with all of them writes the
bank.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from stylebank import config
from stylebank.bank import bundle, entries
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.config import Config, Training
from stylebank.files import resources
from stylebank.machine.devices import choose_device
from stylebank.training import data, report
from stylebank.training.added import POOL
from stylebank.training.addition import Addition
from stylebank.training.material import Material, gather

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "release.toml"

TRAINING = Training(batch=2, crop=224, zoom=1.5, warmup=10, hold=0.3)
"""But for its steps and rate."""


def main(
    bank: Annotated[Path, typer.Argument(help="The bank.")],
    names: Annotated[list[str], typer.Argument(help="Its styles to train further.")],
    styles: Annotated[Path, typer.Option(help="Folder that holds the paintings which the config names.")],
    content: Annotated[Path, typer.Option(help="Folder of photos.")],
    run: Annotated[Path, typer.Option(help="Folder for finished entries.")],
    out: Annotated[Path, typer.Option(help="The bank with all of them.")],
    experiment: Annotated[Path, typer.Option("--config", help="The experiment.")] = CONFIG,
    steps: Annotated[int, typer.Option(help="For each filter.")] = 70,
    rate: Annotated[float, typer.Option(help="Learning rate at first.")] = 2e-3,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    vgg: Annotated[Path | None, typer.Option(help="VGG file; the bundled one by default.")] = None,
) -> None:
    """Train styles of a bank further, and write the bank."""
    contents, wanted = bundle.read(bank), config.read(experiment, styles_folder=styles)
    training = replace(TRAINING, steps=steps, learning_rate=rate)
    wanted = replace(wanted, training=training, network=contents.network)
    found = {entry.name: entry for entry in contents.entries}
    for name in names:
        kept = run / f"{name}.style.safetensors"
        if not kept.exists():
            style = next(style for style in wanted.styles if style.name == name)
            one = replace(wanted, styles=(style,))
            material = gather(one, content, choose_device(device), vgg or resources.vgg_weights(), typer.echo)
            run.mkdir(parents=True, exist_ok=True)
            mended = _mended(found[name], contents, one, material, run)
            entries.write(kept, mended, coder_digest=contents.coder_digest())
        found[name], _ = entries.read(kept)
    bundle.write(out, replace(contents, entries=tuple(found.values())))


def _mended(entry: Entry, contents: Bundle, wanted: Config, material: Material, run: Path) -> Entry:
    """An entry after both of its filters were trained further."""
    assert entry.card, f"{entry.name}: its training was stopped before its end"
    stream = data.ContentStream.of(wanted.training, material.photos, batch=1, report=typer.echo)
    addition = Addition(
        contents,
        wanted,
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
                row = trainer.flush_history()
                typer.echo(f"{entry.name} {name} {trainer.step}: {row['total']:.3f} {row['held_back']:.3f}")
        trainer.check_frozen()
    stream.close()
    found, figures = addition.entry(steps=0, seconds=0)
    card = report.card(figures, material.held_back, origin="joint", steps=entry.card.steps)
    return replace(found, card=card)


if __name__ == "__main__":
    typer.run(main)

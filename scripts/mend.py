"""Train styles of a bank further, encoder and decoder frozen: what a new loss mends, without a GPU.

    python scripts/mend.py BANK NAME... --styles FOLDER --content PHOTOS --run runs/mend --out BANK

Each style goes on from its own two filters, by the loss, the images and the photos of the experiment; all others,
encoder and decoder stay as they are, to the last bit. A style whose finished entry is in the run's folder is not
trained again: so several of these may share the work, each with some of the names and without --out, and one with all
of the names and --out then writes the bank, which says what they were trained further with.
"""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from stylebank import config
from stylebank.bank import bundle, entries
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.config import Config, Training
from stylebank.files import resources
from stylebank.machine.devices import choose_device
from stylebank.training import data
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
    out: Annotated[
        Path | None, typer.Option(help="The bank with all of them; none is written without.")
    ] = None,
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
    tables = {style.name: style for style in wanted.styles}
    found = {entry.name: entry for entry in contents.entries}
    for name in names:
        if name not in tables or name not in found:
            raise typer.BadParameter(f"{name}: is no style of both {bank} and {experiment}")
    run.mkdir(parents=True, exist_ok=True)
    for name in names:
        kept = run / f"{name}.style.safetensors"
        if not kept.exists():
            one = replace(wanted, styles=(tables[name],))
            material = gather(one, content, choose_device(device), vgg or resources.vgg_weights(), typer.echo)
            mended = _mended(found[name], contents, one, material, run)
            entries.write(kept, mended, coder_digest=contents.coder_digest())
        found[name], coder_digest = entries.read(kept)
        if coder_digest != contents.coder_digest():
            raise typer.BadParameter(f"{kept}: belongs to another bank; choose another --run")
    if out:
        bundle.write(out, replace(contents, entries=tuple(found.values()), training=_facts(contents, wanted)))


def _facts(contents: Bundle, wanted: Config) -> dict[str, Any]:
    """What the bank was trained with: its loss is now the one that its filters were trained further by."""
    before = dict(contents.training)
    own = dict(before.get("config", {}))
    return before | {
        "config": own | {"loss": wanted.to_manifest()["loss"]},
        "loss before": own.get("loss", {}),
    }


def _mended(entry: Entry, contents: Bundle, wanted: Config, material: Material, run: Path) -> Entry:
    """An entry after both of its filters were trained further."""
    if not entry.card or entry.style.kernel != material.styles[0].kernel:
        raise typer.BadParameter(
            f"{entry.name}: is not finished, or has a filter of another size in the experiment"
        )
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
    with closing(stream):
        for name, trainer in addition.trainers():
            while not trainer.is_done():
                trainer.advance()
                if trainer.step % 25 == 0:
                    row = trainer.flush_history()
                    typer.echo(
                        f"{entry.name} {name} {trainer.step}: {row['total']:.3f} {row['held_back']:.3f}"
                    )
            trainer.check_frozen()
    found, _ = addition.entry(steps=0, seconds=0)
    assert found.card
    return replace(found, card=replace(found.card, origin=entry.card.origin, steps=entry.card.steps))


if __name__ == "__main__":
    typer.run(main)

"""Commands that make pictures: stylize, sheet."""

from pathlib import Path
from typing import Annotated

import typer

from stylebank.errors import StyleBankError
from stylebank.options import (
    Bank,
    Device,
    Force,
    KeepColor,
    MaxMemory,
    Strength,
    Tile,
    painting,
    say,
    say_weights,
)


def stylize(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos, or folders of them.")],
    style: Annotated[
        str, typer.Option(help="A style, see 'stylebank list'; or a mixture, NAME:WEIGHT+NAME:WEIGHT.")
    ],
    bank: Bank = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE or DIR",
            help="A picture for one photo, else a folder. \\[default: PHOTO-STYLE.png in this folder]",
        ),
    ] = None,
    strength: Strength = 1.0,
    keep_color: KeepColor = False,
    tile: Tile = "auto",
    max_memory: MaxMemory = None,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Paint photos in one style, at their own size."""
    from stylebank import batch, mixture

    mixed = mixture.parse(style, strength=strength, where=f"--style {style}")
    with painting(bank, device=device, tile=tile, max_memory=max_memory) as loaded:
        loaded.paint(mixed)  # names are checked before they become part of a file's
        jobs = batch.plan(photos, output, style="+".join(mixed.names), force=force)
        say_weights(mixed)
        skipped = batch.run(jobs, lambda image: loaded.stylize(image, mixed, keep_color=keep_color), say=say)
    if skipped:
        raise StyleBankError(f"{skipped} of {len(jobs)} photos: were skipped, see above; check those files")


def sheet(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO")],
    bank: Bank = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="\\[default: PHOTO-sheet.png in this folder]"),
    ] = None,
    size: Annotated[int, typer.Option(min=64, max=2048, help="Long side of each picture, in pixels.")] = 384,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Show one photo in every style of a bank, as one picture."""
    from stylebank import batch, images, pictures
    from stylebank.bank import StyleBank

    target = output or Path(f"{photo.stem}-sheet.png")
    batch.check_outputs([target], [photo], force=force)
    loaded = StyleBank.load(bank, device=device)
    small = images.fitted(images.read(photo), long_side=size)
    cells = [("photo", small), *((name, loaded.stylize(small, name)) for name in loaded.styles)]
    images.save(target, pictures.single_sheet(cells, cell=size))
    typer.echo(target)

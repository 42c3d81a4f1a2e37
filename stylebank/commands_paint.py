"""Commands that make pictures: stylize, sheet."""

from pathlib import Path
from typing import Annotated

import typer

from stylebank.errors import StyleBankError
from stylebank.options import Bank, Device, Force, say


def stylize(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos, or folders of them.")],
    style: Annotated[str, typer.Option(help="Name of a style; see 'stylebank list'.")],
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
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Paint photos in one style, at their own size."""
    from stylebank import batch
    from stylebank.bank import StyleBank

    loaded = StyleBank.load(bank, device=device)
    loaded.index(style)  # before the style's name becomes part of a file's
    jobs = batch.plan(photos, output, style=style, force=force)
    skipped = batch.run(jobs, lambda image: loaded.stylize(image, style), say=say)
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

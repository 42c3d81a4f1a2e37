"""Commands that show many pictures of one photo as one: sheet, sweep."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebank.bank import mixture
from stylebank.errors import ConfigError
from stylebank.terminal.options import (
    Bank,
    Device,
    EngineName,
    Force,
    KeepColor,
    OneOutput,
    PrecisionName,
    Stroke,
    complete_style,
    destination,
    read_photo,
    write_picture,
)

if TYPE_CHECKING:
    from stylebank.bank.mixture import Mixture
    from stylebank.painting.painter import StyleBank

Photo = Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo; - for the program's input.")]
Size = Annotated[int, typer.Option(min=64, max=2048, help="Long side of each picture, in pixels.")]


def sheet(
    photo: Photo,
    bank: Bank = None,
    output: OneOutput = None,
    size: Size = 384,
    stroke: Stroke = 1.0,
    engine: EngineName = "auto",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Show one photo in every style of a bank, as one picture."""
    target = destination(photo, output, "sheet", force=force)
    loaded = _load(bank, engine=engine, precision=precision, device=device)
    mixes = [(name, mixture.of(name, stroke=stroke)) for name in loaded.styles]
    _show(photo, target, loaded, mixes, size=size, beside_photo=True)


def sweep(
    photo: Photo,
    styles: Annotated[
        list[str],
        typer.Argument(
            metavar="STYLE [STYLE]",
            help="From the first to the second; of one, from the photo to it.",
            autocompletion=complete_style,
        ),
    ],
    steps: Annotated[int, typer.Option(min=2, max=32, help="Pictures on the way, both ends included.")] = 7,
    output: OneOutput = None,
    size: Size = 384,
    stroke: Stroke = 1.0,
    keep_color: KeepColor = False,
    bank: Bank = None,
    engine: EngineName = "auto",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Show the way from one style to another, or from the photo to a style, as one picture."""
    if len(styles) > 2:
        raise ConfigError(f"sweep: has {len(styles)} styles; give one or two")
    target = destination(photo, output, "sweep", force=force)
    loaded = _load(bank, engine=engine, precision=precision, device=device)
    path = mixture.path([mixture.parse(words, stroke=stroke) for words in styles], steps)
    _show(photo, target, loaded, path, size=size, columns=steps, keep_color=keep_color)


def _load(bank: Path | None, *, engine: str, precision: str, device: str) -> "StyleBank":
    from stylebank.painting.painter import StyleBank

    return StyleBank.load(bank, engine=engine, precision=precision, device=device)


def _show(
    photo: Path,
    target: Path,
    bank: "StyleBank",
    mixes: "Iterable[tuple[str, Mixture]]",
    *,
    size: int,
    columns: int | None = None,
    keep_color: bool = False,
    beside_photo: bool = False,
) -> None:
    """Draw a photo in some mixtures, each under its label."""
    from stylebank.pixels import encoding, pictures, resampling

    small = resampling.fitted(read_photo(photo).image, long_side=size)
    canvas = bank.open(small)
    cells = [("photo", small)] if beside_photo else []
    cells += [(label, canvas.stylize(mix, keep_color=keep_color)) for label, mix in mixes]
    picture = pictures.single_sheet(cells, cell=size, columns=columns)
    write_picture(target, picture, encoding.USUAL, photo)

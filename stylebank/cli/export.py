"""The command that takes styles elsewhere: export, as ONNX."""

from pathlib import Path
from typing import Annotated

import typer

from stylebank.bank import mixture
from stylebank.errors import ConfigError, OutputError
from stylebank.terminal.options import (
    Bank,
    Force,
    Strength,
    complete_share,
    complete_style,
    printable,
    say_weights,
)


def export(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.onnx", help="The file to write.")],
    style: Annotated[
        str | None,
        typer.Option(
            help="A style or a mixture, NAME:WEIGHT+NAME:WEIGHT. \\[default: the whole bank]",
            autocompletion=complete_style,
        ),
    ] = None,
    mix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WEIGHT",
            help="A style of a mixture. May be repeated.",
            autocompletion=complete_share,
        ),
    ] = None,
    strength: Strength = 1.0,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="The graph of passes after the first, over the picture enlarged by up to two: larger strokes.",
        ),
    ] = False,
    bank: Bank = None,
    force: Force = False,
) -> None:
    """Write a style, a mixture, or the whole bank with the styles' weights as an input, as ONNX.

    A graph paints one pass at the size that it is given. Pictures longer than some 512 pixels are painted at that size
    first, enlarged, and painted again by the graph of --again. A graph takes a photo as it is: the faint grain that
    'stylebank stylize' gives its flat parts first is not in it.
    """
    from stylebank.bank import personal
    from stylebank.files import atomic

    if output.suffix.lower() != ".onnx":
        raise OutputError(f"{output}: is no name of an ONNX file; choose one that ends in .onnx")
    if (style and mix) or (strength != 1 and not (style or mix)):
        raise ConfigError("export: give --style or --mix, one of them; a --strength goes with one of them")
    try:
        from stylebank.engines import exported
    except ImportError as error:
        raise ConfigError(
            f"export: ONNX is not installed ({error}); pip install 'stylebank[onnx]'"
        ) from error
    atomic.refuse_foreign(output, _is_onnx, force=force)
    mixed = None
    if style or mix:
        words = mixture.parse(style, strength=strength, where=f"--style {style}") if style else None
        mixed = words or mixture.from_options(mix or [], strength=strength)
        say_weights(mixed)
    contents = personal.read(bank)
    atomic.write_atomically(output, exported.build(contents, mixed, again=again).SerializeToString())
    inputs = "image" if mixed else "image, weights"
    typer.echo(printable(f"{output}: {output.stat().st_size:,} bytes, {inputs} -> picture"))


def _is_onnx(path: Path) -> bool:
    from stylebank.engines import exported

    return exported.is_graph(path.read_bytes())

"""The command that takes styles elsewhere: export, as ONNX, or as a page for any browser."""

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
    note,
    printable,
    say_weights,
)

Web = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Write a page instead: a static one that paints in its visitors' own browsers.",
    ),
]
Runtime = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.tgz",
        help="ONNX Runtime Web for --web, as npm packs it, or a folder of it. "
        "\\[default: npm fetches it, once]",
    ),
]


def export(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.onnx", help="The file to write.", show_default=False),
    ] = None,
    web: Web = None,
    style: Annotated[
        list[str] | None,
        typer.Option(
            help="A style or a mixture, NAME:WEIGHT+NAME:WEIGHT; of a page each of its styles. "
            "\\[default: the whole bank; of a page eight]",
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
    runtime: Runtime = None,
    bank: Bank = None,
    force: Force = False,
) -> None:
    """Write a style, a mixture, or the whole bank with the styles' weights as an input, as ONNX; or a page.

    A graph paints one pass at the size that it is given. Pictures longer than some 512 pixels are painted at that size
    first, enlarged, and painted again by the graph of --again. A graph takes a photo as it is: the faint grain that
    'stylebank stylize' gives its flat parts first is not in it. A page does all that as 'stylebank stylize' does.
    """
    if (output is None) == (web is None):
        raise ConfigError("export: give -o FILE.onnx or --web FOLDER, one of them")
    try:
        from stylebank.engines import exported  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"export: ONNX is not installed ({error}); pip install 'stylebank[onnx]'"
        ) from error
    if web:
        if mix or strength != 1 or again:
            raise ConfigError(
                "export: a page mixes by itself; leave out --mix, --strength and --again, or give -o FILE.onnx"
            )
        _export_page(web, style or [], runtime, bank, force=force)
    elif output:
        if runtime:
            raise ConfigError("export: --runtime is for a page; give --web FOLDER, or leave it out")
        _export_graph(output, style or [], mix or [], strength, bank, again=again, force=force)


def _export_page(
    folder: Path, names: list[str], library: Path | None, bank: Path | None, *, force: bool
) -> None:
    from stylebank.bank import personal
    from stylebank.web import site

    site.check(folder, force=force)
    contents = personal.read(bank)
    entries = site.chosen(contents, names)
    written = site.write(folder, contents, entries, library)
    typer.echo(
        printable(
            f"{folder}: {len(written.styles)} styles, {written.files} files, {written.size / 1e6:.1f} MB "
            f"({written.packed / 1e6:.1f} MB packed)"
        )
    )
    note(f"a page needs a web server: python -m http.server -d {folder}, or any host of static files")


def _export_graph(
    output: Path,
    style: list[str],
    mix: list[str],
    strength: float,
    bank: Path | None,
    *,
    again: bool,
    force: bool,
) -> None:
    from stylebank.bank import personal
    from stylebank.engines import exported
    from stylebank.files import atomic

    if output.suffix.lower() != ".onnx":
        raise OutputError(f"{output}: is no name of an ONNX file; choose one that ends in .onnx")
    if len(style) > 1:
        raise ConfigError(
            f"export: a file has one --style, not {len(style)}; mix them, NAME:WEIGHT+NAME:WEIGHT, or give --web FOLDER"
        )
    if (style and mix) or (strength != 1 and not (style or mix)):
        raise ConfigError("export: give --style or --mix, one of them; a --strength goes with one of them")
    atomic.refuse_foreign(output, _is_onnx, force=force)
    mixed = None
    if style or mix:
        words = mixture.parse(style[0], strength=strength, where=f"--style {style[0]}") if style else None
        mixed = words or mixture.from_options(mix, strength=strength)
        say_weights(mixed)
    contents = personal.read(bank)
    atomic.write_atomically(output, exported.build(contents, mixed, again=again).SerializeToString())
    inputs = "image" if mixed else "image, weights"
    typer.echo(printable(f"{output}: {output.stat().st_size:,} bytes, {inputs} -> picture"))


def _is_onnx(path: Path) -> bool:
    from stylebank.engines import exported

    return exported.is_graph(path.read_bytes())

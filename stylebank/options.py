"""Options that several commands share, and how they print."""

from pathlib import Path
from typing import Annotated

import typer

Bank = Annotated[Path | None, typer.Option(help="Bank file. \\[default: the one that comes with StyleBank]")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an output file even if it is of another kind.")]
VggSource = Annotated[
    str, typer.Option(metavar="SOURCE", help="bundled, torchvision (downloads it), or a VGG file.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Everything that is known, as JSON.")]


def say(line: str) -> None:
    """Print a line: a report of something skipped on standard error, all else on standard output."""
    typer.echo(printable(line), err=line.endswith("skipped"))


def printable(text: str) -> str:
    """The text with control characters and broken encodings escaped: file names may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

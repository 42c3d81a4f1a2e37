"""The command that shows and copies what comes along to train with: configs."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from stylebank.terminal.options import Force, note, printable


def complete_config(incomplete: str) -> list[str]:
    """Names that begin so, for a shell."""
    from stylebank.files import experiments

    return [name for name in experiments.names() if name.startswith(incomplete)]


def configs(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="One of them: print it, or copy it.", autocompletion=complete_config
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Copy it here, with what it names.")
    ] = None,
    force: Force = False,
) -> None:
    """List the experiments and style sets that come along, print one, or copy one to change it."""
    from stylebank.files import experiments

    if name is None:
        found = experiments.names()
        if not found:
            note("none come along with stylebank-paint; pip install stylebank")
        width = max(map(len, found), default=0)
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
        for one in found:
            line = f"{one:{width}}  {experiments.summary(one)}"
            typer.echo(line if len(line) <= columns else f"{line[: columns - 1]}…")
    elif folder is None:
        typer.echo(experiments.text(name), nl=False)
    else:
        for path in experiments.copy(name, folder, force=force):
            typer.echo(printable(str(path)))

"""The commands' common entry: `stylebank COMMAND`, one line for every mistake, and the exit code.

PyTorch is imported inside the commands, so that `stylebank --help` answers at once. Whatever a user can correct ends
as one line on standard error and exit code 2; 130, 141 and 143 answer SIGINT, a closed pipe and SIGTERM; 1 is a bug.
"""

import io
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from stylebank.cli import evaluate, export, fuse, optimize, share, sheets, stylize, train
from stylebank.cli.options import printable
from stylebank.errors import ConfigError, StyleBankError
from stylebank.machine import distributed, memory
from stylebank.machine.interrupts import is_broken_pipe

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fast style transfer: one small network, a bank of styles.",
)
for _command in (
    stylize.stylize,
    sheets.sheet,
    fuse.fuse,
    sheets.sweep,
    fuse.segment,
    optimize.optimize,
    evaluate.evaluate,
    train.train,
    train.add_style,
    share.list_styles,
    share.verify,
    share.bake,
    share.remove_style,
    share.rename_style,
    export.export,
    share.export_style,
    share.import_style,
    share.merge,
):
    app.command(name=_command.__name__.replace("list_styles", "list").replace("_", "-"))(_command)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it warns of, images.py answers
    if isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # what the console has no letter for is escaped, as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(arguments)
    except StyleBankError as error:
        code = _complain(str(error))
    except KeyboardInterrupt:
        code = 130
    except (MemoryError, RuntimeError) as error:
        if not memory.is_lacking(error):
            raise
        code = _complain("memory: is not enough for this; use smaller images or batches, or --device cpu")
    except OSError as error:
        if not is_broken_pipe(error):
            raise
        code = _after_broken_pipe()
    except SystemExit as leaving:
        if not is_broken_pipe(leaving.__context__):
            raise
        code = _after_broken_pipe()
    sys.exit(code if isinstance(code, int) else 0)


def _run(arguments: list[str] | None) -> object:
    try:
        return typer.main.get_command(app).main(arguments, "stylebank", standalone_mode=False)
    except Exception as error:
        # Usage errors are typer's own; printed as one line instead of a box of five, by however many processes.
        if not hasattr(error, "format_message"):
            raise
        if (sys.argv[1:] if arguments is None else arguments)[:1] != ["train"]:
            raise ConfigError(error.format_message()) from error
        with distributed.joined():  # of its processes one complains
            raise ConfigError(error.format_message()) from error


def _after_broken_pipe() -> int:
    """Whoever read the output has seen enough, as `head` does: the shell's code for that, and not a word."""
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # what is buffered goes there on leaving
    return 141


def _complain(message: str) -> int:
    typer.echo(f"stylebank: error: {printable(' '.join(message.split()))}", err=True)
    return 2


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        from stylebank import __version__

        typer.echo(f"stylebank {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())

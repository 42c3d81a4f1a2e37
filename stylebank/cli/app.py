"""The commands' common entry: `stylebank COMMAND`, and how its words are read.

PyTorch is imported inside the commands, so that `stylebank --help` answers at once.
"""

import contextlib
import io
import sys
from typing import Annotated, NoReturn

import typer

from stylebank.cli import (
    browser,
    configs,
    evaluate,
    export,
    film,
    fuse,
    optimize,
    share,
    sheets,
    stylize,
    train,
)
from stylebank.errors import ConfigError
from stylebank.machine import distributed
from stylebank.terminal import mistakes

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="Fast style transfer: one small network, a bank of styles.",
)
for _command in (
    browser.studio,
    stylize.stylize,
    sheets.sheet,
    fuse.fuse,
    sheets.sweep,
    fuse.segment,
    film.video,
    optimize.optimize,
    evaluate.evaluate,
    train.train,
    configs.configs,
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
    mistakes.leave(lambda: _run(arguments))


def _with_words(arguments: list[str]) -> list[str]:
    """The arguments, `basic` added where --keep-metadata stands without a word."""
    words = ("none", "date", "basic", "all")
    following = [*arguments, ""][1:]
    return [
        f"{word}=basic" if word == "--keep-metadata" and after not in words else word
        for word, after in zip(arguments, following, strict=True)
    ]


def _run(arguments: list[str] | None) -> object:
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] in (["--install-completion"], ["--show-completion"]):
        return _completion(words[0])
    try:
        return typer.main.get_command(app).main(_with_words(words), "stylebank", standalone_mode=False)
    except Exception as error:
        # Usage errors are typer's own; printed as one line instead of a box of five, by however many processes.
        if not hasattr(error, "format_message"):
            raise
        if words[:1] != ["train"]:
            raise ConfigError(error.format_message()) from error
        with distributed.joined():  # of its processes one complains
            raise ConfigError(error.format_message()) from error


def _completion(option: str) -> int:
    """What typer does about a shell's completion; it writes into the shell's own files."""
    said, known = io.StringIO(), True
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = typer.main.get_command(app).main([option], "stylebank", standalone_mode=False)
            known = not code
    except SystemExit as leaving:  # typer's way to say that it is done
        known = not leaving.code
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"{option}: cannot be done ({error}); --show-completion prints what belongs into your shell's own file"
        ) from error
    if not known:
        raise ConfigError(f"{option}: finds no shell that it knows; run it in bash, zsh, fish or PowerShell")
    typer.echo(said.getvalue(), nl=False)
    return 0


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

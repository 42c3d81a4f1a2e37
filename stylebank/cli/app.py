"""The commands' common entry: `stylebank COMMAND`, one line for every mistake, and the exit code.

PyTorch is imported inside the commands, so that `stylebank --help` answers at once. Whatever a user can correct ends
as one line on standard error and exit code 2; 130, 141 and 143 answer SIGINT, a closed pipe and SIGTERM; 1 is a bug.
"""

import contextlib
import errno
import io
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from stylebank.cli import browser, evaluate, export, fuse, optimize, share, sheets, stylize, train
from stylebank.cli.options import printable
from stylebank.errors import ConfigError, StyleBankError
from stylebank.machine import distributed, memory
from stylebank.machine.interrupts import is_broken_pipe, is_interrupt

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""What the machine answers to whoever writes where no more goes."""

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
    _open_closed_streams()
    if isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # what the console has no letter for is escaped, as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(arguments)
    except StyleBankError as error:
        code = _complain(error)
    except KeyboardInterrupt:
        code = 130
    except SystemExit as leaving:
        if not is_broken_pipe(leaving.__context__):
            raise
        code = _after_broken_pipe()
    except Exception as error:
        if is_interrupt(error):
            code = 130
        elif is_broken_pipe(error):
            code = _after_broken_pipe()
        elif memory.ran_out(error):
            said = str(error) or "no more of it"
            code = _complain(
                StyleBankError(f"memory: is used up ({said}); close other programs, or ask for less")
            )
        elif isinstance(error, OSError) and error.errno in _NO_ROOM:
            where = error.filename or "output"
            why = f"cannot be written ({error.strerror})"
            code = _complain(StyleBankError(f"{where}: {why}; make room, or choose another place"))
            _write_nowhere()
        else:
            raise
    sys.exit(code if isinstance(code, int) else 0)


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


def _open_closed_streams() -> None:
    """What a stream says that the shell closed (`>&-`) goes to nobody, and no file gets its number."""
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115  # as long as the program
    if sys.stdout is None:
        _write_nowhere()
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115


def _write_nowhere() -> None:
    """What is buffered for standard output, and all that follows, goes to nobody."""
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115


def _after_broken_pipe() -> int:
    """Whoever read the output has seen enough, as `head` does: the shell's code for that, and not a word."""
    _write_nowhere()
    return 141


def _complain(error: StyleBankError) -> int:
    with contextlib.suppress(OSError):  # where nothing can be said there is still the exit code
        typer.echo(f"stylebank: error: {printable(' '.join(str(error).split()))}", err=True)
    return error.exit_code


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

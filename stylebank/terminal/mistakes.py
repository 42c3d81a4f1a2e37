"""Mistakes as one line and an exit code: what a user can correct, what interrupts, what a reader of the output ends.

Whatever a user can correct ends as one line on standard error and exit code 2; 130, 141 and 143 answer SIGINT, a closed
pipe and SIGTERM; 1 is a bug. What a command does is for cli to say.
"""

import contextlib
import errno
import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import typer

from stylebank.errors import StyleBankError
from stylebank.machine import memory
from stylebank.machine.interrupts import is_broken_pipe, is_interrupt
from stylebank.terminal.options import printable

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""What the machine answers to whoever writes where no more goes."""


def leave(run: Callable[[], object]) -> NoReturn:
    """Run one command and leave with its exit code."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it warns of, images.py answers
    _open_closed_streams()
    if isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # what the console has no letter for is escaped, as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = run()
    except StyleBankError as error:
        code = _complain(error)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "stylebank"):
            raise
        code = _complain(
            StyleBankError(
                f"this command: needs {library}, which is not installed; pip install {library}, or all of stylebank"
            )
        )
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

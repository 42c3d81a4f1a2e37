"""What a path leads to, opened: a file, or a pipe or device read to its end; anything else is refused truly."""

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stylebank.errors import ImageError
from stylebank.photos.kinds import HEAD, of

MAX_PIPED = 1_000_000_000
"""Bytes that are taken from a pipe; what goes on after that is refused."""

_OTHERS = ((stat.S_ISDIR, "a folder"), (stat.S_ISSOCK, "a socket"), (stat.S_ISBLK, "a disk"))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open an image file to read it from any place: `/dev/stdin` and `<(...)` too.

    Raises:
        ImageError: nothing is there, it cannot be opened, or it is none of these.
    """
    try:
        mode = path.stat().st_mode
        other = next((name for test, name in _OTHERS if test(mode)), "")
        file = None if other else path.open("rb")
    except FileNotFoundError as error:
        raise ImageError(f"{path}: is no file; check the path") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened ({error.strerror}); check the path") from error
    except ValueError as error:  # a null character, say
        raise ImageError(f"{path}: is no file name; check the path") from error
    if file is None:
        raise ImageError(f"{path}: is {other}; give an image file")
    with file:
        yield file if stat.S_ISREG(mode) else io.BytesIO(_to_the_end(file, path))


def _to_the_end(pipe: BinaryIO, path: Path) -> bytes:
    data = pipe.read(HEAD)
    kind, _ = of(data)
    if kind:  # else the first bytes are enough to say what is wrong
        data += pipe.read(MAX_PIPED)
        if len(data) >= MAX_PIPED:
            raise ImageError(f"{path}: has more than {MAX_PIPED / 1e9:g} GB; give it as a file")
    return data

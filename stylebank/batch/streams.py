"""One photo in and one picture out: of files, or through the program's streams."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stylebank.batch.planning import STREAM
from stylebank.errors import OutputError
from stylebank.machine.interrupts import is_broken_pipe
from stylebank.photos import originals
from stylebank.photos.originals import Original
from stylebank.pixels import encoding, images
from stylebank.pixels.encoding import Beside, Encoding

if TYPE_CHECKING:
    from PIL.Image import Image


def read(photo: Path) -> Original:
    """Read a photo, or the one that comes through the program's input.

    Raises:
        ImageError: see `originals.read`.
    """
    if photo != STREAM:
        return originals.read(photo)
    return originals.read_bytes(sys.stdin.buffer.read() if sys.stdin else b"", "-")


def write(
    picture: Path,
    image: "Image",
    how: Encoding,
    beside: Beside = encoding.NOTHING,
    *,
    photo: Path,
    suffix: str = ".png",
    sweeping: bool = True,
) -> None:
    """Write a picture, with its photo's file times if metadata are kept, or send it through the program's output.

    Args:
        picture: the file, or `STREAM`.
        image: what is painted.
        how: see `encoding.encode`.
        beside: likewise.
        photo: see `Job`.
        suffix: of the format of a stream.
        sweeping: see `files.write_atomically`.

    Raises:
        EncodingError: the format cannot hold it.
        OutputError: the picture cannot be written.
    """
    if picture == STREAM:
        _send(encoding.encode(image, suffix, how, beside))
        return
    images.save(picture, image, how, beside, sweeping=sweeping)
    if how.keep in ("basic", "all") and photo != STREAM:
        status = photo.stat()
        os.utime(picture, ns=(status.st_atime_ns, status.st_mtime_ns))


def _send(data: bytes) -> None:
    if not sys.stdout:
        raise OutputError("-: cannot be written, the output is closed; send it elsewhere")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        if is_broken_pipe(error):
            raise
        raise OutputError(f"-: cannot be written ({error}); send the output elsewhere") from error

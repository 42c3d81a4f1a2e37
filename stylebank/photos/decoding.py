"""Pillow on files that nobody vouches for: an allow-list of formats, a limit of pixels, complaints of one line."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from stylebank.errors import ImageError

READ = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF")
"""Pillow's names of the formats that are tried, whatever the file's name says."""

MAX_PIXELS = 200_000_000
"""Larger images are refused before any memory is taken for them: 200 megapixels are 800 MB decoded."""


def decode(
    path: Path,
    convert: Callable[[Image.Image], Image.Image],
    *,
    max_pixels: int,
    data: BinaryIO | None = None,
) -> Image.Image:
    """Read an image file, its pixels converted while the file is open; of several frames, the first.

    Args:
        path: the file.
        convert: makes of Pillow's image what is wanted.
        max_pixels: the limit.
        data: what to read in place of the file; then the path is only its name.

    Raises:
        ImageError: it is missing, no image, damaged, cut short, or has more than `max_pixels` pixels.
    """
    try:
        if data is None and not path.is_file():
            raise ImageError(f"{path}: is no file; check the path")
        with opened(data or path, max_pixels) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(
                    f"{path}: has {width} x {height} pixels (limit {max_pixels / 1e6:g} million); make it smaller"
                )
            image.load()
            return convert(image)
    except ImageError:
        raise
    except Exception as error:  # damaged bytes make decoders raise whatever they like
        raise ImageError(f"{path}: {_reason(error, max_pixels)}") from error


@contextmanager
def opened(source: Path | BinaryIO, max_pixels: int) -> Iterator[Image.Image]:
    """Open lazily, out of the allowed formats."""
    with _pillow(max_pixels), Image.open(source, formats=READ) as image:
        yield image


class _PillowSettings:
    """Pillow's own limit of pixels and its warnings, held for as long as any thread is reading.

    Both belong to the process, so threads that set and restore them each on their own would leave a mixture.
    Pillow refuses more than twice its limit, in some decoders before memory is taken that `decode` cannot prevent.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._limit = 0
        self._before = ExitStack()

    @contextmanager
    def __call__(self, max_pixels: int) -> Iterator[None]:
        with self._lock:
            if not self._readers:
                self._before.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
                self._before.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._limit = 0
            self._limit = Image.MAX_IMAGE_PIXELS = max(self._limit, max_pixels)
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    self._before.close()


_pillow = _PillowSettings()


def _reason(error: Exception, max_pixels: int) -> str:
    """Why an image cannot be read, and what to do."""
    if isinstance(error, Image.DecompressionBombError):
        return f"has more than {max_pixels / 1e6:g} million pixels; make it smaller"
    if isinstance(error, UnidentifiedImageError):
        return f"is no image, damaged, or none of {', '.join(READ)}; convert it to PNG"
    if isinstance(error, OSError) and error.filename:
        return f"cannot be opened ({error.strerror}); check the path"
    return f"is damaged ({one_line(error)}); replace it"


def one_line(error: BaseException) -> str:
    """What an exception says, without its line breaks."""
    return " ".join(str(error).split())[:160] or type(error).__name__

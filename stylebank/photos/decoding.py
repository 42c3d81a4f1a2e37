"""Image files that nobody vouches for: one decoder each, a limit of pixels, complaints of one line."""

import ctypes
import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError, _imaging

from stylebank.errors import ImageError
from stylebank.photos import boxes, directories, inputs, jpeg, kinds, png, spaces, tiff
from stylebank.photos.srgb import converted

MAX_PIXELS = 200_000_000
"""Larger images are refused before any memory is taken for them: 200 megapixels are 800 MB decoded."""

_Result = TypeVar("_Result")
_PLUGINS = {"HEIF": "pillow-heif", "JXL": "pillow-jxl-plugin"}
_IN_BOXES = ("AVIF", "HEIF", "JXL", "JPEG2000", "WEBP")
_CUT_SHORT = (
    "truncat",
    "cut short",
    "unexpected end",
    "not enough",
    "insufficient",
    "end of file",
    "eof",
    "broken data",
)
_SAYING_NOTHING = (
    "requires a buffer",
    "index out of range",
    "not identified",
    "assertion",
    "decoder error",
    "build ",
)


class Decoded(NamedTuple):
    """An image out of a file: loaded, not turned, its colours those of its embedded profile or else sRGB."""

    image: Image.Image
    notes: tuple[str, ...] = ()


def decode(
    path: Path,
    convert: Callable[[Decoded], _Result],
    *,
    max_pixels: int,
    data: bytes | None = None,
    plain: bool = False,
) -> _Result:
    """Read an image file, its pixels converted while the file is open; of several frames, the first.

    Args:
        path: the file, or a pipe.
        convert: makes of the image what is wanted.
        max_pixels: the limit.
        data: what to read in place of the file; then the path is only its name.
        plain: keep the values as they are stored, whatever the file says of their colour.

    Raises:
        ImageError: it is missing, no image, damaged, cut short, or has more than `max_pixels` pixels.
    """
    kind = ""
    try:
        with _opened(path, data) as file, _pillow(max_pixels):
            kind = _kind(file, path)
            if kind == "JPEG" and (refusal := jpeg.refusal(file)):
                raise ImageError(f"{path}: {refusal}")
            file.seek(0)
            try:
                return convert(_decoded(kind, file, path, max_pixels, plain=plain))
            except Exception as error:
                if isinstance(error, ImageError) or kind not in _IN_BOXES or not boxes.is_cut_short(file):
                    raise
                raise ImageError(f"{path}: is damaged, cut short; copy it again") from error
    except ImageError:
        raise
    except Exception as error:  # damaged bytes make decoders raise whatever they like
        raise ImageError(f"{path}: {_reason(error, kind, max_pixels)}") from error


def is_image(path: Path) -> bool:
    """Whether a file opens as an image; its pixels are not read. A pipe is none: it could not be read again."""
    try:
        if not path.is_file():
            return False
        with _opened(path, None) as file, _pillow(MAX_PIXELS):
            kind = _kind(file, path)
            if kind == "TIFF":
                directories.picture(file, path)
                return True
            with Image.open(file, formats=(kind,)):
                return True
    except Exception:  # as in `decode`
        return False


def _opened(path: Path, data: bytes | None) -> AbstractContextManager[BinaryIO]:
    return inputs.opened(path) if data is None else io.BytesIO(data)


def _kind(file: BinaryIO, path: Path) -> str:
    """Pillow's name of the format, its reader at hand."""
    head = file.read(kinds.HEAD)
    file.seek(0)
    if not head:
        raise ImageError(f"{path}: is no image but empty; check the path")
    kind, refusal = kinds.of(head)
    if refusal:
        raise ImageError(f"{path}: {refusal}")
    try:
        kinds.plug_in(kind)
    except ImportError as error:
        package = _PLUGINS[kind]
        raise ImageError(
            f"{path}: is {kind}, which {package} reads ({one_line(error)}); pip install {package}"
        ) from error
    return kind


def _decoded(kind: str, file: BinaryIO, path: Path, max_pixels: int, *, plain: bool) -> Decoded:
    def check(size: tuple[int, int]) -> None:
        width, height = size
        if width * height > max_pixels:
            raise ImageError(
                f"{path}: has {width} x {height} pixels (limit {max_pixels / 1e6:g} million); make it smaller"
            )

    if kind == "TIFF":
        image, pages = tiff.opened(file, path, check=check, plain=plain)
        return Decoded(image, _several(pages, "pages"))
    if kind == "PNG":
        found = png.chunks(file)
        file = png.without_hidden(file, found.hidden)
        image = _open(file, kind)
        check(image.size)
        image = image if plain else png.in_colour(image, found, file)
        image.load()
        return Decoded(image, (*_several(found.frames), *_toned(None if plain else found.space)))
    header = boxes.header_of_jxl(file.read()) if kind == "JXL" else None
    if header:
        check(header.size)
    image = _open(file, kind)
    check(image.size)
    if (
        header and header.turned and not getattr(image, "jpeg", False)
    ):  # by the decoder, but for a JPEG that it gives back
        with suppress(Exception):  # damaged EXIF says nothing
            image.getexif()[ExifTags.Base.Orientation] = 1
    try:
        frames = (
            1 if kind == "JPEG" else getattr(image, "n_frames", 1)
        )  # others of a JPEG (MPO) are no frames
    except Exception:  # a later frame is damaged; the first one may be good
        image, frames = _open(file, kind), 1
    notes = ("is animated; the first frame is painted",) if header and header.animated else _several(frames)
    image.load()
    space = None if plain or image.info.get("icc_profile") else _space(kind, image, file)
    if space and not space.is_srgb:
        image, notes = converted(image, space), (*notes, *_toned(space))
    return Decoded(image, notes)


def _open(file: BinaryIO, kind: str) -> ImageFile.ImageFile:
    file.seek(0)
    try:
        return Image.open(file, formats=(kind,))
    except UnidentifiedImageError:
        file.seek(0)
        Image.OPEN[kind][0](file, "")  # raises the reason, which Pillow keeps to itself
        raise


def _space(kind: str, image: Image.Image, file: BinaryIO) -> spaces.Space | None:
    """What the colours of a HEIF or AVIF mean that carries no profile."""
    if kind == "HEIF":
        points = image.info.get("nclx_profile") or {}
        return spaces.of_cicp(points.get("color_primaries", 2), points.get("transfer_characteristics", 2))
    if kind != "AVIF":
        return None
    file.seek(0)
    found = boxes.colour_of_avif(file.read())
    return spaces.of_cicp(*found) if found else None


def _several(count: int, what: str = "frames") -> tuple[str, ...]:
    return (f"has {count} {what}; the first is painted",) if count > 1 else ()


def _toned(space: spaces.Space | None) -> tuple[str, ...]:
    return (f"is HDR ({space.hdr}); its highlights are toned down to SDR",) if space and space.hdr else ()


class _PillowSettings:
    """Pillow's own limit of pixels, and what it and libtiff print, held for as long as any thread is reading.

    They belong to the process, so threads that set and restore them each on their own would leave a mixture.
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
                logger, silence = logging.getLogger("PIL"), logging.NullHandler()
                logger.addHandler(silence)
                self._before.callback(logger.removeHandler, silence)
                _silence_libtiff(self._before)
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


def _silence_libtiff(before: ExitStack) -> None:
    """Libtiff prints its complaints itself, past Python; the ones that matter come as exceptions too."""
    if setter := _setter():
        before.callback(setter, setter(None))


@cache
def _setter() -> "ctypes._FuncPointer | None":
    """Libtiff's own function, or None where Pillow does not let it be seen."""
    try:
        setter = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (AttributeError, OSError):
        return None
    setter.restype, setter.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    return setter


def _reason(error: Exception, kind: str, max_pixels: int) -> str:
    """Why an image cannot be read, and what to do."""
    if isinstance(error, Image.DecompressionBombError):
        return f"has more than {max_pixels / 1e6:g} million pixels; make it smaller"
    if isinstance(error, MemoryError):
        return "needs more memory than there is; make it smaller"
    if isinstance(error, OSError) and error.errno:
        return f"cannot be opened ({error.strerror}); check the path"
    said = one_line(error)
    if any(word in said.lower() for word in _CUT_SHORT):
        return f"is damaged, cut short ({said}); copy it again"
    if isinstance(error, UnidentifiedImageError) or any(word in said.lower() for word in _SAYING_NOTHING):
        return f"is a damaged {kind} file; replace it"
    return f"is damaged ({said}); replace it"


def one_line(error: BaseException) -> str:
    """What an exception says, without its line breaks."""
    return " ".join(str(error).split())[:160] or type(error).__name__

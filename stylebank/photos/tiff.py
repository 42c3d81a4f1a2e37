"""TIFF of every depth: Pillow where it reads right, our own samples where it does not; which picture is meant.

Pillow is right up to 8 bits and for 16 bits whose samples lie together. Tried against files that tifffile writes
(tests/photos/test_tiff.py): it garbles planes of 16 bits, does not turn white-is-zero of 16 bits round, mixes up the
bytes of packed big-endian floats, takes large unsigned numbers for negative ones, and refuses the rest.
"""

import io
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from stylebank.errors import ImageError
from stylebank.photos import directories, samples, spaces
from stylebank.photos.directories import Directory
from stylebank.photos.samples import Numbers, UnreadError
from stylebank.photos.spaces import Samples, Space
from stylebank.photos.srgb import of_samples, to_rgb

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK, _YCBCR, _LAB, _ICC_LAB = 0, 1, 2, 5, 6, 8, 9
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4, _LAB: 3, _ICC_LAB: 3}
_UNSIGNED, _SIGNED = 1, 2
_PREMULTIPLIED, _STRAIGHT = 1, 2
_BAND = 1 << 20
_OTHERS = (2, 3, 4, 6, 7, 32771, 32809)
"""Compression that Pillow reads beside the lossless kinds: codes of fax machines, JPEG, ThunderScan."""
_PACKED = {
    7: "JPEG",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34676: "LogLuv",
    34677: "LogLuv",
    34712: "JPEG 2000",
    34887: "LERC",
    34933: "PNG",
    34934: "JPEG XR",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
# Notes of the camera and the author; the rest of a directory is about its own strips.
_NOTED = (270, 271, 272, 274, 305, 306, 315, 316, 33432)


def opened(
    file: BinaryIO, name: object, *, check: Callable[[tuple[int, int]], None], plain: bool
) -> tuple[Image.Image, int]:
    """The picture of a TIFF, loaded, and how many pages the file has.

    Args:
        file: its bytes.
        name: for complaints.
        check: raises if the picture is too large; called before memory is taken.
        plain: keep the values, whatever a profile says.

    Raises:
        ImageError: the kind of TIFF is not read.
    """
    directory, pages = directories.picture(file, name)
    check(directory.size)
    exif = _exif(file, directory)
    image = _pillows(file, directory) if _is_pillows(directory, plain=plain) else None
    if image:
        exif.pop(ExifTags.Base.Orientation, None)  # Pillow has turned it
        image.getexif().pop(ExifTags.Base.Orientation, None)
    else:
        try:
            image = _own(file, directory, plain=plain)
        except UnreadError:
            raise ImageError(
                f"{name}: is a TIFF of a kind that is not read ({_words(directory)}); "
                "save it with 8 or 16 bits, without compression"
            ) from None
    image.info["exif"] = exif.tobytes() if exif else b""  # else Pillow gives all tags, of strips too
    image.info["dpi"] = directory.dpi
    return image, pages


class _Text(str):
    """A text whose characters stand for a byte each, as Pillow reads EXIF, and which is written as those bytes."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        """The bytes, whatever encoding Pillow asks for: it would make question marks of a name's accents."""
        return str.encode(self, "latin-1", "replace")


def as_read(value: object) -> object:
    """A value of EXIF that Pillow writes as it read it: texts of any encoding too."""
    return _Text(value) if isinstance(value, str) else value


def _words(directory: Directory) -> str:
    """What kind of TIFF: "32-bit float, 3 samples, LERC"."""
    kind = directory.number(directories.COMPRESSION, 1)
    packed = _PACKED.get(kind, "" if kind in samples.LOSSLESS else f"compression {kind}")
    colours = directory.number(directories.PHOTOMETRIC)
    words = (
        samples.kind_of(directory),
        f"{directory.number(directories.SAMPLES, 1)} samples",
        "" if colours in _COLOURS else f"colours of kind {colours}",
        packed,
    )
    return ", ".join(word for word in words if word)


def _is_pillows(directory: Directory, *, plain: bool) -> bool:
    bits = max(directory.numbers(directories.BITS, (1,)))
    kind = directory.number(directories.FORMAT, _UNSIGNED)
    photometric = directory.number(directories.PHOTOMETRIC)
    compression = directory.number(directories.COMPRESSION, 1)
    if compression not in samples.LOSSLESS:
        return compression in _OTHERS
    together = directory.number(directories.PLANAR, 1) != 2
    if bits <= 8:
        return kind != _SIGNED and photometric != _ICC_LAB and (together or photometric not in _COLOURS)
    space = None if plain else _space(directory)
    if not together or (space and space.coarse):
        return False
    if _PREMULTIPLIED in directory.numbers(directories.EXTRA):
        return False  # it divides 8 bits
    grey = photometric == _BLACK_IS_ZERO and directory.number(directories.SAMPLES, 1) == 1
    return (bits, kind) == (16, _UNSIGNED) and (grey or photometric in (_RGB, _CMYK))


def _pillows(file: BinaryIO, directory: Directory) -> Image.Image | None:
    """As Pillow reads it; None if it does not know the kind."""
    if directory.offset != directories.first(file):
        file.seek(0)
        data = bytearray(file.read())
        size, place = (8, 8) if 43 in data[2:4] else (4, 4)
        data[place : place + size] = directory.offset.to_bytes(
            size, "little" if directory.order == "<" else "big"
        )
        file = io.BytesIO(data)
    file.seek(0)
    try:
        image = Image.open(file, formats=("TIFF",))
    except UnidentifiedImageError:
        return None
    if (directory.number(directories.PHOTOMETRIC), directory.number(directories.COMPRESSION, 1)) == (
        _YCBCR,
        1,
    ):
        # Pillow takes its samples for whole pixels; libtiff knows that chroma comes in blocks.
        image._mode, image.use_load_libtiff = "RGB", True  # type: ignore[attr-defined]
        image.tile = [image.tile[0]._replace(codec_name="libtiff", extents=(0, 0, *directory.size), offset=0)]
        image.tile = [image.tile[0]._replace(args=("RGBX", False, directory.offset))]
    image.load()
    return image


def _space(directory: Directory) -> Space | None:
    profile = directory.tags.get(directories.PROFILE)
    return spaces.of_profile(profile) if isinstance(profile, bytes) else None


def _own(file: BinaryIO, directory: Directory, *, plain: bool) -> Image.Image:
    """As `samples` reads it, at 16 bits, in sRGB if its profile is one of curves."""
    photometric = directory.number(directories.PHOTOMETRIC)
    count, extras = _COLOURS.get(photometric, 99), directory.numbers(directories.EXTRA)
    if directory.number(directories.SAMPLES, 1) < count:
        raise UnreadError
    numbers = samples.read(file, directory)
    if not extras and photometric == _RGB and numbers.shape[2] == 4:
        extras = (_STRAIGHT,)  # as Pillow has it, and Photoshop writes it
    place = next((place for place, extra in enumerate(extras) if extra in (_PREMULTIPLIED, _STRAIGHT)), None)
    if place is not None and count + place >= numbers.shape[2]:
        place = None
    if photometric in (_LAB, _ICC_LAB):
        return _with_profile(_of_lab(numbers, signed=photometric == _LAB), directory, None)
    if plain and photometric == _BLACK_IS_ZERO and place is None and numbers.dtype.itemsize > 2:
        return _with_profile(_as_stored(numbers[..., 0]), directory, None)
    if plain and count == 1 and place is None and numbers.dtype == np.uint16:
        return _with_profile(_counted(numbers[..., 0], directory, photometric), directory, None)
    values = _scaled(numbers, directory)
    del numbers
    opacity = None if place is None else values[..., count + place]
    colours = values[..., :count]
    if opacity is not None and extras[place or 0] == _PREMULTIPLIED:
        colours = _divided(colours, opacity)
    if photometric == _WHITE_IS_ZERO:
        colours = 65535 - colours
    if photometric == _CMYK:
        return _of_cmyk(colours, opacity, directory)
    space = None if plain else _space(directory)
    return _with_profile(of_samples(colours, opacity, space), directory, space)


def _with_profile(image: Image.Image, directory: Directory, space: Space | None) -> Image.Image:
    profile = directory.tags.get(directories.PROFILE)
    if profile and space is None:
        image.info["icc_profile"] = profile
    turned = directory.number(directories.ORIENTATION, 1)
    if turned != 1:
        image.getexif()[ExifTags.Base.Orientation] = turned
    return image


def _of_cmyk(colours: Samples, opacity: Samples | None, directory: Directory) -> Image.Image:
    inks = (colours >> 8).astype(np.uint8)
    image = Image.frombytes("CMYK", (inks.shape[1], inks.shape[0]), inks.tobytes())
    image = _with_profile(image, directory, None)
    if opacity is None:
        return image
    shown = to_rgb(image)
    shown.putalpha(Image.fromarray((opacity >> 8).astype(np.uint8)))
    return shown


def _of_lab(numbers: Numbers, *, signed: bool) -> Image.Image:
    """8 bits of L, a and b, as Pillow takes them: a and b signed."""
    if numbers.dtype not in (np.uint8, np.uint16):
        raise UnreadError
    levels = (numbers[..., :3] >> (8 * numbers.dtype.itemsize - 8)).astype(np.uint8)
    if not signed:
        levels[..., 1:] ^= 128
    return Image.frombytes("LAB", (levels.shape[1], levels.shape[0]), levels.tobytes())


def _as_stored(numbers: Numbers) -> Image.Image:
    """Grey in the widest of Pillow's modes, for who counts values rather than looks at them."""
    if numbers.dtype.kind == "f":
        return Image.fromarray(numbers.astype(np.float32))
    return Image.fromarray(numbers.clip(-(2**31), 2**31 - 1).astype(np.int32))


def _counted(numbers: Numbers, directory: Directory, photometric: int) -> Image.Image:
    """Grey of 9 to 16 bits as its numbers from black on; `info["white"]` is the largest."""
    white = 2 ** directory.number(directories.BITS, 1) - 1
    image = Image.fromarray(white - numbers if photometric == _WHITE_IS_ZERO else numbers)
    image.info["white"] = white
    return image


def _scaled(numbers: Numbers, directory: Directory) -> Samples:
    """Any numbers to 16 bits."""
    if numbers.dtype == np.uint16 and directory.number(directories.BITS, 1) == 16:
        return numbers
    white = _white(numbers, directory.number(directories.BITS, 1))
    result = np.empty(numbers.shape, np.uint16)
    rows = max(1, _BAND // (numbers.shape[1] * numbers.shape[2]))
    for top in range(0, len(numbers), rows):
        wide = np.float64 if numbers.dtype.itemsize > 4 else np.float32
        with np.errstate(over="ignore", invalid="ignore"):  # lights without end, and what is no number
            part = np.multiply(numbers[top : top + rows], 65535 / white, dtype=wide)
        np.nan_to_num(part, copy=False, nan=0, posinf=65535, neginf=0)
        result[top : top + rows] = np.clip(part, 0, 65535, out=part).round(out=part)
    return result


def _white(numbers: Numbers, bits: int) -> float:
    """The number that is white. Of integers the largest, of 32 bits and more also that of 8 or 16 if none is above.

    Floats do not say: it is the first of the usual values that nine tenths of a photo do not exceed by half;
    lights are brighter than white.
    """
    if numbers.dtype.kind == "f":
        few = numbers[:: max(1, len(numbers) // 500), :: max(1, numbers.shape[1] // 500)].astype(np.float64)
        few = few[np.isfinite(few)]
        bright = float(np.quantile(few, 0.9)) if few.size else 1.0
        return next((white for white in (1.0, 255.0, 65535.0) if bright <= 1.5 * white), bright)
    most = float(2 ** (bits - (numbers.dtype.kind == "i")) - 1)
    if bits <= 16:
        return most
    brightest = int(numbers.max(initial=0))
    return next((white for white in (255.0, 65535.0) if brightest <= white), most)


def _divided(colours: Samples, opacity: Samples) -> Samples:
    """Colours that were multiplied with their opacity, as they were before."""
    result = np.empty_like(colours)
    rows = max(1, _BAND // colours.shape[1])
    for top in range(0, len(colours), rows):
        part = opacity[top : top + rows, :, None].astype(np.float32)
        whole = colours[top : top + rows] * (65535 / part.clip(1))
        result[top : top + rows] = whole.clip(0, 65535) + 0.5
    return result


def _exif(file: BinaryIO, directory: Directory) -> Image.Exif:
    """What the camera noted, without what is about strips and tiles; nothing if it is damaged."""
    noted, exif = Image.Exif(), Image.Exif()
    file.seek(2)
    noted.endian, noted.bigtiff = directory.order, 43 in file.read(2)
    try:
        noted.load_from_fp(file, directory.offset)
        for tag in _NOTED:
            if tag in noted:
                exif[tag] = as_read(noted[tag])
        for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if part in noted and (notes := noted.get_ifd(part)):
                exif[part] = {tag: as_read(value) for tag, value in notes.items()}
        exif.tobytes()
    except Exception:  # damaged notes make Pillow raise whatever it likes; the pixels are still good
        return Image.Exif()
    return exif

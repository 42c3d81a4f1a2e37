"""What a photo's file says beside its pixels, date, camera, artist, place, and what of it a picture keeps."""

from collections.abc import Iterator
from typing import Literal, TypeAlias, get_args

from PIL import Image
from PIL.ExifTags import IFD, Base

from stylebank.errors import ConfigError
from stylebank.photos.tiff import as_read

Kept: TypeAlias = Literal["none", "date", "basic", "all"]
"""Nothing; when the photo was taken, so that albums sort the picture where it belongs; also camera, lens, exposure,
artist, copyright and resolution; also where it was taken, by whose camera, and comments."""

_DATES = frozenset(
    (
        Base.DateTimeOriginal,
        Base.DateTimeDigitized,
        Base.OffsetTimeOriginal,
        Base.OffsetTimeDigitized,
        Base.SubsecTimeOriginal,
        Base.SubsecTimeDigitized,
    )
)
_CAMERA = frozenset(
    (
        Base.ExposureTime,
        Base.FNumber,
        Base.ExposureProgram,
        Base.ISOSpeedRatings,
        Base.ShutterSpeedValue,
        Base.ApertureValue,
        Base.ExposureBiasValue,
        Base.MaxApertureValue,
        Base.MeteringMode,
        Base.LightSource,
        Base.Flash,
        Base.FocalLength,
        Base.FocalLengthIn35mmFilm,
        Base.WhiteBalance,
        Base.LensSpecification,
        Base.LensMake,
        Base.LensModel,
    )
)
_AUTHOR = frozenset(
    (Base.Make, Base.Model, Base.Artist, Base.Copyright, Base.ImageDescription, Base.DateTime)
)
_TITLES = frozenset((Base.XPTitle, Base.XPComment, Base.XPAuthor, Base.XPKeywords, Base.XPSubject))

# Of the photo's pixels and its file, and so untrue of the picture's.
_PIXELS = frozenset(
    (
        Base.ExifImageWidth,
        Base.ExifImageHeight,
        Base.ColorSpace,
        Base.MakerNote,
        Base.ComponentsConfiguration,
        Base.CompressedBitsPerPixel,
        Base.ExifInteroperabilityOffset,
        Base.ExifVersion,
        Base.FlashPixVersion,
    )
)


_ORIENTATION = 12
"""Bytes of an entry of a directory."""


def check(kept: str) -> Kept:
    """Make sure that a word is one of `Kept`.

    Raises:
        ConfigError: it is not.
    """
    if kept not in get_args(Kept):
        raise ConfigError(f"--keep-metadata {kept}: is none of {', '.join(get_args(Kept))}; give one of them")
    return kept  # type: ignore[return-value]  # mypy does not follow get_args


def chosen(exif: bytes | None, kept: Kept, *, most: int = 1 << 24) -> bytes | None:
    """What a picture keeps of a photo's EXIF block, as a block of its own; None if that is nothing.

    Orientation is 1, as the picture stands upright, and there is no thumbnail: it would show the photo. Damaged EXIF
    says nothing; a value that cannot be written, or would make the block longer than `most` bytes, is left out.
    """
    if not exif or kept == "none":
        return None
    photo, picture = Image.Exif(), Image.Exif()
    try:
        photo.load(exif)
        found = list(_tags(photo, kept))
    except Exception:  # damaged bytes make Pillow raise whatever it likes
        return None
    for place, tag, value in found:
        directory = picture if place is None else picture.get_ifd(place)
        directory[tag] = as_read(value)
        if not _can_be_written(picture, most):
            del directory[tag]
    if not any((dict(picture), picture.get_ifd(IFD.Exif), picture.get_ifd(IFD.GPSInfo))):
        return None
    picture[Base.Orientation] = 1
    return picture.tobytes()


def _tags(photo: Image.Exif, kept: Kept) -> Iterator[tuple[int | None, int, object]]:
    """Directory, None for the first, tag and value of what is kept."""
    notes = photo.get_ifd(IFD.Exif)
    # By which albums sort what says no more: scans, and what an editor wrote.
    date = frozenset[int]() if Base.DateTimeOriginal in notes else frozenset((Base.DateTime,))
    own = {"date": date, "basic": _AUTHOR, "all": _AUTHOR | _TITLES}[kept]
    yield from ((None, tag, value) for tag, value in photo.items() if tag in own)
    for tag, value in notes.items():
        if tag in _DATES or (kept != "date" and tag in _CAMERA) or (kept == "all" and tag not in _PIXELS):
            yield IFD.Exif, tag, value
    if kept == "all":
        yield from ((IFD.GPSInfo, tag, value) for tag, value in photo.get_ifd(IFD.GPSInfo).items())


def _can_be_written(exif: Image.Exif, most: int) -> bool:
    try:
        return len(exif.tobytes()) <= most - _ORIENTATION
    except Exception:  # as above
        return False


def directories(exif: bytes) -> Image.Exif:
    """A block as `chosen` makes it, for Pillow's writers that load it anew, and its texts wrongly."""
    found = Image.Exif()
    found.load(exif)
    for tag, value in list(found.items()):
        found[tag] = as_read(value)
    for place in {IFD.Exif, IFD.GPSInfo} & set(found):
        inner = found.get_ifd(place)
        inner.update({tag: as_read(value) for tag, value in inner.items()})
    return found

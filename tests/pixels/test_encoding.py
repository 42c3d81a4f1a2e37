"""What of a picture each format keeps: colours, transparency, metadata, and how well."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

from stylebank.errors import ConfigError, EncodingError
from stylebank.photos import originals
from stylebank.pixels import encoding, formats
from stylebank.pixels.encoding import Beside, Encoding

DATE = "2024:05:06 07:08:09"
WITH_ALPHA = (".png", ".webp", ".tif", ".tiff", ".avif", ".heic", ".jxl")


def smooth(width: int = 48, height: int = 32) -> Image.Image:
    y, x = np.mgrid[:height, :width] / width
    waves = [0.5 + 0.5 * np.sin(9 * x + 5 * y), 0.5 + 0.5 * np.cos(7 * y), 0.3 + 0.4 * x]
    return Image.fromarray((np.stack(waves, -1) * 255).round().astype("u1"))


def disc(width: int = 48, height: int = 32) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2
    return Image.fromarray(np.where(inside, 255, 0).astype("u1"))


def exif() -> bytes:
    """Of a photo that lies on its side, with a place, a serial number and a thumbnail."""
    found = Image.Exif()
    found[Base.Orientation], found[Base.Make], found[Base.Copyright] = 6, "MakerX", "(c) Someone"
    own = found.get_ifd(IFD.Exif)
    own[Base.DateTimeOriginal], own[Base.FNumber], own[Base.BodySerialNumber] = DATE, 2.8, "1234"
    own[Base.ExifImageWidth], own[Base.MakerNote] = 999, b"maker"
    found.get_ifd(IFD.GPSInfo)[1] = "N"
    found.get_ifd(IFD.GPSInfo)[2] = (48.0, 51.0, 30.0)
    return found.tobytes()


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("suffix", formats.WRITTEN)
def test_every_format_is_tagged_as_srgb_and_read_again(suffix: str) -> None:
    picture = smooth()
    data = encoding.encode(picture, suffix)
    if suffix == ".png":
        assert b"sRGB" in data[:64]
    elif suffix != ".bmp":
        profile = ImageCms.ImageCmsProfile(io.BytesIO(decoded(data).info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
    found = originals.read_bytes(data, f"a{suffix}")
    # Lossy formats lose a level or two, halved colours of a picture as small as this 4; another picture is 60 away.
    loss = np.abs(np.asarray(found.image, int) - np.asarray(picture, int)).mean()
    assert loss < (6 if suffix == ".heic" else 2.5)
    assert found.alpha is None
    assert encoding.encode(picture, suffix) == data, "equal pictures are equal files"


@pytest.mark.parametrize("suffix", formats.WRITTEN)
def test_alpha_comes_back_where_a_format_has_it_and_lies_over_white_elsewhere(suffix: str) -> None:
    data = encoding.encode(smooth(), suffix, beside=Beside(alpha=disc()))
    found = originals.read_bytes(data, f"a{suffix}")
    corner = found.image.getpixel((1, 1))
    assert isinstance(corner, tuple)
    assert min(corner) > 250
    if suffix not in WITH_ALPHA:
        assert found.alpha is None
        return
    assert found.alpha is not None
    assert np.abs(np.asarray(found.alpha, int) - np.asarray(disc(), int)).mean() < 3
    # Under the transparency the paint is still there, for who cuts it out anew.
    if suffix in (".png", ".tif"):
        assert decoded(data).convert("RGB").getpixel((1, 1)) == smooth().getpixel((1, 1))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif", ".heic", ".jxl"])
@pytest.mark.parametrize(
    ("kept", "date", "maker", "serial", "place"),
    [
        ("none", False, False, False, False),
        ("date", True, False, False, False),
        ("basic", True, True, False, False),
        ("all", True, True, True, True),
    ],
)
def test_of_metadata_what_was_asked_for_is_kept(
    kept: Any, date: bool, maker: bool, serial: bool, place: bool, suffix: str
) -> None:
    beside = Beside(exif=exif(), dpi=(300.0, 300.0))
    image = decoded(encoding.encode(smooth(), suffix, Encoding(keep=kept), beside))
    found = image.getexif()
    own = found.get_ifd(IFD.Exif)
    assert (own.get(Base.DateTimeOriginal) == DATE) is date
    assert (found.get(Base.Make) == "MakerX", own.get(Base.FNumber) == 2.8) == (maker, maker)
    assert (own.get(Base.BodySerialNumber) == "1234") is serial
    assert (found.get_ifd(IFD.GPSInfo).get(1) == "N") is place
    assert found.get(Base.Orientation, 1) == 1
    assert not {Base.ExifImageWidth, Base.MakerNote} & set(own), "of the photo's pixels, not of the picture's"
    if suffix in (".png", ".jpg", ".tif"):
        # PNG counts pixels per metre.
        assert (round(image.info.get("dpi", (72,))[0]) == 300) is maker


@pytest.mark.parametrize(
    "damage", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", exif()[:40], b"\xff" * 99]
)
def test_damaged_exif_says_nothing(damage: bytes) -> None:
    for kept in ("date", "all"):
        data = encoding.encode(smooth(), ".jpg", Encoding(keep=kept), Beside(exif=damage))
        assert decoded(data).getexif().get_ifd(IFD.Exif).get(Base.DateTimeOriginal) is None


def test_quality_trades_bytes_for_faithfulness() -> None:
    picture = Image.effect_noise((64, 64), 60).convert("RGB")
    for suffix in (".jpg", ".webp", ".avif", ".heic", ".jxl"):
        few, many = (encoding.encode(picture, suffix, Encoding(quality=q)) for q in (20, 95))
        assert len(few) < 0.7 * len(many), suffix


def test_lossless_keeps_every_pixel() -> None:
    picture = Image.effect_noise((64, 64), 60).convert("RGB")
    for suffix in (".png", ".tif", ".bmp", ".webp", ".jxl"):
        Encoding(lossless=True).check(suffix)
        found = decoded(encoding.encode(picture, suffix, Encoding(lossless=True)))
        assert np.array_equal(np.asarray(found), np.asarray(picture)), suffix
    with pytest.raises(ConfigError, match="always lose some"):
        Encoding(lossless=True).check(".jpg")


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_a_quality_out_of_range_is_refused(quality: int) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        Encoding(quality=quality)


def test_contradictions_are_refused() -> None:
    with pytest.raises(ConfigError, match="no choice"):
        Encoding(quality=90, lossless=True)
    with pytest.raises(ConfigError, match="lose nothing"):
        Encoding(quality=90).check(".png")
    with pytest.raises(ConfigError, match="is none of none, date, basic, all"):
        Encoding(keep="gps")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("suffix", "size"), [(".webp", (16400, 2)), (".jpg", (65600, 2)), (".avif", (65600, 2))]
)
def test_what_a_format_cannot_hold_is_refused_in_a_line(suffix: str, size: tuple[int, int]) -> None:
    with pytest.raises(EncodingError, match=rf"^\{suffix} file: cannot hold {size[0]} x 2 pixels .*; choose"):
        encoding.encode(Image.new("RGB", size), suffix)


def test_a_png_says_srgb_before_its_pixels() -> None:
    """Where the PNG specification wants it."""
    data, at, names = encoding.encode(smooth(), ".png"), 8, []
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        names.append(name)
        at += 12 + length
    assert names.index(b"sRGB") < names.index(b"IDAT")


def test_no_format_is_written_that_is_not_read() -> None:
    assert set(formats.WRITTEN) <= formats.IMAGE_SUFFIXES
    for suffix in formats.WRITTEN:
        formats.check_suffix(Path(f"a{suffix.upper()}"))


class Utf8(str):
    """A text as cameras and editors write it into EXIF, whatever the standard says."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return str.encode(self, "utf-8")


@pytest.mark.parametrize("source", [".jpg", ".png", ".heic"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif", ".heic", ".jxl"])
def test_names_with_accents_stay_what_they_are(source: str, suffix: str) -> None:
    names = Image.Exif()
    names[Base.Artist], names[Base.Copyright] = Utf8("Jürgen 山"), Utf8("© Zoë")
    names.get_ifd(IFD.Exif)[Base.LensModel] = Utf8("Élan")
    assert "©".encode() in names.tobytes(), "the photo has them"
    photo = io.BytesIO()
    smooth().save(photo, formats.written(source), exif=names.tobytes())
    beside = Beside.of(originals.read_bytes(photo.getvalue(), f"a{source}"))
    found = decoded(encoding.encode(smooth(), suffix, Encoding(keep="basic"), beside)).getexif()
    texts = found[Base.Artist], found[Base.Copyright], found.get_ifd(IFD.Exif)[Base.LensModel]
    assert [text.encode("latin-1").decode() for text in texts] == ["Jürgen 山", "© Zoë", "Élan"]


def test_notes_that_are_too_long_for_a_format_are_left_out_alone() -> None:
    long = Image.Exif()
    long[Base.Make] = "MakerX"
    long.get_ifd(IFD.Exif)[Base.UserComment] = b"ASCII\0\0\0" + b"x" * 70_000
    for suffix, is_kept in ((".jpg", False), (".png", True)):
        data = encoding.encode(smooth(), suffix, Encoding(keep="all"), Beside(exif=long.tobytes()))
        found = decoded(data).getexif()
        assert found[Base.Make] == "MakerX"
        assert (Base.UserComment in found.get_ifd(IFD.Exif)) is is_kept


@pytest.mark.parametrize("is_taken", [True, False])
def test_the_date_of_the_file_stands_in_for_a_missing_date_of_the_photo(is_taken: bool) -> None:
    scan = Image.Exif()
    scan[Base.DateTime] = "2001:02:03 04:05:06"
    if is_taken:
        scan.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = DATE
    found = decoded(encoding.encode(smooth(), ".jpg", beside=Beside(exif=scan.tobytes()))).getexif()
    assert found.get(Base.DateTime) == (None if is_taken else "2001:02:03 04:05:06")


def test_a_resolution_that_no_photo_has_is_none() -> None:
    photo = io.BytesIO()
    smooth().save(photo, "TIFF", dpi=(1e9, 1e9))
    assert originals.read_bytes(photo.getvalue(), "a.tif").dpi is None


def test_soft_edges_of_a_photo_are_white_once() -> None:
    colour, alpha = np.array([40, 60, 120]), np.tile(np.arange(0, 256, 5, dtype=np.uint8), (4, 1))
    share = alpha[..., None] / 255
    laid = Image.fromarray(np.rint(colour * share + 255 * (1 - share)).astype(np.uint8))  # as it is painted
    beside = Beside(Image.fromarray(alpha), over_white=True)
    with Image.open(io.BytesIO(encoding.encode(laid, ".png", beside=beside))) as image:
        found = np.asarray(image).astype(float)
    assert (found[..., 3] == alpha).all()
    soft = alpha >= 40
    assert np.abs(found[..., :3][soft] - colour).max() <= 4  # half a level, by a share of 40 / 255
    over = found[..., :3] * share + 255 * (1 - share)
    assert np.abs(over - np.asarray(laid)).max() <= 1
    with Image.open(io.BytesIO(encoding.encode(laid, ".bmp", beside=beside))) as image:
        assert np.abs(np.asarray(image).astype(int) - np.asarray(laid)).max() <= 1
    straight = encoding.encode(laid, ".png", beside=Beside(Image.fromarray(alpha)))
    with Image.open(io.BytesIO(straight)) as image:
        assert (np.asarray(image)[..., :3] == np.asarray(laid)).all(), (
            "frames of animations have their own colours"
        )

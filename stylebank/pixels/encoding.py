"""Images as the bytes of files: what of a picture each format keeps."""

import io
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image, ImageCms, PngImagePlugin

from stylebank.errors import ConfigError, EncodingError
from stylebank.photos import srgb
from stylebank.photos.decoding import one_line
from stylebank.photos.originals import Original
from stylebank.pixels import formats, metadata
from stylebank.pixels.metadata import Kept

_LOSSY = {"JPEG": 95, "WEBP": 95, "AVIF": 85, "HEIF": 90, "JXL": 95}
"""Formats that have a quality, and which one they get unless another is asked for."""

_ALPHA = ("PNG", "WEBP", "TIFF", "AVIF", "HEIF", "JXL")
_EXIF = ("PNG", "JPEG", "WEBP", "TIFF", "AVIF", "HEIF", "JXL")
_LOSSLESS = ("PNG", "TIFF", "BMP", "WEBP", "JXL")


@dataclass(frozen=True)
class Encoding:
    """How pictures are written.

    Attributes:
        quality: 1 to 100, of formats that lose some; None for the format's usual one.
        lossless: whether every pixel is kept exactly, by formats that have a choice.
        keep: what of the photo's metadata the pictures keep.

    Raises:
        ConfigError: a value is out of range, or quality and lossless contradict each other.
    """

    quality: int | None = None
    lossless: bool = False
    keep: Kept = "date"

    def __post_init__(self) -> None:
        metadata.check(self.keep)
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ConfigError(f"--quality {self.quality}: is out of range; give 1 to 100")
        if self.lossless and self.quality is not None:
            raise ConfigError("--lossless: leaves no choice of --quality; give one of them")

    def check(self, suffix: str) -> None:
        """Make sure that a format can be written like that.

        Raises:
            ConfigError: it knows no quality, or cannot be lossless.
        """
        name = formats.written(suffix)
        if self.quality is not None and name not in _LOSSY:
            raise ConfigError(f"--quality: {suffix} files have none, they lose nothing; leave it out")
        if self.lossless and name not in _LOSSLESS:
            raise ConfigError(f"--lossless: {suffix} files always lose some; use png, webp, tif or jxl")


@dataclass(frozen=True)
class Beside:
    """What a picture's file holds beside its colours.

    Attributes:
        alpha: of mode L and the picture's size; None for opaque.
        exif: the photo's block, of which `Encoding.keep` says how much is kept.
        dpi: pixels per inch, across and down; kept with the camera.
        over_white: whether the picture is of a photo that was laid over white by that alpha.
    """

    alpha: Image.Image | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    over_white: bool = False

    @classmethod
    def of(cls, photo: Original) -> "Beside":
        """What a photo's own file holds."""
        return cls(photo.alpha, photo.exif, photo.dpi, over_white=True)


USUAL, NOTHING = Encoding(), Beside()


def encode(image: Image.Image, suffix: str, how: Encoding = USUAL, beside: Beside = NOTHING) -> bytes:
    """An image as the bytes of a file, tagged as sRGB.

    Args:
        image: of any mode; it becomes RGB.
        suffix: ".png", ".JPG" or another that `formats.check_suffix` lets pass; it decides the format.
        how: see there.
        beside: what else the file is to hold; a format without alpha lays the picture over white.

    Raises:
        EncodingError: the format cannot hold an image of this size.
    """
    name = formats.written(suffix)
    plain = image
    if image.mode != "RGB" or image.info:
        plain = image.convert("RGB")
        plain.info.clear()
    if beside.alpha:
        plain = srgb.without_white(plain, beside.alpha) if beside.over_white else plain
        plain = _with_alpha(plain, beside.alpha, kept=name in _ALPHA)
    options = _options(name, how, beside)
    buffer = io.BytesIO()
    try:
        plain.save(buffer, name, **options)
    except (OSError, ValueError, RuntimeError) as error:
        width, height = image.size
        raise EncodingError(
            f"{suffix} file: cannot hold {width} x {height} pixels ({one_line(error)}); choose .png or .tif"
        ) from error
    return buffer.getvalue()


def for_screen(image: Image.Image, *, quality: int = 92) -> bytes:
    """An RGB image as JPEG for a screen: 4 ms at 1024 x 683 where WebP takes 43; pixels and no more."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _with_alpha(image: Image.Image, alpha: Image.Image, *, kept: bool) -> Image.Image:
    if kept:
        found = image.copy()
        found.putalpha(alpha)
        return found
    return srgb.over_white(image, alpha)


def _options(name: str, how: Encoding, beside: Beside) -> dict[str, Any]:
    """Pillow's words for all that."""
    options: dict[str, Any] = {}
    if name in _LOSSY:
        options["quality"] = how.quality or _LOSSY[name]
    if how.lossless and name in ("WEBP", "JXL"):
        options["lossless"] = True
    # Full colour resolution, as paint has sharp edges between colours; of HEIC many devices read the halved one only.
    if name == "JPEG":
        options["subsampling"] = 0
    if name == "AVIF":
        options["subsampling"] = "4:4:4"
    if name == "PNG":
        # Paint is fine-grained: level 6 takes 2.4 times as long for 5 % fewer bytes.
        options["compress_level"] = 1
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add(b"sRGB", b"\0")
    elif name != "BMP":
        options["icc_profile"] = _srgb_profile()
    most = {"JPEG": 65533}.get(name, 1 << 24)  # of a segment
    exif = metadata.chosen(beside.exif, how.keep, most=most) if name in _EXIF else None
    if exif:
        options["exif"] = metadata.directories(exif) if name in ("TIFF", "AVIF") else exif
    if beside.dpi and how.keep in ("basic", "all"):
        options["dpi"] = beside.dpi
    return options


@cache
def _srgb_profile() -> bytes:
    """A profile of sRGB, without the time of its making: equal pictures are equal files."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes.fromhex("07ea00010001000000000000")
    return bytes(profile)

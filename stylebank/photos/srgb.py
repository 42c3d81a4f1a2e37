"""Any Pillow image as upright RGB in sRGB: profile applied, 16 bits scaled, transparency over white."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from stylebank.photos.spaces import Samples, Space, of_profile

LUMA = (0.299, 0.587, 0.114)
"""Of R, G and B, ITU-R BT.601."""

COLOUR = ("icc_profile", "gamma", "chromaticity", "srgb", "transparency")
"""What an image's info says of its colours; no longer true when they are converted."""

_ROWS = 256
"""That are computed with at once."""

# How a photo with this EXIF orientation is turned upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow image turned upright, as RGB in sRGB."""
    return to_rgb(upright(image))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow image as RGB in sRGB: profile applied, 16 bits scaled, transparency over white.

    An image that is all that already is returned itself: a copy of a large photo is a lot of memory.
    """
    return rgb_and_alpha(image)[0]


def rgb_and_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """An image as `to_rgb` has it, and its transparency in mode L; None if it has none, or is opaque everywhere."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        space = of_profile(profile)  # at 16 bits: linear light, say, would show steps in the darks
        image, profile = _to_eight_bits(image, space), None if space else profile
    if not image.has_transparency_data:
        return _to_srgb(image, profile), None
    image = image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
    colour = _to_srgb(image.convert(image.mode.removesuffix("A")), profile) if profile else image
    alpha = image.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return colour.convert("RGB"), None
    return over_white(colour, alpha), alpha


def over_white(image: Image.Image, alpha: Image.Image) -> Image.Image:
    """A picture laid over white, for files without transparency, in mode RGB."""
    sheet = Image.new("RGB", image.size, "white")
    sheet.paste(image, mask=alpha)
    return sheet


def without_white(image: Image.Image, alpha: Image.Image) -> Image.Image:
    """The colours that, laid over white by an alpha, are the picture's: else soft edges would be white twice."""
    found = np.array(image)
    opacity = np.asarray(alpha)
    for top in range(0, len(found), _ROWS):
        part, share = found[top : top + _ROWS], opacity[top : top + _ROWS, :, None].astype(np.float32) / 255
        dark = (255.0 - part) / np.maximum(share, 1 / 255)
        found[top : top + _ROWS] = np.where(share > 0, np.rint((255 - dark).clip(0, 255)), part)
    return Image.fromarray(found)


def converted(image: Image.Image, space: Space) -> Image.Image:
    """A loaded image whose colours are those of a space, in sRGB: of mode RGB or L, with alpha if it has any."""
    if image.mode.startswith("I"):
        key = image.info.get("transparency")
        values = np.asarray(image).astype(np.uint16)
        opacity = ((values != key) * 65535).astype(np.uint16) if isinstance(key, int) else None
        shown = of_samples(values[..., None], opacity, space)
    else:
        grey = image.mode in ("1", "L", "LA", "La")
        alpha = (
            image.convert("LA" if grey else "RGBA").getchannel("A") if image.has_transparency_data else None
        )
        levels = np.asarray(image.convert("L" if grey else "RGB"))
        shown = Image.fromarray(space.to_srgb(levels))
        if alpha:
            shown.putalpha(alpha)
    shown.info = {name: value for name, value in image.info.items() if name not in COLOUR}
    return shown


def of_samples(values: Samples, opacity: Samples | None, space: Space | None) -> Image.Image:
    """An image of samples with 16 bits.

    Args:
        values: (H, W, C), the first of C grey, or the first three red, green and blue; others are left out.
        opacity: (H, W).
        space: what they mean; None to keep them.
    """
    colours = values[..., 0] if values.shape[2] < 3 else values[..., :3]
    shown = Image.fromarray(space.to_srgb(colours) if space else _high(colours))
    if opacity is not None:
        shown.putalpha(Image.fromarray(_high(opacity)))
    return shown


def _high(values: Samples) -> NDArray[np.uint8]:
    """The nearest of 256 levels: v / 257, rounded."""
    levels: NDArray[np.uint8] = (np.arange(65536) / 257).round().astype(np.uint8)
    return levels[values]


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        if image.mode not in ("RGB", "L", "CMYK", "LAB"):  # a palette, say: its profile is one of RGB
            image = image.convert("RGB")
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a broken profile, or one for another kind of image: the pixels are still good
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bits(image: Image.Image, space: Space | None) -> Image.Image:
    """Integer and float greyscale to 8 bits: Pillow's own conversion clips instead of scaling.

    Neither kind says what white is: it is the first of the usual values that the brightest pixel does not
    exceed; in floats by half, as whites may overshoot.
    """
    values = np.array(image, dtype=np.float32)
    np.nan_to_num(values, copy=False, posinf=0, neginf=0)
    whites = {"F": [1.0, 255.0, 65535.0], "I": [255.0, 65535.0, 2.0**31 - 1]}.get(image.mode, [65535.0])
    brightest = float(values.max(initial=0)) / (1.5 if image.mode == "F" else 1)
    values *= 65535 / next((white for white in whites if brightest <= white), brightest)
    levels = values.clip(0, 65535, out=values).round(out=values).astype(np.uint16)
    key, opacity = image.info.get("transparency"), None
    if isinstance(key, int):
        opacity = (np.asarray(image) != key) * np.uint16(65535)
    return of_samples(levels[..., None], opacity, space)


def upright(image: Image.Image) -> Image.Image:
    """Turn a photo as its EXIF says; damaged EXIF says nothing, the pixels are still good."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # as in `decode`
        return image
    return image if turn is None else image.transpose(turn)

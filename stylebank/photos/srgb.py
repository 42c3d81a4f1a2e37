"""Any Pillow image as upright RGB in sRGB: profile applied, 16 bits scaled, transparency over white."""

import io

import numpy as np
from PIL import ExifTags, Image, ImageCms

LUMA = (0.299, 0.587, 0.114)
"""Of R, G and B, ITU-R BT.601."""

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
    profile = image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        image = _to_eight_bits(image)
    if not image.has_transparency_data:
        return _to_srgb(image, profile)
    image = image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
    colour = _to_srgb(image.convert(image.mode.removesuffix("A")), profile) if profile else image
    sheet = Image.new("RGB", image.size, "white")
    sheet.paste(colour, mask=image.getchannel("A"))
    return sheet


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


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Integer and float greyscale to 8 bits: Pillow's own conversion clips instead of scaling.

    Neither kind says what white is: it is the first of the usual values that the brightest pixel does not
    exceed; in floats by half, as whites may overshoot.
    """
    values = np.array(image, dtype=np.float32)
    np.nan_to_num(values, copy=False, posinf=0, neginf=0)
    whites = [1.0, 255.0, 65535.0] if image.mode == "F" else [65535.0, 2.0**31 - 1]
    brightest = float(values.max(initial=0)) / (1.5 if image.mode == "F" else 1)
    values *= 255 / next((white for white in whites if brightest <= white), brightest)
    levels = Image.fromarray(values.clip(0, 255, out=values).round(out=values).astype(np.uint8))
    key = image.info.get("transparency")
    if isinstance(key, int):
        levels.putalpha(Image.fromarray(np.asarray(image) != key).convert("L"))
    return levels


def upright(image: Image.Image) -> Image.Image:
    """Turn a photo as its EXIF says; damaged EXIF says nothing, the pixels are still good."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # as in `decode`
        return image
    return image if turn is None else image.transpose(turn)

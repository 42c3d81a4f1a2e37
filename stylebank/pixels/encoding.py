"""Images as the bytes of files: what of a picture each format keeps."""

import io

from PIL import Image

from stylebank.errors import OutputError
from stylebank.photos.decoding import one_line
from stylebank.pixels.formats import WRITTEN


def encode(image: Image.Image, suffix: str, *, quality: int = 95) -> bytes:
    """An image as the bytes of a file in RGB, without EXIF, GPS or profile.

    Args:
        image: of any mode.
        suffix: ".png", ".JPG" or another that `formats.check_suffix` lets pass; it decides the format.
        quality: 1 to 100, of JPEG and WebP.

    Raises:
        OutputError: the format cannot hold an image of this size.
    """
    plain = image
    if image.mode != "RGB" or image.info:
        plain = image.convert("RGB")
        plain.info.clear()
    buffer, name = io.BytesIO(), WRITTEN[suffix.lower()]
    options = {"quality": quality} if name in ("JPEG", "WEBP") else {}
    if name == "PNG":
        options["compress_level"] = (
            1  # paint is fine-grained: level 6 takes 2.4 times as long for 5 % fewer bytes
        )
    if name == "JPEG":
        options["subsampling"] = 0  # full colour resolution: paint has sharp edges between colours
    try:
        plain.save(buffer, name, **options)
    except (OSError, ValueError) as error:
        width, height = image.size
        raise OutputError(
            f"{suffix} file: cannot hold {width} x {height} pixels ({one_line(error)}); choose .png or .tif"
        ) from error
    return buffer.getvalue()

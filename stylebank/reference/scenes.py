"""A drawn scene whose sky, ground and edges are known, and a photo whose border lies elsewhere, for `inspection`."""

import numpy as np
from PIL import Image, ImageDraw

SKY, HAZE, GROUND = (112, 152, 206), (206, 218, 232), (146, 138, 126)
_OVER = 4  # times as large as wanted when it is drawn, for smooth edges


def scene(side: int) -> Image.Image:
    """A square scene: a sky that grows lighter downwards, ground of one grey, and few things with hard edges on it."""
    big = side * _OVER
    sky = np.linspace(SKY, HAZE, big // 2).repeat(big, 0).reshape(-1, big, 3)
    ground = np.full((big - len(sky), big, 3), GROUND)
    image = Image.fromarray(np.concatenate([sky, ground]).round().astype(np.uint8))
    pen = ImageDraw.Draw(image)

    def box(left: float, top: float, right: float, bottom: float) -> list[float]:
        return [round(share * big) for share in (left, top, right, bottom)]

    pen.rectangle(box(0.62, 0.3, 0.74, 0.68), fill=(40, 38, 44))
    pen.rectangle(box(0.74, 0.4, 0.94, 0.68), fill=(236, 228, 210))
    pen.ellipse(box(0.1, 0.62, 0.32, 0.84), fill=(176, 44, 38))
    pen.ellipse(box(0.38, 0.76, 0.5, 0.88), fill=(24, 60, 34))
    return image.resize((side, side), Image.Resampling.BOX)


def mirrored(photo: Image.Image, margin: int) -> Image.Image:
    """A photo continued by its mirror image, `margin` pixels on every side."""
    pixels = np.asarray(photo.convert("RGB"))
    return Image.fromarray(np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric"))

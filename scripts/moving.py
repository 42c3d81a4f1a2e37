"""Draw how painted video holds still: weights/moving.webp, side by side, and weights/moving.jpg, its frames.

    .venv/bin/python scripts/moving.py

A camera passes over a photo that comes along. Left, each frame is painted by itself; right, as `stylebank video` does.
The sheet shows ten frames of each and, below, how much each differs from the frame before it once the camera's motion,
which is known, is taken out: five times enlarged, grey is no difference.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from stylebank import StyleBank
from stylebank.files import resources
from stylebank.video.looks import Look
from stylebank.video.steadiness import STEADY, SteadyPainter

STYLE = "van_gogh_starry_night"
SIZE = (320, 240)
STEP = 3  # pixels a frame, to the right
FRAMES = 36
RATE = 12  # a second
SHOWN = range(0, 30, 3)


def main() -> None:
    """Paint, and write both files."""
    weights = resources.weights_folder()
    photo = Image.open(resources.photos_folder() / "coffee.jpg").convert("RGB")
    width = SIZE[0] + STEP * FRAMES
    photo = photo.resize((width, round(photo.height * width / photo.width)), Image.Resampling.LANCZOS)
    frames = [photo.crop((STEP * k, 20, STEP * k + SIZE[0], 20 + SIZE[1])) for k in range(FRAMES)]
    bank = StyleBank.load()
    films = [painted(bank, frames, steady) for steady in (0.0, STEADY)]
    draw_film(films, weights / "moving.webp")
    draw_sheet([frames, *films], weights / "moving.jpg")


def painted(bank: StyleBank, frames: Sequence[Image.Image], steady: float) -> list[Image.Image]:
    """The frames in the style, as steady as that."""
    painter = SteadyPainter(bank, steady=steady)
    look = Look(share=STYLE)
    return [painter.paint(frame, look) for frame in frames]


def draw_film(films: Sequence[Sequence[Image.Image]], target: Path) -> None:
    """Both films beside each other, as an animation that goes there and back."""
    both = [_beside(pair) for pair in zip(*films, strict=True)]
    both += both[-2:0:-1]
    both[0].save(
        target,
        save_all=True,
        append_images=both[1:],
        duration=round(1000 / RATE),
        loop=0,
        quality=45,
        method=4,
    )


def draw_sheet(films: Sequence[Sequence[Image.Image]], target: Path) -> None:
    """Ten frames of each film, and below them what changes beside the camera's motion."""
    rows = []
    for film in films:
        rows.append(_beside([film[k].reduce(2) for k in SHOWN]))
        rows.append(_beside([_difference(film[k], film[k + 1]).reduce(2) for k in SHOWN]))
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)))
    for number, row in enumerate(rows):
        sheet.paste(row, (0, number * row.height))
    sheet.save(target, quality=80)


def _difference(before: Image.Image, after: Image.Image) -> Image.Image:
    earlier, later = (np.asarray(image, np.float32) for image in (before, after))
    grey = np.full_like(later, 128)
    grey[:, :-STEP] += 5 * (later[:, :-STEP] - earlier[:, STEP:])
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8))


def _beside(images: Sequence[Image.Image]) -> Image.Image:
    row = Image.new("RGB", (sum(image.width for image in images), images[0].height))
    left = 0
    for image in images:
        row.paste(image, (left, 0))
        left += image.width
    return row


if __name__ == "__main__":
    main()

"""Levels go from video to RGB and back as the norms have it."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.footage import colours
from stylebank.footage.colours import Colours

av = pytest.importorskip("av", reason="needs PyAV, the extra stylebank[video]")

KINDS = {
    "BT.709": (Colours(1, 1, 1, 1), (0.2126, 0.0722)),
    "BT.601": (Colours(6, 6, 6, 1), (0.299, 0.114)),
    "BT.2020": (Colours(9, 9, 1, 1), (0.2627, 0.0593)),
    "BT.709 full": (Colours(1, 1, 1, 2), (0.2126, 0.0722)),
    "undeclared, small": (Colours(), (0.299, 0.114)),
}


def flat(levels: tuple[int, int, int], pixels: str) -> Any:
    frame = av.VideoFrame(64, 48, pixels)
    for plane, level in zip(frame.planes, levels, strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    return frame


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "levels", [(16, 128, 128), (235, 128, 128), (50, 128, 128), (120, 90, 160), (180, 140, 110)]
)
def test_levels_are_those_of_the_norm(pixels: str, kind: str, levels: tuple[int, int, int]) -> None:
    known, (red, blue) = KINDS[kind]
    scale = ((0, 255), 255) if known.range == 2 else ((16, 219), 224)
    y = (levels[0] - scale[0][0]) / scale[0][1]
    u, v = ((level - 128) / scale[1] for level in levels[1:])
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    image, alpha = colours.to_rgb(flat(levels, pixels), known)
    found = np.asarray(image)[20, 20]
    assert alpha is None
    assert np.abs(found - (255 * np.array([r, g, b])).clip(0, 255)).max() <= 1.01  # rounded twice
    back = colours.from_rgb(image, None, known, pixels)
    # A level of RGB is up to 0.86 of one of luma, and FFmpeg rounds full-range chroma down.
    assert all(abs(bytes(plane)[0] - level) <= 1 for plane, level in zip(back.planes, levels, strict=True))


def test_white_of_one_kind_is_not_that_of_another() -> None:
    wide = Colours(1, 1, 1, 2)
    assert np.asarray(colours.to_rgb(flat((235, 128, 128), "yuv420p"), wide)[0]).max() == 235


def test_colour_that_is_carried_many_times_does_not_drift() -> None:
    known = Colours(1, 1, 1, 1)
    rows, columns = np.mgrid[:96, :128]
    bands = [
        128 + 80 * np.sin(columns / 19),
        128 + 70 * np.cos(rows / 17),
        120 + 40 * np.sin((rows + columns) / 15),
    ]
    image = first = Image.fromarray(np.stack(bands, -1).astype(np.uint8))
    for _ in range(10):
        image, _ = colours.to_rgb(colours.from_rgb(image, None, known, "yuv420p"), known)
    assert np.abs(np.asarray(image, float).mean((0, 1)) - np.asarray(first, float).mean((0, 1))).max() < 1


def test_hdr_white_stays_below_its_highlights_and_hues_stay() -> None:
    def shown(red: int, green: int, blue: int) -> Any:
        levels = np.full((2, 2, 3), (red, green, blue), np.uint16)
        return colours._tone_mapped(levels, 16)[0, 0].astype(int)

    reference, highlight = round(0.5807 * 65535), round(0.7518 * 65535)  # 203 and 1000 cd/m2 by ST 2084
    white, brightest = shown(*[reference] * 3), shown(*[highlight] * 3)
    assert np.ptp(white) <= 1  # rows of the matrix sum to 1 only to four digits
    assert 210 < white[0] < brightest[0] == 255
    orange = shown(highlight, reference, 0)
    assert orange[0] > orange[1] > orange[2]

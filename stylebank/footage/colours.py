"""Colours of video: matrix, range and transfer kept from file to file; HDR brought down to what paint can show.

Frames are painted as RGB of 8 bits. What a file declares is declared again, and what it leaves open is left open and
taken as players take it: BT.601 for small pictures, BT.709 for HD.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from av import VideoFrame

_OPEN = 2
_HD = 720  # rows from which an undeclared matrix is BT.709
_FULL, _LIMITED = 2, 1
_MATRICES = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M", 9: "BT2020", 10: "BT2020"}
_RGB = 0
_PQ, _HLG = 16, 18
_WHITE = 203.0
"""cd/m2 of HDR's reference white, as BT.2408 has it; it becomes SDR's white, less what highlights need."""
_KNEE = 0.75  # of white, from where highlights are pressed together
_PEAK = 1000.0 / _WHITE
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
"""Linear BT.2020 -> BT.709, as BT.2087 has it."""

Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class Colours:
    """What a stream declares, in the numbers of ITU-T H.273; 2 is undeclared.

    Attributes:
        matrix: of luma and chroma.
        primaries: see the norm.
        transfer: see the norm.
        range: 1 limited, 2 full, 0 undeclared.
    """

    matrix: int = _OPEN
    primaries: int = _OPEN
    transfer: int = _OPEN
    range: int = 0

    @property
    def is_hdr(self) -> bool:
        """Whether it is PQ or HLG."""
        return self.transfer in (_PQ, _HLG)

    @property
    def written(self) -> "Colours":
        """What the painted clip declares: the same, but BT.709 for what was HDR or RGB."""
        return SRGB if self.is_hdr or self.matrix == _RGB else self


SRGB = Colours(matrix=1, primaries=1, transfer=13, range=_LIMITED)
"""Of clips that come from RGB."""


def of(declared: Any, pixels: str) -> Colours:
    """What a stream's codec context or a frame declares.

    Args:
        declared: has `colorspace`, `color_primaries`, `color_trc`, `color_range`.
        pixels: name of its pixel format.
    """
    names = ("colorspace", "color_primaries", "color_trc", "color_range")
    matrix, primaries, transfer, wide = (int(getattr(declared, name)) for name in names)
    if pixels.startswith(("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8", "x2rgb", "x2bgr")):
        return Colours(_RGB, primaries, transfer, _FULL)
    if pixels.startswith(("yuvj", "gray")) and not wide:
        wide = _FULL
    return Colours(matrix if matrix != _RGB else _OPEN, primaries, transfer, wide)


def _matrix(colours: Colours, height: int) -> str:
    return _MATRICES.get(colours.matrix, "ITU709" if height >= _HD else "ITU601")


def _range(colours: Colours) -> str:
    return "JPEG" if colours.range == _FULL else "MPEG"


@cache
def _exact() -> int:
    """How FFmpeg is to convert: the whole set; ACCURATE_RND without the others makes white 253."""
    from av.video.reformatter import Interpolation as Way

    return int(Way.BICUBIC | Way.ACCURATE_RND | Way.FULL_CHR_H_INT | Way.FULL_CHR_H_INP)


def to_rgb(frame: "VideoFrame", colours: Colours) -> tuple[Image.Image, Image.Image | None]:
    """A decoded frame as RGB of 8 bits, and its alpha where its pixels have one; HDR is tone-mapped."""
    known: dict[str, Any] = {"interpolation": _exact()}
    if colours.matrix != _RGB:
        matrix = _matrix(colours, frame.height)
        known |= {"src_colorspace": matrix, "dst_colorspace": matrix, "src_color_range": _range(colours)}
        known |= {"dst_color_range": "JPEG"}
    if colours.is_hdr:
        deep: Any = frame.reformat(format="rgb48le", **known).to_ndarray()
        return Image.fromarray(_tone_mapped(deep, colours.transfer)), None
    if has_alpha(frame.format):
        pixels = frame.reformat(format="rgba", **known).to_ndarray()
        alpha = Image.fromarray(np.ascontiguousarray(pixels[..., 3]))
        return Image.fromarray(np.ascontiguousarray(pixels[..., :3])), alpha
    return Image.fromarray(frame.reformat(format="rgb24", **known).to_ndarray()), None


def has_alpha(pixels: Any) -> bool:
    """Whether a pixel format has alpha; a palette may, and is taken to."""
    return pixels.name == "pal8" or any(part.is_alpha for part in pixels.components)


def from_rgb(image: Image.Image, alpha: Image.Image | None, colours: Colours, pixels: str) -> "VideoFrame":
    """An RGB picture as a frame to be encoded.

    Args:
        image: RGB.
        alpha: L, of its size; for pixel formats that have it.
        colours: what is declared; see `Colours.written`.
        pixels: name of the pixel format.
    """
    from av import VideoFrame

    flat = np.asarray(image)
    if alpha is None:
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(flat), "rgb24")
    else:
        frame = VideoFrame.from_ndarray(np.dstack([flat, np.asarray(alpha)]), "rgba")
    matrix = _matrix(colours, image.height)
    found = frame.reformat(
        format=pixels,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range="JPEG",
        dst_color_range=_range(colours),
        interpolation=_exact(),
    )
    declare(found, colours)
    return found


def declare(target: Any, colours: Colours) -> None:
    """Write what is declared onto a frame or an encoder."""
    target.colorspace, target.color_range = colours.matrix, colours.range
    target.color_primaries, target.color_trc = colours.primaries, colours.transfer


@cache
def _linear(transfer: int) -> NDArray[np.float32]:
    """Light of each of 65536 levels, 1 for reference white: ST 2084, or BT.2100's HLG without its system gamma."""
    level = np.linspace(0, 1, 1 << 16)
    if transfer == _PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = level ** (1 / m2)
        light = 10000 / _WHITE * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(level <= 0.5, level**2 / 3, (np.exp((level - c) / a) + b) / 12)
        light = _PEAK * scene**1.2  # the system gamma of a screen of 1000 cd/m2, of each channel
    return light.astype(np.float32)


def _tone_mapped(pixels: NDArray[np.uint16], transfer: int) -> Levels:
    """HDR levels (H, W, 3) as sRGB: to BT.709, and highlights above a knee pressed together, hues kept."""
    light = _linear(transfer)[pixels] @ _TO_709.T
    brightest = np.maximum(light.max(-1, keepdims=True), 1e-6)
    over = np.maximum(brightest - _KNEE, 0) / (1 - _KNEE)
    most = (_PEAK - _KNEE) / (1 - _KNEE)
    pressed = _KNEE + (1 - _KNEE) * over * (1 + over / most**2) / (1 + over)
    light *= np.where(brightest > _KNEE, pressed / brightest, 1)
    light = light.clip(0, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    found: Levels = np.rint(255 * curve).astype(np.uint8)
    return found

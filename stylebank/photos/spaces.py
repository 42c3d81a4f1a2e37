"""Colour spaces by their curves and primaries, to sRGB at 16 bits: matrix profiles, PNG's gAMA and cHRM, CICP, HDR.

Pillow's colour management takes and gives 8 bits, which are too few where the curve is not sRGB's: linear light in
8 bits has its first step at level 13. Here values pass at 16 bits through a table, a matrix in linear light, and
sRGB's curve. HDR (ITU-R BT.2100) is toned down: diffuse white, 203 cd/m2 by BT.2408, becomes 1; what is brighter
than the knee rolls off, the hue kept. Profiles made of tables are left to Pillow.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Samples = NDArray[np.uint16]
"""Encoded values of 16 bits."""
Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Chromaticities = tuple[float, ...]
"""x and y of white, red, green and blue."""

_LEVELS = 65536
_BAND = 1 << 20  # pixels that are converted at a time: floats of a whole photo are a lot of memory
_KNEE = 0.6  # of diffuse white
_D65 = (0.3127, 0.3290)
_BT709 = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)

# ITU-T H.273, table 2: colour primaries. (2 is "unspecified": those of sRGB.)
_PRIMARIES: dict[int, Chromaticities] = {
    1: _BT709,
    2: _BT709,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
# Cone responses of Bradford's adaptation, as ICC.1 (annex E) has it.
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True, eq=False)
class Space:
    """What RGB or grey values mean.

    Attributes:
        curves: of red, green and blue: encoded values in [0, 1] to linear light.
        matrix: linear light to that of sRGB.
        hdr: "PQ" or "HLG" if linear light goes beyond white, which is 1; else "".
    """

    curves: tuple[Curve, Curve, Curve]
    matrix: NDArray[np.float64]
    hdr: str = ""

    @property
    def coarse(self) -> bool:
        """Whether 8 bits are too few: their first step is a visible one."""
        first = max(float(curve(np.array([1 / 255]))[0]) for curve in self.curves)
        return bool(srgb_curve(np.array([first]))[0] * 255 > 4)

    @property
    def is_srgb(self) -> bool:
        """Whether there is nothing to convert, to the level."""
        steps = np.arange(256) / 255
        same = (np.abs(srgb_curve(curve(steps)) * 255 - np.arange(256)).max() < 0.5 for curve in self.curves)
        return not self.hdr and self._one_matrix(2e-3) and all(same)

    def to_srgb(self, values: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
        """Encoded values to sRGB.

        Args:
            values: (H, W, 3), or grey (H, W), whose curve is the first one; of 8 or 16 bits.

        Returns:
            The same shape, 8 bits.
        """
        if self.hdr and values.ndim == 2:
            return self.to_srgb(np.repeat(values[..., None], 3, axis=2))[..., 0]
        levels = 256 if values.dtype == np.uint8 else _LEVELS
        steps = np.arange(levels) / (levels - 1)
        linear = [curve(steps) for curve in self.curves]
        if values.ndim == 2 or (self._one_matrix(1e-4) and not self.hdr):
            shown = [_rounded(srgb_curve(each)) for each in linear]
            if values.ndim == 2:
                grey: NDArray[np.uint8] = shown[0][values]
                return grey
            return np.stack([shown[place][values[..., place]] for place in range(3)], axis=-1)
        tables = [each.astype(np.float32) for each in linear]
        encode = _rounded(srgb_curve(np.arange(_LEVELS) / (_LEVELS - 1)))
        result = np.empty(values.shape, np.uint8)
        rows = max(1, _BAND // values.shape[1])
        for top in range(0, len(values), rows):
            part = values[top : top + rows]
            light = self._shown(np.stack([tables[place][part[..., place]] for place in range(3)], axis=-1))
            result[top : top + rows] = encode[(light.clip(0, 1) * (_LEVELS - 1) + 0.5).astype(np.uint16)]
        return result

    def _shown(self, light: Floats) -> Floats:
        if self.hdr == "HLG":  # the system gamma of a display of 1000 cd/m2 (BT.2100, table 5)
            luma = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
            scale: Floats = np.power(luma.clip(1e-6), 0.2, dtype=np.float32)
            light = light * np.float32(1000 / 203) * scale[..., None]
        light = light @ self.matrix.T.astype(np.float32)
        if self.hdr:
            brightest = light.max(axis=-1, keepdims=True).clip(1e-6)
            light = light * (_toned(brightest) / brightest)
        return light

    def _one_matrix(self, tolerance: float) -> bool:
        return bool(np.abs(self.matrix - np.eye(3)).max() < tolerance)


def _toned(light: Floats) -> Floats:
    """Linear light up to any brightness into [0, 1]: as it is below the knee, rolling off above."""
    over = (light - _KNEE).clip(0) / (1 - _KNEE)
    return np.minimum(light, _KNEE) + np.float32(1 - _KNEE) * (1 - np.exp(-over))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return (values.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def srgb_curve(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light to sRGB's values (IEC 61966-2-1)."""
    light = np.maximum(linear, 0)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _from_srgb(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values


def _power(exponent: float) -> Curve:
    return lambda values: np.maximum(values, 0) ** exponent


def _pq(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2100's perceptual quantizer, in units of diffuse white."""
    root = values ** (32 / 2523)
    return ((root - 0.8359375).clip(0) / (18.8515625 - 18.6875 * root)) ** (16384 / 2610) * (10_000 / 203)


def _hlg(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2100's hybrid log-gamma to light of the scene."""
    return np.where(
        values <= 0.5, values**2 / 3, (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12
    )


def _to_xyz(chromaticities: Chromaticities) -> NDArray[np.float64]:
    """Linear RGB to XYZ of the space's own white."""
    white, *primaries = (
        np.array([x / y, 1, (1 - x - y) / y])
        for x, y in zip(chromaticities[::2], chromaticities[1::2], strict=True)
    )
    columns = np.stack(primaries, axis=1)
    return columns * np.linalg.solve(columns, white)


def _to_srgb_matrix(chromaticities: Chromaticities) -> NDArray[np.float64]:
    """Linear RGB to that of sRGB, its white made D65 (Bradford)."""
    own, target = _to_xyz(chromaticities), _to_xyz(_BT709)
    scale = (_BRADFORD @ target.sum(axis=1)) / (_BRADFORD @ own.sum(axis=1))
    found: NDArray[np.float64] = (
        np.linalg.inv(target) @ np.linalg.inv(_BRADFORD) @ np.diag(scale) @ _BRADFORD @ own
    )
    return found


def of_gamma(gamma: float | None, chromaticities: Chromaticities | None) -> Space:
    """The space of PNG's gAMA (exponent of the encoding) and cHRM (white, red, green, blue).

    1/2.2 is what writers of sRGB call it; without gAMA the curve is sRGB's. Chromaticities that are none are ignored.
    """
    matrix = np.eye(3)
    if chromaticities and max(abs(a - b) for a, b in zip(chromaticities, _BT709, strict=True)) > 0.0011:
        try:
            matrix = _to_srgb_matrix(chromaticities)
        except (np.linalg.LinAlgError, ZeroDivisionError):
            matrix = np.eye(3)
        if not np.isfinite(matrix).all():
            matrix = np.eye(3)
    usual = gamma is None or abs(gamma - 1 / 2.2) < 0.006 or not 0.05 < gamma < 20
    curve = _from_srgb if usual or gamma is None else _power(1 / gamma)
    return Space((curve,) * 3, matrix)


def of_cicp(primaries: int, transfer: int) -> Space | None:
    """The space of code points (ITU-T H.273); None if they are unknown.

    BT.709's transfer and its kin count as sRGB's, as browsers have it: photos that say so were made for such screens.
    """
    curves: dict[int, Curve] = {
        **dict.fromkeys((1, 2, 6, 13, 14, 15), _from_srgb),
        4: _power(2.2),
        5: _power(2.8),
        8: _linear,
        16: _pq,
        18: _hlg,
    }
    if primaries not in _PRIMARIES or transfer not in curves:
        return None
    matrix = _to_srgb_matrix(_PRIMARIES[primaries])
    return Space((curves[transfer],) * 3, matrix, {16: "PQ", 18: "HLG"}.get(transfer, ""))


def of_profile(profile: bytes | None) -> Space | None:
    """The space of an ICC profile made of curves, and of a matrix if it is one of RGB; None for other profiles.

    See ICC.1:2022, 8.3.3 and 8.4.3 (matrix and monochrome profiles).
    """
    try:
        if not profile or profile[36:40] != b"acsp" or profile[16:20] not in (b"RGB ", b"GRAY"):
            return None
        tags = {
            name: profile[start : start + length]
            for name, start, length in struct.iter_unpack(
                ">4sII", profile[132 : 132 + 12 * min(int.from_bytes(profile[128:132], "big"), 100)]
            )
        }
        if b"A2B0" in tags or profile[20:24] != b"XYZ ":
            return None
        if profile[16:20] == b"GRAY":
            return Space((_curve(tags[b"kTRC"]),) * 3, np.eye(3))
        columns = [
            np.array(struct.unpack(">3i", tags[name][8:20])) / 65536 for name in (b"rXYZ", b"gXYZ", b"bXYZ")
        ]
        red, green, blue = (_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    except (KeyError, IndexError, ValueError, struct.error):
        return None
    # sRGB's own columns as its profiles have them, adapted to D50 (IEC 61966-2-1, annex; ICC's sRGB.icc).
    own = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
    return Space((red, green, blue), np.linalg.inv(own) @ np.stack(columns, axis=1))


def _curve(tag: bytes) -> Curve:
    """ICC.1:2022, 10.6 (curves) and 10.18 (parametric curves)."""
    if tag[:4] == b"curv":
        count = int.from_bytes(tag[8:12], "big")
        points = np.frombuffer(tag[12 : 12 + 2 * count], ">u2")
        if len(points) != count:
            raise ValueError("a curve is cut short")
        if count <= 1:
            return _power(float(points[0]) / 256) if count else _linear
        places = np.linspace(0, 1, count)
        return lambda values: np.interp(values, places, points / 65535)
    kind = int.from_bytes(tag[8:10], "big")
    number = (1, 3, 4, 5, 7)[kind] if tag[:4] == b"para" else 0
    given = [value / 65536 for value in struct.unpack(f">{number}i", tag[12 : 12 + 4 * number])]
    g, a, b, c, d, e, f = given + [1.0, 0.0, 0.0, 0.0, 0.0, 0.0][number - 1 :]
    if kind in (1, 2):  # c, if there is one, is added; the curve begins where a x + b does
        offset = c if kind == 2 else 0.0
        return lambda v: np.where(a * v + b >= 0, np.maximum(a * v + b, 0) ** g, 0) + offset
    if kind == 0:
        return _power(g)
    return lambda v: np.where(v >= d, np.maximum(a * v + b, 0) ** g + e, c * v + f)

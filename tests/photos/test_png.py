"""PNG's colours are those its chunks say, by their precedence; all its bits count; texts refuse nothing."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from stylebank.errors import ImageError
from stylebank.photos import originals

Values = NDArray[Any]

RAMP = np.stack([np.arange(256)[None].repeat(8, axis=0)] * 3, axis=-1)
"""(8, 256, 3): every level."""
COLOURS = np.random.default_rng(0).integers(60, 200, (16, 16, 3))
"""Not too colourful: inside every space."""

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GAMMA_1 = (b"gAMA", struct.pack(">I", 100_000))
GAMMA_SRGB = (b"gAMA", struct.pack(">I", 45_455))
P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
# Linear P3 (D65) of linear sRGB, the inverse of what CSS Color 4 (section 18) has for the other way.
TO_P3 = np.array([[0.8224621, 0.177538, 0.0], [0.0331941, 0.9668058, 0.0], [0.0170827, 0.0723974, 0.9105199]])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    values: Values, bits: int, *chunks: tuple[bytes, bytes], after: bytes = b"", interlaced: bool = False
) -> bytes:
    """A PNG of samples (H, W, C) as they are, with some chunks before and some after its data."""
    height, width, count = values.shape
    passes = [values]
    if interlaced:  # Adam7
        starts = (
            (0, 0, 8, 8),
            (0, 4, 8, 8),
            (4, 0, 8, 4),
            (0, 2, 4, 4),
            (2, 0, 4, 2),
            (0, 1, 2, 2),
            (1, 0, 2, 1),
        )
        passes = [values[top::down, left::across] for top, left, down, across in starts]
    dtype = ">u2" if bits == 16 else "u1"
    rows = b"".join(b"\0" + row.astype(dtype).tobytes() for part in passes for row in part if part.size)
    header = struct.pack(">IIBBBBB", width, height, bits, (0, 4, 2, 6)[count - 1], 0, 0, interlaced)
    middle = b"".join(chunk(*each) for each in chunks)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + middle + data + after + chunk(b"IEND", b"")


def linear(levels: Values) -> Values:
    """SRGB's levels as light in [0, 1]."""
    values = levels / 255
    return np.asarray(np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4))


def encoded(light: Values) -> Values:
    """Light as sRGB's levels."""
    light = light.clip(0, 1)
    return np.asarray(np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255)


def read(data: bytes) -> Values:
    return np.asarray(originals.read_bytes(data, "photo.png").image).astype(int)


def error_of(data: bytes, wanted: Values) -> float:
    return float(np.abs(read(data) - wanted).max())


@pytest.mark.parametrize("interlaced", [False, True])
def test_linear_light_of_16_bits_keeps_every_level(interlaced: bool) -> None:
    light = np.round(linear(RAMP) * 65535)
    for values in (
        light,
        light[..., :1],
        np.concatenate([light, np.full_like(light[..., :1], 65535)], axis=2),
    ):
        assert error_of(png(values, 16, GAMMA_1, interlaced=interlaced), RAMP) == 0
    grey_alpha = np.concatenate([light[..., :1], np.full_like(light[..., :1], 65535)], axis=2)
    assert error_of(png(grey_alpha, 16, GAMMA_1), RAMP) == 0
    profile = SRGB[: SRGB.index(b"para", 128)] + b"para\0\0\0\0\0\0\0\0" + struct.pack(">i", 65536)
    profile += SRGB[len(profile) :]
    assert error_of(png(light, 16, (b"iCCP", b"linear\0\0" + zlib.compress(profile))), RAMP) <= 1
    assert error_of(png(light, 16), RAMP) > 50


@pytest.mark.parametrize("gamma", [100_000, 55_556, 45_455, 40_000])
def test_gamma_is_the_exponent_of_the_encoding(gamma: int) -> None:
    wanted = encoded((RAMP / 255) ** (100_000 / gamma)) if gamma != 45_455 else RAMP
    data = png(RAMP, 8, (b"gAMA", struct.pack(">I", gamma)))
    assert error_of(data, wanted) <= 0.51
    assert error_of(png(RAMP, 8, (b"gAMA", struct.pack(">I", 70_000))), wanted) > 10


def test_cicp_goes_before_iccp_before_srgb_before_gamma() -> None:
    profile = (b"iCCP", b"sRGB\0\0" + zlib.compress(SRGB))
    assert error_of(png(RAMP, 8, GAMMA_1, (b"sRGB", b"\0")), RAMP) == 0
    assert error_of(png(RAMP, 8, GAMMA_1, profile), RAMP) <= 1
    light = np.round(linear(RAMP) * 65535)
    assert error_of(png(light, 16, (b"cICP", bytes((1, 8, 0, 1))), profile, GAMMA_SRGB), RAMP) == 0
    assert error_of(png(RAMP, 8, GAMMA_1), RAMP) > 50


def test_primaries_come_from_chrm_or_cicp_and_broken_ones_count_as_none() -> None:
    stored = np.round(encoded(linear(COLOURS) @ TO_P3.T))
    primaries = (b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in P3)))
    for chunks in ((GAMMA_SRGB, primaries), (primaries,), ((b"cICP", bytes((12, 13, 0, 1))),)):
        assert error_of(png(stored, 8, *chunks), COLOURS) <= 2  # levels that were rounded once before
    assert error_of(png(stored, 8), COLOURS) > 10
    assert error_of(png(COLOURS, 8, GAMMA_SRGB, (b"cHRM", bytes(32))), COLOURS) == 0


@pytest.mark.parametrize(("transfer", "name", "white"), [(16, "PQ", 0.5807), (18, "HLG", 0.75)])
def test_hdr_is_toned_down_and_said(transfer: int, name: str, white: float) -> None:
    # Signals of diffuse white, 203 cd/m2 (BT.2408, table 1): PQ 58 %, HLG 75 %.
    signal = np.array([0, white / 2, white, 1])[None, :, None].repeat(3, axis=2)
    for bits, whole in ((8, 255), (16, 65535)):
        found = originals.read_bytes(
            png(np.round(signal * whole), bits, (b"cICP", bytes((9, transfer, 0, 1)))), "a"
        )
        assert found.notes == (f"is HDR ({name}); its highlights are toned down to SDR",)
        levels = np.asarray(found.image)[0, :, 0].astype(int)
        assert levels[0] == 0
        assert (np.diff(levels) > 10).all()  # nothing clips, blacks stay black
        assert 225 <= levels[2] <= 245  # white is bright, with room above
        assert np.ptp(np.asarray(found.image), axis=2).max() <= 1  # grey stays grey


def test_transparent_colour_of_16_bits_is_that_one_alone() -> None:
    values = np.full((4, 4, 3), 1000)
    values[0, 0], values[0, 1] = (1000, 1000, 1001), (0, 0, 0)
    found = originals.read_bytes(png(values, 16, (b"tRNS", struct.pack(">3H", 1000, 1000, 1001))), "a.png")
    assert found.alpha is not None
    assert np.asarray(found.alpha).tolist() == [[0, 255, 255, 255], *[[255] * 4] * 3]


@pytest.mark.parametrize("packed", [False, True])
def test_texts_of_any_length_refuse_no_picture(packed: bool) -> None:
    photo, info = Image.fromarray(RAMP.astype(np.uint8)), PngImagePlugin.PngInfo()
    info.add_text("workflow", "x" * 2_000_000, zip=packed)
    info.add_itxt("XML:com.adobe.xmp", "y" * (70_000_000 if not packed else 3_000_000), zip=packed)
    for number in range(80):
        info.add_text(f"text {number}", "z" * 900_000, zip=True)
    buffer, options = io.BytesIO(), {"pnginfo": info, "dpi": (300, 300)}
    photo.save(buffer, "PNG", **options)
    found = originals.read_bytes(buffer.getvalue(), "a.png")
    assert (np.asarray(found.image) == RAMP).all()
    assert found.dpi == pytest.approx((300, 300), abs=0.01)
    with pytest.raises(ValueError, match=r"too large|Too much"):  # what Pillow alone does
        Image.open(buffer).load()
    after = chunk(b"zTXt", b"late\0\0" + zlib.compress(b"x" * 2_000_000))
    assert error_of(png(RAMP, 8, after=after), RAMP) == 0


def test_profile_of_more_than_a_megabyte_is_applied() -> None:
    swapped = SRGB.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")
    noise = np.random.default_rng(0).integers(0, 256, 1_200_000, np.uint8).tobytes()
    long = struct.pack(">I", len(swapped) + len(noise)) + swapped[4:] + noise
    found = read(png(COLOURS, 8, (b"iCCP", b"long\0\0" + zlib.compress(long))))
    assert np.abs(found - COLOURS[..., [1, 0, 2]]).max() <= 2


def test_faults_of_an_animation_leave_its_first_picture() -> None:
    animated = (b"acTL", struct.pack(">II", 3, 0))
    frame = (b"fcTL", struct.pack(">IIIIIHHBB", 7, 99, 99, 0, 0, 1, 1, 0, 0))  # out of order, and too large
    for chunks, count in (((animated, frame), 3), ((animated,), 4)):
        found = originals.read_bytes(png(COLOURS, 8, *chunks), "a.png")
        assert (np.asarray(found.image) == COLOURS).all()
        assert found.notes == (f"has {count} frames; the first is painted",)


@pytest.mark.parametrize("kind", [b"zTXt", b"tEXt", b"sRGB", b"pHYs", b"eXIf", b"iCCP", b"gAMA", b"abCd"])
def test_damage_in_what_a_picture_can_do_without_refuses_no_picture(kind: bytes) -> None:
    data = {
        b"sRGB": b"\0",
        b"gAMA": GAMMA_SRGB[1],
        b"pHYs": bytes(9),
        b"iCCP": b"s\0\0" + zlib.compress(SRGB),
    }
    whole = png(COLOURS, 8, (kind, data.get(kind, b"a\0\0b")))
    start = whole.index(kind)
    end = start + 4 + len(data.get(kind, b"a\0\0b"))
    damaged = whole[:end] + bytes(4) + whole[end + 4 :]
    assert (read(damaged) == COLOURS).all()
    end = whole.index(b"IDAT") + 8
    with pytest.raises(ImageError, match="damaged"):  # the pixels themselves
        read(whole[:end] + bytes(4) + whole[end + 4 :])


@pytest.mark.parametrize("profile", [b"", b"nameless", b"a\0", b"a\0\0", b"a\0\0junk"])
def test_a_broken_profile_is_none(profile: bytes) -> None:
    assert (read(png(COLOURS, 8, (b"iCCP", profile))) == COLOURS).all()

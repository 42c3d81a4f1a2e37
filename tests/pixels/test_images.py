"""Pixels arrive as their file means them, whatever the format; what is no image is an ImageError and no more."""

import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms

from stylebank.errors import ImageError, OutputError
from stylebank.photos import srgb
from stylebank.pixels import images, resampling

if sys.platform != "win32":
    import resource

Levels = NDArray[Any]

FORMATS = (".png", ".jpg", ".webp", ".tif", ".bmp", ".ppm", ".gif")

# What "row 0 is the visual right side, column 0 the visual top" and so on (EXIF 2.32, 4.6.4) do to an array.
UPRIGHT: dict[int, Callable[[Levels], Levels]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: np.rot90,
}


def noise(height: int = 24, width: int = 40) -> Levels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def file_of(folder: Path, suffix: str, image: Image.Image, **options: Any) -> Path:
    image.save(folder / f"image{suffix}", **options)
    return folder / f"image{suffix}"


def read(path: Path) -> Levels:
    image = images.read(path, max_pixels=1_000_000)
    assert image.mode == "RGB"
    return np.asarray(image)


def distance(a: Levels, b: Levels) -> float:
    """The largest difference, in levels; infinite between shapes."""
    return float(np.abs(a.astype(np.float64) - b).max()) if a.shape == b.shape else np.inf


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = orientation, "private"
    return exif


def png(width: int, height: int, bits: int, kind: int, rows: bytes) -> bytes:
    """A PNG out of its rows, each behind a filter byte; Pillow writes no 16-bit colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_photo_stands_upright_in_all_eight_orientations(
    orientation: int, suffix: str, tmp_path: Path
) -> None:
    # Six greys 51 levels apart, in flat blocks of 16 px: the unit of JPEG and WebP.
    stored = np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3, 1) * 51, 3, 2).repeat(16, 0).repeat(16, 1)
    found = read(file_of(tmp_path, suffix, Image.fromarray(stored), exif=exif_of(orientation)))
    assert distance(found, UPRIGHT[orientation](stored)) <= 2  # what a lossy format makes of flat blocks
    others = [turn(stored) for other, turn in UPRIGHT.items() if other != orientation]
    assert all(distance(found, other) > 50 for other in others)


def test_damaged_exif_leaves_the_photo_as_it_is(tmp_path: Path) -> None:
    path = file_of(tmp_path, ".png", Image.fromarray(noise()), exif=b"Exif\0\0no TIFF header")
    assert distance(read(path), noise()) == 0


RAMP = np.linspace(0, 65535, 24 * 40).round().reshape(24, 40)


@pytest.mark.parametrize(
    ("suffix", "stored"),
    [
        (".png", RAMP.astype(np.uint16)),
        (".tif", RAMP.astype(np.uint16)),
        (".pgm", RAMP.astype(np.uint16)),
        (".tif", RAMP.astype(np.int32)),
        (".tif", (RAMP / 257).round().astype(np.int32)),
        (".tif", (RAMP / 257).round().astype(np.uint32)),
        (".tif", (RAMP * 32768).astype(np.int32)),
        (".tif", (RAMP / 65535).astype(np.float32)),
        (".tif", (RAMP / 257).astype(np.float32)),
        (".tif", RAMP.astype(np.float32)),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.dtype}-{value.max():.0f}",
)
def test_grey_of_16_bits_and_more_is_scaled_not_clipped(suffix: str, stored: Levels, tmp_path: Path) -> None:
    image, wanted = Image.fromarray(stored), np.repeat(RAMP[..., None] / 257, 3, 2)
    assert distance(read(file_of(tmp_path, suffix, image)), wanted) <= 0.51  # rounding, and float32's own
    clipped = stored.clip(0, 255)[..., None].repeat(3, 2)
    assert distance(clipped, wanted) > 1 or stored.max() == 255


def test_dark_grey_of_16_bits_stays_dark_and_pillows_widest_mode_has_the_white_of_what_it_holds() -> None:
    dark = Image.fromarray(np.array([[0, 51, 255]], np.uint16))
    assert np.asarray(srgb.to_rgb(dark)).max() <= 1
    assert np.asarray(srgb.to_rgb(dark.convert("I")))[0, :, 0].tolist() == [0, 51, 255]


def test_floats_a_little_above_white_do_not_turn_the_photo_black() -> None:
    image = Image.fromarray(np.array([[0, 0.5, 1, 1.2, np.nan, np.inf]], np.float32))
    assert np.asarray(srgb.to_rgb(image))[0, :4, 0].tolist() == [0, 128, 255, 255]


def test_colour_of_16_bits_is_within_one_level(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (24, 40, 3), np.uint16)
    path = tmp_path / "image.png"
    path.write_bytes(png(40, 24, 16, 2, b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)))
    assert distance(read(path), values / 257) <= 1  # Pillow keeps the high byte: v // 256 against v / 257


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGBA", ".png"), ("RGBA", ".tif"), ("RGBA", ".webp"), ("LA", ".png"), ("P", ".png"), ("key", ".png")],
)
def test_transparency_lies_over_white_and_hides_what_is_below(mode: str, suffix: str, tmp_path: Path) -> None:
    image = Image.fromarray(noise())
    image = {"P": image.quantize(200), "RGBA": image}.get(mode, image.convert("L"))
    colour = np.asarray(image.convert("RGB"))
    options: dict[str, Any] = {"lossless": True, "exact": True}
    if mode == "P":
        table = np.random.default_rng(1).integers(0, 256, 200, np.uint8)
        options, alpha = {"transparency": table.tobytes()}, table[np.asarray(image)]
    elif mode == "key":
        options, alpha = {"transparency": 127}, 255 * (np.asarray(image) != 127)
    else:
        alpha = noise()[..., 0]
        image.putalpha(Image.fromarray(alpha))
    found, part = read(file_of(tmp_path, suffix, image, **options)), alpha[..., None] / 255
    assert distance(found, colour * part + 255 * (1 - part)) <= 1  # rounding, in Pillow's integers
    assert distance(found, colour) > 100
    assert (found[alpha == 0] == 255).all()


def test_16_bit_grey_with_a_transparent_key_lies_over_white() -> None:
    image = Image.fromarray(np.array([[1000, 1001, 65535]], np.uint16))
    image.info["transparency"] = 1000
    assert np.asarray(srgb.to_rgb(image))[0, :, 0].tolist() == [255, 4, 255]


def swapped_profile() -> bytes:
    """SRGB with red and green the other way round."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")


def black_ink_profile() -> bytes:
    """A CMYK profile in which only black leaves a trace: one table of 2 x 2 x 2 x 2 Lab colours (ICC.1, mft1)."""
    ramp, matrix = bytes(range(256)), struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    corners = b"".join(bytes((0 if corner & 1 else 255, 128, 128)) for corner in range(16))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + ramp * 4 + corners + ramp * 3
    start = b"\0\0\0\0\2\x40\0\0prtrCMYKLab ".ljust(32, b"\0") + b"acsp"
    white = struct.pack(">3i", 63190, 65536, 54061)  # D50
    header = (struct.pack(">I", 144 + len(table)) + start).ljust(68, b"\0") + white
    return header.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGB", ".png"), ("RGB", ".tif"), ("RGB", ".webp"), ("RGB", ".jpg"), ("RGBA", ".png"), ("P", ".png")],
)
def test_colour_profile_is_applied(mode: str, suffix: str, tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 32), (200, 40, 90))
    image = image.quantize() if mode == "P" else image.convert(mode)
    wanted = np.full((32, 32, 3), (40, 200, 90))
    path = file_of(tmp_path, suffix, image, icc_profile=swapped_profile(), lossless=True)
    assert distance(read(path), wanted) <= 3  # a level or two in JPEG, one in the transform
    assert distance(read(file_of(tmp_path, suffix, image, lossless=True)), wanted) > 100


@pytest.mark.parametrize("profile", [b"no profile", swapped_profile()[:-2000], black_ink_profile()])
def test_profile_that_is_broken_or_of_another_kind_is_ignored(profile: bytes, tmp_path: Path) -> None:
    path = file_of(tmp_path, ".png", Image.fromarray(noise()), icc_profile=profile)
    assert distance(read(path), noise()) == 0


INK = (200, 40, 0, 60)


def test_cmyk_is_the_light_its_inks_leave_or_what_its_profile_says(tmp_path: Path) -> None:
    wanted = np.array([(255 - ink) * (255 - INK[3]) / 255 for ink in INK[:3]])
    for suffix in (".jpg", ".tif"):
        found = read(file_of(tmp_path, suffix, Image.new("CMYK", (16, 16), INK), quality=100))
        assert distance(found[0, 0], wanted) <= 2  # one level in JPEG, one of rounding
    for ink, level in (((255, 0, 0, 0), 255), ((0, 255, 255, 0), 255), ((0, 0, 0, 255), 0)):
        image = Image.new("CMYK", (16, 16), ink)
        path = file_of(tmp_path, ".jpg", image, quality=100, icc_profile=black_ink_profile())
        assert distance(read(path)[0, 0], np.full(3, level)) <= 2


def test_ycck_is_the_cmyk_it_was_made_of(tmp_path: Path) -> None:
    # A CMYK JPEG that holds luma and chroma of the inks, made YCCK by the transform byte of its Adobe marker.
    luma = np.asarray(Image.new("RGB", (16, 16), INK[:3]).convert("YCbCr"))
    stored = 255 - np.concatenate([luma, np.full((16, 16, 1), 255 - INK[3], np.uint8)], axis=2)
    path = file_of(tmp_path, ".jpg", Image.frombytes("CMYK", (16, 16), stored.tobytes()), quality=100)
    plain = read(file_of(tmp_path, ".tif", Image.new("CMYK", (16, 16), INK)))
    assert distance(read(path), plain) > 50
    data = bytearray(path.read_bytes())
    data[data.index(b"Adobe") + 11] = 2
    path.write_bytes(data)
    assert distance(read(path), plain) <= 4  # one level of luma, and one of chroma times 1.8 at most


@pytest.mark.parametrize("mode", ["1", "LA", "La", "PA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I;16B"])
def test_image_in_memory_of_any_mode_becomes_rgb(mode: str) -> None:
    assert srgb.to_rgb(Image.new(mode, (3, 2))).mode == "RGB"


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".png", ".webp"])
def test_of_several_frames_the_first_is_read(suffix: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), (level, level, level)) for level in (40, 200)]
    path = file_of(tmp_path, suffix, frames[0], save_all=True, append_images=frames[1:])
    assert distance(read(path), np.full((8, 8, 3), 40)) <= 1


def test_what_is_no_image_is_an_image_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    Image.fromarray(noise()).save(tmp_path / "unlisted.png", "PCX")
    for name in ("missing.png", "empty.png", "text.jpg", "folder.png", "nul\0.png", "unlisted.png"):
        with pytest.raises(
            ImageError, match=r"^[^\n]+: is (no (file|image)|a folder).*; (check|convert|give) [^\n]+$"
        ):
            images.load(tmp_path / name)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".webp", ".tif", ".tiff", ".bmp"])
def test_saved_file_holds_the_pixels_and_nothing_about_the_photo(suffix: str, tmp_path: Path) -> None:
    smooth = Image.fromarray(noise(3, 5)).resize((40, 24), Image.Resampling.BICUBIC)
    photo = file_of(tmp_path, ".png", smooth, exif=exif_of(1), icc_profile=swapped_profile())
    with Image.open(photo) as image:
        image.getexif()
        images.save(tmp_path / f"saved{suffix}", image)
    data = (tmp_path / f"saved{suffix}").read_bytes()
    assert b"private" in photo.read_bytes()
    assert not any(mark in data for mark in (b"private", b"Exif"))
    loss = distance(read(tmp_path / f"saved{suffix}"), np.asarray(smooth))
    assert loss <= {".jpg": 12, ".JPEG": 12, ".webp": 40}.get(suffix, 0)


def test_failed_save_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    wide, path = Image.new("RGB", (70_000, 1)), tmp_path / "image.jpg"
    path.write_bytes(b"old")
    for name in ("image.jpg", "image.webp"):
        with pytest.raises(OutputError, match=r"cannot hold 70000 x 1 pixels .*; choose \.png"):
            images.save(tmp_path / name, wide)
    with pytest.raises(OutputError, match=r"'\.gif' is no known .* \.png, \.jpg, \.jpeg, \.webp"):
        images.save(tmp_path / "image.gif", wide)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("image.jpg", b"old")]


def test_tensor_becomes_the_nearest_levels_and_back() -> None:
    assert torch.equal(
        images.to_tensor(Image.fromarray(noise())), torch.tensor(noise()).movedim(2, 0)[None] / 255
    )
    values = torch.rand(1, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    half = 0.5 / 255 + 1e-6  # half a level, and float32's rounding
    for shaped in (values, values[0]):
        assert (images.to_tensor(images.to_pil(shaped)) - values).abs().max() <= half
    assert ((values * 255).floor() / 255 - values).abs().max() > half
    assert images.to_pil(torch.tensor([-1.0, 0.5, 2]).reshape(3, 1, 1)).getpixel((0, 0)) == (0, 128, 255)


def test_sizes_are_height_and_width() -> None:
    image = Image.fromarray(noise(24, 40))
    assert images.to_tensor(resampling.resized(image, size=(7, 9))).shape == (1, 3, 7, 9)
    assert (
        resampling.resized(image, size=(7, 9), box=(0, 0, 9, 7)).tobytes()
        == image.crop((0, 0, 9, 7)).tobytes()
    )
    assert [resampling.fitted(image, long_side=side).size for side in (20, 40, 99)] == [
        (20, 12),
        (40, 24),
        (40, 24),
    ]


def declared(suffix: str, side: int) -> bytes:
    """A file of some tens of bytes that declares side x side pixels."""
    if suffix == ".gif":  # its frame is to be wiped: Pillow makes the wiped area when it opens the file
        area = struct.pack("<HH", side, side)
        return b"GIF89a%b\x80%b!\xf9\4\x08\0\0\0\0,\0\0\0\0%b\0\2\0;" % (area, bytes(8), area)
    if suffix == ".tif":
        tags = ((256, side), (257, side), (262, 1), (273, 8))
        return (
            b"II*\0\x08\0\0\0\4\0" + b"".join(struct.pack("<HHII", *(n, 4, 1, v)) for n, v in tags) + bytes(4)
        )
    return b"P6 %d %d 255\n" % (side, side) if suffix == ".ppm" else png(side, side, 8, 2, b"")


@pytest.mark.linux
@pytest.mark.parametrize("side", [15_000, 30_000])
@pytest.mark.parametrize("suffix", [".png", ".ppm", ".tif", ".gif"])
def test_too_many_pixels_are_refused_before_memory_is_taken_for_them(
    suffix: str, side: int, tmp_path: Path
) -> None:
    path, start = tmp_path / f"image{suffix}", time.monotonic()
    path.write_bytes(declared(suffix, 20))
    with pytest.raises(ImageError, match="is damaged"):
        images.read(path)
    path.write_bytes(declared(suffix, side))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError, match=r"limit 200 million|more than 200 million"):
        images.read(path)
    # KiB. Pillow may take a byte a pixel for the GIF before it says its size: less than a good file at the limit.
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert taken < (400_000 if suffix == ".gif" else 100_000)
    assert time.monotonic() - start < 2


def test_limit_is_our_own_to_the_pixel_and_not_pillows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(tmp_path, ".png", Image.fromarray(noise()))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert images.read(path, max_pixels=24 * 40).size == (40, 24)
    with pytest.raises(ImageError, match=r"has 40 x 24 pixels \(limit 0\.000959 million\)"):
        images.read(path, max_pixels=24 * 40 - 1)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_readers_in_threads_leave_pillows_settings_as_they_were(tmp_path: Path) -> None:
    good, bad = file_of(tmp_path, ".png", Image.fromarray(noise())), tmp_path / "bad.png"
    bad.write_bytes(good.read_bytes()[:20])
    before = (list(warnings.filters), Image.MAX_IMAGE_PIXELS)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(images.is_image, [good, bad] * 200)) == [True, False] * 200
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS) == before


def read_or_refuse(path: Path) -> Levels | None:
    """The pixels, or None where an ImageError of one line refuses the file."""
    try:
        return read(path)
    except ImageError as error:
        message = str(error)
    assert len(message.splitlines()) == 1
    return None


@pytest.mark.parametrize("suffix", FORMATS)
def test_file_cut_short_anywhere_is_refused_or_loses_no_pixel(suffix: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, suffix, Image.fromarray(noise(8, 8)))
    whole, pixels, refused = path.read_bytes(), read(path), 0
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        found = read_or_refuse(path)
        refused += found is None
        assert found is None or distance(found, pixels) == 0
    assert refused > len(whole) - 25  # PNG does without its last checksum and end mark


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_file_is_read_or_refused(suffix: str, tmp_path: Path) -> None:
    image, random = Image.fromarray(noise(8, 8)), np.random.default_rng(0)
    path = file_of(tmp_path, suffix, image, exif=exif_of(6), icc_profile=swapped_profile())
    whole, refused = path.read_bytes(), 0
    for turn in range(200):
        data = bytearray(whole)
        for place in random.integers(0, len(whole), random.integers(1, 6)):
            data[place % 64 if turn % 2 else place] = random.integers(256)  # every other one in the head
        path.write_bytes(data)
        refused += read_or_refuse(path) is None
    assert refused > 20

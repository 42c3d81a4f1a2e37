"""Every format that phones, cameras and editors write is read right; what is none is refused by its true name."""

import io
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401 - registers itself
import pytest
from numpy.typing import NDArray
from PIL import Image

from stylebank.errors import ImageError
from stylebank.photos import boxes, decoding, inputs, originals
from stylebank.pixels.formats import IMAGE_SUFFIXES, UNREAD

pillow_heif.register_heif_opener()

Levels = NDArray[Any]
ROWS, COLUMNS = np.mgrid[0:48, 0:64]
PHOTO = np.stack([COLUMNS * 4, ROWS * 5, ROWS + COLUMNS], axis=-1).astype(np.uint8)
"""(48, 64, 3), smooth: what lossy formats keep within a few levels."""
OPACITY = (COLUMNS * 4).astype(np.uint8)

# Options under which each format keeps a smooth photo within the number of levels at the end.
FORMATS: dict[str, tuple[str, dict[str, Any], float]] = {
    ".png": ("PNG", {}, 0),
    ".jpg": ("JPEG", {"quality": 100, "subsampling": 0}, 3),
    ".jfif": ("JPEG", {"quality": 100, "subsampling": 0, "progressive": True}, 3),
    ".mpo": ("MPO", {"quality": 100, "subsampling": 0}, 3),
    ".webp": ("WEBP", {"lossless": True, "exact": True}, 0),
    ".tif": ("TIFF", {"compression": "tiff_lzw"}, 0),
    ".bmp": ("BMP", {}, 0),
    ".pnm": ("PPM", {}, 0),
    ".avif": ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, 3),
    ".heic": ("HEIF", {"quality": -1, "chroma": 444}, 2),
    ".jxl": ("JXL", {"lossless": True}, 0),
    ".jp2": ("JPEG2000", {}, 0),
    ".j2k": ("JPEG2000", {"no_jp2": True}, 0),
}


def data_of(suffix: str, image: Image.Image | None = None, /, **more: Any) -> bytes:
    buffer, (name, options, _) = io.BytesIO(), FORMATS[suffix]
    (image or Image.fromarray(PHOTO)).save(buffer, name, **{**options, **more})
    return buffer.getvalue()


def read(data: bytes) -> originals.Original:
    return originals.read_bytes(data, "photo")


def distance(image: Image.Image, wanted: Levels) -> float:
    found = np.asarray(image).astype(float)
    return float(np.abs(found - wanted).max()) if found.shape == wanted.shape else np.inf


@pytest.mark.parametrize("suffix", FORMATS)
def test_format_is_read_whatever_the_name_says(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_bytes(data_of(suffix))
    found = originals.read(tmp_path / "photo.txt")
    assert distance(found.image, PHOTO) <= FORMATS[suffix][2]
    assert distance(found.image, PHOTO[::-1]) > 100
    assert (found.image.mode, found.alpha, found.exif, found.notes) == ("RGB", None, None, ())
    assert suffix in IMAGE_SUFFIXES
    assert not IMAGE_SUFFIXES & set(UNREAD)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif", ".heic", ".jxl", ".jp2"])
def test_transparency_is_kept_beside_the_picture(suffix: str) -> None:
    image = Image.fromarray(PHOTO)
    image.putalpha(Image.fromarray(OPACITY))
    found, part = read(data_of(suffix, image)), OPACITY[..., None] / 255
    assert found.alpha is not None
    assert found.alpha.mode == "L"
    assert distance(found.alpha, OPACITY) <= 1
    assert distance(found.image, PHOTO * part + 255 * (1 - part)) <= FORMATS[suffix][2] + 1
    image.putalpha(255)
    assert read(data_of(suffix, image)).alpha is None


def test_transparent_colours_of_a_palette_are_alpha() -> None:
    image = Image.fromarray((COLUMNS // 8).astype(np.uint8), "L").convert("P")
    for name in ("GIF", "PNG"):
        buffer = io.BytesIO()
        image.save(buffer, name, transparency=3)
        alpha = read(buffer.getvalue()).alpha
        assert alpha is not None
        assert distance(alpha, 255 * (COLUMNS // 8 != 3)) == 0


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".mpo", ".webp", ".tif", ".avif", ".heic", ".jxl"])
@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_photo_and_its_alpha_stand_upright_once_and_exif_says_so(suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Camera"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    block = Image.Exif()
    block.load(exif.tobytes())
    turn: Callable[[Levels], Levels] = {
        1: lambda levels: levels,
        6: lambda levels: np.rot90(levels, -1),
        7: lambda levels: np.rot90(levels, 2).swapaxes(0, 1),
    }[orientation]
    image = Image.fromarray(PHOTO)
    if suffix not in (".jpg", ".mpo"):
        image.putalpha(Image.fromarray(OPACITY | 128))
    more = {"exif": block, "compression": None} if suffix == ".tif" else {"exif": block.tobytes()}
    found = read(data_of(suffix, image, **more))
    part = np.asarray(image.getchannel("A"))[..., None] / 255 if image.mode == "RGBA" else 1
    wanted = PHOTO * part + 255 * (1 - part)
    assert distance(found.image, turn(wanted)) <= FORMATS[suffix][2] + 1
    if image.mode == "RGBA":
        assert found.alpha is not None
        assert distance(found.alpha, turn(OPACITY | 128)) <= 1
    kept = Image.Exif()
    kept.load(found.exif or b"")
    assert (kept[0x010F], kept.get(0x0112, 1)) == ("Camera", 1)
    assert kept.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"


def test_exif_stays_as_it_is_but_for_the_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x9286] = 8, b"notes of a maker with offsets of their own"
    block = exif.tobytes()
    found = read(data_of(".jpg", exif=block)).exif or b""
    assert [place for place, (a, b) in enumerate(zip(block, found, strict=True)) if a != b] == [
        block.index(8, 16)
    ]


def test_frames_are_counted_and_a_second_picture_of_a_camera_is_none() -> None:
    frames = [Image.fromarray(np.roll(PHOTO, 9 * shift, axis=1)) for shift in range(3)]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    for suffix in (".png", ".webp", ".avif", ".heic"):
        found = read(data_of(suffix, frames[0], **options))
        assert found.notes == ("has 3 frames; the first is painted",)
        assert distance(found.image, PHOTO) <= FORMATS[suffix][2]
    assert read(data_of(".tif", frames[0], **options)).notes == ("has 3 pages; the first is painted",)
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", **options)
    assert read(buffer.getvalue()).notes == ("has 3 frames; the first is painted",)
    found = read(data_of(".mpo", frames[0], **options))
    assert found.notes == ()
    assert distance(found.image, PHOTO) <= 3


@pytest.mark.parametrize("deep", [False, True])
def test_heif_of_10_and_12_bits_is_read(deep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", deep)
    samples = (PHOTO.astype("<u2") * 257).tobytes()
    buffer = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", (64, 48), samples).save(buffer, quality=-1, chroma=444)
    assert distance(read(buffer.getvalue()).image, PHOTO) <= 2


def test_avif_and_heif_mean_the_colours_of_their_code_points() -> None:
    data = data_of(".avif")
    place = data.index(b"nclx") + 4
    points = {
        name: data[:place] + struct.pack(">HH", *name) + data[place + 4 :]
        for name in ((12, 13), (9, 16), (1, 1))
    }
    wide = np.asarray(read(points[12, 13]).image).astype(int)
    assert (wide.max(axis=2) - wide.min(axis=2)).mean() > np.ptp(PHOTO.astype(int), axis=2).mean() + 5
    assert distance(read(points[1, 1]).image, PHOTO) <= 3
    assert read(points[9, 16]).notes == ("is HDR (PQ); its highlights are toned down to SDR",)
    hdr = {
        "color_primaries": 9,
        "transfer_characteristics": 18,
        "matrix_coefficients": 9,
        "full_range_flag": 1,
    }
    assert read(data_of(".heic", **hdr)).notes == ("is HDR (HLG); its highlights are toned down to SDR",)


def test_linear_grey_of_16_bits_keeps_its_darks() -> None:
    # JPEG XL of 16-bit grey is linear light, as its writer has it.
    ramp = np.arange(256)[None].repeat(8, axis=0)
    light = np.where(ramp <= 10.31475, ramp / 3294.6, ((ramp / 255 + 0.055) / 1.055) ** 2.4)
    found = read(data_of(".jxl", Image.fromarray((light * 65535).round().astype(np.uint16))))
    assert distance(found.image, ramp[..., None].repeat(3, axis=2)) <= 1


TRUTHS = {
    "is no image but empty": b"",
    "holds zeros": bytes(5000),
    "web page": b"\n<!DOCTYPE html><html><body>404",
    "is no image but text": b"a list of photos\nIMG_1.JPG\n",
    "vector drawing": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
    "a video": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "raw file": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "Photoshop document": b"8BPS\0\1",
    "PDF document": b"%PDF-1.7\n",
    "HDR picture": b"v/1\x01\2\0\0\0",
    "iCloud": b"bplist00\xd1",
    "an archive": b"PK\3\4\x14\0",
    "is a JPEG of 12 bits": data_of(".jpg").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
    "lossless JPEG": data_of(".jpg").replace(b"\xff\xc0\0\x11", b"\xff\xc3\0\x11"),
    **{f"cut short.*{suffix}|.*": data_of(suffix)[: len(data_of(suffix)) // 2] for suffix in FORMATS},
}


@pytest.mark.parametrize("truth", TRUTHS)
def test_refusal_names_the_true_reason_in_one_line(truth: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.heic"
    path.write_bytes(TRUTHS[truth])
    with pytest.raises(ImageError, match=rf"^[^\n]*photo\.heic: [^\n]*({truth})[^\n]*; [^\n]+$"):
        originals.read(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".heic", ".avif", ".bmp", ".jp2"])
def test_half_a_file_is_called_cut_short(suffix: str) -> None:
    with pytest.raises(ImageError, match=r"^photo: is damaged, cut short[^\n]*; copy it again$"):
        read(data_of(suffix)[: len(data_of(suffix)) * 2 // 3])


def test_what_is_no_file_is_said_as_it_is(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name, truth in (
            ("missing", "is no file"),
            ("socket", "is a socket"),
            (".", "is a folder"),
            ("a\0", "no file name"),
        ):
            with pytest.raises(ImageError, match=truth):
                originals.read(tmp_path / name)


def test_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix, module, package in (
        (".heic", "pillow_heif", "pillow-heif"),
        (".jxl", "pillow_jxl", "pillow-jxl-plugin"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ImageError, match=f"{package} reads .*; pip install {package}$"):
            read(data_of(suffix))


def test_plugins_are_loaded_for_their_files_alone() -> None:
    code = "import sys; from stylebank.photos import originals; print({'pillow_heif', 'pillow_jxl'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_pipes_are_read_to_their_end_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, data: bytes) -> None:
        with suppress(BrokenPipeError):  # what is no picture is not read to its end
            path.write_bytes(data)

    def piped(data: bytes) -> originals.Original:
        os.mkfifo(path := tmp_path / f"pipe{len(list(tmp_path.iterdir()))}")
        writer = threading.Thread(target=write, args=(path, data), daemon=True)
        writer.start()
        try:
            assert not decoding.is_image(path)  # to look would be to take
            return originals.read(path)
        finally:
            writer.join(5)

    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8))
    assert distance(piped(data_of(".png", noise)).image, np.asarray(noise)) == 0
    with pytest.raises(ImageError, match="is no image but text"):
        piped(b"not a picture\n" * 5000)
    monkeypatch.setattr(inputs, "MAX_PIPED", 100_000)
    with pytest.raises(ImageError, match=r"more than 0\.0001 GB; give it as a file"):
        piped(data_of(".png", noise))
    with pytest.raises(ImageError, match="holds zeros"):
        originals.read(Path("/dev/zero"))


def test_sizes_are_checked_before_pixels_are_made() -> None:
    for suffix in (".jxl", ".avif", ".heic", ".jp2", ".webp"):
        with pytest.raises(ImageError, match=r"has 64 x 48 pixels \(limit 0\.003 million\)"):
            decoding.decode(Path("a"), lambda found: found, max_pixels=3000, data=data_of(suffix))
    # A bare codestream of JPEG XL that says 2^30 x 2^30 and no more.
    with pytest.raises(ImageError, match="limit 200 million"):
        read(
            b"\xff\x0a"
            + int("1" * 30 + "11" + "000" + "1" * 30 + "11" + "0", 2).to_bytes(9, "little")
            + bytes(20)
        )


def test_many_threads_read_many_formats_at_once() -> None:
    files = [data_of(suffix) for suffix in FORMATS] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read, files))
    assert all(distance(each.image, PHOTO) <= 3 for each in found)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_that_was_packed_as_jpeg_xl_stands_as_the_jpeg_does(orientation: int, tmp_path: Path) -> None:
    """As cjxl does it: the JPEG's own pixels come back, and those nobody has turned yet."""
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = orientation, "2020:01:02 03:04:05"
    Image.fromarray(PHOTO).save(tmp_path / "a.jpg", exif=exif.tobytes(), quality=95)
    with Image.open(tmp_path / "a.jpg") as jpeg:
        jpeg.save(tmp_path / "a.jxl", lossless_jpeg=True)
    wanted, found = originals.read(tmp_path / "a.jpg"), originals.read(tmp_path / "a.jxl")
    assert found.image.size == wanted.image.size
    assert distance(found.image, np.asarray(wanted.image)) <= 2
    assert found.exif is not None
    block = Image.Exif()
    block.load(found.exif)
    assert (block.get(0x0112, 1), block[0x0132]) == (1, "2020:01:02 03:04:05")


def test_size_of_a_jpeg_xl_is_known_before_a_pixel_however_deep_it_lies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = data_of(".jxl", Image.fromarray(np.zeros((64, 64, 3), np.uint8)))
    box = (
        next(place for place in (data.find(b"jxlc"), data.find(b"jxlp")) if place > 0)
        if data[:2] != b"\xff\n"
        else 0
    )
    filler = (90_000).to_bytes(4, "big") + b"free" + bytes(90_000 - 8)
    head = b"\x00\x00\x00\x0cJXL \r\n\x87\n\x00\x00\x00\x14ftypjxl \x00\x00\x00\x00jxl "
    stream = data if not box else data[box + 4 : box - 4 + int.from_bytes(data[box - 4 : box], "big")]
    hidden = head + filler + (len(stream) + 8).to_bytes(4, "big") + b"jxlc" + stream
    assert boxes.header_of_jxl(hidden[: 1 << 16]) is None, "it lies deep"
    assert originals.read_bytes(hidden, "a.jxl").image.size == (64, 64)
    monkeypatch.setattr(decoding, "_open", lambda *_: pytest.fail("was opened"))
    with pytest.raises(ImageError, match="64 x 64 pixels"):
        decoding.decode(Path("a.jxl"), lambda found: found, max_pixels=1000, data=hidden)

"""TIFF of every depth, number and arrangement is the picture that tifffile wrote, or is refused by its kind."""

import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from stylebank.errors import ImageError
from stylebank.photos import originals, spaces
from stylebank.pixels import images

H, W = 41, 53
ROWS, COLUMNS = np.mgrid[0:H, 0:W]
TRUTH = np.stack([COLUMNS / W, ROWS / H, (ROWS + COLUMNS) / (H + W)], axis=-1)
"""(H, W, 3) in [0, 1]: whatever is swapped, shifted or cut shows."""
OPACITY = 0.2 + 0.8 * COLUMNS / W


def stored(values: NDArray[Any], kind: str) -> NDArray[Any]:
    """[0, 1] as numbers of a type."""
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        return values.astype(dtype)
    return np.round(values * float(np.iinfo(dtype).max)).astype(dtype)


def written(values: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    options = {"photometric": "rgb", "metadata": None, "software": False, **options}
    if options.get("planarconfig") == "separate":
        values = np.moveaxis(values, -1, 0)
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def error_of(data: bytes, wanted: NDArray[Any]) -> float:
    """Largest difference from what is wanted, in levels."""
    found = np.asarray(originals.read_bytes(data, "photo.tif").image).astype(float)
    return float(np.abs(found - wanted * 255).max()) if found.shape == wanted.shape else np.inf


def grey(values: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(values[..., None], 3, axis=2)


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "u8", "i2", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("packed", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_colour_of_every_type_order_and_arrangement(
    kind: str, planes: str, packed: str | None, order: str
) -> None:
    # 2 ** 64 - 1 is no double.
    numbers = (TRUTH * 2.0**64 * (1 - 1e-9)).astype(kind) if kind == "u8" else stored(TRUTH, kind)
    for tile in (None, (16, 32)):
        for predictor in (False, 2) if packed and kind[0] != "f" else (False,):
            data = written(
                numbers,
                planarconfig=planes,
                compression=packed,
                byteorder=order,
                tile=tile,
                predictor=predictor,
                rowsperstrip=None if tile else 7,
            )
            # Half a level of rounding; 16 bits in Pillow's own reader lose their low byte, up to a level.
            assert error_of(data, TRUTH) <= (1.01 if kind in ("u2", "i2") else 0.6)
            assert error_of(data, TRUTH[..., ::-1]) > 100


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
@pytest.mark.parametrize("planes", [1, 2])
def test_floats_stored_as_differences_of_their_bytes(kind: str, planes: int) -> None:
    # Adobe's technical note 3: a row's bytes by their rank, the highest first, then each less the one before it.
    size, count = np.dtype(kind).itemsize, 3 if planes == 1 else 1
    data, lengths = b"", []
    for plane in [stored(TRUTH, kind)] if count == 3 else np.moveaxis(stored(TRUTH, kind), 2, 0):
        ranks = plane.astype(f">{kind}").reshape(H, W * count).view(np.uint8).reshape(H, W * count, size)
        row = ranks.swapaxes(1, 2).reshape(H, size * W, count).astype(int)
        row[:, 1:] -= row[:, :-1].copy()
        data += (packed := zlib.compress(row.astype(np.uint8).tobytes()))
        lengths.append(len(packed))
    places = tuple(int(place) for place in np.cumsum([8, *lengths])[:-1])
    tags = {258: (8 * size,) * 3, 262: (2,), 277: (3,), 339: (3,) * 3, 259: (8,), 317: (3,), 284: (planes,)}
    tags |= {273: places, 279: tuple(lengths)}
    assert error_of(directory(tags, data), TRUTH) <= 0.6
    assert error_of(directory(tags | {317: (1,)}, data), TRUTH) > 50


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "zstd", "lzma"])
def test_whatever_libtiff_unpacks_is_read(compression: str) -> None:
    # Pillow packs the bytes of floats as grey levels; the tags are made those of floats.
    levels = stored(TRUTH, "f4").reshape(H, -1).view(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "TIFF", compression=compression)
    with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as file:
        tags = file.pages.first.tags
        kind, places, lengths = (
            tags[name].value for name in ("Compression", "StripOffsets", "StripByteCounts")
        )
        rows = tags["RowsPerStrip"].value
    data = b"".join(buffer.getvalue()[a : a + b] for a, b in zip(places, lengths, strict=True))
    starts = tuple(int(place) for place in np.cumsum([8, *lengths])[:-1])
    floats = {258: (32,) * 3, 262: (2,), 277: (3,), 339: (3,) * 3, 259: (int(kind),), 278: (rows,)}
    assert error_of(directory(floats | {273: starts, 279: tuple(lengths)}, data), TRUTH) <= 0.6


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "f4"])
@pytest.mark.parametrize("zero", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_grey_counts_from_black_or_from_white(kind: str, zero: str, order: str) -> None:
    values = TRUTH[..., 2] if zero == "minisblack" else 1 - TRUTH[..., 2]
    for packed in (None, "zlib"):
        data = written(stored(values, kind), photometric=zero, byteorder=order, compression=packed)
        assert error_of(data, grey(TRUTH[..., 2])) <= 0.6
        assert error_of(data, grey(1 - TRUTH[..., 2])) > 50


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize("alpha", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_alpha_is_read_straight_or_multiplied(kind: str, alpha: str, planes: str) -> None:
    colours = TRUTH * OPACITY[..., None] if alpha == "assocalpha" else TRUTH
    numbers = stored(np.concatenate([colours, OPACITY[..., None]], axis=2), kind)
    data = written(numbers, extrasamples=[alpha], planarconfig=planes)
    found = originals.read_bytes(data, "photo.tif").alpha
    assert found is not None
    assert np.abs(np.asarray(found) - OPACITY * 255).max() <= 1
    over_white = TRUTH * OPACITY[..., None] + 1 - OPACITY[..., None]
    assert error_of(data, over_white) <= 2  # 8 bits multiplied and divided again
    assert error_of(data, TRUTH) > 50


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_inks_are_the_light_they_leave(kind: str, planes: str) -> None:
    inks = np.concatenate([1 - TRUTH, np.zeros((H, W, 1))], axis=2)
    data = written(stored(inks, kind), photometric="separated", planarconfig=planes)
    assert error_of(data, TRUTH) <= 1.01


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_lab_is_the_colour_it_means(kind: str) -> None:
    # L* in 255ths or 65535ths of 100, a* and b* signed (TIFF 6.0, section 23): a grey of 50, a red and a blue.
    lab = (
        np.array([[[50, 0, 0], [54.3, 80.8, 69.9], [29.6, 68.3, -112]]], float)
        .repeat(8, axis=0)
        .repeat(8, axis=1)
    )
    whole, unit = (255, 1) if kind == "u1" else (65535, 256)
    numbers = np.stack([lab[..., 0] * whole / 100, lab[..., 1] * unit, lab[..., 2] * unit], axis=-1)
    data = written(numbers.round().astype(np.int64).astype(kind), photometric="cielab")
    found = np.asarray(originals.read_bytes(data, "photo.tif").image)[0, ::8].astype(int)
    assert (
        np.abs(found - [[119, 119, 119], [255, 0, 0], [0, 0, 255]]).max() <= 25
    )  # at the edge of sRGB a level of a is many of red


def test_more_samples_and_uncommon_depths_are_read() -> None:
    many = written(np.concatenate([stored(TRUTH, "u1")] * 4, axis=2), extrasamples=["unspecified"] * 9)
    assert error_of(many, TRUTH) <= 0.6
    assert error_of(written(stored(TRUTH, "u2"), bigtiff=True, planarconfig="separate"), TRUTH) <= 0.6
    rows = np.unpackbits(np.round(TRUTH * 4095).astype(">u2").view(np.uint8).reshape(H, W * 3, 2), axis=2)
    packed = np.packbits(rows[..., 4:].reshape(H, -1), axis=1)
    data = directory({258: (12, 12, 12), 262: (2,), 277: (3,)}, packed.tobytes())
    assert error_of(data, TRUTH) <= 0.6


def directory(tags: dict[int, tuple[int, ...]], data: bytes, *, size: tuple[int, int] = (W, H)) -> bytes:
    """A TIFF of one strip at byte 8."""
    tags = {256: size[:1], 257: size[1:], 259: (1,), 273: (8,), 278: size[1:], 279: (len(data),), **tags}
    data += bytes(len(data) % 2)
    place, rows, rest = 8 + len(data), b"", b""
    for tag, values in sorted(tags.items()):
        value = struct.pack(f"<{len(values)}I", *values)
        at = value if len(values) == 1 else struct.pack("<I", place + 2 + 12 * len(tags) + 4 + len(rest))
        rest += value if len(values) > 1 else b""
        rows += struct.pack("<HHI", tag, 4, len(values)) + at
    return b"II*\0" + struct.pack("<I", place) + data + struct.pack("<H", len(tags)) + rows + bytes(4) + rest


def test_chroma_in_blocks_is_not_taken_for_pixels() -> None:
    # Blocks of 2 x 2 pixels: four lumas, Cb, Cr (TIFF 6.0, section 21).
    photo = Image.fromarray(stored(TRUTH[:40, :48], "u1")).convert("YCbCr")
    luma, blue, red = (np.asarray(part).astype(float) for part in photo.split())
    blocks = [luma[row::2, column::2] for row in (0, 1) for column in (0, 1)]
    blocks += [part.reshape(20, 2, 24, 2).mean(axis=(1, 3)) for part in (blue, red)]
    data = np.stack(blocks, axis=-1).round().astype(np.uint8).tobytes()
    tags = {258: (8, 8, 8), 262: (6,), 277: (3,), 530: (2, 2)}
    assert error_of(directory(tags, data, size=(48, 40)), TRUTH[:40, :48]) <= 8  # of chroma that is shared


def test_floats_beyond_white_or_no_numbers_leave_the_photo_as_it_is() -> None:
    lights = stored(TRUTH, "f4")
    lights[0, 0], lights[0, 1], lights[0, 2], lights[1, :8] = np.nan, np.inf, -np.inf, 40
    found = np.asarray(originals.read_bytes(written(lights), "photo.tif").image).astype(float)
    assert np.abs(found[2:] - TRUTH[2:] * 255).max() <= 0.6
    assert (found[0, :3] == [[0] * 3, [255] * 3, [0] * 3]).all()
    assert (found[1, :8] == 255).all()
    assert error_of(written(stored(TRUTH, "f4") * 255), TRUTH) <= 0.6


def linear_profile() -> bytes:
    """SRGB's primaries and a straight curve."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    place = profile.index(b"para", 128)
    curve = b"para\0\0\0\0\0\0\0\0" + struct.pack(">i", 65536)
    return profile[:place] + curve + profile[place + len(curve) :]


@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_linear_light_keeps_its_darks(kind: str) -> None:
    ramp = grey(np.arange(256)[None].repeat(16, axis=0) / 255)
    light = np.where(ramp <= 0.04045, ramp / 12.92, ((ramp + 0.055) / 1.055) ** 2.4)
    data = written(stored(light, kind), iccprofile=linear_profile())
    assert error_of(data, ramp) <= 1
    assert len(np.unique(np.asarray(originals.read_bytes(data, "photo.tif").image))) > 250
    eight = spaces.of_profile(linear_profile()) or spaces.of_gamma(None, None)
    # In 8 bits there are steps: this is what is avoided.
    assert len(np.unique(eight.to_srgb(stored(light, "u1")))) < 200


def pages_of(*pages: tuple[NDArray[Any], dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for values, options in pages:
            writer.write(values, photometric="rgb", metadata=None, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["u1", "f4"])
def test_pages_are_counted_and_thumbnails_and_masks_are_none(kind: str) -> None:
    whole, small = stored(TRUTH, kind), stored(1 - TRUTH[::4, ::4], kind)
    three = originals.read_bytes(pages_of((whole, {}), (whole, {}), (whole, {})), "photo.tif")
    assert three.notes == ("has 3 pages; the first is painted",)
    for pages in (
        [(small, {"subfiletype": 1}), (whole, {})],
        [(whole, {}), (small, {"subfiletype": 1})],
        [(small, {"subfiletype": 1, "subifds": 1}), (whole, {})],
        [(whole, {"subifds": 1}), (small, {"subfiletype": 1})],
    ):
        found = originals.read_bytes(pages_of(*pages), "photo.tif")
        assert found.notes == ()
        assert found.image.size == (W, H)
        assert error_of(pages_of(*pages), TRUTH) <= 0.6


def test_directories_that_lead_in_a_circle_end() -> None:
    data = bytearray(pages_of((stored(TRUTH, "u1"), {})))
    first = int.from_bytes(data[4:8], "little")
    end = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    data[end : end + 4] = data[4:8]
    found = originals.read_bytes(bytes(data), "photo.tif")
    assert (found.notes, found.image.size) == ((), (W, H))


def test_kinds_that_are_not_read_are_named() -> None:
    for data, kind in (
        (written(TRUTH[..., 0].astype("c8"), photometric="minisblack"), "64-bit complex"),
        (
            directory({258: (32,) * 3, 262: (2,), 277: (3,), 339: (3,) * 3, 259: (34887,)}, bytes(99)),
            "32-bit float.*LERC",
        ),
        (directory({258: (12,) * 3, 262: (2,), 277: (3,), 259: (7,)}, bytes(99)), "12-bit, 3 samples, JPEG"),
        (directory({258: (16,), 262: (32803,), 277: (1,)}, bytes(99)), "camera's raw file"),
    ):
        with pytest.raises(ImageError, match=rf"^a\.tif: is a[^\n]*{kind}[^\n]*; [^\n]+$"):
            originals.read_bytes(data, "a.tif")


def test_small_file_that_says_it_is_huge_takes_no_memory() -> None:
    tags = {258: (32,) * 3, 262: (2,), 277: (3,), 339: (3,) * 3}
    with pytest.raises(ImageError, match="limit 200 million"):
        originals.read_bytes(directory(tags, bytes(99), size=(10**9, 10**9)), "a.tif")
    with pytest.raises(ImageError, match="cut short"):
        originals.read_bytes(directory(tags, bytes(99), size=(14_000, 14_000)), "a.tif")


def test_masks_and_labels_keep_their_numbers(tmp_path: Path) -> None:
    numbers = np.arange(H * W, dtype=np.int32).reshape(H, W) * 1000
    (tmp_path / "labels.tif").write_bytes(
        written(numbers, photometric="minisblack", byteorder=">", compression="zlib")
    )
    assert (np.asarray(images.read_unconverted(tmp_path / "labels.tif")) == numbers).all()


def test_notes_of_the_camera_and_resolution_are_kept_and_strips_are_not() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    exif.get_ifd(0x8825)[1] = "N"
    read, buffer = Image.Exif(), io.BytesIO()
    read.load(exif.tobytes())
    Image.fromarray(stored(TRUTH, "u1")).save(buffer, "TIFF", exif=read, dpi=(300, 200))
    found = originals.read_bytes(buffer.getvalue(), "photo.tif")
    assert found.dpi == pytest.approx((300, 200))
    assert found.image.size == (H, W)
    kept = Image.Exif()
    kept.load(found.exif or b"")
    assert [kept.get(tag, 1) for tag in (0x010F, 0x0112, 273)] == ["Camera", 1, 1]
    assert kept.get_ifd(0x8825)[1] == "N"
    assert originals.read_bytes(written(stored(TRUTH, "u1")), "photo.tif").exif is None


def test_directories_that_all_say_the_same_bytes_take_no_memory() -> None:
    count, size = 60, 400_000
    start = 8 + count * (2 + 3 * 12 + 4)
    data = bytearray(struct.pack("<2sHI", b"II", 42, 8))
    for place in range(count):
        entries = [(tag, 1, size, start) for tag in (273, 279, 320)]
        following = 8 + (place + 1) * (2 + 3 * 12 + 4) if place + 1 < count else 0
        data += struct.pack("<H", 3) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        data += struct.pack("<I", following)
    data += bytes(size)
    tracemalloc.start()
    with pytest.raises(ImageError):
        originals.read_bytes(bytes(data), "a.tif")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 60e6, "72 MB were said, and each byte becomes a number of eight"

"""Masks as files hold them; shares that sum to 1 whatever overlaps, leaves gaps or is softened."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from stylebank.errors import ImageError
from stylebank.pixels import images, masks

Levels = NDArray[Any]
Floats = NDArray[np.float32]

HEIGHT, WIDTH = 24, 40
ONE = 1e-6  # seven shares of float32, each rounded by 2^-24 at most, and their sum: 14 x 2^-24 = 8e-7


def left(share: float = 0.5, value: float = 1.0) -> Floats:
    """A mask that covers this share of the columns."""
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[:, : round(share * WIDTH)] = value
    return mask


def file_of(folder: Path, image: Image.Image, suffix: str = ".png", **options: Any) -> Path:
    path = folder / f"mask{suffix}"
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA", "I;16", "F", "CMYK"])
def test_a_mask_counts_by_its_luma_whatever_its_mode(mode: str, tmp_path: Path) -> None:
    grey = Image.fromarray((left() * 255).astype(np.uint8))
    image = Image.fromarray((left() * 65535).astype(np.uint16)) if mode == "I;16" else grey.convert(mode)
    suffix = ".tif" if mode in ("F", "CMYK") else ".png"
    for found in (masks.read_mask(file_of(tmp_path, image, suffix)), masks.of(image)):
        assert found.dtype == np.float32
        assert found.shape == (HEIGHT, WIDTH)
        assert np.array_equal(found, left())


def drawn(colour: tuple[int, int, int], mode: str = "RGBA") -> Image.Image:
    """A colour drawn on the left of a layer, over transparent red on the right, and half in the middle."""
    image = Image.new("RGBA", (WIDTH, HEIGHT), (255, 0, 0, 0))
    image.paste((*colour, 255), (0, 0, WIDTH // 4, HEIGHT))
    image.paste((*colour, 102), (WIDTH // 4, 0, WIDTH // 2, HEIGHT))
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (200, 30, 30)], ids=str)
def test_where_there_is_alpha_it_alone_is_the_cover(
    colour: tuple[int, int, int], mode: str, tmp_path: Path
) -> None:
    image = drawn(colour, mode.upper() if mode == "La" else mode)
    image = image.convert("La") if mode == "La" else image
    wanted = left(0.5, 102 / 255)
    wanted[:, : WIDTH // 4] = 1
    found = [masks.of(image)]
    if mode in ("RGBA", "LA"):
        found.append(masks.read_mask(file_of(tmp_path, image)))
        found.append(masks.read_mask(file_of(tmp_path, image, ".tif")))
    assert all(np.array_equal(mask, wanted) for mask in found)


def test_colours_declared_transparent_are_alpha(tmp_path: Path) -> None:
    grey = Image.fromarray((255 * left()).astype(np.uint8))
    sixteen = Image.fromarray((65535 * left()).astype(np.uint16))
    files = {
        "grey": (grey, 255),
        "colours": (grey.convert("RGB"), (255, 255, 255)),
        "16 bits": (sixteen, 65535),
        "palette": (grey.convert("P", palette=Image.Palette.ADAPTIVE, colors=2), None),
    }
    for image, key in files.values():
        if key is None:
            key = int(np.asarray(image)[0, 0])
        mask = masks.read_mask(file_of(tmp_path, image, transparency=key))
        assert np.array_equal(mask, 1 - left()), "white is transparent, and black covers"
        assert np.array_equal(masks.read_mask(file_of(tmp_path, image)), left()), "the control"


def test_alpha_that_is_opaque_all_over_leaves_the_luma(tmp_path: Path) -> None:
    image = Image.fromarray((255 * left()).astype(np.uint8)).convert("RGBA")
    assert np.array_equal(masks.of(image), left())
    image.putalpha(252)  # as lossy files have it
    assert np.array_equal(masks.read_mask(file_of(tmp_path, image)), left())
    image.putalpha(128)
    assert (masks.of(image) == np.float32(128 / 255)).all(), "the control"


def grey_profile(gamma: float) -> bytes:
    """A grey ICC profile, as Photoshop embeds one."""
    numbers = b"".join(struct.pack(">i", round(value * 65536)) for value in (0.9642, 1, 0.8249))
    point = b"XYZ " + bytes(4) + numbers
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"gray" + bytes(79),
        b"wtpt": point,
        b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)),
    }
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = b"lcms\x02\x10\0\0mntrGRAYXYZ " + struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += numbers
    return struct.pack(">I", 132 + len(table) - 4 + len(body)) + head.ljust(124, b"\0") + table + body


def test_a_mask_is_data_whatever_profile_or_gamma_it_has(tmp_path: Path) -> None:
    grey = Image.new("L", (WIDTH, HEIGHT), 128)
    gamma = PngImagePlugin.PngInfo()
    gamma.add(b"gAMA", struct.pack(">I", 100000))
    profiled = file_of(tmp_path, grey, icc_profile=grey_profile(1.8))
    assert abs(np.asarray(images.read(profiled))[0, 0, 0] - 128) > 3, "the control: of a photo it counts"
    for path in (profiled, file_of(tmp_path, grey, ".tif"), file_of(tmp_path, grey, pnginfo=gamma)):
        assert (masks.read_mask(path) == np.float32(128 / 255)).all()


def test_values_count_by_the_depth_and_not_by_the_brightest_pixel(tmp_path: Path) -> None:
    wanted = 20000 / 65535 * left()
    sixteen = Image.fromarray((20000 * left()).astype(np.uint16))
    for suffix in (".png", ".tif"):
        assert np.allclose(masks.read_mask(file_of(tmp_path, sixteen, suffix)), wanted, rtol=0, atol=ONE)
    floats = Image.fromarray(np.array([[0.25, np.nan, 2.5, -1, np.inf]], np.float32))
    for found in (masks.read_mask(file_of(tmp_path, floats, ".tif")), masks.of(floats)):
        assert found.tolist() == [[0.25, 0, 1, 0, 1]]
    levels = Image.fromarray(np.array([[0, 51, 255]], np.float32))
    assert masks.of(levels)[0].tolist() == pytest.approx([0, 0.2, 1]), "levels converted to floats"


def test_a_mask_of_eight_bits_in_a_deeper_file_has_its_own_white(tmp_path: Path) -> None:
    levels = np.round(255 * left()).astype(np.uint16)
    levels[0, 0] = 51
    for image in (Image.fromarray(levels), Image.fromarray(levels.astype(np.int32))):
        for found in (masks.read_mask(file_of(tmp_path, image, ".tif")), masks.of(image)):
            assert np.allclose(found, levels / 255, rtol=0, atol=1e-6)
    assert masks.of(levels + np.uint16(1)).max() < 0.01, "the control: more than 255, so 65535 is white"


def tiff_of(levels: Levels, bits: int, *, from_white: bool) -> bytes:
    """A TIFF whose samples lie bit on bit, each row from a byte on."""
    numbers = np.uint16(2**bits - 1) - levels if from_white else levels
    digits = numbers[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint16) & 1
    data = np.packbits(digits.reshape(len(numbers), -1).astype(np.uint8), axis=1).tobytes()
    height, width = numbers.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: int(not from_white), 273: 8, 277: 1, 278: height}
    tags[279] = len(data)
    entries = [struct.pack(">HHII", tag, 4, 1, number) for tag, number in tags.items()]
    return (
        b"MM\0*"
        + struct.pack(">I", 8 + len(data))
        + data
        + struct.pack(">H", 9)
        + b"".join(entries)
        + bytes(4)
    )


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("from_white", [False, True])
def test_grey_tiffs_of_any_depth_are_masks_and_labels_counted_from_black(
    tmp_path: Path, bits: int, from_white: bool
) -> None:
    path, white = tmp_path / "mask.tif", 2**bits - 1
    levels: Levels = np.round(white * left(0.5, 0.2)).astype(np.uint16)
    path.write_bytes(tiff_of(levels, bits, from_white=from_white))
    assert np.allclose(masks.read_mask(path), left(0.5, 0.2), rtol=0, atol=0.5 / white)
    assert masks.read_labels(path).found() == sorted(
        np.unique(levels).tolist(), key=lambda level: -int((levels == level).sum())
    )
    numbers: Levels = np.arange(levels.size, dtype=np.uint16).reshape(levels.shape) % 6
    path.write_bytes(tiff_of(numbers, bits, from_white=from_white))
    assert np.array_equal(masks.read_labels(path).values, numbers), (
        "not as levels of 8 bits, all of them black"
    )
    path.write_bytes(tiff_of(left().astype(np.uint16), bits, from_white=from_white))
    assert np.array_equal(masks.read_mask(path), left()), "zeros and ones say yes and no"


def test_a_mask_of_zeros_and_ones_says_yes_and_no(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.uint16):
        image = Image.fromarray(left().astype(dtype))
        for found in (masks.read_mask(file_of(tmp_path, image)), masks.of(image)):
            assert np.array_equal(found, left())


def test_colours_count_by_their_luma(tmp_path: Path) -> None:
    image = Image.new("RGB", (WIDTH, HEIGHT), (0, 255, 0))
    for each in (image, image.quantize(2), image.convert("YCbCr")):
        found = masks.of(each)
        assert np.allclose(found, 0.587, rtol=0, atol=0.006)  # a level of luma, and one of YCbCr
    cmyk = Image.new("CMYK", (WIDTH, HEIGHT), (0, 0, 0, 102))
    assert np.allclose(masks.read_mask(file_of(tmp_path, cmyk, ".tif")), 0.6, rtol=0, atol=0.004)


def test_greys_are_soft() -> None:
    assert masks.of(Image.new("L", (2, 1), 51)).tolist() == [[pytest.approx(0.2)] * 2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.bool_, np.uint8, np.int64])
def test_an_array_is_a_mask(dtype: type) -> None:
    array: Levels = left().astype(dtype)
    for mask in (array, torch.from_numpy(array)):
        found = masks.of(mask)
        assert np.array_equal(found, left())
        assert found.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_without_sign_count_by_their_depth(dtype: type) -> None:
    white = np.iinfo(dtype).max
    array: Levels = (left(0.5, 0.2) * white).round().astype(dtype)
    for mask in (array, torch.from_numpy(array)):
        assert np.allclose(masks.of(mask), left(0.5, 0.2), rtol=0, atol=0.5 / white)


def test_a_tensor_is_a_mask_whatever_it_is_used_for() -> None:
    tensor = torch.from_numpy(left())
    for mask in (tensor.clone().requires_grad_(), tensor.bfloat16(), tensor.half()):
        assert np.array_equal(masks.of(mask), left())


def test_a_mask_is_read_and_not_changed() -> None:
    given = left()
    masks.of(given)[:] = 7
    assert np.array_equal(given, left())


@pytest.mark.parametrize("form", ["read-only", "mirrored", "big-endian"])
def test_an_array_may_lie_in_memory_as_it_likes(form: str) -> None:
    array: Levels = left(0.25)
    array.flags.writeable = False
    array = {"mirrored": array[:, ::-1], "read-only": array, "big-endian": array.astype(">f4")}[form]
    assert np.array_equal(masks.of(array), left(0.25)[:, ::-1] if form == "mirrored" else left(0.25))


@pytest.mark.parametrize(
    "mask",
    [
        np.ones((1, 4, 4)),
        np.ones(4),
        np.ones((0, 4)),
        255 * left(),
        (255 * left()).astype(np.int32),
        -left(),
        left() * np.nan,
        np.where(left() > 0, np.inf, 0),
    ],
    ids=["3 axes", "1 axis", "empty", "255", "255 of 32 bits", "negative", "nan", "inf"],
)
def test_numbers_that_are_no_mask_are_refused(mask: Levels) -> None:
    for form in (mask, torch.from_numpy(mask)):
        with pytest.raises(
            ImageError, match=r"^mask: (is .* of shape .*; give numbers|holds numbers outside)"
        ):
            masks.of(form)


@pytest.mark.parametrize("scale", [0.25, 0.5, 2.0, 3.7])
def test_a_mask_of_another_size_keeps_its_place_and_its_range(scale: float) -> None:
    size = round(HEIGHT * scale), round(WIDTH * scale)
    found = masks.resized(left(), size)
    assert tuple(found.shape) == size
    assert found.min() >= 0
    assert found.max() <= 1
    # Lanczos is 0 or 1 but for three pixels, of the smaller image, on either side of the edge.
    reach, edge = int(np.ceil(3 * max(1, scale))), size[1] // 2
    assert (found[:, : edge - reach] > 0.97).all()
    assert (found[:, edge + reach + 1 :] < 0.03).all()
    assert np.array_equal(masks.resized(left(), (HEIGHT, WIDTH)), left()), "its own size changes nothing"


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from([0.0, 3.0, 20.0]),
    st.integers(0, 2**32 - 1),
)
def test_shares_sum_to_1_at_every_pixel(values: list[float], fill: bool, feather: float, seed: int) -> None:
    chance = np.random.default_rng(seed)
    given = [np.float32(value) * (chance.random((11, 17)) > 0.5).astype(np.float32) for value in values]
    shares, cover = masks.layout(given, (11, 17), fill=fill, feather=feather)
    assert shares.shape == (len(values) + fill, 11, 17)
    assert np.allclose(shares.sum(0), 1, rtol=0, atol=ONE)
    assert shares.min() >= 0
    assert cover.min() >= 0
    assert cover.max() <= 1
    if fill:
        assert np.allclose(cover, 1, rtol=0, atol=1e-5)  # a blur of ones: as many roundings


def claims(given: NDArray[np.float64], overlap: str) -> NDArray[np.float64]:
    """The formulas of `layout`, pixel by pixel, in float64."""
    found = np.zeros_like(given)
    if overlap == "share":
        found += given / np.maximum(given.sum(0), 1)
        return found
    for region in reversed(range(len(given))):
        found[region] = np.minimum(given[region], 1 - found[region + 1 :].sum(0))
    return found


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("overlap", ["over", "share"])
def test_claims_are_those_of_the_formula(overlap: masks.Overlap, fill: bool) -> None:
    chance = np.random.default_rng(0)
    given = chance.random((4, 11, 17)) * (chance.random((4, 11, 17)) > 0.4)
    given[0] = np.maximum(given[0], 0.01)  # no gaps
    claimed = claims(given, overlap)
    cover = claimed.sum(0)
    wanted = np.concatenate([claimed, 1 - cover[None]]) if fill else claimed / cover
    shares, found = masks.layout(list(given.astype(np.float32)), (11, 17), fill=fill, overlap=overlap)
    assert np.allclose(shares, wanted, rtol=0, atol=100 * ONE)  # sums as small as 0.01 are divided by
    assert np.allclose(found, 1 if fill else cover, rtol=0, atol=ONE)
    other = claims(given, "over" if overlap == "share" else "share")
    assert np.abs(claimed - other).max() > 0.1, "the control"


def test_later_masks_go_before_earlier_ones() -> None:
    shares, cover = masks.layout([left(1), left(0.5)], (HEIGHT, WIDTH))
    assert np.array_equal(shares, np.stack([1 - left(0.5), left(0.5)]))
    assert (cover == 1).all()
    shared, _ = masks.layout([left(1), left(0.5)], (HEIGHT, WIDTH), overlap="share")
    assert shared[:, 0, 0].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("feather", [0.0, 8.0])
@pytest.mark.parametrize("fill", [False, True])
def test_soft_masks_that_complement_each_other_leave_no_seam(fill: bool, feather: float) -> None:
    slope = np.linspace(0, 1, WIDTH, dtype=np.float32)[None].repeat(HEIGHT, 0)
    for pair in ([slope, 1 - slope], [1 - slope, slope]):
        shares, cover = masks.layout(pair, (HEIGHT, WIDTH), fill=fill, feather=feather)
        assert np.allclose(cover, 1, rtol=0, atol=1e-5)
        assert np.allclose(shares[:2].sum(0), 1, rtol=0, atol=1e-5)
        if not feather:
            assert np.allclose(shares[:2], pair, rtol=0, atol=ONE)


def test_overlapping_masks_may_divide_the_pixel_by_what_they_claim() -> None:
    shares, cover = masks.layout([left(1), left(0.5, 1 / 3)], (HEIGHT, WIDTH), overlap="share")
    assert shares[:, 0, 0].tolist() == pytest.approx([0.75, 0.25])
    assert shares[:, 0, -1].tolist() == [1, 0]
    assert (cover == 1).all()


def test_masks_that_claim_less_than_all_leave_the_rest_its_part() -> None:
    given = [left(1, 0.2), left(1, 0.3)]
    shares, cover = masks.layout(given, (HEIGHT, WIDTH))
    assert shares[:, 0, 0].tolist() == pytest.approx([0.4, 0.6])
    assert cover[0, 0] == pytest.approx(0.5)
    filled, whole = masks.layout(given, (HEIGHT, WIDTH), fill=True)
    assert filled[:, 0, 0].tolist() == pytest.approx([0.2, 0.3, 0.5])
    assert whole[0, 0] == pytest.approx(1)


def test_a_gap_gets_the_shares_of_the_nearest_covered_pixel_and_no_cover() -> None:
    first, second = left(0.25), left(0.25)[:, ::-1]
    shares, cover = masks.layout([first, second], (HEIGHT, WIDTH))
    assert np.array_equal(cover, first + second)
    middle = WIDTH // 2
    # Nearest by cells of 4 pixels: half-way between the masks it may be either.
    assert (shares[0, :, : middle - 4] == 1).all()
    assert (shares[1, :, middle + 4 :] == 1).all()
    assert np.array_equal(shares[:, cover > 0], np.stack([first, second])[:, cover > 0])


def test_where_no_mask_covers_anything_all_share_alike() -> None:
    shares, cover = masks.layout([left(0), left(0)], (HEIGHT, WIDTH))
    assert (shares == 0.5).all()
    assert (cover == 0).all()


@pytest.mark.parametrize("feather", [4.0, 12.0, 30.0])
def test_a_feather_is_the_width_of_the_seam(feather: float) -> None:
    half = np.zeros((8, 200), np.float32)
    half[:, :100] = 1
    shares, cover = masks.layout([half, 1 - half], (8, 200), feather=feather)
    soft = shares[0, 0]
    # A step under a Gaussian of deviation w / 4 goes from 97.7 % to 2.3 % between -w / 2 and w / 2; pixels are centres.
    width = int(((soft > 0.0228) & (soft < 0.9772)).sum())
    assert abs(width - feather) <= 1.5
    assert np.allclose(shares.sum(0), 1, rtol=0, atol=ONE)
    assert (np.diff(soft) <= 0).all()
    assert float((soft[99] + soft[100]) / 2) == pytest.approx(0.5, abs=1e-3)
    assert np.allclose(cover, 1, rtol=0, atol=1e-5)
    hard, _ = masks.layout([half, 1 - half], (8, 200))
    assert np.array_equal(hard[0], half), "the control"


def test_masks_of_several_sizes_meet_at_the_size_of_the_image() -> None:
    shares, _ = masks.layout([np.ones((3, 5), np.float32), np.zeros((50, 70), np.float32)], (HEIGHT, WIDTH))
    assert shares.shape == (2, HEIGHT, WIDTH)
    assert np.allclose(shares[0], 1, rtol=0, atol=ONE)


@pytest.mark.parametrize(
    ("size", "photo", "same"),
    [
        ((160, 240), (160, 240), True),
        ((80, 120), (160, 240), True),
        ((683, 1024), (3000, 4498), True),
        ((21, 32), (160, 240), True),  # 21.3 rounded
        ((2002, 3000), (2000, 3000), True),
        ((2010, 3000), (2000, 3000), False),
        ((101, 600), (16, 96), True),
        ((240, 160), (160, 240), False),
        ((160, 160), (160, 240), False),
        ((12, 20), (33, 42), False),
        ((22, 30), (160, 240), False),
    ],
    ids=str,
)
def test_a_mask_has_the_shape_of_the_photo_but_for_rounding(
    size: tuple[int, int], photo: tuple[int, int], same: bool
) -> None:
    for one, other in ((size, photo), (photo, size)):
        if same:
            masks.check_shape("m.png", one, other, remedy="add --fit")
            continue
        with pytest.raises(
            ImageError, match=r"^m.png: is \d+ x \d+ px, and the photo \d+ x \d+: .*, or add --fit$"
        ):
            masks.check_shape("m.png", one, other, remedy="add --fit")


def test_a_mask_on_its_side_is_told_from_one_of_another_shape() -> None:
    for size, said in (
        ((240, 160), "on its side, as before EXIF turns it; turn it"),
        ((160, 200), "another shape; crop"),
    ):
        with pytest.raises(ImageError, match=said):
            masks.check_shape("m.png", size, (160, 240), remedy="add --fit")


def test_the_package_offers_masks() -> None:
    from stylebank import masks as offered

    assert offered is masks
    assert set(masks.__all__) <= set(dir(masks))

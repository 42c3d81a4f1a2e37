"""Masks and label images as files hold them; shares that sum to 1 whatever overlaps, leaves gaps or is softened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from stylebank.errors import ImageError
from stylebank.pixels import masks, pictures
from stylebank.pixels.masks import Labels

Levels = NDArray[Any]
Floats = NDArray[np.float32]

HEIGHT, WIDTH = 24, 40
ONE = 1e-6  # seven shares of float32, each rounded by 2^-24 at most, and their sum: 14 x 2^-24 = 8e-7


def left(share: float = 0.5, value: float = 1.0) -> Floats:
    """A mask that covers this share of the columns."""
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[:, : round(share * WIDTH)] = value
    return mask


def numbers() -> Levels:
    """Labels 0, 1, 2, 7, in columns of one width."""
    return np.repeat(np.array([0, 1, 2, 7], np.uint8), WIDTH // 4)[None].repeat(HEIGHT, 0)


def file_of(folder: Path, image: Image.Image, suffix: str = ".png", **options: Any) -> Path:
    path = folder / f"labels{suffix}"
    image.save(path, **options)
    return path


def wide(dtype: type, factor: int) -> Image.Image:
    """More than 8 bits a pixel."""
    return Image.fromarray(numbers().astype(dtype) * dtype(factor))


def palette(values: Levels) -> Image.Image:
    image = Image.fromarray(values)
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tolist())
    return image


# How a file is made, its suffix, and what the labels are.
LABEL_FILES: dict[str, tuple[Callable[[], Image.Image], str, Callable[[Levels], Levels]]] = {
    "palette": (lambda: palette(numbers()), ".png", lambda values: values),
    "palette of a GIF": (lambda: pictures.label_image(numbers() % 3), ".gif", lambda values: values % 3),
    "palette of greys": (lambda: Image.fromarray(numbers()).convert("P"), ".png", lambda values: values),
    "grey": (lambda: Image.fromarray(numbers()), ".png", lambda values: values),
    "grey BMP": (lambda: Image.fromarray(numbers()), ".bmp", lambda values: values),
    "1 bit": (lambda: Image.fromarray(numbers() > 1), ".png", lambda values: values > 1),
    "16 bits": (lambda: wide(np.uint16, 9000), ".png", lambda values: values * 9000),
    "16 bits TIFF": (lambda: wide(np.uint16, 300), ".tif", lambda values: values * 300),
    "32 bits": (lambda: wide(np.int32, 70000), ".tif", lambda values: values * 70000),
}


@pytest.mark.parametrize("case", LABEL_FILES)
def test_labels_are_what_the_file_holds_and_no_brightness(case: str, tmp_path: Path) -> None:
    make, suffix, meaning = LABEL_FILES[case]
    found = masks.read_labels(file_of(tmp_path, make(), suffix))
    wanted = meaning(numbers().astype(np.int64)).astype(np.int64)
    assert np.array_equal(found.values, wanted)
    assert found.values.dtype == np.int64
    assert not found.are_colours
    largest = int(wanted.max())
    assert found.label(str(largest)) == largest
    assert np.array_equal(found.mask(largest) == 1, wanted == largest)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGB", ".png"), ("RGBA", ".png"), ("RGB", ".webp"), ("RGB", ".tif")]
)
def test_labels_of_a_colour_image_are_its_colours(mode: str, suffix: str, tmp_path: Path) -> None:
    image = Image.new(mode, (WIDTH, HEIGHT), "#0000ff")
    image.paste((255, 0, 0), (0, 0, 10, HEIGHT))
    found = masks.read_labels(file_of(tmp_path, image, suffix, lossless=True))
    assert found.are_colours
    assert found.found() == [0x0000FF, 0xFF0000], "the most frequent first"
    for key in ("red", "#f00", "#FF0000", "rgb(255, 0, 0)"):
        assert found.label(key) == 0xFF0000
        assert found.mask(found.label(key)).mean() == 10 / WIDTH
    assert [found.shown(label) for label in found.found()] == ["#0000ff", "#ff0000"]


def test_labels_stand_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    found = masks.read_labels(file_of(tmp_path, Image.fromarray(numbers()), exif=exif))
    assert np.array_equal(found.values, np.rot90(numbers(), -1))


@pytest.mark.parametrize(
    "key", ["3", "", "x", "-1", "1.0", "red", "#000001", "\N{SUPERSCRIPT TWO}", "9" * 40]
)
def test_a_label_that_is_not_there_is_refused_with_those_that_are(key: str) -> None:
    with pytest.raises(ImageError, match=r"^a.png: has no label '.*; it has 0, 1, 2, 7$"):
        Labels("a.png", numbers().astype(np.int64), are_colours=False).label(key)


def test_a_colour_that_is_not_there_is_refused_with_a_few_that_are() -> None:
    many = Labels("a.png", np.arange(100, dtype=np.int64).reshape(10, 10), are_colours=True)
    for key in ("5", "bluu", "#12", "white", ""):
        with pytest.raises(ImageError, match=r"has no label .*; it has #000000, .* and 88 more$"):
            many.label(key)
    with pytest.raises(ImageError, match=r"did you mean '#000012'\?"):
        many.label("000012")


@pytest.mark.parametrize("size", [(24, 40), (12, 20), (48, 80), (7, 13), (1, 1), (25, 41)], ids=str)
def test_labels_of_another_size_are_the_nearest_ones(size: tuple[int, int]) -> None:
    found = Labels("a.png", numbers().astype(np.int64), are_colours=False).resized(size)
    assert found.values.shape == size
    places = (np.arange(size[1]) + 0.5) * 4 // size[1]  # which of four columns a pixel's centre lies in
    assert (found.values == np.array([0, 1, 2, 7])[places.astype(int)]).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA", "I;16", "F", "CMYK"])
def test_a_mask_counts_by_its_luma_whatever_its_mode(mode: str, tmp_path: Path) -> None:
    grey = Image.fromarray((left() * 255).astype(np.uint8))
    image = Image.fromarray((left() * 65535).astype(np.uint16)) if mode == "I;16" else grey.convert(mode)
    suffix = ".tif" if mode in ("F", "CMYK") else ".png"
    for found in (masks.read_mask(file_of(tmp_path, image, suffix)), masks.of(image)):
        assert found.dtype == np.float32
        assert found.shape == (HEIGHT, WIDTH)
        assert np.array_equal(found, left())


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
def test_white_on_a_transparent_ground_covers_where_it_is_white(mode: str, tmp_path: Path) -> None:
    """As painting programs save what was painted on a layer of its own; black on it covers nothing."""
    image = Image.new("RGBA", (WIDTH, HEIGHT), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (0, 0, WIDTH // 4, HEIGHT))
    image.paste((0, 0, 0, 255), (WIDTH // 2, 0, WIDTH, HEIGHT))
    image = image.convert(mode)
    forms = (
        [masks.of(image)] if mode == "PA" else [masks.of(image), masks.read_mask(file_of(tmp_path, image))]
    )
    for found in forms:
        assert np.array_equal(found, left(0.25))


def test_greys_are_soft() -> None:
    assert masks.of(Image.new("L", (2, 1), 51)).tolist() == [[pytest.approx(0.2)] * 2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.bool_, np.uint8, np.int64])
def test_an_array_is_a_mask(dtype: type) -> None:
    array: Levels = left().astype(dtype)
    for mask in (array, torch.from_numpy(array)):
        found = masks.of(mask)
        assert np.array_equal(found, left())
        assert found.dtype == np.float32


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
        -left(),
        left() * np.nan,
        np.where(left() > 0, np.inf, 0),
    ],
    ids=["3 axes", "1 axis", "empty", "255", "negative", "nan", "inf"],
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


def test_overlapping_masks_divide_the_pixel_by_what_they_claim() -> None:
    shares, cover = masks.layout([left(1), left(0.5, 1 / 3)], (HEIGHT, WIDTH))
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

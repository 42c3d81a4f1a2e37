"""Label images as files hold them, by number or by colour; soft edges and noise go to what is on either side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from stylebank.errors import ImageError
from stylebank.pixels import masks, pictures
from stylebank.pixels.masks import Labels

Levels = NDArray[Any]

HEIGHT, WIDTH = 24, 40


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
    assert found.meant(str(largest)) == (largest,)
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
        assert found.meant(key) == (0xFF0000,)
        assert found.mask(*found.meant(key)).mean() == 10 / WIDTH
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
        Labels("a.png", numbers().astype(np.int64), are_colours=False).meant(key)


def test_a_colour_that_is_not_there_is_refused_with_a_few_that_are() -> None:
    many = Labels("a.png", np.arange(100, dtype=np.int64).reshape(10, 10), are_colours=True)
    for key in ("5", "bluu", "#12", "white", ""):
        with pytest.raises(ImageError, match=r"has no label .*; it has #000000, .* and 88 more$"):
            many.meant(key)
    with pytest.raises(ImageError, match=r"did you mean '#000012'\?"):
        many.meant("000012")


@pytest.mark.parametrize("size", [(24, 40), (12, 20), (48, 80), (7, 13), (1, 1), (25, 41)], ids=str)
def test_labels_of_another_size_are_the_nearest_ones(size: tuple[int, int]) -> None:
    found = Labels("a.png", numbers().astype(np.int64), are_colours=False).resized(size)
    assert found.values.shape == size
    places = (np.arange(size[1]) + 0.5) * 4 // size[1]  # which of four columns a pixel's centre lies in
    assert (found.values == np.array([0, 1, 2, 7])[places.astype(int)]).all()


def test_a_palette_entry_is_meant_by_its_number_or_its_colour(tmp_path: Path) -> None:
    image = Image.fromarray(numbers())
    image.putpalette([200, 40, 40, 40, 160, 60, 200, 40, 40, *bytes(12), 9, 9, 9])
    found = masks.read_labels(file_of(tmp_path, image))
    assert found.meant("2") == (2,)
    assert found.meant("#c82828") == (0, 2), "every entry of the colour"
    assert found.meant("#c92829") == (0,) or found.meant("#c92829") == (2,), (
        "quantising moves colours a little"
    )
    assert found.mask(*found.meant("#c82828")).mean() == 0.5
    with pytest.raises(
        ImageError, match=r"has no label '3'; it has 0 \(#c82828\), 1 \(#28a03c\), 2 \(#c82828\), 7"
    ):
        found.meant("3")
    with pytest.raises(ImageError, match=r"has no label 'blue'"):
        found.meant("blue")


def test_grey_labels_are_meant_by_their_level_or_their_colour(tmp_path: Path) -> None:
    levels = np.where(numbers() > 1, 128, 0).astype(np.uint8)
    for mode in ("L", "LA", "RGB", "RGBA"):
        found = masks.read_labels(file_of(tmp_path, Image.fromarray(levels).convert(mode)))
        assert found.meant("128") == found.meant("#808080") == (128,)
        assert found.meant("black") == (0,)
        assert [found.shown(label) for label in found.found()] == ["0", "128"]


def test_a_number_means_an_id_of_a_colour_image(tmp_path: Path) -> None:
    """As COCO's panoptic files write them: R + 256 G + 65536 B."""
    ids = numbers().astype(np.int64) * 1000 + 70000
    pixels = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1).astype(np.uint8)
    found = masks.read_labels(file_of(tmp_path, Image.fromarray(pixels)))
    assert np.array_equal(found.mask(*found.meant("77000")), (numbers() == 7).astype(np.float32))
    with pytest.raises(ImageError, match="has no label '77001'"):
        found.meant("77001")


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_transparent_pixels_have_no_label(mode: str, tmp_path: Path) -> None:
    if mode == "P":
        path = file_of(tmp_path, palette(numbers()), transparency=7)
    else:
        image = Image.fromarray(numbers() * 30).convert(mode)
        image.putalpha(Image.fromarray(np.where(numbers() == 7, 100, 200).astype(np.uint8)))
        path = file_of(tmp_path, image)
    found = masks.read_labels(path).settled()
    assert len(found.found()) == 3
    assert np.array_equal(found.values < 0, numbers() == 7)


def test_float_labels_are_whole_numbers(tmp_path: Path) -> None:
    values = numbers().astype(np.float32)
    values[0, 0] = np.nan
    found = masks.read_labels(file_of(tmp_path, Image.fromarray(values), ".tif"))
    assert found.found() == [1, 2, 7, 0]
    assert found.values[0, 0] < 0
    with pytest.raises(ImageError, match="holds fractions; give labels as whole numbers"):
        masks.read_labels(file_of(tmp_path, Image.fromarray(values + 0.5), ".tif"))


SHAPES = {
    "saturated": ("#ff0000", "#0000ff", "#00ff00"),
    "mild": ("#c82828", "#28a03c", "#3c3cc8"),
    "grey": ("#000000", "#808080", "#ffffff"),
}
SCALE = 4


def shapes(colours: tuple[str, ...]) -> Image.Image:
    """A ground, an ellipse, and a polygon over both, so that three meet; enlarged."""
    image = Image.new("RGB", (240 * SCALE, 160 * SCALE), colours[0])
    pen = ImageDraw.Draw(image)
    pen.ellipse((24 * SCALE, 16 * SCALE, 144 * SCALE, 128 * SCALE), fill=colours[1])
    pen.polygon(
        [(96 * SCALE, 48 * SCALE), (228 * SCALE, 32 * SCALE), (192 * SCALE, 144 * SCALE)], fill=colours[2]
    )
    return image


def hard(colours: tuple[str, ...]) -> Image.Image:
    return shapes(colours).resize((240, 160), Image.Resampling.NEAREST)


def in_linear_light(colours: tuple[str, ...]) -> Image.Image:
    light = (np.asarray(shapes(colours), np.float64) / 255) ** 2.2
    mean = light.reshape(160, SCALE, 240, SCALE, 3).mean((1, 3)) ** (1 / 2.2)
    return Image.fromarray((mean * 255).round().astype(np.uint8))


def lanczos(colours: tuple[str, ...]) -> Image.Image:
    return shapes(colours).resize((240, 160), Image.Resampling.LANCZOS)


# How a label image gets soft or noisy, and the file that it comes in.
SOFT: dict[str, tuple[Callable[[tuple[str, ...]], Image.Image], str, dict[str, int]]] = {
    "Lanczos": (lanczos, ".png", {}),
    "linear light": (in_linear_light, ".png", {}),
    "blurred": (lambda colours: hard(colours).filter(ImageFilter.GaussianBlur(2)), ".png", {}),
    "JPEG 75": (hard, ".jpg", {"quality": 75}),
    "soft JPEG 75": (lanczos, ".jpg", {"quality": 75}),
    "JPEG 90": (hard, ".jpg", {"quality": 90}),
    "WebP": (lanczos, ".webp", {"quality": 80}),
    "GIF": (lambda colours: lanczos(colours).quantize(256), ".gif", {}),
}


@pytest.mark.parametrize("colours", SHAPES)
@pytest.mark.parametrize("case", SOFT)
def test_soft_edges_and_noise_go_to_the_labels_on_either_side(
    case: str, colours: str, tmp_path: Path
) -> None:
    make, suffix, options = SOFT[case]
    found = masks.read_labels(file_of(tmp_path, make(SHAPES[colours]), suffix, **options))
    assert len(found.found()) > 8, "the control: there are other colours"
    keys = [found.meant(colour)[0] for colour in SHAPES[colours]]
    truth = np.asarray(hard(SHAPES[colours]))
    wanted = np.stack(
        [(truth == np.asarray(Image.new("RGB", (1, 1), c))[0, 0]).all(-1) for c in SHAPES[colours]]
    )
    for assigned in (keys, keys[:2], keys[:1]):  # what is not assigned stays a label of its own
        settled = found.settled(assigned)
        assert set(settled.found()) == set(keys)
        wrong = np.mean([settled.mask(key) != part for key, part in zip(keys, wanted, strict=True)])
        assert wrong < 0.01  # 700 pixels are at an edge, 2 %; of half of these a third of the masks may err


def test_what_is_exact_stays_as_it_is(tmp_path: Path) -> None:
    ids = np.zeros((120, 160), np.uint8)
    ids[:, 40:80], ids[:, 80], ids[:, 81:] = 1, 2, 3  # 2 is a line between its neighbours
    ids[5:9, 5:9], ids[50, 10:30] = 7, 9
    for image in (Image.fromarray(ids), Image.fromarray(np.stack([ids, ids // 2, ids * 0], -1))):
        found = masks.read_labels(file_of(tmp_path, image))
        assert np.array_equal(found.settled().values, found.values)
    wide_ids = ids.astype(np.uint16) * 1000
    found = masks.read_labels(file_of(tmp_path, Image.fromarray(wide_ids)))
    assert np.array_equal(found.settled().values, wide_ids)


def test_a_thin_line_of_its_own_colour_is_a_label_and_an_assigned_one_in_any_case(tmp_path: Path) -> None:
    image = Image.new("RGB", (120, 80), "#ff0000")
    ImageDraw.Draw(image).rectangle((40, 20, 90, 60), fill="#0000ff", outline="#000000")
    found = masks.read_labels(file_of(tmp_path, image))
    assert np.array_equal(found.settled().values, found.values)
    ImageDraw.Draw(image).rectangle((40, 20, 90, 60), outline="#800080")
    found = masks.read_labels(file_of(tmp_path, image))
    assert found.settled().found() == [0xFF0000, 0x0000FF], "between both: an edge"
    assert np.array_equal(found.settled([0x800080]).values, found.values)


def test_an_edge_leaves_no_line_of_a_label_that_it_passes() -> None:
    """Between black and white lies grey, which is a label elsewhere."""
    y, x = np.indices((60, 400))
    slope = 255 / (1 + np.exp(100 + 4 * np.sin(y / 9) - x))
    soft = np.where(x < 200, slope, np.where(x < 300, 128, 0)).round().astype(np.int64)
    assert (np.abs(soft[:, :150] - 128) < 12).any(), "the control"
    greys = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
    found = Labels("a.png", soft, are_colours=False, colours=greys).settled([0, 128, 255])
    assert set(np.unique(found.values)) == {0, 128, 255}
    assert not (found.values[:, :150] == 128).any()


def test_a_colour_that_is_only_at_edges_is_no_label_that_somebody_means(tmp_path: Path) -> None:
    found = masks.read_labels(file_of(tmp_path, lanczos(SHAPES["saturated"])))
    edge = next(
        label for label in reversed(found.found()) if 80 < label >> 16 < 170 and 80 < label & 255 < 170
    )
    with pytest.raises(ImageError, match=r"has no label .*; it has #ff0000, #0000ff, #00ff00$"):
        found.meant(f"#{edge:06x}")


def test_a_soft_edge_at_the_border_goes_to_the_label_beside_it(tmp_path: Path) -> None:
    """A shape that was meant to reach the border, and a quarter of a pixel was left."""
    for colours in SHAPES.values():
        large = Image.new("RGB", (240 * SCALE, 160 * SCALE), colours[0])
        corner = 239 * SCALE, 159 * SCALE
        ImageDraw.Draw(large).polygon([(800, 0), (corner[0], 0), corner, (480, corner[1])], fill=colours[2])
        small = large.resize((240, 160), Image.Resampling.LANCZOS)
        for soft in (small, small.resize((480, 320))):
            found = masks.read_labels(file_of(tmp_path, soft))
            keys = [found.meant(colour)[0] for colour in (colours[0], colours[2])]
            assert (~np.isin(found.values[:, -1], keys)).sum() > 140, "the control: a line of another colour"
            assert set(found.settled(keys).found()) == set(keys)
    line = Image.new("RGB", (60, 40), "#ff0000")
    ImageDraw.Draw(line).rectangle((20, 10, 40, 30), fill="#0000ff")
    ImageDraw.Draw(line).line((59, 0, 59, 39), fill="#00ff00")
    found = masks.read_labels(file_of(tmp_path, line))
    assert 0x00FF00 in found.settled().found(), "between no others"

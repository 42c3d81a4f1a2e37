"""Sheets show every picture undistorted and every label whole or shortened; labels come back and are told apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageChops

from stylebank.errors import OutputError
from stylebank.pixels import images, masks, pictures

Levels = NDArray[Any]

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)
COLOURS = (RED, GREEN, BLUE)
STYLES = ("van_gogh_starry_night", "hokusai_wave", "a" * 64)


def flat(colour: tuple[int, int, int], *, height: int = 20, width: int = 20) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def area(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, width, height of all that has a colour, which is all of that box."""
    found = (np.asarray(sheet) == colour).all(2)
    rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
    height, width = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
    assert found.sum() == height * width
    return int(columns[0]), int(rows[0]), width, height


def ink(sheet: Image.Image) -> Levels:
    """Where labels are: what is grey and dark, on a sheet of pure colours."""
    levels = np.asarray(sheet).astype(int)
    found: Levels = (levels.max(2) - levels.min(2) < 30) & (levels.max(2) < 200)
    return found


def test_pictures_of_a_grid_lie_at_even_distances_as_large_as_fits() -> None:
    rows = [[flat(RED), flat(GREEN, height=10)], [flat(BLUE, width=5)]]
    sheet = pictures.contact_sheet(rows, cell=100)
    left, top, *size = area(sheet, RED)
    assert size == [100, 100]
    assert area(sheet, GREEN) == (left + 106, top + 25, 100, 50)
    assert area(sheet, BLUE) == (left + 37, top + 106, 25, 100)
    assert not ink(sheet).any()
    assert sheet.size == (2 * left + 206, 2 * top + 206)


def test_tensors_and_images_look_the_same() -> None:
    tensor = torch.tensor(RED).reshape(3, 1, 1).expand(3, 20, 30) / 255
    image = flat(RED, width=30)
    sheets = [pictures.contact_sheet([[cell]]).tobytes() for cell in (tensor, tensor[None], image)]
    assert sheets[0] == sheets[1] == sheets[2]


@pytest.mark.parametrize("cell", [48, 128, 256])
def test_labels_stand_beside_their_pictures_and_touch_nothing(cell: int) -> None:
    rows = [[flat(colour) for colour in COLOURS]] * 2
    sheet = pictures.contact_sheet(rows, row_labels=["photo", "b" * 99], column_labels=STYLES, cell=cell)
    marks = ink(sheet)
    left, top, *_ = area(sheet.crop((0, 0, sheet.width, sheet.height // 2)), RED)
    for column in range(3):
        start = left + column * (cell + 6)
        assert marks[:top, start : start + cell].any()
    for row in range(2):
        start = top + row * (cell + 6)
        assert marks[start : start + cell, :left].any()
    assert not marks[top:, left:].any()
    assert not marks[:top, :left].any()
    assert not np.concatenate([marks[0], marks[-1], marks[:, 0], marks[:, -1]]).any()


def test_labels_share_one_base_line_and_a_long_one_does_not_shrink_the_others() -> None:
    cells, half = [[flat(RED)] * 2], 12 + 256
    alone, beside, tall = (
        pictures.contact_sheet(cells, column_labels=["mmm", label]) for label in ("mmm", "a" * 64, "TTT")
    )
    assert alone.crop((0, 0, half, 40)).tobytes() == beside.crop((0, 0, half, 40)).tobytes()
    ends = [np.flatnonzero(ink(sheet)[:, half:].any(1))[[0, -1]].tolist() for sheet in (alone, tall)]
    assert ends[0][1] == ends[1][1]
    assert ends[0][0] > ends[1][0]


def test_long_label_keeps_its_ends() -> None:
    font = pictures.font(12)
    assert pictures.shortened("mosaic", font, font.getlength("mosaic")) == "mosaic"
    short = pictures.shortened("monet_water_lilies_1899", font, 80)
    assert short.startswith("monet")
    assert short.endswith("99")
    assert font.getlength(short) <= 80 < font.getlength("monet_water_lilies_1899")


@pytest.mark.parametrize(("height", "width"), [(20, 30), (30, 20), (20, 20), (3, 400)])
def test_single_sheet_keeps_the_shape_of_its_pictures(height: int, width: int) -> None:
    cells = [
        (name, flat(colour, height=height, width=width)) for name, colour in zip(STYLES, COLOURS, strict=True)
    ]
    sheet = pictures.single_sheet(cells, cell=200)
    shapes = {area(sheet, colour)[2:] for colour in COLOURS}
    assert shapes == {
        (round(200 * width / max(height, width)), max(1, round(200 * height / max(height, width))))
    }


def test_single_sheet_writes_each_label_below_its_picture() -> None:
    cells = [(name, flat(colour)) for name, colour in zip(STYLES, COLOURS, strict=True)]
    for columns, rows in ((1, 3), (2, 2), (3, 1)):
        sheet = pictures.single_sheet(cells, columns=columns, cell=100)
        places = [area(sheet, colour) for colour in COLOURS]
        assert (len({place[0] for place in places}), len({place[1] for place in places})) == (columns, rows)
        for left, top, width, height in places:
            assert ink(sheet)[top + height : top + height + 24, left : left + width].any()


@pytest.mark.parametrize("count", [1, 2, 6, 7, 11, 12, 40])
def test_single_sheet_is_neither_a_strip_nor_a_tower(count: int) -> None:
    sheet = pictures.single_sheet([("photo", flat(RED, width=30))] * count, cell=60)
    assert 0.6 < sheet.width / sheet.height < 3.2


def test_four_pictures_stand_two_by_two_rather_than_three_and_one() -> None:
    sheet = pictures.single_sheet([("", flat(colour)) for colour in (*COLOURS, GREY)], cell=100)
    assert area(sheet, GREEN)[1] == area(sheet, RED)[1] < area(sheet, BLUE)[1] == area(sheet, GREY)[1]


def numbers(height: int = 90, width: int = 120) -> Levels:
    """Labels 1 on the left, 2 above and 3 below on the right."""
    labels = np.ones((height, width), np.uint8)
    labels[:, width // 2 :] = 2
    labels[height // 2 :, width // 2 :] = 3
    return labels


def test_label_image_holds_the_labels_as_indices_in_colours_far_apart() -> None:
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = pictures.label_image(labels)
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), labels)
    colours = np.asarray(image.convert("RGB")).reshape(256, 3).astype(int)
    assert colours[0].tolist() == [255, 255, 255]
    few = colours[:13]  # white and the most regions that there can be
    apart = [np.abs(few[i] - few[j]).max() for i in range(13) for j in range(i)]
    assert min(apart) > 30
    assert len(np.unique(colours[:128], axis=0)) == 128


def test_saved_labels_come_back_as_they_were(tmp_path: Path) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    images.save_labels(tmp_path / "labels.PNG", pictures.label_image(values))
    found = masks.read_labels(tmp_path / "labels.PNG")
    assert np.array_equal(found.values, values)
    assert images.read_unconverted(tmp_path / "labels.PNG").mode == "P"
    rgb = np.asarray(images.read(tmp_path / "labels.PNG"))
    assert not np.array_equal(rgb[..., 0], values), "the control: they are indices, not greys"


@pytest.mark.parametrize("name", ["labels.jpg", "labels", "labels.tif"])
def test_labels_are_saved_as_png_only(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot hold labels; choose a name that ends in \.png"):
        images.save_labels(tmp_path / name, pictures.label_image(numbers()))
    assert not list(tmp_path.iterdir())


def test_label_overlay_tints_the_photo_and_stays_its_size() -> None:
    labels, photo = numbers(), flat(GREY, height=90, width=120)
    overlay = pictures.label_overlay(labels, photo)
    assert (overlay.size, overlay.mode) == (photo.size, "RGB")
    tints = np.asarray(pictures.label_image(labels).convert("RGB")).astype(int)
    found = np.asarray(overlay).astype(int)
    corners = ([2, 2, -3], [2, -3, -3])  # no number stands there
    assert np.abs(found[corners] - (tints[corners] + 128) / 2).max() <= 1
    assert photo.getextrema() == ((128, 128),) * 3, "which is left alone"


@pytest.mark.parametrize("scale", [1, 3, 12])
def test_label_overlay_writes_each_number_once_inside_its_region(scale: int) -> None:
    labels = np.repeat(np.repeat(numbers(), scale, 0), scale, 1)
    photo = Image.new("RGB", labels.shape[::-1], GREY)
    plain = Image.blend(photo, pictures.label_image(labels).convert("RGB"), 0.5)
    written = np.asarray(ImageChops.difference(pictures.label_overlay(labels, photo), plain)).max(2) > 20
    for label in (1, 2, 3):
        rows, columns = np.nonzero(labels == label)
        inside = written & (labels == label)
        marks = np.argwhere(inside)
        assert len(marks)
        # In the middle of these rectangles but for the quarter that the longer one leaves open.
        middle = np.array([np.ptp(rows), np.ptp(columns)]) / 2 + [rows.min(), columns.min()]
        allowed = np.array([np.ptp(rows), np.ptp(columns)]) / 4 + 2
        assert (np.abs(marks.mean(0) - middle) <= allowed).all()
        others = np.abs(np.diff(np.flatnonzero(inside.any(1)))).max(initial=1)
        assert others == 1, "one number, in one piece"


def test_label_overlay_stands_a_photo_smaller_than_its_numbers() -> None:
    for size in ((1, 1), (3, 5)):
        labels = np.ones(size, np.uint8)
        overlay = pictures.label_overlay(labels, flat(GREY, height=size[0], width=size[1]))
        assert overlay.size == size[::-1]

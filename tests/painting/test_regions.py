"""Which region gets which style: by mask, by label, or chosen by colour; what is amiss or left over is said."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stylebank import StyleBank
from stylebank.bank.bundle import Bundle
from stylebank.engines.choice import Computing
from stylebank.engines.stages import Array
from stylebank.errors import ConfigError, ImageError, StyleBankError
from stylebank.painting import regions
from stylebank.painting.regions import Regions
from stylebank.pixels.masks import Labels, Mask

Floats = NDArray[np.float32]

HEIGHT, WIDTH = 24, 40
COLUMNS = np.repeat(np.array([0, 1, 2, 7]), WIDTH // 4)[None].repeat(HEIGHT, 0)


def column(label: int) -> Floats:
    """The mask of a label."""
    found: Floats = np.equal(COLUMNS, label).astype(np.float32)
    return found


def opened(contents: Bundle) -> StyleBank:
    return StyleBank(contents, computing=Computing("torch", "float32", "cpu"))


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> StyleBank:
    return opened(make_bank({"wave": 3, "night": 5, "scream": 1}))


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    colours = np.array([(40, 90, 200), (230, 140, 30), (30, 120, 40), (220, 220, 220)])
    found = colours[np.arange(WIDTH) * 4 // WIDTH][None].repeat(HEIGHT, 0)
    return Image.fromarray((found + np.random.default_rng(0).integers(-20, 21, found.shape)).astype(np.uint8))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with masks."""
    monkeypatch.chdir(tmp_path)
    left = Image.fromarray((COLUMNS < 2).astype(np.uint8) * 255)
    left.save("left.png")
    left.save("a=b.png")
    left.resize((20, 12)).save("small.png")
    Image.new("L", (WIDTH, HEIGHT)).save("black.png")
    return tmp_path


def by_masks(
    *words: str, strength: float = 1.0, fit: bool = False
) -> tuple[list[tuple[Mask, str]], list[str]]:
    """Masks and mixtures as words, and what is noted."""
    notes: list[str] = []
    found = regions.from_masks(words, size=(HEIGHT, WIDTH), strength=strength, note=notes.append, fit=fit)
    return [(mask, str(mix)) for mask, mix in found], notes


def test_a_mask_and_its_mixture_stand_in_one_word(home: Path) -> None:
    words = [
        "left.png=wave",
        "left.png=wave:0.5+scream:0.5@0.8",
        "a=b.png=night",
        f"{home}/left.png=wave@0.5",
    ]
    found, notes = by_masks(*words)
    assert [mix for _, mix in found] == ["wave", "wave:0.5+scream:0.5@0.8", "night", "wave@0.5"]
    assert all(np.array_equal(np.asarray(mask), COLUMNS < 2) for mask, _ in found)
    assert notes == []


@pytest.mark.usefixtures("home")
def test_a_region_may_keep_the_photo() -> None:
    found, _ = by_masks("left.png=photo", "left.png=wave", strength=0.5)
    assert [mix for _, mix in found] == ["photo", "wave@0.5"]


@pytest.mark.usefixtures("home")
def test_the_common_strength_is_for_regions_that_say_none() -> None:
    found, _ = by_masks("left.png=wave", "left.png=night@1", "left.png=night@0.2", strength=0.5)
    assert [mix for _, mix in found] == ["wave@0.5", "night", "night@0.2"]


@pytest.mark.usefixtures("home")
def test_a_mask_of_another_size_is_resized_and_that_is_noted() -> None:
    ((mask, _),), notes = by_masks("small.png=wave")
    assert notes == ["small.png: resized from 20 x 12 to 40 x 24 px"]
    mask = np.asarray(mask)
    assert mask.shape == (HEIGHT, WIDTH)
    assert mask[:, :12].min() > 0.9
    assert mask[:, -12:].max() < 0.1


@pytest.mark.usefixtures("home")
def test_a_mask_of_another_shape_is_refused_or_stretched() -> None:
    Image.new("L", (WIDTH, WIDTH), 255).save("square.png")
    with pytest.raises(
        ImageError, match=r"^square.png: is 40 x 40 px, and the photo 40 x 24: .*, or add --fit$"
    ):
        by_masks("square.png=wave")
    ((mask, _),), notes = by_masks("square.png=wave", fit=True)
    assert np.asarray(mask).shape == (HEIGHT, WIDTH)
    assert notes == ["square.png: resized from 40 x 40 to 40 x 24 px"]


@pytest.mark.usefixtures("home")
def test_a_mask_that_covers_nothing_is_noted() -> None:
    assert by_masks("black.png=wave")[1] == ["black.png: is all black, or transparent, and covers nothing"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("left.png", "--region left.png: has another form; write MASK=STYLE"),
        ("=wave", "--region =wave: has another form"),
        ("left.png=", "--region left.png=: has another form"),
        ("=", "--region =: has another form"),
        ("", "--region : has another form"),
        ("none.png=wave", "none.png: is no file; check the path"),
        ("left.png=wave:x", "--region left.png=wave:x: weight of 'wave': 'x' is no number"),
        ("left.png=wave@2", "--region left.png=wave@2: strength 2 is out of range"),
        ("left.png=wave:1+wave:1", "--region left.png=wave:1+wave:1: names 'wave' twice"),
    ],
)
@pytest.mark.usefixtures("home")
def test_a_region_of_another_form_is_refused(words: str, complaint: str) -> None:
    with pytest.raises(StyleBankError) as caught:
        by_masks("left.png=wave", words)
    assert str(caught.value).startswith(complaint)


def by_labels(
    bank: StyleBank, photo: Image.Image, *assigned: str, labels: Labels | None = None, strength: float = 1.0
) -> tuple[Regions, list[str]]:
    """Regions and what is noted."""
    notes: list[str] = []
    labels = labels or Labels("l.png", COLUMNS, are_colours=False)
    found = regions.from_labels(
        labels, assigned, bank=bank, photo=photo, strength=strength, note=notes.append
    )
    return found, notes


def shown(found: Regions) -> list[tuple[int, str]]:
    """Which of the four columns a mask covers, and the mixture."""
    columns = [np.flatnonzero(np.asarray(mask)[0, :: WIDTH // 4]) for mask, _ in found]
    return [(int(column[0]), str(mix)) for column, (_, mix) in zip(columns, found, strict=True)]


def test_labels_get_what_they_are_assigned_and_the_rest_is_noted(bank: StyleBank, photo: Image.Image) -> None:
    found, notes = by_labels(bank, photo, "7=wave", "1=wave:0.5+night:0.5@0.5", strength=0.9)
    assert shown(found) == [(3, "wave@0.9"), (1, "wave:0.5+night:0.5@0.5")]
    assert all(float(np.asarray(mask).sum()) == HEIGHT * WIDTH / 4 for mask, _ in found)
    assert notes == ["l.png: 0, 2 (50% of the pixels) left to the rest"]


def test_where_every_label_is_assigned_nothing_is_noted(bank: StyleBank, photo: Image.Image) -> None:
    every = ["0=wave", "1=wave", "2=wave", "7=wave"]
    for assigned in (every, [*every, "auto"]):
        found, notes = by_labels(bank, photo, *assigned)
        assert shown(found) == [(column, "wave") for column in range(4)]
        assert notes == []


def test_labels_of_another_size_are_resized_and_that_is_noted(bank: StyleBank, photo: Image.Image) -> None:
    small = Labels("l.png", COLUMNS[::2, ::2], are_colours=False)
    found, notes = by_labels(bank, photo, "2=wave", "auto", labels=small)
    assert notes[0] == "l.png: resized from 20 x 12 to 40 x 24 px"
    assert np.array_equal(np.asarray(found[0][0]), column(2))


def test_colours_are_assigned_by_name_or_number(bank: StyleBank, photo: Image.Image) -> None:
    colours = Labels("l.png", np.where(COLUMNS < 2, 0xFF0000, 0x0000FF), are_colours=True)
    found, notes = by_labels(bank, photo, "#00f=wave", labels=colours)
    assert shown(found) == [(2, "wave")]
    assert notes == ["l.png: #ff0000 (50% of the pixels) left to the rest"]


def test_entries_of_one_colour_are_one_region(bank: StyleBank, photo: Image.Image) -> None:
    colours = np.zeros((256, 3), np.uint8)
    colours[[0, 2, 7]] = (200, 40, 40), (200, 40, 40), (1, 2, 3)
    labels = Labels("l.png", COLUMNS, are_colours=False, colours=colours)
    found, notes = by_labels(bank, photo, "#c82828=wave", labels=labels)
    assert np.array_equal(np.asarray(found[0][0]), column(0) + column(2))
    assert len(found) == 1
    assert notes == ["l.png: 1 (#000000), 7 (#010203) (50% of the pixels) left to the rest"]
    with pytest.raises(ConfigError, match="names a label twice"):
        by_labels(bank, photo, "#c82828=wave", "2=night", labels=labels)


def test_soft_edges_leave_no_ring_and_are_no_label_to_note(bank: StyleBank, photo: Image.Image) -> None:
    soft = np.repeat(np.array([0xFF0000, 0xAA0055, 0x5500AA, 0x0000FF]), (18, 2, 2, 18))[None].repeat(
        HEIGHT, 0
    )
    labels = Labels("l.png", soft, are_colours=True)
    found, notes = by_labels(bank, photo, "red=wave", "blue=night", labels=labels)
    assert np.array_equal(sum(np.asarray(mask) for mask, _ in found), np.ones((HEIGHT, WIDTH)))
    assert notes == []
    _, notes = by_labels(bank, photo, "red=wave", labels=labels)
    assert notes == ["l.png: #0000ff (50% of the pixels) left to the rest"]


@pytest.mark.parametrize(
    ("assigned", "complaint"),
    [
        (["1"], "--assign 1: has another form; write LABEL=STYLE, or auto"),
        (["1="], "--assign 1: has another form"),
        (["=wave"], "--assign wave: has another form"),
        (["Auto"], "--assign Auto: has another form"),
        (["3=wave"], "l.png: has no label '3'; it has 0, 1, 2, 7"),
        (["red=wave"], "l.png: has no label 'red'"),
        (["1=wave", "1=night"], "--assign: names a label twice; give each label one style"),
        (["1=wave", "01=night"], "--assign: names a label twice"),
        (["1=wave:-1"], "--assign 1=wave:-1: weight -1 of 'wave' is out of range"),
        (["1=wave@"], "--assign 1=wave@: strength: is missing"),
    ],
    ids=str,
)
def test_an_assignment_of_another_form_is_refused(
    assigned: list[str], complaint: str, bank: StyleBank, photo: Image.Image
) -> None:
    with pytest.raises((ConfigError, ImageError)) as caught:
        by_labels(bank, photo, *assigned)
    assert str(caught.value).startswith(complaint)


def mean_change(bank: StyleBank, photo: Image.Image, given: Sequence[Floats]) -> NDArray[np.float64]:
    """How far each style moves the mean colour of each region, counted pixel by pixel: (R, S)."""
    before = np.asarray(photo) / 255
    pictures = [np.asarray(bank.stylize(photo, style, stroke=8)) / 255 for style in bank.styles]  # one pass
    rows = []
    for mask in given:
        inside = mask > 0
        moved = [picture[inside].mean(0) - before[inside].mean(0) for picture in pictures]
        rows.append(np.linalg.norm(moved, axis=1))
    return np.stack(rows)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_auto_gives_different_regions_different_styles_with_the_least_change_of_colour(
    count: int, bank: StyleBank, photo: Image.Image
) -> None:
    given = [column(label) for label in (0, 1, 2)][:count]
    found = regions.choose(bank, photo, given)
    assert len(set(found)) == count
    change = mean_change(bank, photo, given)

    def total(styles: Sequence[int]) -> float:
        return float(sum(change[region, style] for region, style in enumerate(styles)))

    ways = sorted(itertools.permutations(range(3), count), key=total)
    assert tuple(map(bank.styles.index, found)) == ways[0]
    # Means of at most 960 pixels in float64; the next best way is plainly worse, so that no rounding decides.
    assert total(ways[1]) - total(ways[0]) > 1e-4


def test_auto_uses_every_style_about_equally_where_there_are_too_few(
    bank: StyleBank, photo: Image.Image
) -> None:
    given = [column(label) for label in (0, 1, 2, 7, 0, 1, 2)]
    found = regions.choose(bank, photo, given)
    assert len(found) == 7
    assert max(map(found.count, bank.styles)) <= 3


def test_auto_gives_only_what_was_not_assigned_and_says_what(bank: StyleBank, photo: Image.Image) -> None:
    found, notes = by_labels(bank, photo, "auto", "1=wave:0.5+night:0.5", strength=0.5)
    assert shown(found)[0] == (1, "wave:0.5+night:0.5@0.5")
    chosen = dict(note.removeprefix("region ").split(": ") for note in notes)
    assert sorted(chosen) == ["0", "2", "7"]
    assert sorted(chosen.values()) == sorted(bank.styles)
    assert {(("0", "1", "2", "7")[column], mix) for column, mix in shown(found)[1:]} == {
        (label, f"{style}@0.5") for label, style in chosen.items()
    }


def test_auto_on_a_large_photo_chooses_as_on_a_small_one(bank: StyleBank, photo: Image.Image) -> None:
    # Scaled by whole pixels and back to its 256, so that both see about the same; 40 px are shown as they are.
    small = photo.resize((256, 154), Image.Resampling.NEAREST)
    large = small.resize((1024, 616), Image.Resampling.NEAREST)
    picked = []
    for image in (small, large):
        columns = np.arange(image.width) * 4 // image.width
        given = [
            np.broadcast_to(columns == column, (image.height, image.width)).astype(np.float32)
            for column in (0, 1, 2)
        ]
        picked.append(regions.choose(bank, image, given))
    assert picked[0] == picked[1]


def test_auto_encodes_the_photo_once(
    bank: StyleBank, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    encode, decode = bank.stages.encode, bank.stages.decode

    def encoded(x: Array) -> Array:
        seen.append("encoded")
        return encode(x)

    def decoded(x: Array, kernel: Floats) -> Array:
        seen.append("decoded")
        return decode(x, kernel)

    monkeypatch.setattr(bank.stages, "encode", encoded)
    monkeypatch.setattr(bank.stages, "decode", decoded)
    regions.choose(bank, photo, [column(0), column(1)])
    assert seen == ["encoded", "decoded", "decoded", "decoded"]


def test_auto_is_refused_for_a_crowd_of_regions_and_for_an_empty_bank(
    bank: StyleBank, photo: Image.Image, make_bank: Callable[..., Bundle]
) -> None:
    one = np.ones((HEIGHT, WIDTH), np.float32)
    assert len(regions.choose(bank, photo, [one] * 32)) == 32
    with pytest.raises(
        ConfigError, match=r"^--assign auto: cannot give 33 regions one of 3 styles each; assign"
    ):
        regions.choose(bank, photo, [one] * 33)
    empty = opened(make_bank({}))
    with pytest.raises(ConfigError, match=r"cannot give 1 regions one of 0 styles each"):
        regions.choose(empty, photo, [one])

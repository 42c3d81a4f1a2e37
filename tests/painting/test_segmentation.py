"""A photo falls into the regions that it plainly has: seeded, numbered by area, whole, at the photo's own size."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from stylebank import StyleBank
from stylebank.bank.bundle import Bundle
from stylebank.engines import vgg_features
from stylebank.engines.choice import Computing, Engine
from stylebank.errors import ConfigError
from stylebank.painting import regions, segmentation
from stylebank.pixels import resampling

Levels = NDArray[Any]
Labels = NDArray[np.uint8]

BLUE, ORANGE = (40, 90, 200), (230, 140, 30)
REACH = 8  # pixels: a cell where the border runs through one, and one for smoothing and for the padding to whole cells


@pytest.fixture(scope="module")
def random_bank(make_bank: Callable[..., Bundle]) -> StyleBank:
    """Of random weights."""
    return StyleBank(make_bank({"wave": 3}), computing=Computing("torch", "float32", "cpu"))


@pytest.fixture
def bank(random_bank: StyleBank, monkeypatch: pytest.MonkeyPatch) -> StyleBank:
    """For what holds of any features: random ones of the cells' mean colours, and no second of VGG for each photo."""
    weights = np.random.default_rng(5).normal(0, 1, (16, 3))

    def see(pixels: Levels) -> Levels:
        height, width, _ = pixels.shape
        cells = pixels.reshape(height // 16, 16, width // 16, 16, 3).mean((1, 3)) / 255 - 0.5
        found: Levels = np.maximum(cells @ weights.T, 0).transpose(2, 0, 1).astype(np.float32)
        return found

    monkeypatch.setattr(vgg_features, "extractor", lambda _: see)
    return random_bank


@pytest.fixture(scope="module")
def trained() -> StyleBank:
    """The one that comes along: for what is seen as it is."""
    return StyleBank.load(engine="torch", precision="float32", device="cpu")


def two_coloured(height: int, width: int, *, border: float, upright: bool) -> Image.Image:
    """Blue up to the border (as a part of the side), then orange; a little noise on both."""
    along = np.arange(height)[:, None] / height if upright else np.arange(width)[None] / width
    colours = np.where((along < border)[..., None], BLUE, ORANGE) + np.zeros((height, width, 1))
    noise = np.random.default_rng(0).normal(0, 8, (height, width, 3))
    return Image.fromarray((colours + noise).clip(0, 255).astype(np.uint8))


def noisy(height: int = 96, width: int = 120) -> Image.Image:
    """Blotches of all sizes: much to get lost in."""
    found = np.random.default_rng(1).random((height, width, 3))
    blurred = np.sum([ndimage.gaussian_filter(found, (s, s, 0)) * s for s in (1, 3, 9)], axis=0)
    levels = 255 * (blurred - blurred.min()) / np.ptp(blurred)
    return Image.fromarray(levels.astype(np.uint8))


def shares(labels: Labels) -> Levels:
    """Part of the pixels by label, from 1."""
    found: Levels = np.bincount(labels.ravel(), minlength=2)[1:] / labels.size
    return found


@pytest.mark.parametrize(
    ("upright", "border"), [(True, 0.35), (False, 0.65)], ids=["one above the other", "side by side"]
)
def test_two_colours_are_two_regions_the_larger_first(
    upright: bool, border: float, trained: StyleBank
) -> None:
    height, width = (100, 160) if upright else (160, 100)  # to halve the long side would be wrong
    labels = regions.clustered(trained, two_coloured(height, width, border=border, upright=upright), 2)
    assert labels.shape == (height, width)
    assert labels.dtype == np.uint8
    profile = labels if upright else labels.T
    blue, orange = (1, 2) if border > 0.5 else (2, 1)
    edge = round(border * len(profile))
    assert (profile[: edge - REACH] == blue).all()
    assert (profile[edge + REACH :] == orange).all()


def test_the_same_seed_finds_the_same_and_another_may_not(bank: StyleBank) -> None:
    first, again = (regions.clustered(bank, noisy(), 6, seed=0) for _ in range(2))
    assert np.array_equal(first, again)
    others = [regions.clustered(bank, noisy(), 6, seed=seed) for seed in range(1, 4)]
    assert any(not np.array_equal(first, other) for other in others), "the control"


@pytest.mark.parametrize("count", [2, 5, segmentation.MOST_REGIONS])
def test_labels_begin_at_1_and_go_by_area(count: int, bank: StyleBank) -> None:
    labels = regions.clustered(bank, noisy(), count)
    assert np.unique(labels).tolist() == list(range(1, int(labels.max()) + 1))
    assert labels.max() <= count
    found = shares(labels)
    assert (np.diff(found) <= 0).all()
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("count", [3, 8])
def test_no_region_has_small_islands(count: int, bank: StyleBank) -> None:
    def smallest(labels: Levels) -> float:
        parts = [ndimage.label(labels == label)[0] for label in np.unique(labels)]
        return min(float(np.bincount(part.ravel())[1:].min()) for part in parts) / labels.size

    photo = noisy(240, 320)
    # The parts were larger than 1 %; to round their borders takes some pixels of each.
    assert smallest(regions.clustered(bank, photo, count)) > 0.5 * segmentation._ISLAND
    raw = np.asarray(photo.convert("L")).astype(int) * count // 256
    assert smallest(raw) < 0.1 * segmentation._ISLAND, "the control: the photo itself has such islands"


def test_an_island_goes_to_its_surroundings() -> None:
    labels = np.zeros((40, 40), np.int64)
    labels[:, 20:] = 1
    wanted = labels.copy()
    labels[5:8, 5:8], labels[30:33, 30:33] = 2, 0  # 9 of 1600 cells
    assert np.array_equal(segmentation.without_islands(labels), wanted)
    labels[5:10, 5:10] = 2  # 25 are over 1 %
    assert (segmentation.without_islands(labels) == 2).sum() == 25


@pytest.mark.parametrize(
    "size", [(33, 50), (97, 61), (101, 203), (700, 33), (16, 16), (5, 40), (1, 1)], ids=str
)
def test_regions_have_the_size_of_the_photo(size: tuple[int, int], bank: StyleBank) -> None:
    labels = regions.clustered(bank, noisy(*size), 3)
    assert labels.shape == size
    assert labels.min() == 1


@pytest.mark.parametrize("height", [97, 99])  # one is rounded up to whole cells, one down
def test_a_photo_whose_sides_are_no_multiples_of_a_cell_has_its_borders_in_place(
    height: int, trained: StyleBank
) -> None:
    labels = regions.clustered(trained, two_coloured(height, 130, border=0.6, upright=True), 2)
    assert abs((labels == 1).mean() - 0.6) * height <= REACH / 2


def test_a_photo_of_one_colour_is_divided_without_a_warning(bank: StyleBank) -> None:
    labels = regions.clustered(bank, Image.new("RGB", (60, 40), BLUE), 4)
    assert shares(labels).min() > 0.05


def test_a_large_photo_is_clustered_small_and_its_regions_are_large(trained: StyleBank) -> None:
    small = two_coloured(150, 256, border=0.6, upright=True)
    large = small.resize((1024, 600), Image.Resampling.NEAREST)
    ours, theirs = (regions.clustered(trained, photo, 2) for photo in (small, large))
    differ = np.repeat(np.repeat(ours, 4, 0), 4, 1) != theirs
    rows = np.flatnonzero(differ.any(1))
    assert abs(rows - 360).max(initial=0) <= 4 * REACH


@pytest.mark.parametrize("size", [(401, 530), (150, 133), (75, 211), (31, 40)], ids=str)
def test_labels_enlarged_by_squares_are_the_largest_of_every_region_enlarged_whole(
    size: tuple[int, int],
) -> None:
    noise = np.random.default_rng(0).random((7, 150, 133))
    labels = np.argmax([ndimage.gaussian_filter(each, 4) for each in noise], 0).astype(np.int64)
    soft = [ndimage.gaussian_filter((labels == label).astype(np.float32), 0.7) for label in range(7)]
    whole = np.argmax([resampling.resized_floats(each, size) for each in soft], 0)
    assert np.array_equal(segmentation.enlarged(labels, size), labels if size == labels.shape else whole)


@pytest.mark.parametrize("count", [-1, 0, 1, 13])
def test_a_count_out_of_range_is_refused(count: int, bank: StyleBank) -> None:
    with pytest.raises(ConfigError, match=f"^{count} regions: is out of range; give 2 to 12$"):
        regions.clustered(bank, noisy(), count)


@pytest.mark.parametrize("engine", sorted({*get_args(Engine)} - {"torch"}))
def test_every_engine_finds_the_regions_that_a_photo_plainly_has(engine: str, trained: StyleBank) -> None:
    photo = two_coloured(100, 160, border=0.65, upright=True)
    bank = StyleBank(trained.contents, computing=Computing(engine, "float32", "cpu"))
    # Features differ by float32 roundings, and a border by where one of them decides.
    differ = regions.clustered(bank, photo, 2) != regions.clustered(trained, photo, 2)
    assert differ.mean() < 1e-3


def test_two_textures_of_one_thing_are_one_region() -> None:
    look = np.full((128, 192, 3), 0.5, np.float32)
    # Left of the middle a thing of two shades, light and dark; right of it another thing, of the dark shade.
    look[:, :48], look[:, 48:] = 0.62, 0.45
    features = np.zeros((2, 8, 12), np.float32)
    features[0, :, :6], features[1, :, 6:] = 1, 1
    labels = segmentation.segment(features, look, look, 2, size=(128, 192))
    assert abs((labels[:, :96] == labels[0, 0]).mean() - 1) < 0.1
    assert abs((labels[:, 96:] != labels[0, 0]).mean() - 1) < 0.1
    blind = segmentation.segment(np.ones_like(features), look, look, 2, size=(128, 192))
    assert (blind[:, 50:] == blind[0, 100]).mean() > 0.9, (
        "the control: by colour alone the shades are the regions"
    )


def test_borders_lie_on_the_photo_s_edges() -> None:
    rows, columns = np.indices((160, 160))
    disc = (rows - 80) ** 2 + (columns - 80) ** 2 < 50**2
    look = np.where(disc[..., None], (0.8, 0.3, 0.2), (0.2, 0.4, 0.7)).astype(np.float32)
    coarse = np.pad(np.ones((6, 6), np.float32), 2)  # cells of 16 pixels: a square that holds the disc
    labels = segmentation.segment(np.stack([coarse, 1 - coarse]), look, look, 2, size=(160, 160))
    assert (labels == np.where(disc, 2, 1)).mean() > 0.995
    square = np.kron(coarse, np.ones((16, 16))) > 0
    assert (square == disc).mean() < 0.95, "the control: the cells themselves"


def test_a_guided_filter_moves_a_border_to_the_edge_beside_it() -> None:
    look = np.full((64, 64, 3), 0.2, np.float32)
    look[:, 32:] = 0.8
    labels = (np.indices((64, 64))[1] >= 36).astype(np.int64)
    fine = np.repeat(np.repeat(look, 3, 0), 3, 1)
    found = segmentation.along_edges(labels, look, fine)
    assert abs(found.sum(1) - 96).max() <= 3  # the small photo's pixel, in those of the large
    assert abs(found.sum(1) - 84).min() > 6, "the control: where it was"


def test_fewer_things_than_asked_for_is_no_error() -> None:
    points = np.repeat(np.eye(3), 4, 0)
    labels = segmentation.clusters(points, 3, 0)
    assert len(np.unique(labels)) == 3
    assert len(np.unique(segmentation.clusters(np.ones((12, 3)), 5, 0))) <= 5


@pytest.mark.parametrize("level", [0, 255])
def test_a_black_or_white_photo_has_regions(level: int, bank: StyleBank) -> None:
    labels = regions.clustered(bank, Image.new("RGB", (40, 30), (level,) * 3), 12)
    assert 1 <= labels.max() <= 12
    assert labels.min() == 1


def test_superpixels_cover_the_photo_and_follow_its_edges() -> None:
    photo = np.zeros((60, 90, 3), np.float32)
    photo[:, 47:] = 80
    pieces = segmentation.superpixels(photo, 30)
    assert np.unique(pieces).tolist() == list(range(int(pieces.max()) + 1))
    assert not set(pieces[:, :47].ravel()) & set(pieces[:, 47:].ravel())


def test_clustering_leaves_the_bank_alone(bank: StyleBank) -> None:
    before = bank.contents.digest()
    regions.clustered(bank, noisy(), 2)
    assert bank.contents.digest() == before

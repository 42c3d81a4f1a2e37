"""Each detector finds the defect that is drawn into a clean picture, and finds nothing in the clean one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from stylebank.config import Style
from stylebank.errors import ContentError
from stylebank.files import resources
from stylebank.painting.painter import StyleBank
from stylebank.pixels import images
from stylebank.reference import inspection, scenes, spectra
from stylebank.reference.defects import DETECTORS, Findings, Plan
from stylebank.reference.inspection import Own, View, figures
from stylebank.reference.octaves import readable, sized
from stylebank.supervision import styleset
from stylebank.supervision.styleset import StyleSet
from stylebank.supervision.vgg import STYLE_LAYERS

SIDE = 320
LIMITS = {detector.name: detector.limit for detector in DETECTORS}
Floats = NDArray[Any]


def noise(side: int, seed: int = 0, *, blur: float = 1.5, deviation: float = 8.0) -> Any:
    """Smooth texture (side, side, 1) of all directions, in levels."""
    plain = ndimage.gaussian_filter(
        np.random.default_rng(seed).standard_normal((side, side)), blur, mode="wrap"
    )
    return (plain / plain.std() * deviation)[..., None]


def as_view(pixels: Floats) -> View:
    return View(pixels.clip(0, 255).round().astype(np.uint8))


SCENE = np.asarray(scenes.scene(SIDE)).astype(float)
PHOTO = as_view(SCENE)
CLEAN = SCENE + noise(SIDE)
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE][..., None]
OWN = Own(grid=3.0, weave=4.0, calm=2.0, busy=6.0, black=0.0)


def checkerboard(period: int, depth: float) -> Any:
    """A wave of a whole period along rows and columns."""
    waves = [np.cos(2 * np.pi * place / period) for place in (ROWS, COLUMNS)]
    return CLEAN + depth * waves[0] * waves[1]


def threads(period: float, depth: float) -> Any:
    """A weave at an angle, in the whole picture."""
    return CLEAN + depth * np.cos(2 * np.pi * (0.8 * ROWS + 0.6 * COLUMNS) / period)


def lattice(period: int) -> Any:
    """Blobs on a square lattice, each lighter or darker by chance: no frequency of luma itself stands out."""
    spots = np.zeros((SIDE, SIDE))
    generator = np.random.default_rng(3)
    spots[::period, ::period] = generator.choice((-1, 1), spots[::period, ::period].shape)
    blobs = ndimage.gaussian_filter(spots, period / 7, mode="wrap")
    return CLEAN + 40 * (blobs / np.abs(blobs).max())[..., None]


def seam(colour: tuple[float, float, float]) -> Any:
    """A line around all things, three pixels wide, of another colour."""
    things = SCENE[..., 2] < 60
    rim = ndimage.binary_dilation(things, iterations=4) & ~ndimage.binary_dilation(things, iterations=1)
    pixels = CLEAN.copy()
    pixels[rim] = colour
    return pixels


def sun(colour: tuple[float, float, float]) -> Any:
    """A blob of a colour in the sky."""
    weight = np.exp(-((ROWS - 70) ** 2 + (COLUMNS - 60) ** 2) / (2 * 20**2))
    return CLEAN * (1 - weight) + weight * np.array(colour)


def blackened() -> Any:
    pixels = CLEAN.copy()
    pixels[210:260, 140:200] = 4
    return pixels


def framed(depth: float) -> Any:
    pixels = CLEAN.copy()
    for edge in (pixels, pixels[::-1], pixels.swapaxes(0, 1), pixels[:, ::-1].swapaxes(0, 1)):
        edge[:10] -= depth
    return pixels


# What is drawn, and the detectors that see it: on flat ground a grid of 4 px is a weave, and a black square a patch.
DEFECTS: dict[str, tuple[Floats, set[str]]] = {
    "nothing": (CLEAN, set()),
    "other texture": (SCENE + noise(SIDE, 5, blur=0.8, deviation=8), set()),
    "strokes of one direction": (SCENE + ndimage.gaussian_filter1d(noise(SIDE, 1), 6, axis=1) * 3, set()),
    "checkerboard of 2 px": (checkerboard(2, 10), {"grid"}),
    "checkerboard of 4 px": (checkerboard(4, 10), {"grid", "weave"}),
    "grid of 8 px": (checkerboard(8, 20), {"grid", "weave"}),
    "weave": (threads(5.3, 8), {"weave"}),
    "wide weave": (threads(14, 16), {"weave"}),
    "lattice": (lattice(8), {"weave"}),
    "nothing painted": (SCENE, {"bare"}),
    "everything painted": (SCENE + noise(SIDE, deviation=40), {"busy"}),
    "light seam": (seam((255, 255, 255)), {"halo"}),
    "violet seam": (seam((190, 60, 250)), {"halo"}),
    "dark outline": (seam((20, 20, 20)), set()),
    "border": (framed(40), {"border"}),
    "black": (blackened(), {"black", "patch"}),
    "sun": (sun((255, 220, 60)), {"patch"}),
}


@pytest.fixture(scope="module")
def clean_border() -> View:
    return as_view(CLEAN)


@pytest.mark.parametrize("name", DEFECTS)
def test_a_drawn_defect_is_found_and_nothing_else(name: str, clean_border: View) -> None:
    pixels, wanted = DEFECTS[name]
    found = figures(as_view(pixels), PHOTO, OWN, clean_border)
    assert set(found) == set(LIMITS)
    assert {name for name, figure in found.items() if figure is not None and figure > LIMITS[name]} == wanted


def test_what_the_photo_or_the_style_has_is_no_defect() -> None:
    spoiled = as_view(checkerboard(4, 10))
    assert figures(spoiled, PHOTO, OWN)["grid"] > LIMITS["grid"]  # type: ignore[operator]
    assert figures(spoiled, spoiled, OWN)["grid"] == 0
    assert figures(spoiled, PHOTO, replace(OWN, grid=spoiled.grid))["grid"] == 0
    dark = as_view(blackened())
    assert figures(dark, dark, OWN)["black"] == 0
    assert figures(dark, PHOTO, replace(OWN, black=5.0))["black"] == 0


def test_without_ground_edges_or_a_larger_picture_there_is_no_figure() -> None:
    busy = as_view(128 + noise(128, deviation=30) + np.zeros(3))
    found = figures(busy, busy, OWN)
    assert [name for name, figure in found.items() if figure is None] == [
        *("weave", "bare", "busy", "halo", "border", "patch")
    ]


def test_small_pictures_have_no_grid_and_no_weave() -> None:
    small = as_view(CLEAN[:60, :60])
    assert small.grid == 0
    assert spectra.weave(small.luma, small.luma) is None


def test_a_mirrored_photo_has_the_photo_in_its_middle_and_goes_on_without_an_edge() -> None:
    photo = scenes.scene(96)
    large = np.asarray(scenes.mirrored(photo, 16))
    assert large.shape == (128, 128, 3)
    assert (large[16:-16, 16:-16] == np.asarray(photo)).all()
    assert (large[15] == large[16]).all()
    assert (large[:, :16] == large[:, 31:15:-1]).all()


@pytest.fixture
def style(tmp_path: Path) -> StyleSet:
    """One painting of broad texture."""
    Image.fromarray((128 + noise(128) + np.zeros(3)).round().astype(np.uint8)).save(tmp_path / "wave.png")
    given = Style("wave", image="wave.png", size=128, folder=str(tmp_path))
    return styleset.resolve(given, STYLE_LAYERS, (1.0,) * 5)


def painted(photo: Image.Image, _: str) -> Image.Image:
    """As noise over the photo, with a sun where there is most room."""
    pixels = np.asarray(photo).astype(float) + noise(photo.height)[:, : photo.width]
    if photo.height == 192:
        pixels[30:80, 30:80] = 255, 200, 0
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def test_the_worst_picture_counts_and_is_named(style: StyleSet) -> None:
    plan, reports = Plan(sizes=(128, 192)), list[int]()
    photos = [("b.png", scenes.scene(160))]
    found = inspection.look(painted, [style], photos, plan=plan, report=reports.append)
    assert reports == [1, 2, 3]
    assert plan.pictures(found.photos, 1) == 3
    (row,) = found.rows
    assert row.where["patch"] == "scene 192"
    assert row.over() == ["patch"]
    assert row.where["border"].startswith("scene ")
    read = json.loads(json.dumps(found.to_json()))
    assert read["over"] == {name: int(name == "patch") for name in LIMITS}
    assert read["medians"]["patch"] == read["rows"][0]["figures"]["patch"] > LIMITS["patch"]
    assert read["rows"][0]["over"] == ["patch"]


def test_no_figure_is_over_no_limit() -> None:
    assert Findings("wave", dict.fromkeys(LIMITS), {}).over() == []
    assert Findings("wave", dict(LIMITS), {}).over() == []
    assert Findings("wave", {name: limit + 0.01 for name, limit in LIMITS.items()}, {}).over() == list(LIMITS)


def test_a_folder_without_a_readable_photo_is_an_error(tmp_path: Path) -> None:
    bad = tmp_path / "a.png"
    bad.write_text("no picture")
    notes: list[str] = []
    with pytest.raises(ContentError, match="none of 1 photos can be read"):
        list(readable([bad], 3, notes.append))
    assert len(notes) == 1


def test_some_styles_of_the_shipped_bank_paint_a_photo_without_grid_black_or_patch() -> None:
    photo = sized(images.read(resources.sample()), 512)
    given, bank = View(photo), StyleBank.load("shipped")
    for name in ("picabia_udnie", "munch_the_scream", "flow_field"):
        picture = View(bank.stylize(photo, name))
        found = figures(picture, given, OWN)
        over = {name for name, figure in found.items() if figure is not None and figure > LIMITS[name]}
        assert over & {"grid", "bare", "black", "patch"} == set()
        spoiled = picture.pixels + 12.0 * (-1) ** (np.arange(512) // 2)[:, None]
        assert as_view(spoiled).grid - OWN.grid > LIMITS["grid"], "a control: a grid of 4 px more"

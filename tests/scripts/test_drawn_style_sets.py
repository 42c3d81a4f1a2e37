"""The style sets that the project draws itself: five pictures, from fine marks to large forms, and redrawable."""

import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
STYLES = ROOT / "configs" / "styles"
NAMES = ("flow_field", "hatching", "mosaic", "paper_cut")
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def pictures(name: str) -> list[Image.Image]:
    table = tomllib.loads((STYLES / f"{name}.toml").read_text(encoding="utf-8"))
    return [Image.open(STYLES / file).convert("RGB") for file in table["images"]]


def luminance(picture: Image.Image) -> npt.NDArray[np.float64]:
    """(512, 512), 0 to 255."""
    return np.asarray(picture.convert("L"), np.float64)


def spectrum(picture: Image.Image) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Radial frequency in cycles per pixel and the share of the luminance power at it."""
    grey = luminance(picture)
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    line = np.fft.fftfreq(len(grey))
    return np.hypot(line[:, None], line[None, :]), power / power.sum()


def mean_frequency(picture: Image.Image) -> float:
    frequency, share = spectrum(picture)
    return float((frequency * share).sum())


def coarsens(frequencies: tuple[float, ...]) -> bool:
    """Whether every picture is clearly coarser than the one before.

    A thousand subpixel roundings move a mean frequency by well under 1 %; 5 % is more than any redraw can give.
    """
    return all(fine > 1.05 * coarse for fine, coarse in pairwise(frequencies))


def test_the_folder_holds_just_the_four_sets() -> None:
    assert sorted(path.stem for path in STYLES.glob("*.toml")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_set_file_names_five_pictures_in_layer_order_with_equal_weights(name: str) -> None:
    table = tomllib.loads((STYLES / f"{name}.toml").read_text(encoding="utf-8"))
    files = [f"{name}/{number}_{layer}.png" for number, layer in enumerate(LAYERS, 1)]
    assert table == {"name": name, "images": files, "weights": [1.0] * 5}
    assert [picture.size for picture in pictures(name)] == [(512, 512)] * 5


def test_the_pictures_are_small_enough_to_travel_with_the_package() -> None:
    sizes = [path.stat().st_size for path in STYLES.glob("*/*.png")]
    assert len(sizes) == 20
    assert max(sizes) < 150 * 1024
    assert sum(sizes) < 2_500_000


@pytest.mark.parametrize("name", NAMES)
def test_structure_grows_from_the_first_layer_to_the_last(name: str) -> None:
    frequencies = tuple(mean_frequency(picture) for picture in pictures(name))
    assert coarsens(frequencies)
    # The control: of the 120 orders of the five pictures no other one passes.
    assert sum(coarsens(order) for order in permutations(frequencies)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_forms_over_64_pixels_hold_the_last_picture_and_not_the_first(name: str) -> None:
    # A form of 64 px is half a wave of 128 px. White noise would have pi / 128^2 = 0.02 % of its power there.
    large = [float(share[frequency < 1 / 128].sum()) for frequency, share in map(spectrum, pictures(name))]
    assert large[0] < 0.02
    assert large[4] > 0.15


@pytest.mark.parametrize("name", NAMES)
def test_no_part_of_a_picture_is_empty(name: str) -> None:
    # Relative to a full black-and-white contrast of 127; in windows a little over the largest flat form.
    for picture in pictures(name):
        windows = luminance(picture).reshape(4, 128, 4, 128).std(axis=(1, 3))
        assert windows.min() > 20


@pytest.mark.parametrize("name", NAMES)
def test_the_pictures_of_a_set_share_their_colours(name: str) -> None:
    counts = [{colour: n for n, colour in picture.getcolors(512) or ()} for picture in pictures(name)]
    first = counts[0]
    assert len(first) > 8  # getcolors gives None over 512
    for count in counts[1:]:
        shared = sum(n for colour, n in count.items() if colour in first)
        assert shared > 0.9 * 512 * 512


def test_the_colours_of_two_sets_are_not_shared() -> None:
    """The control of the test above: its measure tells one palette from another."""
    first = {colour for _, colour in pictures("mosaic")[0].getcolors(512) or ()}
    other = pictures("flow_field")[4].getcolors(512) or []
    assert other
    assert sum(n for n, colour in other if colour in first) < 0.1 * 512 * 512


def draw(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / "draw_style_sets", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_redrawing_a_set_gives_the_committed_pictures() -> None:
    done = draw("--check", "paper_cut")
    assert (done.returncode, done.stdout) == (0, "paper_cut: as drawn\n"), done.stderr


def test_the_check_names_a_picture_that_is_not_as_drawn(tmp_path: Path) -> None:
    shutil.copytree(STYLES, tmp_path, dirs_exist_ok=True)
    first, second, third = (
        tmp_path / "paper_cut" / f for f in ("1_relu1_1.png", "2_relu2_1.png", "3_relu3_1.png")
    )
    Image.open(second).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(second)
    third.unlink()
    done = draw("--check", "paper_cut", "--folder", tmp_path)
    assert done.returncode == 1
    assert str(first) not in done.stdout
    assert f"{second}: " in done.stdout
    assert f"{third}: is missing" in done.stdout


def test_drawing_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        assert draw("paper_cut", "--folder", folder).returncode == 0
    written = [{p.name: p.read_bytes() for p in folder.rglob("*.*") if p.is_file()} for folder in folders]
    assert len(written[0]) == 6
    assert written[0] == written[1]

"""The eight layered experiments: what each config says, what it costs, and what blank images and crops do."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stylebank.config import Loss, Style
from stylebank.files import resources
from stylebank.pixels import images, resampling
from stylebank.reference import optimization
from stylebank.reference.optimization import Progress, Settings
from stylebank.supervision import vgg

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "configs" / "layered"
EXPERIMENTS = ("control", "exp1_relu1_1", "exp1_relu5_1", "exp2", "exp3_1", "exp3_2", "exp3_3", "exp3_4")
PAINTINGS = ("van_gogh_starry_night.jpg", "hokusai_great_wave.jpg")
NIGHT, WAVE = PAINTINGS
BRIGHT, SWIRL = f"{NIGHT}@0.78:0.02:0.98:0.27", f"{NIGHT}@0.3:0.2:0.55:0.5"
FIVE_PASSES = 5 * 11
# By hand: VGG has 1, 3, 5, 8 and 11 convolutions down to relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1.
RUN = {
    "control": 11,
    "exp1_relu1_1": 1 + 3 + 5 + 8 + 11,
    "exp1_relu5_1": 1 + 3 + 5 + 8 + 11,
    "exp2": 1 + 3 + 11,
    "exp3_1": 1 + 3 + 11,
    "exp3_2": 3 + 11,
    "exp3_3": 5 + 11,
    "exp3_4": 8 + 11,
}


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """scripts/layered_experiments.py."""
    return load_script("layered_experiments")


@pytest.fixture(scope="module")
def paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise by the names of the paintings, large enough to be zoomed."""
    folder = tmp_path_factory.mktemp("paintings")
    for name, shape in zip(PAINTINGS, ((300, 400, 3), (60, 80, 3)), strict=True):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8)).save(folder / name)
    return folder


def read(name: str, folder: Path) -> tuple[Settings, Loss, Style]:
    return optimization.read_experiment(FOLDER / f"{name}.toml", styles_folder=folder)


def test_the_script_runs_just_the_eight_experiments_of_the_folder(script: ModuleType) -> None:
    assert (script.EXPERIMENTS, script.FOLDER) == (EXPERIMENTS, FOLDER)
    assert sorted(path.stem for path in FOLDER.glob("*")) == sorted(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_config_has_optimize_s_loss_and_its_own_name(name: str, paintings: Path) -> None:
    settings, loss, style = read(name, paintings)
    assert loss == Loss(style=optimization.STYLE_WEIGHT, tone=0.0, color=0.0, seams=0.0, weave=0.0)
    assert (style.name, style.size) == (name, 256)
    assert settings == Settings(steps=105 if name.startswith("exp3") else 300)


def test_the_images_are_those_of_the_experiments(paintings: Path) -> None:
    styles = {name: read(name, paintings)[2] for name in EXPERIMENTS}
    assert styles["control"].image == NIGHT
    for layer in ("relu1_1", "relu5_1"):
        style = styles[f"exp1_{layer}"]
        assert (style.zoom, style.rest_layer, style.weights) == (PAINTINGS, layer, ())
    second = (BRIGHT, SWIRL, NIGHT, NIGHT, NIGHT)
    assert (styles["exp2"].images, styles["exp2"].weights) == (second, ())
    for count in range(1, 5):
        style = styles[f"exp3_{count}"]
        assert style.images == ("blank",) * count + second[count:]
        assert style.weights == (0.02,) * count + (1.0,) * (5 - count)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_style_image_runs_only_down_to_its_layer(name: str, paintings: Path, script: ModuleType) -> None:
    _, loss, style = read(name, paintings)
    count = script.convolutions(style, loss)
    assert count == RUN[name]
    assert count <= 0.51 * FIVE_PASSES


def test_five_different_images_that_all_went_down_would_be_five_passes(
    paintings: Path, script: ModuleType
) -> None:
    """The control: what is counted is the depth, not the images."""
    assert vgg.depth("relu5_1") == 11
    _, loss, style = read("exp1_relu1_1", paintings)
    assert script.convolutions(style, loss) == sum(map(vgg.depth, loss.style_layers)) == 28
    assert script.convolutions(replace(style, zoom=(), image=NIGHT), loss) == 11


def test_edges_are_all_kept_by_the_photo_and_by_more_contrast_and_lost_by_noise(script: ModuleType) -> None:
    edges_kept = script.edges_kept
    generator = torch.Generator().manual_seed(0)
    photo = torch.rand(1, 3, 40, 50, generator=generator)
    # float32 correlations of 2000 places: 1e-5 is far above their rounding.
    assert edges_kept(photo, photo) == pytest.approx(1, abs=1e-5)
    assert edges_kept(0.5 * photo + 0.2, photo) == pytest.approx(1, abs=1e-5)
    assert edges_kept(1 - photo, photo) == pytest.approx(1, abs=1e-5)
    assert abs(edges_kept(torch.rand(photo.shape, generator=generator), photo)) < 0.2
    assert edges_kept(photo.flip(3), photo) < 0.5


def test_the_script_runs_all_and_draws_one_picture(
    script: ModuleType,
    paintings: Path,
    vgg_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(resources, "vgg_weights", lambda: vgg_file)
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)).save(photo)
    small = ("control", "exp2")
    monkeypatch.setattr(script, "EXPERIMENTS", small)
    script.main(styles=paintings, photo=photo, size=32, steps=1, output=tmp_path / "all.png")
    _, *rows, last = capsys.readouterr().out.splitlines()
    assert [row.split()[:4] for row in rows] == [["control", "1", "11", "20%"], ["exp2", "1", "15", "27%"]]
    assert last == str(tmp_path / "all.png")
    with Image.open(tmp_path / "all.png") as picture:
        assert picture.width > 3 * 32


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return images.to_tensor(
        resampling.fitted(images.read(resources.photos_folder() / "chelsea.jpg"), long_side=96)
    )


def painted(script: ModuleType, name: str, photo: Tensor, folder: Path) -> tuple[float, float]:
    """Content distance and edges kept after twelve steps on 96 px, style images of 96 px too."""
    settings, loss, style = read(name, folder)
    found: list[Progress] = []

    def keep(progress: Progress) -> bool:
        found.append(progress)
        return True

    picture = optimization.paint(
        photo,
        replace(style, size=96),
        loss,
        replace(settings, steps=12),
        device="cpu",
        vgg_weights=resources.vgg_weights(),
        report=keep,
    )
    best = min(found, key=lambda progress: progress.total)
    return best.content, script.edges_kept(picture, photo)


@pytest.mark.shared
def test_more_blank_images_leave_more_of_the_content(script: ModuleType, photo: Tensor, shared: Path) -> None:
    distances = [painted(script, f"exp3_{count}", photo, shared / "styles")[0] for count in range(1, 5)]
    assert distances == sorted(distances, reverse=True)
    assert distances[3] < 0.6 * distances[2], "no brush marks at all are left to imitate"


@pytest.mark.shared
def test_enlarged_crops_of_one_painting_keep_more_edges_than_a_zoom_and_a_second(
    script: ModuleType, photo: Tensor, shared: Path
) -> None:
    kept = {
        name: painted(script, name, photo, shared / "styles")[1]
        for name in ("exp2", "exp1_relu1_1", "exp1_relu5_1")
    }
    assert kept["exp2"] > kept["exp1_relu1_1"] + 0.02
    assert kept["exp2"] > kept["exp1_relu5_1"] + 0.1

"""Per-image optimisation: one loss, the training's; how steps and scales go, what comes back, what is refused."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stylebank.config import Loss, Style
from stylebank.errors import ConfigError, ImageError, StyleBankError
from stylebank.network.tensors import resized
from stylebank.reference import optimization
from stylebank.reference.optimization import Method, Progress, Settings
from stylebank.supervision import styleset
from stylebank.supervision.objective import Kept, Objective, Terms
from stylebank.supervision.styleset import StyleSet
from stylebank.supervision.vgg import VGG

# Three convolutions of VGG instead of eleven: what is claimed here is claimed of any loss.
LOSS = Loss(
    style=20.0,
    content_layer="relu2_1",
    style_layers=("relu1_1", "relu2_1"),
    layer_weights=(1.0, 1.0),
)


@pytest.fixture(scope="module")
def art(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of coarse noise that is mostly red."""
    folder = tmp_path_factory.mktemp("art")
    grain = np.random.default_rng(3).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    grain[..., 1:] //= 4
    Image.fromarray(grain).resize((48, 48)).save(folder / "red.png")
    return folder


def resolved(art: Path, image: str, size: int = 32) -> StyleSet:
    written = Style("s", image=image, size=size, folder=str(art))
    return styleset.resolve(written, LOSS.style_layers, LOSS.layer_weights)


def noise(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def objective(vgg_weights: dict[str, Tensor], art: Path) -> Objective:
    return Objective(
        VGG(vgg_weights), LOSS, [resolved(art, "red.png")], noise(32, 32), precision=torch.float32
    )


class Measured:
    """An objective that remembers every evaluation; it may be told what to find instead."""

    def __init__(self, objective: Objective, told: list[float] | None = None) -> None:
        self.objective, self.told, self.totals = objective, told, list[float]()
        self.kept, self.weighted_style = objective.kept, objective.weighted_style

    def __call__(self, output: Tensor, kept: Kept, styles: list[int]) -> Terms:
        if self.told:
            one = torch.ones(1)
            moved = output.sum() - output.detach().sum()  # nothing, with a gradient
            terms = Terms(one, one.expand(1, 2), one, moved + self.told[len(self.totals)])
        else:
            terms = self.objective(output, kept, styles)
        self.totals.append(float(terms.total.detach()))
        return terms


def paint(objective: Objective, photo: Tensor, settings: Settings) -> tuple[list[Progress], Tensor]:
    found: list[Progress] = []

    def keep(progress: Progress) -> bool:
        found.append(progress)
        return True

    return found, optimization.optimize(objective, photo, settings, report=keep)


def loss_of(objective: Objective, image: Tensor, photo: Tensor) -> float:
    with torch.no_grad():
        return float(objective(image, objective.kept(photo), [0]).total)


def lowest(found: list[Progress]) -> float:
    return min(progress.total for progress in found)


def test_lbfgs_comes_lower_than_adam_in_the_same_steps_and_both_below_the_photo(objective: Objective) -> None:
    photo = noise(32, 40)
    lbfgs, adam = (Settings(steps=30, method="lbfgs"), Settings(steps=30, method="adam"))
    runs = [paint(objective, photo, settings)[0] for settings in (lbfgs, adam)]
    for found in runs:
        assert [progress.step for progress in found] == list(range(1, 31))
        # The first step measures the photo itself.
        assert found[0].total == pytest.approx(loss_of(objective, photo, photo))
        assert lowest(found) < 0.5 * found[0].total
    assert lowest(runs[0]) < 0.9 * lowest(runs[1])


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_a_step_evaluates_the_training_s_loss_exactly_once(objective: Objective, method: Method) -> None:
    measured = Measured(objective)
    found, _ = paint(measured, noise(32, 32), Settings(steps=12, method=method))  # type: ignore[arg-type]
    assert measured.totals == [progress.total for progress in found]
    assert len(set(measured.totals)) == 12, "the control: every step moves the image"


def test_every_figure_reported_is_the_objective_s_of_the_image_reported(objective: Objective) -> None:
    photo = noise(33, 30)
    found, _ = paint(objective, photo, Settings(steps=4))
    features = objective.kept(photo)
    for progress in found:
        terms = objective(progress.image, features, [0])
        style = objective.weighted_style(terms.style, [0])
        wanted = (float(terms.total), float(terms.content), float(style))
        # Same image, same arithmetic; with and without a gradient, torch may choose another kernel.
        assert (progress.total, progress.content, progress.style) == pytest.approx(wanted, rel=1e-5, abs=1e-9)
    assert found[3].style < 0.999 * found[0].style, "the control: the tolerance tells steps apart"


def test_adam_s_rate_is_2_of_255_levels_and_falls_by_stairs_of_100_steps(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    def step(adam: torch.optim.Adam, measure: Callable[[], Tensor]) -> None:
        rates.append(adam.param_groups[0]["lr"])
        measure()

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    told = Measured(objective, [1.0] * 301)
    paint(told, noise(16, 16), Settings(steps=301, method="adam"))  # type: ignore[arg-type]
    assert rates == pytest.approx([2.0 / 255 * 0.94 ** (step // 100) for step in range(301)], rel=1e-12)
    assert (rates[99], rates[100]) == (2.0 / 255, 2.0 / 255 * 0.94)


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
@pytest.mark.parametrize("totals", [[5.0, 2.0, 3.0], [1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [2.0, math.nan, 3.0]])
def test_the_best_image_seen_comes_back(totals: list[float], method: Method, objective: Objective) -> None:
    told = Measured(objective, totals)
    found, image = paint(told, noise(16, 16), Settings(steps=3, method=method))  # type: ignore[arg-type]
    best = int(np.nanargmin(totals))
    assert [torch.equal(image, progress.image) for progress in found] == [place == best for place in range(3)]


@pytest.mark.parametrize("start", ["photo", "noise"])
@pytest.mark.parametrize("size", [(17, 16), (33, 50), (71, 35)])
def test_the_image_is_as_large_as_the_photo_and_in_range_over_several_scales(
    size: tuple[int, int], start: optimization.Start, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimization, "COARSE_SIDE", 20)
    photo = noise(*size).round()  # at both ends of the range
    found, image = paint(objective, photo, Settings(steps=6, start=start))
    for picture in (image, *(progress.image for progress in found)):
        assert picture.min() >= 0
        assert picture.max() <= 1
    assert image.shape == photo.shape
    shapes = [tuple(progress.image.shape[2:]) for progress in found]
    assert list(dict.fromkeys(shapes)) == optimization.scales(size), "every scale was worked on"
    assert not image.requires_grad


def test_scales_double_up_to_the_photo_from_at_most_512() -> None:
    assert optimization.scales((512, 300)) == [(512, 300)]
    assert optimization.scales((300, 513)) == [(150, 257), (300, 513)]
    assert optimization.scales((2049, 1025)) == [(257, 129), (513, 257), (1025, 513), (2049, 1025)]
    assert optimization.scales((20, 2000)) == [(16, 500), (16, 1000), (20, 2000)], "never under 16 px"


def test_half_of_the_steps_are_for_the_coarsest_scale_and_half_of_the_rest_for_the_next() -> None:
    assert optimization.steps_by_scale(300, 1) == [300]
    assert optimization.steps_by_scale(300, 2) == [150, 150]
    assert optimization.steps_by_scale(300, 4) == [150, 75, 37, 38]
    for count in range(1, 6):
        for steps in range(count, 40):
            shares = optimization.steps_by_scale(steps, count)
            assert (sum(shares), len(shares)) == (steps, count)
            assert min(shares) >= 1


def test_fewer_steps_than_scales_are_refused(objective: Objective, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimization, "COARSE_SIDE", 20)
    with pytest.raises(ConfigError, match="2 steps: are too few for 3 scales"):
        paint(objective, noise(80, 60), Settings(steps=2))
    assert len(paint(objective, noise(80, 60), Settings(steps=3))[0]) == 3


def test_noise_is_a_function_of_the_seed(objective: Objective) -> None:
    photo = noise(32, 32)

    def start(seed: int) -> tuple[Tensor, Tensor]:
        found, image = paint(objective, photo, Settings(steps=3, start="noise", seed=seed))
        return found[0].image, image

    one, again, other = start(1), start(1), start(2)
    assert torch.equal(one[0], torch.rand(photo.shape, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(one[1], again[1])
    assert not torch.equal(one[1], other[1]), "the control"


@pytest.mark.parametrize("stop", [1, 3, 4, 5])
def test_asked_to_stop_it_gives_the_best_of_the_scale_it_is_on(
    stop: int, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimization, "COARSE_SIDE", 20)  # two scales, three steps each
    photo, found = noise(40, 34), list[Progress]()

    def report(progress: Progress) -> bool:
        found.append(progress)
        return progress.step < stop

    image = optimization.optimize(objective, photo, Settings(steps=6), report=report)
    assert len(found) == stop
    same = [progress for progress in found if progress.image.shape == found[-1].image.shape]
    best = min(same, key=lambda progress: progress.total).image
    assert torch.equal(image, resized(best, photo.shape[2:]))
    assert image.shape == photo.shape


def test_the_style_may_be_any_of_the_objective_s(vgg_weights: dict[str, Tensor], art: Path) -> None:
    photo, styles = noise(32, 32), [resolved(art, name) for name in ("red.png", "blank")]
    both = Objective(VGG(vgg_weights), LOSS, styles, photo, precision=torch.float32)
    for style in (0, 1):
        image = optimization.optimize(both, photo, Settings(steps=10), style=style)
        features = both.kept(photo)
        own, other = (float(both(image, features, [place]).total) for place in (style, 1 - style))
        assert own < 0.5 * other


def test_painting_is_optimising_for_the_style_as_written_down(
    art: Path, vgg_file: Path, vgg_weights: dict[str, Tensor]
) -> None:
    photo = noise(32, 48)
    written = Style("s", image="red.png", size=0, folder=str(art))
    settings = Settings(steps=3)
    image = optimization.paint(photo, written, LOSS, settings, device="cpu", vgg_weights=vgg_file)
    sizes = {48: True, 32: False}  # of size 0: as large as the photo; another size is the control
    for size, same in sizes.items():
        styles = [resolved(art, "red.png", size)]
        goal = Objective(VGG(vgg_weights), LOSS, styles, photo, precision=torch.float32)
        # Another memory layout adds in another order; three steps of a curved loss magnify 1e-6 to 1e-3.
        assert torch.allclose(image, optimization.optimize(goal, photo, settings), atol=3e-3) is same


def test_a_photo_too_small_and_unknown_layers_are_refused(art: Path, vgg_file: Path) -> None:
    written, settings = Style("s", image="red.png", size=32, folder=str(art)), Settings(steps=1)
    with pytest.raises(ImageError, match=r"is 40 x 15 px; give one of at least 16 px"):
        optimization.paint(noise(15, 40), written, LOSS, settings, vgg_weights=vgg_file)
    with pytest.raises(ConfigError, match="relu9_9"):
        optimization.paint(
            noise(16, 16), written, replace(LOSS, content_layer="relu9_9"), settings, vgg_weights=vgg_file
        )


TABLE = '[optimize]\nsteps = 7\nmethod = "adam"\nstart = "noise"\nseed = 3\n[loss]\nstyle = 5\n'
STYLE = '[style]\nname = "x"\nimage = "x.png"\n'


def test_an_experiment_is_read_with_the_paths_of_its_own_folder_or_another(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(TABLE + STYLE)
    settings, loss, style = optimization.read_experiment(tmp_path / "x.toml")
    assert (settings, loss) == (Settings(7, "adam", "noise", 3), Loss(style=5.0))
    assert (style.image, style.folder) == ("x.png", str(tmp_path))
    elsewhere = optimization.read_experiment(tmp_path / "x.toml", styles_folder=Path("art"))[2]
    assert elsewhere.folder == "art"


WRONG = {
    f"{STYLE}[optimise]": "unknown key 'optimise' .did you mean 'optimize'",
    f"{STYLE}[optimize]\nsteps = 0": "steps: 0 is out of range",
    f'{STYLE}[optimize]\nmethod = "sgd"': "'sgd' is not one of lbfgs, adam",
    f'{STYLE}[optimize]\nstart = "white"': "'white' is not one of photo, noise",
    f"{STYLE}[optimize]\nseed = -1": "seed: -1 is out of range",
    f"{STYLE}kernels = 3": "unknown key 'kernels'",
    "[optimize]\nsteps = 3": r"\[style\]: is not a table",
    "style = 3": r"\[style\]: is not a table",
    f'{STYLE}[loss]\nstyle_layers = ["relu1_1"]': "1 style_layers and 5 layer_weights",
    f"{STYLE}[loss]\nlayer_weights = [1, 1, 1, 1, -1]": "negative",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_experiment_is_refused_by_the_place(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(StyleBankError, match=WRONG[text]) as caught:
        optimization.read_experiment(tmp_path / "x.toml")
    assert len(str(caught.value).splitlines()) == 1

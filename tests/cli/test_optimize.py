"""stylebank optimize: what the command line overrides, what it leaves behind, and one line for every mistake."""

import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from stylebank.config import Loss, Style
from stylebank.network.tensors import resized
from stylebank.pixels import images
from stylebank.reference import optimization
from stylebank.reference.footprint import Footprint
from stylebank.reference.optimization import Progress, Settings

Run = Callable[[str], tuple[object, str, str]]
"""The rest of a command line -> exit code, standard output, standard error."""

# Three convolutions of VGG instead of eleven.
LOSS = 'content_layer = "relu2_1"\nstyle_layers = ["relu1_1", "relu2_1"]\nlayer_weights = [1, 1]'
FILES = {
    "set.toml": f'[optimize]\nsteps = 4\nseed = 5\nstart = "noise"\n[loss]\nstyle = 3\n{LOSS}\n'
    '[style]\nname = "x"\nimage = "paint.png"\nsize = 32\nweights = [1, 2]\n',
    "few.toml": f'[optimize]\nsteps = 1\n[loss]\n{LOSS}\n[style]\nname = "x"\nimage = "paint.png"\nsize = 32\n',
    "training.toml": '[training]\nsteps = 3\n[[style]]\nname = "x"\nimage = "paint.png"\n',
    "list.toml": '[[style]]\nname = "x"\nimage = "paint.png"\n',
    "key.toml": "[optimize]\nstep = 3\n[style]\n",
    "layers.toml": '[loss]\nstyle_layers = ["relu1_1"]\n[style]\nname = "x"\nimage = "paint.png"\n',
    "syntax.toml": "[style",
    "zero.toml": '[loss]\ncontent = 0\nlayer_weights = [0, 0, 0, 0, 0]\n[style]\nname = "x"\nimage = "paint.png"\n',
    "thesis": "my thesis",
    "thesis.png": "my thesis",
}


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a photo of 44 x 33 px, a painting, experiments, and what is wrong."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 33, 44, 3), np.uint8)
    for name, picture in zip(("photo.png", "paint.png"), pixels, strict=True):
        Image.fromarray(picture).save(tmp_path / name)
    Image.fromarray(pixels[0, :15]).save(tmp_path / "flat.png")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(studio: Path, vgg_file: Path, command_line: Run) -> Run:
    assert studio == Path.cwd()
    return lambda line: command_line(f"optimize --device cpu --vgg {vgg_file} {line}")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Style, Loss, Settings]]:
    """What the command asks `paint` to do, instead of doing it."""
    found = []

    def paint(photo: torch.Tensor, style: Style, loss: Loss, settings: Settings, **_: object) -> torch.Tensor:
        found.append((style, loss, settings))
        return photo

    monkeypatch.setattr(optimization, "paint", paint)
    return found


def everything() -> dict[Path, object]:
    return {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")}


def test_without_a_file_it_is_300_steps_of_lbfgs_from_the_photo(
    run: Run, asked: list[tuple[Style, Loss, Settings]]
) -> None:
    assert run("photo.png paint.png") == (0, "photo-optimized.png\n", "")
    ((style, loss, settings),) = asked
    assert settings == Settings(300, "lbfgs", "photo", 0)
    assert loss == Loss(style=20.0, tone=0.0, color=0.0, seams=0.0, weave=0.0)
    assert (style.image, style.size, style.weights) == ("paint.png", 0, ())


def test_a_file_says_what_to_do_and_every_option_goes_before_it(
    run: Run, asked: list[tuple[Style, Loss, Settings]]
) -> None:
    options = (
        "--steps 9 --method adam --init photo --seed 7 --content-weight 0 --style-weight 8 --tv-weight 0.5 "
        "--style-blend 0,1 --size 64"
    )
    for more in ("", options):
        assert run(f"photo.png set.toml {more}")[0] == 0
    (style, loss, settings), (own_style, own_loss, own_settings) = asked
    assert settings == Settings(4, "lbfgs", "noise", 5)
    assert (loss.content, loss.style, loss.tv, loss.content_layer) == (1.0, 3.0, 0.05, "relu2_1")
    assert (style.size, style.weights, style.image) == (32, (1.0, 2.0), "paint.png")
    assert own_settings == Settings(9, "adam", "photo", 7)
    assert (own_loss.content, own_loss.style, own_loss.tv, own_loss.content_layer) == (0, 8, 0.5, "relu2_1")
    assert (own_style.size, own_style.weights, own_style.image) == (64, (0.0, 1.0), "paint.png")


def test_images_of_a_file_may_lie_elsewhere(run: Run) -> None:
    Path("art").mkdir()
    shutil.move("paint.png", "art")
    assert run("photo.png few.toml")[0] == 2
    assert run("photo.png few.toml --styles art")[0] == 0


def test_the_picture_is_the_optimised_one_as_large_as_the_photo(run: Run, vgg_file: Path) -> None:
    assert run("photo.png set.toml -o sub/out.png")[:2] == (0, "sub/out.png\n")
    settings, loss, style = optimization.read_experiment(Path("set.toml"))
    photo = images.load(Path("photo.png"))
    wanted = optimization.paint(photo, style, loss, settings, device="cpu", vgg_weights=vgg_file)
    with Image.open("sub/out.png") as picture:
        assert picture.size == (44, 33)
        assert ImageChops.difference(picture, images.to_pil(wanted)).getbbox() is None
    run("photo.png set.toml -o sub/other.png --seed 6")
    assert Path("sub/out.png").read_bytes() != Path("sub/other.png").read_bytes(), "the control"


def test_five_images_are_a_layered_set(run: Run) -> None:
    code, out, _ = run("photo.png paint.png blank blank paint.png@0:0:0.8:1 paint.png --steps 1 --size 32")
    assert (code, out) == (0, "photo-optimized.png\n")


def test_snapshots_are_the_images_of_every_nth_step(run: Run) -> None:
    assert run("photo.png set.toml -o out.png --snapshots 2")[0] == 0
    assert sorted(path.name for path in Path().glob("out*")) == ["out-00002.png", "out-00004.png", "out.png"]
    shown = [Path(f"out-0000{step}.png").read_bytes() for step in (2, 4)]
    assert shown[0] != shown[1]
    with Image.open("out-00002.png") as picture:
        assert picture.size == (44, 33)


@pytest.mark.posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_leaves_the_best_image_so_far(
    number: signal.Signals, code: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, found = optimization._Scale.step, list[Progress]()

    def asked(scale: optimization._Scale, place: int) -> Progress:
        if place == 3:
            os.kill(os.getpid(), number)
        found.append(step(scale, place))
        return found[-1]

    monkeypatch.setattr(optimization._Scale, "step", asked)
    before = signal.getsignal(number)
    assert run("photo.png set.toml -o out.png --steps 50")[:2] == (code, "out.png\n")
    assert signal.getsignal(number) == before
    assert [progress.step for progress in found] == [1, 2, 3]
    best = min(found, key=lambda progress: progress.total).image
    with Image.open("out.png") as picture:
        assert ImageChops.difference(picture, images.to_pil(best)).getbbox() is None


def test_another_picture_is_replaced_and_another_file_only_by_force(run: Run) -> None:
    Image.new("RGB", (5, 5)).save("out.png")
    assert run("photo.png few.toml -o out.png")[0] == 0
    with Image.open("out.png") as picture:
        assert picture.size == (44, 33)
    assert run("photo.png few.toml -o thesis.png --force")[0] == 0
    with Image.open("thesis.png") as picture:
        assert picture.size == (44, 33)


MISTAKES = {
    "photo.png": "Missing argument",
    "none.png paint.png": "^none.png: is no file",
    "thesis.png paint.png": "^thesis.png: is no image",
    "photo.png none.png": "^none.png: is no file",
    "flat.png few.toml": "is 44 x 15 px; give one of at least 16 px",
    "photo.png paint.png paint.png": "has 2 images; give one for all layers, or five",
    "photo.png zoom:paint.png": "zoom has 1 images",
    "photo.png none.toml": "^none.toml: cannot be read",
    "photo.png syntax.toml": "is not valid TOML",
    "photo.png key.toml": "unknown key 'step' .did you mean 'steps'",
    "photo.png training.toml": "unknown key 'training'",
    "photo.png list.toml": "is not a table",
    "photo.png layers.toml": "1 style_layers and 5 layer_weights",
    "photo.png few.toml --styles folder.png": "paint.png: is no file",
    "photo.png few.toml -o photo.png": "is the photo itself",
    "photo.png few.toml -o thesis.png": "another kind of file.*--force",
    "photo.png few.toml -o out.gif": "'.gif' is no known image format",
    "photo.png few.toml --steps 0": "'--steps'",
    "photo.png few.toml --seed -1": "'--seed'",
    "photo.png few.toml --snapshots 0": "'--snapshots'",
    "photo.png few.toml --size 8": "'--size'",
    "photo.png few.toml --style-weight -1": "'--style-weight'",
    "photo.png few.toml --content-weight nan": "'--content-weight'",
    "photo.png few.toml --style-blend 1,x": "^--style-blend 1,x: has another form; give five numbers",
    "photo.png few.toml --style-blend 1,1,1": "give 2 numbers, none negative, not all zero",
    "photo.png few.toml --style-blend 1,-1": "give 2 numbers, none negative, not all zero",
    "photo.png few.toml --style-blend 1,nan": "number",
    "photo.png few.toml --style-blend 1,inf": "number",
    "photo.png few.toml --method sgd": "sgd.*lbfgs",
    "photo.png few.toml --init white": "white.*noise",
    "photo.png few.toml --vgg none": "^none: ",
    "photo.png few.toml --device gpu": "'gpu': is unknown",
    "photo.png few.toml --max-memory 2": "^--max-memory 2: is no amount of memory",
    "photo.png few.toml --max-memory 1kB": "^photo: 44 x 33 px need 40. MB of memory.*--max-memory",
    "photo.png few.toml --content-weight 0 --style-weight 0": "^loss: .*nothing to optimise; give one above 0",
    "photo.png zero.toml": "^loss: .*nothing to optimise; give one above 0",
}


@pytest.mark.parametrize(("line", "wanted"), MISTAKES.items(), ids=list(MISTAKES))
def test_every_mistake_is_one_line_and_changes_nothing(line: str, wanted: str, run: Run) -> None:
    before = everything()
    code, out, err = run(line)
    assert (code, out) == (2, "")
    assert err.startswith("stylebank: error: ")
    assert err.count("\n") == 1
    assert re.search(wanted, err.removeprefix("stylebank: error: "))
    assert everything() == before


def test_too_few_steps_for_the_scales_are_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimization, "COARSE_SIDE", 22)
    code, out, err = run("photo.png few.toml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "1 steps: are too few for 2 scales" in err
    assert not Path("photo-optimized.png").exists()


@pytest.mark.parametrize(
    "line", ["photo.png few.toml -o paint.png", "photo.png paint.png -o paint.png --steps 1"]
)
def test_a_painting_is_never_overwritten(line: str, run: Run) -> None:
    before = everything()
    assert run(line)[0] == 2
    assert everything() == before


@pytest.mark.parametrize("other", ["photo", "thesis"])
def test_a_snapshot_overwrites_neither_the_photo_nor_another_file(other: str, run: Run) -> None:
    shutil.copy("photo.png", "out-00002.png")
    photo = "out-00002.png"
    if other == "thesis":
        shutil.copy("thesis", "out-00002.png")
        photo = "photo.png"
    before = everything()
    assert run(f"{photo} set.toml -o out.png --snapshots 2")[0] == 2
    assert everything() == before


def test_what_does_not_fit_is_painted_smaller_and_said_before(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    step = optimization._Scale.step

    def watched(scale: optimization._Scale, place: int) -> Progress:
        shapes.append(tuple(scale.best.shape[2:]))
        return step(scale, place)

    monkeypatch.setattr(optimization._Scale, "step", watched)
    with Image.open("photo.png") as picture:
        picture.resize((440, 330)).save("large.png")
    half = Footprint((330, 440), 1, "lbfgs", 32).needed((165, 220))
    monkeypatch.setattr("stylebank.machine.memory.available", lambda _: int(half / 0.8) + 1000)
    code, out, err = run("large.png few.toml -o out.png")
    assert (code, out) == (0, "out.png\n")
    assert shapes == [(164, 219)] or shapes == [(165, 220)]
    assert re.match(
        r"note: photo: 440 x 330 px would take \d+ MB of memory .*: painted at 2(19|20) x 16", err
    )
    with Image.open("out.png") as picture:
        assert picture.size == (440, 330)
    shapes.clear()
    assert run("large.png few.toml -o out.png --max-memory 100GB") == (0, "out.png\n", "")
    assert shapes == [(330, 440)], "the control"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_when_memory_runs_out_what_there_was_is_kept_and_one_line_says_so(
    error: Exception, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimization, "COARSE_SIDE", 22)  # two scales
    step, found = optimization._Scale.step, list[Progress]()

    def short(scale: optimization._Scale, place: int) -> Progress:
        if place == 3:
            raise error
        found.append(step(scale, place))
        return found[-1]

    monkeypatch.setattr(optimization._Scale, "step", short)
    code, out, err = run("photo.png set.toml -o out.png --init photo")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith(
        "stylebank: error: image: memory ran out at 44 x 33 px after 2 steps"
    )
    best = min(found, key=lambda progress: progress.total).image
    with Image.open("out.png") as picture:
        assert ImageChops.difference(picture, images.to_pil(resized(best, (33, 44)))).getbbox() is None


def test_when_memory_runs_out_at_once_nothing_is_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> Progress:
        raise MemoryError

    monkeypatch.setattr(optimization._Scale, "step", none)
    code, _, err = run("photo.png few.toml -o out.png")
    assert (code, err.count("\n")) == (2, 1)
    assert not Path("out.png").exists()


def test_another_error_of_the_work_is_a_bug(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: not every RuntimeError speaks of memory."""

    def wrong(*_: object) -> Progress:
        raise RuntimeError("size mismatch")

    monkeypatch.setattr(optimization._Scale, "step", wrong)
    with pytest.raises(RuntimeError, match="size mismatch"):
        run("photo.png few.toml -o out.png")

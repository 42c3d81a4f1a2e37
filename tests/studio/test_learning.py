"""Styles that are learnt in a program of their own: started, heard, stopped, gone on with, landed in the bank."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stylebank.bank import bundle
from stylebank.config import Style
from stylebank.studio import learning, private
from stylebank.studio.learning import Lesson
from stylebank.studio.private import Private

from .conftest import Client, opened, picture, png, pretend

if TYPE_CHECKING:
    from stylebank.bank.bundle import Bundle


@pytest.fixture
def grown(
    studio_bank: Path, make_bank: Callable[..., "Bundle"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A studio whose children only pretend to learn: the bank that they make is there already."""
    bank, after, script = (tmp_path / name for name in ("bank.safetensors", "after", "child.py"))
    bank.write_bytes(studio_bank.read_bytes())
    bundle.write(after, make_bank({"wave": 3, "scream": 3, "mosaic": 1, "lilies": 3}))
    picture().save(tmp_path / "preview.png")
    pretend(script, preview=tmp_path / "preview.png", bank=after)
    monkeypatch.setattr(learning, "CHILD", (str(script),))
    yield from opened(bank)


def wait(client: Client, job: str, until: Callable[[Mapping[str, Any]], bool]) -> Any:
    for _ in range(500):
        found = client.ask("GET", f"/api/jobs/{job}").json
        if until(found):
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def test_style_is_learnt_stopped_gone_on_with_and_lands_in_the_bank(grown: Client) -> None:
    image = grown.ask("POST", "/api/style-images?name=../Water%20lilies.png", png(picture(80, 60))).json
    assert (image["width"], image["height"]) == (80, 60)
    layers: list[object] = [{"image": image["image"], "crop": [0.0, 0.25, 1.0, 1.0]}, "blank"]
    layers += [{"image": image["image"], "crop": None}] * 3
    order = grown.ask("POST", "/api/style-jobs", {"name": "lilies", "layers": layers, "steps": 10})
    assert order.status == 202, order.body
    job = order.json["job"]
    found = wait(grown, job, lambda told: told["preview"] is not None and told["notes"])
    assert (found["kind"], found["state"], found["step"], found["steps"]) == ("style", "running", 10, 20)
    assert found["losses"] == [[5, 1.8, 0.5], [10, 0.9, 0.5]]
    assert found["done"] == 0.5
    assert grown.ask("GET", f"/api/jobs/{job}/preview").image.size == (96, 64)
    another = {"name": "other", "layers": [{"image": image["image"]}]}
    assert grown.ask("POST", "/api/style-jobs", another).status == 409  # one at a time
    assert grown.ask("POST", f"/api/jobs/{job}/continue").status == 409
    assert grown.ask("DELETE", f"/api/jobs/{job}").status == 200
    assert grown.ended(job)["state"] == "stopped"
    before = grown.ask("GET", "/api/state").json["bank"]["digest"]
    assert grown.ask("POST", f"/api/jobs/{job}/continue").status == 202
    assert (grown.ask("GET", f"/api/jobs/{job}").json["left_s"] or 0) < 600
    last = grown.ended(job)
    assert (last["state"], last["step"], last["warning"], last["error"]) == ("done", 20, "looks flat", None)
    assert grown.ask("GET", "/api/state").json["bank"]["digest"] != before
    assert [style["name"] for style in grown.ask("GET", "/api/styles").json][-1] == "lilies"
    preview = {"recipe": {"style": "lilies"}, "side": 64}
    assert grown.ask("POST", f"/api/photos/{grown.photo()}/preview", preview).status == 200
    assert grown.ask("POST", "/api/style-jobs", {"name": "lilies", "layers": layers}).status == 409
    assert grown.ask("DELETE", f"/api/jobs/{job}").status == 200
    assert grown.ask("GET", f"/api/jobs/{job}").status == 404


def test_private_folder_is_gone_when_the_studio_is_closed(
    grown: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    image = grown.ask("POST", "/api/style-images?name=a.png", png(picture())).json["image"]
    job = grown.ask("POST", "/api/style-jobs", {"name": "a", "layers": [{"image": image}]}).json["job"]
    wait(grown, job, lambda told: told["step"] == 10)
    folder = next(tmp_path.glob("stylebank-studio-*"))
    assert (folder.stat().st_mode & 0o077) == 0 or sys.platform == "win32"
    begun = time.monotonic()
    grown.workshop.close()
    assert time.monotonic() - begun < 4
    assert not folder.exists()


def test_folder_of_a_studio_that_was_killed_is_removed_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left, young, other = (
        tmp_path / f"{name}-1" for name in ("stylebank-studio", "stylebank-studio-b", "else")
    )
    for folder in (left, young, other):
        (folder / "paintings").mkdir(parents=True)
    mine = Private()
    used = mine.folder()
    (tmp_path / "stylebank-studio-file").touch()
    for path in (left, used, other, tmp_path / "stylebank-studio-file"):
        os.utime(path, (1, 1))
    private.sweep()
    assert not left.exists()
    assert all(path.exists() for path in (young, used, other, tmp_path / "stylebank-studio-file"))
    mine.close()
    assert not used.exists()


@pytest.mark.parametrize(
    ("child", "how"),
    [
        ("import sys; sys.exit(3)", "code 3"),
        pytest.param(
            "import os; os.kill(os.getpid(), 9)",
            "signal 9, perhaps for want of memory",
            marks=pytest.mark.posix,
        ),
    ],
)
def test_child_that_dies_is_a_failure_of_one_line(
    grown: Client, tmp_path: Path, child: str, how: str
) -> None:
    (tmp_path / "child.py").write_text(child, "utf-8")
    image = grown.ask("POST", "/api/style-images?name=a.png", png(picture())).json["image"]
    job = grown.ask("POST", "/api/style-jobs", {"name": "a", "layers": [{"image": image}]}).json["job"]
    last = grown.ended(job)
    assert (last["state"], last["error"]) == ("failed", f"learning: ended by itself ({how}); try again")


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"name": "A b", "layers": ["blank"]},
        {"name": 3, "layers": ["blank"]},
        {"name": "a", "layers": []},
        {"name": "a", "layers": ["blank", "blank"]},
        {"name": "a", "layers": ["/etc/passwd"]},
        {"name": "a", "layers": [{"image": "IMAGE", "crop": [0, 0, 2, 1]}]},
        {"name": "a", "layers": [{"image": "IMAGE", "crop": "all"}]},
        {"name": "a", "layers": [{"image": "IMAGE", "path": "x"}]},
        {"name": "a", "layers": [{"image": "IMAGE"}], "steps": 0},
        {"name": "a", "layers": [{"image": "IMAGE"}], "bank": "/x"},
        {"name": "a", "zoom": {"large": {"image": "IMAGE"}}},
        {"name": "a", "zoom": {"large": {"image": "IMAGE"}, "second": "blank", "layer": "relu9"}},
    ],
)
def test_malformed_style_is_refused(grown: Client, order: dict[str, Any]) -> None:
    image = grown.ask("POST", "/api/style-images?name=a.png", png(picture())).json["image"]
    words = json.loads(json.dumps(order).replace("IMAGE", image))
    found = grown.ask("POST", "/api/style-jobs", words)
    assert found.status == 400, found.body


def test_painting_that_is_gone_is_asked_for_again_and_the_bank_that_comes_along_stays(
    grown: Client,
) -> None:
    found = grown.ask("POST", "/api/style-jobs", {"name": "a", "layers": [{"image": "0" * 16}]})
    assert (found.status, found.json["gone"], found.json["image"]) == (410, True, "0" * 16)
    settings = replace(grown.workshop.settings, bank=Path("shipped"))
    grown.workshop.settings = settings
    image = grown.ask("POST", "/api/style-images?name=a.png", png(picture())).json["image"]
    found = grown.ask("POST", "/api/style-jobs", {"name": "a", "layers": [{"image": image}]})
    assert found.status == 409
    assert "stays as it is" in found.json["error"]


def test_same_name_with_another_crop_is_a_run_of_its_own(grown: Client) -> None:
    image = grown.ask("POST", "/api/style-images?name=a.png", png(picture())).json["image"]
    crops = [None, [0.1, 0.1, 0.9, 0.9], None]
    orders = [{"name": "a", "layers": [{"image": image, "crop": crop}], "steps": 9} for crop in crops]
    first, other, again = (grown.workshop.lesson(order).run for order in orders)
    assert first == again
    assert first != other


def _lesson(folder: Path, bank: Path, vgg: Path) -> Lesson:
    painting = folder / "painting.png"
    picture(64, 48, seed=4).save(painting)
    photos = folder / "photos"
    photos.mkdir()
    for place in range(8):
        picture(48, 40, seed=place).save(photos / f"{place}.png")
    return Lesson(Style("lilies", image=str(painting), size=48), bank, folder / "run", photos, vgg, 2, "cpu")


def test_lesson_is_heard_as_it_was_told(tmp_path: Path) -> None:
    style = Style("a", images=("x", "blank", "y", "y", "y"), size=0)
    told = Lesson(style, tmp_path / "b", tmp_path / "r", tmp_path / "c", tmp_path / "v", None, "cpu")
    assert Lesson.of_line(told.to_line()) == told
    assert "\n" not in told.to_line()


def test_lesson_is_learnt_as_add_style_learns_it(
    studio_bank: Path, vgg_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stylebank.training import added, report

    monkeypatch.setattr(added, "_TRAINING", replace(added._TRAINING, crop=32, warmup=2, precision="float32"))
    monkeypatch.setattr(added, "_REPORT", replace(added._REPORT, held_back=2, preview_every=2))
    monkeypatch.setattr(added, "POOL", 6)
    monkeypatch.setattr("stylebank.training.warm_start.STEPS", 1)
    monkeypatch.setattr("stylebank.training.incremental.EVALUATE_EVERY", 2)
    monkeypatch.setattr(report, "PREVIEW_SIDE", 64)
    bank = tmp_path / "bank.safetensors"
    bank.write_bytes(studio_bank.read_bytes())
    lesson, said = _lesson(tmp_path, bank, vgg_file), list[Mapping[str, Any]]()
    learning.learn(lesson, said.append, lambda: False)
    assert said[0] == {"expected": 4}
    assert [each["step"] for each in said if "step" in each] == [1, 2, 3, 4]
    assert "warning" in said[-1], said[-1]
    assert bundle.read(bank).names[-1] == "lilies"
    assert (lesson.run / "preview.png").exists()
    learning.learn(lesson, said.append, lambda: False)  # the name is taken now
    assert "lilies" in said[-1]["error"]


def test_child_leaves_when_its_input_ends(studio_bank: Path, vgg_file: Path, tmp_path: Path) -> None:
    lesson = _lesson(tmp_path, studio_bank, vgg_file)
    child = subprocess.Popen(
        [sys.executable, *learning.CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=None,
    )
    assert child.stdin
    assert child.stdout
    child.stdin.write(lesson.to_line() + "\n")
    child.stdin.flush()
    assert json.loads(child.stdout.readline()) == {"expected": 4}
    child.stdin.close()
    assert child.wait(20) == 0
    child.stdout.close()
    assert bundle.read(studio_bank).names == ("wave", "scream", "mosaic")


@pytest.mark.parametrize(
    ("zoom", "layer"),
    [({"way": "closer"}, "relu5_1"), ({"large": "A", "second": "B", "layer": "relu1_1"}, "relu1_1")],
)
def test_zoom_recipe_is_that_of_the_command_line(grown: Client, zoom: dict[str, Any], layer: str) -> None:
    images = [
        grown.ask("POST", f"/api/style-images?name={seed}.png", png(picture(seed=seed))).json["image"]
        for seed in (1, 2)
    ]
    first, second = ({"image": image, "crop": None} for image in images)
    words = json.loads(json.dumps(zoom).replace('"A"', json.dumps(first)).replace('"B"', json.dumps(second)))
    order = {"name": "a", "zoom": words, "layers": [first, *["blank"] * 3, second]}
    style = grown.workshop.lesson(order).style
    assert [Path(path).name for path in style.zoom] == ["1.png", "2.png"]
    assert (style.rest_layer, style.size) == (layer, 0)

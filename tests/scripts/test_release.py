"""The script that makes the shipped bank: jointly, then style by style, in slices, and in the order of its lists."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from stylebank import config
from stylebank.bank import bundle
from stylebank.errors import ImageError, OutputError
from stylebank.files import resources
from stylebank.supervision import styleset
from stylebank.training import added, report

ROOT = Path(__file__).resolve().parents[2]

JOINT = """
[training]
steps = 2
batch = 2
crop = 32
precision = "float32"

[report]
held_back = 1

[[style]]
name = "b"
image = "0.png"
size = 48
"""

ADDED = """
[[style]]
name = "z"
image = "1.png"
size = 48

[[style]]
name = "a"
images = ["0.png", "1.png", "0.png", "blank", "0.png"]
size = 48
"""


@pytest.fixture
def release(
    load_script: Callable[[str], ModuleType],
    tmp_path: Path,
    paintings: Path,
    vgg_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., None]:
    """`scripts/release` on tiny styles; threads in the place of processes, which would not see what is patched."""
    module = load_script("release")
    training = replace(added._TRAINING, crop=32, precision="float32")
    monkeypatch.setattr(added, "_TRAINING", training)
    monkeypatch.setattr("stylebank.training.warm_start.STEPS", 1)
    monkeypatch.setattr(report, "PREVIEW_SIDE", 64)

    def workers(_jobs: int, stop: threading.Event) -> Executor:
        module._asked["to stop"] = stop
        return ThreadPoolExecutor(1)  # PyTorch's threads are set for the process

    monkeypatch.setattr(module, "workers", workers)
    (tmp_path / "joint.toml").write_text(JOINT)
    (tmp_path / "added.toml").write_text(ADDED)

    def run(**how: Any) -> None:
        asked = {"styles": paintings, "content": resources.photos_folder(), "device": "cpu", "vgg": vgg_file}
        asked |= {"joint": tmp_path / "joint.toml", "added": tmp_path / "added.toml", "steps": 1}
        module.main(
            **{**asked, "run": tmp_path / "run", "out": tmp_path / "bank", "jobs": 2, "minutes": None, **how}
        )

    return run


def test_slices_come_to_one_bank_in_the_order_of_the_lists_whatever_was_ready_first(
    release: Callable[..., None], tmp_path: Path
) -> None:
    with pytest.raises(typer.Exit) as leaving:
        release(minutes=0)
    assert leaving.value.exit_code == 75
    assert not (tmp_path / "bank").exists()
    second = ADDED.split("[[style]]")[2]
    (tmp_path / "added.toml").write_text(f"[[style]]{second}")
    release()
    assert bundle.read(tmp_path / "bank").names == ("b", "a")
    (tmp_path / "added.toml").write_text(ADDED)
    release()
    bank = bundle.read(tmp_path / "bank")
    assert [(entry.name, entry.is_joint) for entry in bank.entries] == [
        ("b", True),
        ("z", False),
        ("a", False),
    ]
    assert [image.source for image in bank.find("a").style.layers] == [
        "0.png",
        "1.png",
        "0.png",
        "blank",
        "0.png",
    ]
    before = (tmp_path / "bank").read_bytes()
    release()
    assert (tmp_path / "bank").read_bytes() == before


def test_an_error_of_one_style_ends_all_and_keeps_what_is_ready(
    release: Callable[..., None], tmp_path: Path
) -> None:
    broken = ADDED.replace('"0.png", "1.png", "0.png", "blank"', '"0.png", "gone.png", "0.png", "blank"')
    (tmp_path / "added.toml").write_text(broken)
    with pytest.raises(ImageError, match=r"gone\.png"):
        release()
    assert "z" in bundle.read(tmp_path / "run" / "added" / "z.safetensors").names
    assert not (tmp_path / "bank").exists()
    (tmp_path / "added.toml").write_text(ADDED)
    release()
    assert bundle.read(tmp_path / "bank").names == ("b", "z", "a")


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("added.toml", 'image = "1.png"', 'image = "0.png"', "'z' was added by another recipe"),
        ("added.toml", 'name = "z"', 'name = "z"\nweights = [1, 1, 1, 1, 0.5]', "'z' was added by another"),
        ("joint.toml", "steps = 2", "steps = 3", "is of another experiment"),
    ],
)
def test_what_was_made_by_another_recipe_is_refused(
    release: Callable[..., None], tmp_path: Path, file: str, old: str, new: str, complaint: str
) -> None:
    release()
    before = (tmp_path / "bank").read_bytes()
    path = tmp_path / file
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(OutputError, match=complaint):
        release()
    assert (tmp_path / "bank").read_bytes() == before


def test_other_steps_are_another_recipe(release: Callable[..., None]) -> None:
    release()
    with pytest.raises(OutputError, match="'z' was added by another recipe"):
        release(steps=2)


def test_a_bank_among_the_unfinished_ones_is_refused(release: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="choose a place outside of --run"):
        release(out=tmp_path / "run" / "joint.safetensors")


def test_an_added_style_takes_the_place_of_a_joint_one_of_its_name(
    release: Callable[..., None], tmp_path: Path
) -> None:
    release()
    before = bundle.read(tmp_path / "bank")
    again = '[[style]]\nname = "b"\nimage = "1.png"\nsize = 48\n'
    (tmp_path / "added.toml").write_text(ADDED + again)
    release()
    bank = bundle.read(tmp_path / "bank")
    assert bank.names == ("z", "a", "b")
    assert not bank.find("b").is_joint
    assert [image.source for image in bank.find("b").style.layers] == ["1.png"] * 5
    assert all(bank.find(name).is_same(before.find(name)) for name in ("z", "a"))
    assert bank.coder_digest() == before.coder_digest()


def test_with_nothing_to_add_the_bank_is_the_joint_one(release: Callable[..., None], tmp_path: Path) -> None:
    release(added=None)
    assert (tmp_path / "bank").read_bytes() == (tmp_path / "run" / "joint.safetensors").read_bytes()
    assert bundle.read(tmp_path / "bank").names == ("b",)
    assert not (tmp_path / "run" / "added").exists()


@pytest.mark.parametrize(("experiment", "file"), [("release", "bank"), ("small", "bank-small")])
def test_the_shipped_banks_are_of_the_shipped_configs(experiment: str, file: str) -> None:
    styles = config.read(ROOT / "configs" / f"{experiment}.toml").styles
    bank = bundle.read(resources.weights_folder() / f"{file}.safetensors")
    assert bank.names == tuple(style.name for style in styles)
    for entry, style in zip(bank.entries, styles, strict=True):
        assert tuple(image.weight for image in entry.style.layers) == (style.weights or (1.0,) * 5)
        assert {image.source for image in entry.style.layers} == {
            path.name for path in styleset.files_of(style)
        }


def test_a_file_that_is_no_bank_is_not_replaced(release: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "bank").write_text("mine")
    with pytest.raises(OutputError, match="bank"):
        release()
    assert (tmp_path / "bank").read_text() == "mine"
    assert not (tmp_path / "run").exists()

"""The script that trains on a lent machine: a pack stands for the folders that it was made of."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from stylebank import config
from stylebank.bank import bundle
from stylebank.files import resources
from stylebank.pixels import images
from stylebank.supervision import styleset

EXPERIMENT = """
[network]
width = 4

[training]
batch = 2
crop = 32
zoom = 2.0
precision = "float32"

[report]
held_back = 1

[[style]]
name = "night"
images = ["0.png", "1.png", "blank", "1.png", "1.png"]
size = 48

[[style]]
name = "wave"
image = "0.png"
size = 48
weights = [1.0, 0.0, 2.0, 1.0, 1.0]
"""


@pytest.fixture
def packed(
    load_script: Callable[[str], ModuleType],
    tmp_path: Path,
    paintings: Path,
    vgg_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ModuleType:
    """`scripts/accelerator.py`; an experiment at `tmp_path / "experiment.toml"` and its pack at `tmp_path / "pack"`."""
    script = load_script("accelerator")
    monkeypatch.setattr(resources, "vgg_weights", lambda: vgg_file)
    monkeypatch.setattr(styleset, "resolve", styleset.resolve)  # which the script replaces
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    script.pack(
        paintings,
        resources.photos_folder(),
        tmp_path / "pack",
        listed=None,
        experiment=tmp_path / "experiment.toml",
        quality=55,
    )
    return script


def train(script: ModuleType, folder: Path, *, minutes: float = 60.0, steps: int | None = 3) -> None:
    script.train(
        folder / "pack",
        run=folder / "run",
        out=folder / "bank",
        minutes=minutes,
        more=0.0,
        experiment=folder / "experiment.toml",
        device="cpu",
        steps=steps,
        start=None,
        rate=None,
        batch=None,
    )


def test_a_pack_has_photos_at_training_size_and_supervising_images_without_loss(
    packed: ModuleType, tmp_path: Path, paintings: Path
) -> None:
    photos = [images.read(path) for path in sorted((tmp_path / "pack" / "photos").iterdir())]
    assert len(photos) == 5
    assert all(min(photo.size) == 64 for photo in photos), "crop x zoom"
    written = config.read(tmp_path / "experiment.toml", styles_folder=paintings)
    wanted = [styleset.resolve(style, written.loss.style_layers, (1.0,) * 5) for style in written.styles]
    packed._from_pack(tmp_path / "pack", written)
    for style, original in zip(written.styles, wanted, strict=True):
        found = styleset.resolve(style, written.loss.style_layers, (1.0,) * 5)
        assert found.to_manifest() == original.to_manifest()
        for image, other in zip(found.layers, original.layers, strict=True):
            assert torch.equal(image.load(), other.load())


def test_the_experiment_may_weigh_what_was_packed_otherwise(packed: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(EXPERIMENT.replace("weights = [1.0, 0.0", "weights = [5.0, 0.5"))
    written = config.read(tmp_path / "other.toml", styles_folder=tmp_path)
    packed._from_pack(tmp_path / "pack", written)
    found = styleset.resolve(written.styles[1], written.loss.style_layers, (2.0, 2.0, 1.0, 1.0, 1.0))
    assert [image.weight for image in found.layers] == [10.0, 1.0, 2.0, 1.0, 1.0]


def test_a_bank_trained_from_a_pack_is_whole_and_names_the_original_files(
    packed: ModuleType, tmp_path: Path
) -> None:
    train(packed, tmp_path)
    bank = bundle.read(tmp_path / "bank")
    assert [entry.name for entry in bank.entries] == ["night", "wave"]
    assert all(entry.card for entry in bank.entries), "it is finished"
    night = bank.entries[0].style
    assert [image.source for image in night.layers] == ["0.png", "1.png", "blank", "1.png", "1.png"]


def test_a_slice_continues_the_one_before_and_its_number_of_steps(packed: ModuleType, tmp_path: Path) -> None:
    train(packed, tmp_path, minutes=0.0)
    rows = (tmp_path / "run" / "losses.csv").read_text().splitlines()
    assert len(rows) < 4, "the time was over before the steps were"
    train(packed, tmp_path, steps=9)
    assert bundle.read(tmp_path / "bank").training["steps"] == 3

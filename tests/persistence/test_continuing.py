"""What may change between two starts of a run, and how what may not is named."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stylebank.config import Config, Loss, Network, Report, Style, Training
from stylebank.errors import RunError
from stylebank.persistence import checkpoint, continuing
from stylebank.persistence.checkpoint import Checkpoint

LAYER = {"file": "a.jpg", "sha256": "ab" * 32, "crop": [0, 0, 9, 9], "size": [64, 64], "weight": 1.0}


@pytest.fixture
def experiment() -> dict[str, Any]:
    config = Config(Network(), Training(steps=100), Loss(), Report(), (Style("one", image="a.jpg"),))
    layers = [LAYER | {"layer": name} for name in Loss().style_layers]
    return {
        "config": config.to_manifest(),
        "styles": [{"name": "one", "kernel": 3, "layers": layers}],
        "photos": "1" * 64,
        "photo_count": 811,
        "vgg": "2" * 64,
        "precision": "float32",
    }


def saved(experiment: Mapping[str, Any], step: int = 50) -> Checkpoint:
    return Checkpoint(step, experiment, 0.0, 0.0, {}, {}, torch.zeros(0, 3))


def changed(experiment: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """The same with another value at a path of keys and places."""
    found = copy.deepcopy(dict(experiment))
    table: Any = found
    *way, last = (int(word) if word.isdigit() else word for word in path.split())
    for key in way:
        table = table[key]
    table[last] = value
    return found


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("config report checkpoint_every", 7, ""),
        ("config report preview_every", 7, ""),
        ("config training precision", "float32", ""),
        ("styles 0 layers 2 file", "renamed.jpg", ""),
        ("config styles", [], ""),
        (
            "config training steps",
            200,
            "run: 200 steps now, 100 before; the learning rate falls",
        ),
        (
            "photos",
            "3" * 64,
            "run: its photos changed since; it goes on with those that are there",
        ),
    ],
)
def test_what_decides_no_weight_may_change(
    path: str, value: object, line: str, experiment: dict[str, Any]
) -> None:
    now = changed(experiment, path, value)
    continuing.check_same(Path("run"), experiment, now)
    *notes, last = continuing.notes(Path("run"), saved(experiment), now)
    assert last == "run: continuing at step 50"
    assert [note.startswith(line) for note in notes] == ([True] if line else [])


def test_photos_that_came_are_counted(experiment: dict[str, Any]) -> None:
    now = experiment | {"photos": "3" * 64, "photo_count": 812}
    assert "its photos changed since (811, now 812)" in continuing.notes(Path("r"), saved(experiment), now)[0]


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("config loss content", 2.0, r"\[loss\] content changed since \(1\.0, now 2\.0\)"),
        ("config network width", 8, r"\[network\] width changed since \(20, now 8\)"),
        ("config training seed", 3, r"\[training\] seed changed since \(0, now 3\)"),
        ("config training crop", 64, r"\[training\] crop changed since"),
        ("config report held_back", 3, r"\[report\] held_back changed since \(8, now 3\)"),
        (
            "styles 0 name",
            "uno",
            r"list of styles changed since \(\[\"one\"\], now \[\"uno\"\], and",
        ),
        ("styles 0 kernel", 5, r"style 'one' kernel changed since \(3, now 5\)"),
        (
            "styles 0 layers 1 sha256",
            "cd" * 32,
            r"style 'one' image at relu2_1 changed since",
        ),
        ("styles 0 layers 1 weight", 0.5, r"style 'one' weight at relu2_1 changed since"),
        (
            "vgg",
            "4" * 64,
            r"VGG weights \(--vgg\) changed since \(222222222222, now 444444444444\)",
        ),
        (
            "from",
            "5" * 64,
            r"bank to go on from \(--from\) changed since \(none, now 555555555555\)",
        ),
    ],
)
def test_what_decides_weights_is_named_by_its_key(
    path: str, value: object, key: str, experiment: dict[str, Any]
) -> None:
    now = changed(experiment, path, value)
    with pytest.raises(
        RunError, match=rf"^run: its {key}.*; restore what was, or start anew in another --run"
    ):
        continuing.check_same(Path("run"), experiment, now)


def test_a_checkpoint_of_before_there_was_a_key_means_its_default(experiment: dict[str, Any]) -> None:
    old = copy.deepcopy(experiment)
    del old["config"]["loss"]["empty"], old["config"]["training"]["chained"], old["photo_count"]
    continuing.check_same(Path("run"), old | {"stop": "fixed"}, experiment)
    experiment["config"]["loss"]["empty"] = 1.0
    with pytest.raises(RunError, match=r"\[loss\] empty changed since \(10\.0, now 1\.0\)"):
        continuing.check_same(Path("run"), old, experiment)


def test_a_run_of_before_photos_had_grain_or_colours_were_compared_does_not_go_on_as_another(
    experiment: dict[str, Any],
) -> None:
    old = copy.deepcopy(experiment)
    for term in ("color", "seams", "weave"):
        del old["config"]["loss"][term]
    del old["config"]["training"]["grain"]
    with pytest.raises(RunError, match=r"\[training\] grain changed since \(0\.0, now 1\.0, and 3 more\)"):
        continuing.check_same(Path("run"), old, experiment)
    experiment["config"]["loss"] |= {"color": 0.0, "seams": 0.0, "weave": 0.0}
    experiment["config"]["training"]["grain"] = 0.0
    continuing.check_same(Path("run"), old, experiment)


def test_the_defaults_are_those_of_the_config() -> None:
    """Else a key that is new would be compared with nothing."""
    assert continuing._DEFAULTS["loss"] == asdict(Loss()) | {"color": 0.0, "seams": 0.0, "weave": 0.0}
    assert continuing._DEFAULTS["training"] == asdict(Training()) | {"grain": 0.0}
    assert set(continuing._DEFAULTS["network"]) == set(asdict(Network()))


def test_fewer_steps_than_were_done_are_refused(experiment: dict[str, Any], tmp_path: Path) -> None:
    path = continuing.checkpoint_path(tmp_path)
    checkpoint.write(path, saved(experiment))
    found = continuing.find(tmp_path, experiment)
    assert found
    assert found.step == 50
    fewer = copy.deepcopy(experiment)
    fewer["config"]["training"]["steps"] = 50
    assert continuing.find(tmp_path, fewer)
    fewer["config"]["training"]["steps"] = 49
    with pytest.raises(
        RunError, match=r"has done 50 steps already, over the 49 asked for; ask for 50 or more"
    ):
        continuing.find(tmp_path, fewer)
    checkpoint.write(path, replace(saved(experiment), step=49))
    assert continuing.find(tmp_path, fewer)

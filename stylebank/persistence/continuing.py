"""Whether a run may go on: what of its experiment decides the weights, and what may change between two starts.

Free are how often a run saves and shows itself, more steps, other names of the same images, and photos that came or
went: a run goes on with those that are there, and says so. All else that the weights depend on must be as it was, and
what is not is named by its key, with both values.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stylebank.config import FIRST_EDITION, Loss, Network, Report, Training
from stylebank.errors import RunError
from stylebank.persistence import checkpoint
from stylebank.persistence.checkpoint import Checkpoint

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    # What checkpoints of before there was a key do not say.
    "network": asdict(Network()) | FIRST_EDITION,
    "training": asdict(Training()) | {"grain": 0.0},
    "loss": asdict(Loss()) | {"color": 0.0, "seams": 0.0, "weave": 0.0},
    "report": asdict(Report()),
}

_FREE = {
    ("training", "steps"),  # see `_check_steps`
    ("training", "precision"),  # what came of it is a fact of its own
    ("report", "checkpoint_every"),
    ("report", "preview_every"),
}

_FACTS = {
    "vgg": "VGG weights (--vgg)",
    "precision": "precision",
    "from": "bank to go on from (--from)",
    "bank": "bank's encoder and decoder",
}


def find(folder: Path, experiment: Mapping[str, Any]) -> Checkpoint | None:
    """The checkpoint of a run's folder, if there is one; it must be one that this experiment may continue.

    Raises:
        RunError: it is of another experiment, or has done more steps than are asked for.
        TensorFileError: it is damaged.
    """
    path = checkpoint_path(folder)
    if not path.exists():
        return None
    saved = checkpoint.read(path)
    check_same(folder, saved.experiment, experiment)
    asked = _steps(experiment)
    if saved.step > asked:
        raise RunError(
            f"{folder}: has done {saved.step} steps already, over the {asked} asked for; ask for {saved.step} or "
            "more, or start anew in another --run folder"
        )
    return saved


def checkpoint_path(folder: Path) -> Path:
    """Where a run keeps all that it needs to continue."""
    return folder / "checkpoint.safetensors"


def check_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Make sure that two experiments train the same weights, but for the number of steps and the photos.

    Raises:
        RunError: naming the first key that differs.
    """
    changed = differences(before, now)
    if not changed:
        return
    (key, old, new), *others = changed
    more = f", and {len(others)} more" if others else ""
    keep = "" if "bank" in now else ", with --from BANK to keep its weights"
    raise RunError(
        f"{folder}: its {key} changed since ({_shown(old)}, now {_shown(new)}{more}); restore what was, or start "
        f"anew in another --run folder{keep}"
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What decides the weights and is not equal: (key as a message names it, old value, new value)."""
    old, new = dict(_deciding(before)), dict(_deciding(now))
    return [(key, old.get(key), new.get(key)) for key in {**old, **new} if old.get(key) != new.get(key)]


def notes(folder: Path, saved: Checkpoint, experiment: Mapping[str, Any]) -> list[str]:
    """What changed and does not stop the run, a line for each, and where it goes on."""
    found = []
    before, asked = _steps(saved.experiment), _steps(experiment)
    if before != asked:
        rate = (
            "; the learning rate falls by the new number"
            if experiment["config"]["training"]["schedule"] == "cosine"
            else ""
        )
        found.append(f"{folder}: {asked} steps now, {before} before{rate}")
    if saved.experiment.get("photos") != experiment.get("photos"):
        counts = [facts.get("photo_count") for facts in (saved.experiment, experiment)]
        numbers = f" ({counts[0]}, now {counts[1]})" if all(counts) and counts[0] != counts[1] else ""
        found.append(f"{folder}: its photos changed since{numbers}; it goes on with those that are there")
    return [*found, f"{folder}: continuing at step {saved.step}"]


def _steps(experiment: Mapping[str, Any]) -> int:
    return int(experiment.get("config", {}).get("training", {}).get("steps", Training().steps))


def _deciding(experiment: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What the weights depend on, by key."""
    config = experiment.get("config", {})
    for table, defaults in _DEFAULTS.items():
        values = json.loads(json.dumps(defaults)) | config.get(table, {})
        yield from ((f"[{table}] {key}", x) for key, x in values.items() if (table, key) not in _FREE)
    styles = experiment.get("styles", [])
    yield "list of styles", [style["name"] for style in styles]
    for style in styles:
        where = f"style '{style['name']}'"
        yield f"{where} kernel", style["kernel"]
        for layer in style["layers"]:
            yield f"{where} weight at {layer['layer']}", layer["weight"]
            yield f"{where} size at {layer['layer']}", layer["size"]
            yield f"{where} image at {layer['layer']}", [layer["sha256"][:12], *layer["crop"]]
    yield from ((words, experiment.get(fact)) for fact, words in _FACTS.items())


def _shown(value: object) -> str:
    """A value, short enough for a line."""
    if isinstance(value, str):
        return value[:12]
    text = "none" if value is None else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""The script that trains styles of a bank further: they alone change, from where they were, and once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Card, Entry
from stylebank.files import resources

EXPERIMENT = """
[report]
held_back = 1

[[style]]
name = "wave"
image = "0.png"
size = 48

[[style]]
name = "night"
image = "1.png"
size = 48
"""


def with_card(entry: Entry) -> Entry:
    return replace(entry, card=Card("joint", 7, 0.0, 1, 32, (1.0,) * 5, 1.0, 1.0))


@pytest.fixture
def mend(
    load_script: Callable[[str], ModuleType],
    make_bank: Callable[..., Bundle],
    tmp_path: Path,
    paintings: Path,
    vgg_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Bundle]:
    """`scripts/mend.py` for tiny styles of a bank of two, which lies at `tmp_path / "bank"`."""
    module = load_script("mend")
    monkeypatch.setattr(module, "TRAINING", replace(module.TRAINING, crop=32, precision="float32"))
    monkeypatch.setattr(module, "POOL", 4)
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    made = make_bank({"wave": 3, "night": 3})
    bundle.write(tmp_path / "bank", replace(made, entries=tuple(map(with_card, made.entries))))

    def run(*names: str, steps: int = 2) -> Bundle:
        module.main(
            tmp_path / "bank",
            list(names),
            styles=paintings,
            content=resources.photos_folder(),
            run=tmp_path / "run",
            out=tmp_path / "mended",
            experiment=tmp_path / "experiment.toml",
            steps=steps,
            device="cpu",
            vgg=vgg_file,
        )
        return bundle.read(tmp_path / "mended")

    return run


def test_a_mended_style_goes_on_from_its_filters_and_all_else_stays_to_the_last_bit(
    mend: Callable[..., Bundle], tmp_path: Path
) -> None:
    before, after = bundle.read(tmp_path / "bank"), mend("night")
    assert after.coder_digest() == before.coder_digest()
    (wave, night), (same, mended) = before.entries, after.entries
    assert (same.card, same.gain) == (wave.card, wave.gain)
    for name, tensor in wave.tensors.items():
        assert np.array_equal(tensor, same.tensors[name]), name
    for name, tensor in night.tensors.items():
        change = np.abs(mended.tensors[name].astype(np.float32) - tensor).max()
        # Two steps of Adam, of at most the rate each, warming up; another start would be far away.
        assert 0 < change < 2 * 2e-3, name
        other = wave.tensors[name]
        assert np.abs(other.astype(np.float32) - tensor).max() > 0.05, "the control"
    assert mended.is_joint
    assert mended.card is not None
    assert mended.card.steps == 7
    assert mended.card.style_ratio != (1.0,) * 5, "it was measured"
    assert mended.recipe["training"]["steps"] == 2


def test_a_finished_style_is_not_trained_again(mend: Callable[..., Bundle], tmp_path: Path) -> None:
    first = mend("night")
    kept = (tmp_path / "run" / "night.style.safetensors").stat().st_mtime_ns
    both = mend("wave", "night", steps=3)
    assert (tmp_path / "run" / "night.style.safetensors").stat().st_mtime_ns == kept
    assert np.array_equal(both.find("night").filter, first.find("night").filter)
    assert not np.array_equal(both.find("wave").filter, first.find("wave").filter)

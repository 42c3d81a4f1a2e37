"""The script that averages two banks: every weight between both, every style measured as it is now."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import typer

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.files import resources

EXPERIMENT = 'training = { crop = 32, precision = "float32" }\nreport = { held_back = 1 }\n' + "".join(
    f'[[style]]\nname = "{name}"\nimage = "{place}.png"\nsize = 48\n'
    for place, name in enumerate(("wave", "night"))
)


@pytest.fixture
def average(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("average")


@pytest.fixture
def banks(make_bank: Callable[..., Bundle]) -> tuple[Bundle, Bundle]:
    """A bank and another one with the same styles; weights that differ everywhere."""
    before = make_bank({"wave": 3, "night": 3})
    moved = tuple(
        replace(entry, filter=entry.filter + np.float16(1), revision=entry.filter - np.float16(2))
        for entry in before.entries
    )
    first = replace(before, entries=tuple(replace(e, revision=e.filter) for e in before.entries))
    coder = {name: array + np.float32(0.5) for name, array in before.coder.items()}
    return first, replace(before, entries=moved, coder=coder)


def test_every_weight_lies_between_both_by_the_share(
    average: ModuleType, banks: tuple[Bundle, Bundle]
) -> None:
    before, after = banks
    found = average.mean(before, after, 0.25)
    for name, array in found.coder.items():
        assert array.dtype == np.float32
        assert np.allclose(array, before.coder[name] + 0.125, atol=1e-6), name
    for entry, first in zip(found.entries, before.entries, strict=True):
        assert entry.filter.dtype == np.float16
        assert np.allclose(entry.filter, first.filter + np.float16(0.25), atol=2e-3)
        assert np.allclose(entry.revision, first.filter - np.float16(0.5), atol=2e-3)
    facts = found.training["mean"]
    assert facts == {"share": 0.25, "before": before.coder_digest(), "after": after.coder_digest()}


def test_the_whole_share_is_the_second_bank(average: ModuleType, banks: tuple[Bundle, Bundle]) -> None:
    before, after = banks
    found = average.mean(before, after, 1.0)
    assert found.coder_digest() == after.coder_digest() != before.coder_digest()
    for entry, second in zip(found.entries, after.entries, strict=True):
        assert np.array_equal(entry.filter, second.filter)


def test_banks_with_other_styles_are_refused(average: ModuleType, banks: tuple[Bundle, Bundle]) -> None:
    before, after = banks
    with pytest.raises(typer.BadParameter, match="differ in styles"):
        average.mean(before, replace(after, entries=after.entries[::-1]), 0.5)
    small = tuple(replace(e, filter=e.filter[..., 1:2, 1:2]) for e in after.entries)
    with pytest.raises(typer.BadParameter, match="differ in styles"):
        average.mean(before, replace(after, entries=small), 0.5)


def test_it_writes_a_bank_whose_styles_are_measured_anew(
    average: ModuleType, banks: tuple[Bundle, Bundle], tmp_path: Path, paintings: Path, vgg_file: Path
) -> None:
    for name, made in zip(("before", "after"), banks, strict=True):
        bundle.write(tmp_path / name, made)
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    found = {}
    for share in (0.0, 0.9):
        average.main(
            tmp_path / "before",
            tmp_path / "after",
            styles=paintings,
            content=resources.photos_folder(),
            out=tmp_path / "mean",
            share=share,
            experiment=tmp_path / "experiment.toml",
            device="cpu",
            vgg=vgg_file,
        )
        found[share] = bundle.read(tmp_path / "mean").entries
    for first, second in zip(*found.values(), strict=True):
        assert first.card
        assert second.card
        assert (first.card.photos, first.card.side, first.card.origin) == (1, 256, "joint")
        assert first.card.style_ratio != second.card.style_ratio
        assert first.gain != second.gain

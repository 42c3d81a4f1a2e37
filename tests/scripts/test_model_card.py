"""The model card tells of the bank that lies beside it."""

from collections.abc import Callable
from statistics import median
from types import ModuleType

import pytest

from stylebank.bank import bundle
from stylebank.files import atomic, resources

CARD = resources.weights_folder() / "README.md"


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """scripts/model_card.py."""
    return load_script("model_card")


def test_the_tables_are_what_the_script_writes_of_the_shipped_bank(script: ModuleType) -> None:
    tables = script.section(
        bundle.read(resources.shipped_bank()), resources.weights_folder() / "paintings.csv"
    )
    assert f"{script.BEGIN}\n{tables}\n{script.END}" in CARD.read_text()


@pytest.mark.parametrize("name", ["bank.safetensors", "bank-small.safetensors", "vgg16.safetensors"])
def test_it_names_each_file_s_size_and_digest(name: str) -> None:
    path = resources.weights_folder() / name
    assert f"| {path.stat().st_size:,} | `{atomic.sha256_file(path)}` |" in CARD.read_text()


@pytest.mark.parametrize("readme", ["README.md", "docs/explained/figures.md", "weights/README.md"])
@pytest.mark.parametrize(
    ("bank", "row"), [("bank", "| this bank, 256 px"), ("bank-small", "half the width, 16")]
)
def test_the_readmes_medians_are_those_of_the_banks(bank: str, row: str, readme: str) -> None:
    entries = bundle.read(resources.weights_folder() / f"{bank}.safetensors").entries
    cards = [entry.card for entry in entries if entry.card]
    ratios = " | ".join(f"{median(ratio):.3f}" for ratio in zip(*(c.style_ratio for c in cards), strict=True))
    content, ssim = median(card.content for card in cards), median(card.ssim for card in cards)
    lines = (CARD.parents[1] / readme).read_text().splitlines()
    assert [f"| {ratios} | {content:.2f} | {ssim:.2f} |" in line for line in lines if row in line] == [True]


def test_the_shipped_bank_has_what_was_promised() -> None:
    bank = bundle.read(resources.shipped_bank())
    assert len(bank.entries) >= 32
    assert sum(entry.style.is_layered for entry in bank.entries) >= 6
    assert resources.shipped_bank().stat().st_size <= 16e6
    assert (resources.weights_folder() / "bank-small.safetensors").stat().st_size <= 4e6

"""The model card tells of the bank that lies beside it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from stylebank import bundle, files, resources

ROOT = Path(__file__).resolve().parents[1]
CARD = resources.weights_folder() / "README.md"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """scripts/model_card.py, which is no part of the package."""
    path = ROOT / "scripts" / "model_card.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_what_the_script_writes_of_the_shipped_bank(script: ModuleType) -> None:
    tables = script.section(
        bundle.read(resources.default_bank()), resources.weights_folder() / "paintings.csv"
    )
    assert f"{script.BEGIN}\n{tables}\n{script.END}" in CARD.read_text()


@pytest.mark.parametrize("name", ["bank.safetensors", "bank-small.safetensors", "vgg16.safetensors"])
def test_it_names_each_file_s_size_and_digest(name: str) -> None:
    path = resources.weights_folder() / name
    assert f"| {path.stat().st_size:,} | `{files.sha256_file(path)}` |" in CARD.read_text()


def test_the_shipped_bank_has_what_was_promised(script: ModuleType) -> None:
    bank = bundle.read(resources.default_bank())
    assert len(bank.entries) >= 32
    assert sum(script._is_layered(entry) for entry in bank.entries) >= 6
    assert resources.default_bank().stat().st_size <= 16e6
    assert (resources.weights_folder() / "bank-small.safetensors").stat().st_size <= 4e6

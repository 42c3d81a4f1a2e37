"""torch.hub reads `hubconf.py` of a checkout."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle

ROOT = Path(__file__).resolve().parents[1]


def test_bank_of_a_checkout_is_loaded_by_torch_hub(make_bank: Callable[..., Bundle], tmp_path: Path) -> None:
    path = tmp_path / "bank.safetensors"
    bundle.write(path, make_bank({"wave": 3}))
    how = {"source": "local", "bank": str(path), "engine": "torch", "trust_repo": True}
    found = torch.hub.load(str(ROOT), "stylebank", **how)
    assert found.styles == ("wave",)
    picture = found.stylize(torch.rand(1, 3, 32, 32), "wave")
    assert picture.shape == (1, 3, 32, 32)
    assert "munch_the_scream" in torch.hub.load(str(ROOT), "stylebank", source="local").styles


def test_what_torch_hub_asks_for_is_installed_by_name() -> None:
    spec = importlib.util.spec_from_file_location("hubconf", ROOT / "hubconf.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert all(importlib.util.find_spec(name) for name in module.dependencies)

"""A bank of five styles on every engine, and a drawn photo to fuse them on."""

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from stylebank.bank.bundle import Bundle
from stylebank.engines.choice import Computing, Engine
from stylebank.painting import strokes
from stylebank.painting.painter import StyleBank

KERNELS = {"dot": 1, "wave": 3, "night": 5, "scream": 7, "rain": 3}
SCALES = (1.0, 0.1, 0.3, 0.05, 1.0)  # their features are 0.35 to 5.5 times as strong as the photo's


@pytest.fixture(scope="module", params=get_args(Engine))
def bank(make_bank: Callable[..., Bundle], request: pytest.FixtureRequest) -> StyleBank:
    made = make_bank(KERNELS)
    entries = [replace(x, filter=x.filter * scale) for x, scale in zip(made.entries, SCALES, strict=True)]
    contents = replace(made, entries=tuple(entries))
    return StyleBank(contents, computing=Computing(request.param, "float32", "cpu"))


@pytest.fixture(scope="session")
def draw() -> Callable[[int, int], Tensor]:
    """A function that draws a photo (3, H, W) whose parts differ, with grain."""

    def drawn(height: int, width: int) -> Tensor:
        y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
        grain = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
        return 0.8 * torch.stack([y, 0.5 + 0.4 * torch.sin(20 * x * y), x * x]) + 0.2 * grain

    return drawn


@pytest.fixture
def in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are painted once, at the photo's own size, whatever the strokes."""
    monkeypatch.setattr(strokes, "painted_size", lambda size, _: size)
    monkeypatch.setattr(strokes, "sizes", lambda size, _, **_again: [size])


@pytest.fixture(scope="module")
def photo(draw: Callable[[int, int], Tensor]) -> Tensor:
    """A small one."""
    return draw(37, 50)


@pytest.fixture(scope="module")
def left() -> NDArray[np.float32]:
    """A mask of the photo's left part."""
    return np.broadcast_to(np.arange(50) < 22, (37, 50)).astype(np.float32)


@pytest.fixture(autouse=True)
def _unprimed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Formulas are of photos as they are; what is said of primed ones is marked so."""
    if not request.node.get_closest_marker("primed"):
        monkeypatch.setattr("stylebank.priming.ground.primed", lambda photo, _share: photo)

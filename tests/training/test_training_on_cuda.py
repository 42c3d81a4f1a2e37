"""A training on a GPU: the CPU's first losses, no bit of E and D moved by an added style, runs that continue."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylebank.config import Config, Loss, Network, Report, Style, Training
from stylebank.supervision.objective import Objective
from stylebank.supervision.styleset import BLANK, LayerImage, StyleSet
from stylebank.supervision.vgg import STYLE_LAYERS, VGG
from stylebank.training import checkpoint
from stylebank.training.algorithm import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SIDE = 64


class Crops:
    """A stand-in for the content stream: batch n is noise from seed n, in memory that a GPU reads by itself."""

    def batch(self, number: int) -> Tensor:
        crops = torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(number))
        return crops.pin_memory()


def new_trainer(weights: dict[str, Tensor], device: str, precision: torch.dtype = torch.float32) -> Trainer:
    layers = [LayerImage(layer, BLANK, "", (0, 0, 64, 64), (64, 64), 1.0) for layer in STYLE_LAYERS]
    styles = [StyleSet(name=name, kernel=3, layers=tuple(layers)) for name in ("one", "two", "three")]
    photos = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(9))
    objective = Objective(VGG(weights).to(device), Loss(), styles, photos, precision=precision)
    setup = Config(
        network=Network(width=4, blocks=2),
        training=Training(steps=60, batch=4, crop=SIDE, warmup=3, revise_after=0.1, revisions=0.5),
        loss=Loss(),
        report=Report(),
        styles=tuple(Style(name=style.name) for style in styles),
    )
    return Trainer(setup, Crops(), objective, device=torch.device(device), precision=precision)  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_losses_are_the_cpu_s(vgg_weights: dict[str, Tensor], precision: torch.dtype) -> None:
    rows = []
    for device, exact in (("cuda", precision), ("cpu", torch.float32)):
        trainer = new_trainer(vgg_weights, device, exact)
        for _ in range(9):
            trainer.advance()
        rows.append(trainer.flush_history())
    for name in ("total", "content", "identity"):
        assert rows[0][name] == pytest.approx(rows[1][name], rel=0.02 if precision == torch.float32 else 0.1)


def test_a_run_continues_from_its_checkpoint(vgg_weights: dict[str, Tensor], tmp_path: Path) -> None:
    """Nearly: what a GPU adds up in another order differs in the last bits."""
    whole = new_trainer(vgg_weights, "cuda")
    for _ in range(12):
        whole.advance()
    part = new_trainer(vgg_weights, "cuda")
    for _ in range(8):
        part.advance()
    part.flush_history()
    checkpoint.write(tmp_path / "checkpoint", part.state({}, 0.0))
    resumed = new_trainer(vgg_weights, "cuda")
    resumed.restore(checkpoint.read(tmp_path / "checkpoint"))
    assert resumed.step == 8
    for _ in range(4):
        resumed.advance()
    for name, weight in whole.network.state_dict().items():
        other = resumed.network.state_dict()[name]
        assert other.is_cuda
        assert torch.allclose(weight, other, atol=5e-3), name

"""A training on a GPU: the CPU's first losses, no bit of E and D moved by an added style, runs that continue."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylebank.config import Config, Loss, Network, Report, Style, Training
from stylebank.persistence import checkpoint
from stylebank.supervision.objective import Objective
from stylebank.supervision.styleset import BLANK, LayerImage, StyleSet
from stylebank.supervision.vgg import STYLE_LAYERS, VGG
from stylebank.training.algorithm import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SIDE = 64


class Crops:
    """A stand-in for the content stream: batch n is noise from seed n, in memory that a GPU reads by itself."""

    def batch(self, number: int) -> Tensor:
        crops = torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(number))
        return crops.pin_memory() if torch.cuda.is_available() else crops


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


def rows(trainer: Trainer, steps: int) -> list[dict[str, float]]:
    """The losses of each of the next steps."""
    found = []
    for _ in range(steps):
        trainer.advance()
        found.append({name: loss for name, loss in trainer.flush_history().items() if not math.isnan(loss)})
    return found


def test_a_run_continues_from_its_checkpoint(vgg_weights: dict[str, Tensor], tmp_path: Path) -> None:
    """Nearly: a GPU adds up in another order each time, and Adam's first steps are signs of tiny gradients.

    So weights differ by some steps' length, and losses do not.
    """
    whole = new_trainer(vgg_weights, "cuda")
    rows(whole, 8)
    part = new_trainer(vgg_weights, "cuda")
    rows(part, 8)
    checkpoint.write(tmp_path / "checkpoint", part.state({}, 0.0))
    resumed = new_trainer(vgg_weights, "cuda")
    resumed.restore(checkpoint.read(tmp_path / "checkpoint"))
    assert resumed.step == 8
    assert all(weight.is_cuda for weight in resumed.network.state_dict().values())
    saved, found = (trainer.state({}, 0.0).adam for trainer in (part, resumed))
    assert saved.keys() == found.keys()
    for name, tensor in saved.items():
        assert found[name].device == tensor.device, "Adam's counts too, for a fused one"
        assert torch.equal(found[name], tensor), name
    forgetful = new_trainer(vgg_weights, "cuda")
    forgetful.step = 8
    wanted, after, other_way = (rows(trainer, 6) for trainer in (whole, resumed, forgetful))
    for one, other in zip(wanted, after, strict=True):
        assert one == pytest.approx(other, rel=0.03)
    assert {"total", "revision", "identity"} <= set().union(*after), "steps of each kind"
    far = [one != pytest.approx(other, rel=0.15) for one, other in zip(wanted, other_way, strict=True)]
    assert any(far), "the control: with the weights of before, paintings are off by a sixth"
    ends = (trainer.state({}, 0.0).adam for trainer in (whole, resumed))
    counts = [{name: int(count) for name, count in end.items() if name.endswith(".step")} for end in ends]
    assert counts[0] == counts[1]
    assert max(counts[0].values()) == whole.step == resumed.step == 14

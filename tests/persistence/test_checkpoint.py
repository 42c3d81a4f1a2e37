"""A run between two steps: everything comes back, bit for bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from stylebank.errors import TensorFileError
from stylebank.files import tensorfile
from stylebank.persistence import checkpoint
from stylebank.persistence.checkpoint import Checkpoint


def trained(steps: int) -> tuple[nn.Module, torch.optim.Adam]:
    """A small module with one parameter that never gets a gradient, after a few steps of Adam."""
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    adam = torch.optim.Adam(module.parameters(), lr=0.1)
    for step in range(steps):
        adam.zero_grad(set_to_none=True)
        module[0](torch.full((1, 3), step + 1.0)).square().sum().backward()
        adam.step()
    return module, adam


def snapshot(module: nn.Module, adam: torch.optim.Adam) -> Checkpoint:
    return Checkpoint(
        step=3,
        experiment={"config": {"a": [1, 0.1]}},
        stylizing_norm=0.1 + 0.2,  # a float that decimal text must not round
        seconds=1.5,
        model=module.state_dict(),
        adam=checkpoint.adam_tensors(adam, module),
        history=torch.tensor([[1.0, float("nan")], [2.0, 3.0]]),
    )


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path: Path) -> None:
    module, adam = trained(3)
    saved = snapshot(module, adam)
    checkpoint.write(tmp_path / "c", saved)
    found = checkpoint.read(tmp_path / "c")
    assert (found.step, found.experiment, found.seconds) == (3, {"config": {"a": [1, 0.1]}}, 1.5)
    assert found.stylizing_norm == 0.1 + 0.2
    assert torch.equal(found.history.nan_to_num(-1), saved.history.nan_to_num(-1))
    for part in ("model", "adam"):
        wanted, back = getattr(saved, part), getattr(found, part)
        assert wanted.keys() == back.keys()
        assert all(torch.equal(wanted[key], back[key]) for key in wanted)


def test_parameters_and_tensors_of_any_layout_come_back(tmp_path: Path) -> None:
    model = {
        "parameter": nn.Parameter(torch.ones(2)),
        "transposed": torch.arange(6.0).view(2, 3).t(),
        "channels last": torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "scalar": torch.tensor(3.0),
    }
    checkpoint.write(tmp_path / "c", replace(snapshot(*trained(0)), model=model))
    found = checkpoint.read(tmp_path / "c").model
    assert found.keys() == model.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in model.items())


def test_a_restored_adam_takes_the_same_next_step() -> None:
    whole, adam = trained(5)
    module, first = trained(3)
    restored, second = trained(0)
    restored.load_state_dict(module.state_dict())
    checkpoint.restore_adam(second, restored, checkpoint.adam_tensors(first, module))
    for step in (3, 4):
        second.zero_grad(set_to_none=True)
        restored[0](torch.full((1, 3), step + 1.0)).square().sum().backward()  # type: ignore[index]
        second.step()
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), restored.parameters(), strict=True))
    assert adam.state.keys(), "Adam keeps something to restore"


def test_a_parameter_without_gradient_has_no_moments() -> None:
    module, adam = trained(2)
    assert {name.rsplit(".", 1)[0] for name in checkpoint.adam_tensors(adam, module)} == {
        "0.weight",
        "0.bias",
    }


@pytest.mark.parametrize("lost", ["step", "experiment", "stylizing_norm", "seconds"])
def test_a_checkpoint_without_a_part_is_refused(lost: str, tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "c", snapshot(*trained(1)))
    tensors, manifest = tensorfile.read(tmp_path / "c", kind="checkpoint")
    del manifest[lost]
    tensorfile.write(tmp_path / "c", kind="checkpoint", tensors=tensors, manifest=manifest)
    with pytest.raises(TensorFileError, match="start a new run"):
        checkpoint.read(tmp_path / "c")

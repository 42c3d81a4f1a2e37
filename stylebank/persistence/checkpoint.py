"""Everything a run needs to continue bit-exactly, as one safetensors file.

Model, Adam's moments, the losses so far, and the step; the data stream needs no state of its own. One file, written
atomically: a crash between parts cannot leave halves of two steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stylebank.errors import TensorFileError
from stylebank.files import tensorfile
from stylebank.network.tensors import to_numpy, to_torch

KIND = "checkpoint"

_MODEL, _ADAM, _HISTORY = "model.", "adam.", "history"


@dataclass(frozen=True)
class Checkpoint:
    """A run between two steps.

    Attributes:
        step: steps done.
        experiment: what must be equal for a run to be the same: config, style sets, photos (plain JSON data).
        stylizing_norm: gradient norm of the last stylizing step, which the auto-encoder step needs.
        seconds: computing time so far.
        model: the network's state.
        adam: "<parameter>.exp_avg", ".exp_avg_sq" and ".step" for parameters that have been updated.
        history: rows of the loss curves, (N, columns) float32.
    """

    step: int
    experiment: Mapping[str, Any]
    stylizing_norm: float
    seconds: float
    model: Mapping[str, Tensor]
    adam: Mapping[str, Tensor]
    history: Tensor


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {
        **{_MODEL + key: tensor for key, tensor in checkpoint.model.items()},
        **{_ADAM + key: tensor for key, tensor in checkpoint.adam.items()},
        _HISTORY: checkpoint.history.to(torch.float32),
    }
    manifest = {
        "step": checkpoint.step,
        "experiment": dict(checkpoint.experiment),
        "stylizing_norm": checkpoint.stylizing_norm,
        "seconds": checkpoint.seconds,
    }
    tensorfile.write(path, kind=KIND, tensors=to_numpy(tensors), manifest=manifest)


def read(path: Path) -> Checkpoint:
    """Read a checkpoint and check every byte of it.

    Raises:
        TensorFileError: the file is missing, damaged, of another kind or newer than this program.
    """
    arrays, manifest = tensorfile.read(path, kind=KIND)
    tensors = to_torch(arrays)
    try:
        return Checkpoint(
            step=int(manifest["step"]),
            experiment=dict(manifest["experiment"]),
            stylizing_norm=float(manifest["stylizing_norm"]),
            seconds=float(manifest["seconds"]),
            model=_part(tensors, _MODEL),
            adam=_part(tensors, _ADAM),
            history=tensors[_HISTORY],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TensorFileError(
            f"{path}: is no checkpoint of this version ({error!r}); start a new run"
        ) from error


def adam_tensors(optimizer: torch.optim.Adam, module: nn.Module) -> dict[str, Tensor]:
    """Adam's moments by parameter name."""
    return {
        f"{name}.{key}": tensor
        for name, parameter in module.named_parameters()
        for key, tensor in optimizer.state.get(parameter, {}).items()
    }


def restore_adam(optimizer: torch.optim.Adam, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put Adam's moments back, the inverse of `adam_tensors`."""
    for name, parameter in module.named_parameters():
        moments = _part(tensors, name + ".")
        if moments:
            count = moments.pop("step")  # which Adam keeps on the CPU, or if it is fused beside the weights
            step = count.to(parameter.device) if optimizer.defaults["fused"] else count
            optimizer.state[parameter] = {
                "step": step,
                **{key: torch.empty_like(parameter).copy_(tensor) for key, tensor in moments.items()},
            }


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}

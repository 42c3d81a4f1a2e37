"""What a run is made of: styles, photos, loss, found and checked before its first step."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylebank.config import Config
from stylebank.files import atomic
from stylebank.machine.devices import choose_precision
from stylebank.pixels import folders
from stylebank.supervision import styleset, vgg
from stylebank.supervision.objective import Objective, check_layers
from stylebank.supervision.styleset import StyleSet
from stylebank.training import data, report

UNSTYLED = 32
"""Training photos that tell how far unstyled photos are from each style."""


@dataclass(frozen=True)
class Material:
    """What a run is made of, found and checked before its first step.

    Attributes:
        styles: S style sets.
        emblems: their pictures in previews, by name.
        photos: to train on.
        held_back: (B, 3, side, side) in [0, 1], photos never trained on.
        experiment: what must be equal for a run to be the same.
        objective: makes the loss that computes in a precision, on the device of the run.
        device: of the run.
        precision: of the run.
    """

    styles: Sequence[StyleSet]
    emblems: Mapping[str, Tensor]
    photos: Sequence[Path]
    held_back: Tensor
    experiment: dict[str, Any]
    objective: Callable[[torch.dtype], Objective]
    device: torch.device
    precision: torch.dtype


def gather(
    config: Config, content: Path, device: torch.device, vgg_weights: Path | str, note: Callable[[str], None]
) -> Material:
    """Find everything that a config names, and read what the first step needs.

    Args:
        config: the experiment.
        content: folder of photos.
        device: of the run.
        vgg_weights: a VGG file, or "torchvision".
        note: takes one line of text.

    Raises:
        StyleBankError: something is missing, damaged, or does not go together.
    """
    loss = config.loss
    check_layers(loss)
    styles = [styleset.resolve(style, loss.style_layers, loss.layer_weights) for style in config.styles]
    photos, held_back = data.hold_back(folders.find_photos(content), content, config.report.held_back)
    sample = photos[:: -(-len(photos) // UNSTYLED)]
    unstyled = data.read_squares(sample, config.training.crop, note)
    features = vgg.load(vgg_weights)
    precision = choose_precision(config.training.precision, device)

    def objective(precision: torch.dtype) -> Objective:
        network = copy.deepcopy(features).to(device)  # the objective casts its own
        network = network.to(memory_format=torch.channels_last)
        return Objective(network, loss, styles, unstyled, precision=precision)

    return Material(
        styles=styles,
        emblems={style.name: report.emblem(style) for style in styles},
        photos=photos,
        # Where none is held back, or none of those can be read, training photos must do.
        held_back=data.read_squares(
            [*held_back, *sample], report.PREVIEW_SIDE, note, count=max(1, len(held_back))
        ),
        experiment={
            "config": config.to_manifest(),
            "styles": [style.to_manifest() for style in styles],
            "photos": data.digest(photos, content),
            "vgg": vgg_weights if vgg_weights == "torchvision" else atomic.sha256_file(Path(vgg_weights)),
            "precision": str(precision).removeprefix("torch."),
        },
        objective=objective,
        device=device,
        precision=precision,
    )

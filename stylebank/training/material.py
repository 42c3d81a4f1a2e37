"""What a run is made of: styles, photos, loss, found and checked before its first step.

In two parts: `find` refuses within a second or two what cannot be trained; `read` then takes its time.
"""

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
from stylebank.persistence.session import Callbacks
from stylebank.pixels import folders
from stylebank.supervision import metrics, styleset, verdicts, vgg
from stylebank.supervision.objective import Objective, check_layers, check_teaching
from stylebank.supervision.styleset import StyleSet
from stylebank.supervision.vgg import VGG
from stylebank.training import data, report

UNSTYLED = 32
"""Training photos that tell how far unstyled photos are from each style."""


@dataclass(frozen=True)
class Found:
    """What a config names, found and checked, but for the photos not looked at yet.

    Attributes:
        config: the experiment.
        styles: S style sets.
        photos: to train on.
        held_back: never to train on.
        experiment: what must be equal for a run to be the same, see `continuing`.
        features: VGG.
        device: of the run.
        precision: of the run.
        left_out: what lies in the folder of photos and is none to read, a line each.
    """

    config: Config
    styles: Sequence[StyleSet]
    photos: Sequence[Path]
    held_back: Sequence[Path]
    experiment: dict[str, Any]
    features: VGG
    device: torch.device
    precision: torch.dtype
    left_out: Sequence[str] = ()

    @property
    def inputs(self) -> list[Path]:
        """Files that are read: photos and style images."""
        images = [image.path for style in self.styles for image in style.layers if image.path]
        return [*images, *self.photos, *self.held_back]

    def unstyled_loss(self) -> float:
        """What the loss is of an unstyled photo, about."""
        weights = [[image.weight for image in style.layers] for style in self.styles]
        return verdicts.unstyled_loss(self.config.loss, weights)


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
        one_colour: styles whose images, or all of whose photos, are of one colour.
    """

    styles: Sequence[StyleSet]
    emblems: Mapping[str, Tensor]
    photos: Sequence[Path]
    held_back: Tensor
    experiment: dict[str, Any]
    objective: Callable[[torch.dtype], Objective]
    device: torch.device
    precision: torch.dtype
    one_colour: frozenset[str] = frozenset()


def find(config: Config, content: Path, device: torch.device, vgg_weights: Path | str) -> Found:
    """Find everything that a config names.

    Args:
        config: the experiment.
        content: folder of photos.
        device: of the run.
        vgg_weights: a VGG file, or "torchvision".

    Raises:
        StyleBankError: something is missing, damaged, or does not go together.
    """
    loss = config.loss
    check_layers(loss)
    check_teaching(loss)
    listing = folders.checked(content)
    listed = listing.photos
    features = vgg.load(vgg_weights)
    styles = [styleset.resolve(style, loss.style_layers, loss.layer_weights) for style in config.styles]
    photos, held_back = data.hold_back(listed, content, config.report.held_back)
    precision = choose_precision(config.training.precision, device)
    return Found(
        config=config,
        styles=styles,
        photos=photos,
        held_back=held_back,
        experiment={
            "config": config.to_manifest(),
            "styles": [style.to_manifest() for style in styles],
            "photos": data.digest(photos, content),
            "photo_count": len(listed),
            "vgg": vgg_weights if vgg_weights == "torchvision" else atomic.sha256_file(Path(vgg_weights)),
            "precision": str(precision).removeprefix("torch."),
        },
        features=features,
        device=device,
        precision=precision,
        left_out=[*listing.notes(content), *listing.refusals()],
    )


def read(found: Found, callbacks: Callbacks) -> Material:
    """Read what the first step needs.

    Raises:
        StyleBankError: no photo can be read.
    """
    config, device, photos = found.config, found.device, found.photos
    for line in found.left_out:
        callbacks.note(f"note: {line}")
    if not found.held_back:
        callbacks.note(
            "note: no photo is held back; figures and previews are of photos that it is trained on"
        )
    sample = photos[:: -(-len(photos) // UNSTYLED)]
    held_back, count = found.held_back, max(1, len(found.held_back))
    what, of = f"reading {len(sample) + count} photos", len(sample) + count
    unstyled = data.read_squares(
        sample, config.training.crop, callbacks.note, progress=lambda done: callbacks.stage(what, done, of)
    )
    squares = data.read_squares(
        # Where none is held back, or none of those can be read, training photos must do.
        [*held_back, *sample],
        report.PREVIEW_SIDE,
        callbacks.note,
        count=count,
        progress=lambda done: callbacks.stage(what, len(sample) + done, of),
    )
    emblems = {style.name: report.emblem(style) for style in found.styles}
    plain = {style.name for style in found.styles if _is_plain(style, emblems[style.name])}
    for name in sorted(plain):
        callbacks.note(f"style '{name}': its images are of one colour; it will teach that and no marks")

    def objective(precision: torch.dtype) -> Objective:
        network = copy.deepcopy(found.features).to(device)  # the objective casts its own
        network = network.to(memory_format=torch.channels_last)
        what = f"measuring {len(found.styles)} styles and {len(unstyled)} photos"
        return Objective(
            network,
            config.loss,
            found.styles,
            unstyled,
            precision=precision,
            progress=lambda done, of: callbacks.stage(what, done, of),
        )

    flat_photos = float(metrics.spread(squares).mean()) < verdicts.FLAT
    return Material(
        styles=found.styles,
        emblems=emblems,
        photos=photos,
        held_back=squares,
        experiment=found.experiment,
        objective=objective,
        device=device,
        precision=found.precision,
        one_colour=frozenset(emblems if flat_photos else plain),
    )


def gather(
    config: Config, content: Path, device: torch.device, vgg_weights: Path | str, note: Callable[[str], None]
) -> Material:
    """Find and read at once, see `find` and `read`; `note` takes one line of text."""
    callbacks = Callbacks(note, lambda _step, _losses: None, lambda: False)
    return read(find(config, content, device, vgg_weights), callbacks)


def _is_plain(style: StyleSet, emblem: Tensor) -> bool:
    """Whether all images of a style are of one colour; most are known by the first look not to be."""

    def is_plain(image: Tensor) -> bool:
        return float(metrics.spread(image[None])) < verdicts.FLAT

    return is_plain(emblem) and all(
        is_plain(image.load()[0]) for image in {layer.same_image() for layer in style.layers}
    )

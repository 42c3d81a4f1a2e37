"""The weighted mean of two banks' weights, where one went on from the other: often better than either.

    python scripts/average.py BEFORE AFTER --share 0.65 --styles FOLDER --content PHOTOS --out BANK

Weights that a training has moved from where another one ended lie in one valley of the loss, and what lies between them
is lower than both ends (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, arXiv 2109.01903). Each
style is measured anew, on photos never trained on, as the joint training does at its end.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from stylebank import config
from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.files import resources
from stylebank.machine.devices import choose_device
from stylebank.supervision import metrics
from stylebank.training import report, revision
from stylebank.training.material import Material, gather

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "release.toml"

Number = TypeVar("Number", np.float16, np.float32)


def main(
    before: Annotated[Path, typer.Argument(help="A bank.")],
    after: Annotated[Path, typer.Argument(help="What a training made of it, with the same styles.")],
    styles: Annotated[Path, typer.Option(help="Folder that holds the paintings which the config names.")],
    content: Annotated[Path, typer.Option(help="The photos of the training; those held back measure.")],
    out: Annotated[Path, typer.Option(help="The bank.")],
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the second bank.")] = 0.5,
    experiment: Annotated[Path, typer.Option("--config", help="The experiment.")] = CONFIG,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    vgg: Annotated[Path | None, typer.Option(help="VGG file; the bundled one by default.")] = None,
) -> None:
    """Write the mean of two banks, each style measured."""
    mixed = mean(bundle.read(before), bundle.read(after), share)
    wanted = config.read(experiment, styles_folder=styles)
    if tuple(style.name for style in wanted.styles) != mixed.names:
        raise typer.BadParameter(f"{experiment}: has other styles than {after}, or in another order")
    material = gather(wanted, content, choose_device(device), vgg or resources.vgg_weights(), typer.echo)
    bundle.write(out, measured(mixed, material))


def mean(before: Bundle, after: Bundle, share: float) -> Bundle:
    """All weights of two banks, `share` of the second's and the rest of the first's; everything else is the second's.

    Raises:
        typer.BadParameter: they have other styles or another network.
    """
    if before.network != after.network or _shapes(before) != _shapes(after):
        raise typer.BadParameter("the banks differ in styles or network; choose two of one training")

    def between(first: NDArray[Number], second: NDArray[Number]) -> NDArray[Number]:
        wide = [np.asarray(array, np.float32) for array in (first, second)]
        return ((1 - share) * wide[0] + share * wide[1]).astype(second.dtype)

    def mixed(first: Entry, second: Entry) -> Entry:
        again = first.revision, second.revision
        return replace(
            second,
            filter=between(first.filter, second.filter),
            revision=None if again[0] is None or again[1] is None else between(again[0], again[1]),
        )

    pairs = zip(before.entries, after.entries, strict=True)
    facts: Mapping[str, Any] = {
        "share": share,
        "before": before.coder_digest(),
        "after": after.coder_digest(),
    }
    return replace(
        after,
        coder={name: between(before.coder[name], array) for name, array in after.coder.items()},
        entries=tuple(mixed(first, second) for first, second in pairs),
        training=dict(after.training) | {"mean": facts},
    )


def _shapes(bank: Bundle) -> list[tuple[str, dict[str, tuple[int, ...]]]]:
    return [
        (entry.name, {name: array.shape for name, array in entry.tensors.items()}) for entry in bank.entries
    ]


def measured(bank: Bundle, material: Material) -> Bundle:
    """A bank whose styles, those of the material in its order, have the cards and gains of what they paint now."""
    network = bank.build().to(material.device)
    photos = material.held_back.to(material.device)
    objective = material.objective(torch.float32)
    entries = []
    for number, entry in enumerate(bank.entries):
        figures = metrics.style_figures(network, objective, photos, number)
        gain, revision_gain = revision.gains(network, photos, number)
        origin, steps = (entry.card.origin, entry.card.steps) if entry.card else ("joint", 0)
        card = report.card(figures, photos, origin=origin, steps=steps)
        entries.append(replace(entry, card=card, gain=gain, revision_gain=revision_gain))
        typer.echo(f"{entry.name}: {'/'.join(f'{ratio:.3f}' for ratio in card.style_ratio)}")
    return replace(bank, entries=tuple(entries))


if __name__ == "__main__":
    typer.run(main)

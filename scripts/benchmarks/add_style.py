"""A style added with encoder and decoder frozen against the same style trained jointly, and a warm start against none.

The yardstick is a bank that `stylebank train configs/joint.toml` makes, and what grows one by configs/base.toml. Each
style that the yardstick has and the growing bank lacks is added to a copy, by the automatic stop, from the mixture of
the bank's filters (warm) and from the identity (plain); all are measured on the same photos, which none was trained on.
"""

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Annotated

import torch
import typer
from PIL import Image

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Report, Style
from stylebank.files import resources, toml
from stylebank.machine import devices
from stylebank.persistence import checkpoint
from stylebank.persistence.continuing import checkpoint_path
from stylebank.persistence.session import Callbacks
from stylebank.pixels import folders, images, pictures
from stylebank.supervision import metrics
from stylebank.training import added, data, material
from stylebank.training.added import Outcome
from stylebank.training.incremental import EVALUATE_EVERY

SIDE = 256  # pixels
HELD_BACK = Report().held_back


@dataclass(frozen=True)
class Added:
    """One addition: how it ended, and its loss on held-back photos every `EVALUATE_EVERY` steps."""

    outcome: Outcome
    evaluations: list[float]

    def steps_to(self, loss: float) -> float:
        """Steps after which the loss was this low; infinite if never."""
        places = (place for place, found in enumerate(self.evaluations, start=1) if found <= loss)
        return EVALUATE_EVERY * next(places, float("inf"))


def main(
    joint: Annotated[Path, typer.Option(help="Bank with the styles trained jointly, by configs/joint.toml.")],
    styles: Annotated[Path, typer.Option(help="Folder that holds the images which the bank names.")],
    content: Annotated[Path, typer.Option(help="Folder of photos; both banks held back the same of them.")],
    bank: Annotated[Path, typer.Option(help="The bank to grow, by configs/base.toml.")],
    plain_steps: Annotated[
        int, typer.Option(min=EVALUATE_EVERY, help="Steps of the plain start; the warm one's are automatic.")
    ] = 300,
    sheet: Annotated[Path | None, typer.Option(help="Picture to write: each style joint and added.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Where to keep the grown bank.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Style loss and seconds of added styles against jointly trained ones; steps of a warm against a plain start."""
    yardstick, base = bundle.read(joint), bundle.read(bank)
    chosen = [entry for entry in yardstick.entries if entry.name not in base.names]
    if not chosen:
        raise SystemExit(f"bench add-style: {bank} has every style of {joint} already")
    typer.echo(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {devices.choose_device(device)}; "
        f"losses and figures on {HELD_BACK} photos held back, at {SIDE} px"
    )
    with tempfile.TemporaryDirectory() as scratch:
        grown, empty = Path(scratch) / "grown.safetensors", Path(scratch) / "empty.safetensors"
        shutil.copy(bank, grown)
        bundle.write(empty, replace(base, entries=()))
        rows = []
        for entry in chosen:
            style = _style(yardstick, entry.name, styles)
            runs = {
                start: _add(
                    style, path, content, Path(scratch) / f"{entry.name}-{start}", steps=steps, device=device
                )
                for start, path, steps in (("warm", grown, None), ("plain", empty, plain_steps))
            }
            reference = _figures(yardstick, style, content, device)
            rows.append((entry.name, reference, runs["warm"], runs["plain"]))
        _print(rows)
        if sheet:
            images.save(sheet, _picture(yardstick, bundle.read(grown), [name for name, *_ in rows], content))
        if keep:
            shutil.copy(grown, keep)
            typer.echo(f"{keep}: the grown bank")
    if sheet:
        typer.echo(f"{sheet}: each style trained jointly, and added")


def _style(bank: Bundle, name: str, folder: Path) -> Style:
    """The style as the bank's experiment has it, with its images below a folder."""
    entry = next(dict(style) for style in bank.training["config"]["styles"] if style["name"] == name)
    style = toml.instance(Style, entry, name)
    places = {path.name: str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return replace(
        style,
        folder=str(folder),
        image=places.get(style.image, style.image),
        images=tuple(places.get(image, image) for image in style.images),
        zoom=tuple(places.get(image, image) for image in style.zoom),
    )


def _add(style: Style, bank: Path, content: Path, run: Path, *, steps: int | None, device: str) -> Added:
    """Add the style; what the run says goes unheard, but for one line at its end."""
    quiet = Callbacks(note=lambda _: None, progress=lambda *_: None, stop=lambda: False)
    outcome = added.add_style(
        style,
        bank=bank,
        content=content,
        run=run,
        callbacks=quiet,
        vgg_weights=resources.vgg_weights(),
        steps=steps,
        device=device,
    )
    typer.echo(f"{run.name}: {outcome.step} steps, {outcome.seconds:.0f} s")
    return Added(outcome, checkpoint.read(checkpoint_path(run)).model["evaluations"].tolist())


def _figures(bank: Bundle, style: Style, content: Path, device: str) -> metrics.StyleFigures:
    """The joint entry, measured as added ones are."""
    experiment = added.experiment_for(bank, style, steps=None, seed=0)
    found = material.gather(
        experiment, content, devices.choose_device(device), resources.vgg_weights(), lambda _: None
    )
    photos = found.held_back.to(found.device)
    alone = replace(bank, entries=tuple(entry for entry in bank.entries if entry.name == style.name))
    network = alone.build().to(found.device)
    return metrics.style_figures(network, found.objective(torch.float32), photos, 0)


def _print(rows: list[tuple[str, metrics.StyleFigures, Added, Added]]) -> None:
    typer.echo(
        "\nstyle ratio: mean of the layers; reached: steps to the lowest loss that the plain start came to"
    )
    typer.echo(
        f"{'':24} {'style ratio':>29} {'content':>15} {'added':>15} {'reached after':>26}\n"
        f"{'':24} {'joint':>7} {'added':>7} {'added/joint':>13} {'joint':>7} {'added':>7} "
        f"{'seconds':>8} {'steps':>6} {'plain':>6} {'warm':>6} {'warm/plain':>12}"
    )
    ratios, shares = [], []
    for name, reference, warm, plain in rows:
        assert warm.outcome.entry is not None
        card = warm.outcome.entry.card
        assert card is not None
        before, after = mean(reference.style_ratio), mean(card.style_ratio)
        final = min(plain.evaluations)
        reached = warm.steps_to(final)
        needed = plain.steps_to(final)
        ratios.append(after / before)
        shares.append(reached / needed)
        typer.echo(
            f"{name:24} {before:7.3f} {after:7.3f} {after / before:13.2f} {reference.content:7.2f} {card.content:7.2f} "
            f"{warm.outcome.seconds:8.0f} {warm.outcome.step:6} {needed:6.0f} {reached:6.0f} {reached / needed:12.2f}"
        )
    typer.echo(f"{'median':24} {'':7} {'':7} {median(ratios):13.2f} {'':45} {median(shares):12.2f}")


def _picture(joint: Bundle, grown: Bundle, names: list[str], content: Path) -> Image.Image:
    """Rows of photos; for each style, as the joint bank and as the grown one paint it."""
    photos, held_back = data.hold_back(folders.find_photos(content), content, HELD_BACK)
    squares = data.read_squares(held_back or photos, SIDE, typer.echo, count=4)
    networks = {"joint": joint, "added": grown}
    built = {kind: bank.build() for kind, bank in networks.items()}
    rows = []
    with torch.no_grad():
        for square in squares.split(1):
            row = [square[0]]
            for name in names:
                for kind, bank in networks.items():
                    row.append(metrics.one_pass(built[kind], square, bank.names.index(name))[0])
            rows.append(row)
    labels = ["photo", *(f"{name}, {kind}" for name in names for kind in networks)]
    return pictures.contact_sheet(rows, column_labels=labels)

"""What buys the auto-encoder branch its quality: short trainings that differ in one thing, on the same crops."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Annotated

import torch
import typer
from torch import Tensor

from stylebank import config
from stylebank.config import Config
from stylebank.files import resources
from stylebank.network.instance_norm import InstanceNorm
from stylebank.network.model import StyleBankNetwork
from stylebank.pixels import folders
from stylebank.supervision import metrics
from stylebank.training import data, material
from stylebank.training.algorithm import Trainer
from stylebank.training.material import Material

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


class Affine(InstanceNorm):
    """What is left of an instance norm without the norm: weight and bias per channel."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return x * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


def _keep(network: StyleBankNetwork) -> None:
    """Change nothing."""


def _fix_affine(network: StyleBankNetwork) -> None:
    for norm in network.modules():
        if isinstance(norm, InstanceNorm):
            norm.requires_grad_(False)


def _open_first_layer(network: StyleBankNetwork) -> None:
    network.encoder[0].norm.__class__ = Affine  # keeps its weights, which the optimizer has already


def _forget_moments(network: StyleBankNetwork) -> None:
    network.restore_moments = False


@dataclass(frozen=True)
class Variant:
    """One difference from the release."""

    name: str
    change: Callable[[StyleBankNetwork], None] = _keep
    balance: float | None = None


VARIANTS = (
    Variant("as released"),
    Variant("lambda 0.25", balance=0.25),
    Variant("lambda 4", balance=4.0),
    Variant("norms without weight and bias", _fix_affine),
    Variant("no norm in E's first layer", _open_first_layer),
    Variant("brightness and contrast not given back (the paper)", _forget_moments),
)


def main(
    content: Annotated[Path, typer.Option(help="Folder of photos.")],
    styles: Annotated[Path, typer.Option(help="Folder that holds the paintings of configs/release.toml.")],
    steps: Annotated[int, typer.Option(help="Of each training.")] = 600,
    crop: Annotated[int, typer.Option(help="In pixels.")] = 128,
    size: Annotated[int, typer.Option(help="Side of the photos that are measured, in pixels.")] = 256,
) -> None:
    """PSNR and SSIM of the auto-encoder branch, and what they cost the styles, as a Markdown table."""
    release = config.read(CONFIGS / "release.toml", styles_folder=styles)
    release = replace(release, training=replace(release.training, steps=steps, crop=crop))
    found = material.gather(release, content, torch.device("cpu"), resources.vgg_weights(), typer.echo)
    _, held_back = data.hold_back(folders.find_photos(content), content, release.report.held_back)
    photos = data.read_squares(held_back, size, typer.echo)
    typer.echo(
        f"{len(release.styles)} styles, {steps} steps of {release.training.batch} crops of {crop} px; measured on "
        f"{len(photos)} photos of {size} px\n\n"
        "| | PSNR | SSIM | mean style ratio | content | minutes |\n|---|---|---|---|---|---|"
    )
    for variant in VARIANTS:
        typer.echo(row(variant, release, found, photos))


def row(variant: Variant, release: Config, found: Material, photos: Tensor) -> str:
    """Train a variant from scratch, and measure it."""
    training = release.training
    if variant.balance is not None:
        training = replace(training, balance=variant.balance)
    stream = data.ContentStream.of(training, found.photos, report=typer.echo)
    objective = found.objective(found.precision)
    trainer = Trainer(
        replace(release, training=training), stream, objective, device=found.device, precision=found.precision
    )
    variant.change(trainer.network)
    start = time.perf_counter()
    while not trainer.is_done():
        trainer.advance()
    minutes = (time.perf_counter() - start) / 60
    stream.close()
    trainer.network.precision = torch.float32
    figures = metrics.measure(trainer.network, found.objective(torch.float32), photos)
    ratio = mean(mean(style.style_ratio) for style in figures.styles)
    content = median(style.content for style in figures.styles)
    return f"| {variant.name} | {figures.psnr:.1f} | {figures.ssim:.3f} | {ratio:.3f} | {content:.2f} | {minutes:.0f} |"

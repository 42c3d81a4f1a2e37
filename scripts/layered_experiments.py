"""The experiments of LayerNeuralStylize, each an image optimised for five style images: one labelled picture of all.

Prints what each costs and comes to: VGG convolutions run on its style images, against five full passes; content
distance to the photo; how much of the photo's edges is left.
"""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

from stylebank.config import Loss, Style
from stylebank.files import resources
from stylebank.pixels import images, pictures, resampling
from stylebank.reference import optimization
from stylebank.reference.optimization import Progress
from stylebank.supervision import styleset, vgg

EXPERIMENTS = ("control", "exp1_relu1_1", "exp1_relu5_1", "exp2", "exp3_1", "exp3_2", "exp3_3", "exp3_4")
FOLDER = Path(__file__).resolve().parents[1] / "configs" / "layered"


def main(
    styles: Annotated[Path, typer.Option(help="Folder that holds the paintings which the configs name.")],
    photo: Annotated[Path | None, typer.Option(help="[default: the cat that comes along]")] = None,
    size: Annotated[int, typer.Option(help="Long side of the photo, in pixels.")] = 256,
    steps: Annotated[int | None, typer.Option(help="At most, of each. [default: as the configs say]")] = None,
    output: Annotated[Path, typer.Option("-o", help="The picture.")] = Path("layered_experiments.png"),
) -> None:
    """Run all experiments on one photo."""
    small = resampling.fitted(images.read(photo or resources.photos_folder() / "chelsea.jpg"), long_side=size)
    content = images.to_tensor(small)
    cells: list[tuple[str, Tensor]] = [("photo", content)]
    typer.echo(
        f"{'':14} {'steps':>5} {'VGG layers':>10} {'of five passes':>14} {'content':>8} {'edges kept':>10}"
    )
    for name in EXPERIMENTS:
        settings, loss, style = optimization.read_experiment(FOLDER / f"{name}.toml", styles_folder=styles)
        settings = replace(settings, steps=min(settings.steps, steps or settings.steps))
        found: list[Progress] = []

        def keep(progress: Progress, found: list[Progress] = found) -> bool:
            found.append(progress)
            return True

        picture = optimization.paint(
            content, style, loss, settings, vgg_weights=resources.vgg_weights(), report=keep
        )
        run = convolutions(style, loss)
        full = 5 * vgg.depth("relu5_1")
        typer.echo(
            f"{name:14} {settings.steps:5} {run:10} {run / full:13.0%} {min(found, key=total).content:8.3f} "
            f"{edges_kept(picture, content):10.2f}"
        )
        cells.append((name, picture))
    images.save(output, pictures.single_sheet(cells, columns=3, cell=size))
    typer.echo(output)


def total(progress: Progress) -> float:
    """What the result is chosen by."""
    return progress.total


def convolutions(style: Style, loss: Loss) -> int:
    """VGG convolutions run on a style's images: each different image once, down to the deepest layer it supervises."""
    deepest: defaultdict[object, int] = defaultdict(int)
    for image in styleset.resolve(style, loss.style_layers, loss.layer_weights).layers:
        same = image.same_image()
        deepest[same] = max(deepest[same], vgg.depth(image.layer))
    return sum(deepest.values())


def edges_kept(picture: Tensor, photo: Tensor) -> float:
    """Correlation of the edges of two images (1, 3, H, W) in cells of 4 px, coarser than brush marks: 1 if all stay."""
    pair = torch.stack([_edges(picture), _edges(photo)])
    return float(torch.corrcoef(pair)[0, 1])


def _edges(image: Tensor) -> Tensor:
    """Gradient magnitudes of the cells' mean colours."""
    cells = F.avg_pool2d(image.mean(1, keepdim=True), 4)
    across, down = cells[..., :-1, 1:] - cells[..., :-1, :-1], cells[..., 1:, :-1] - cells[..., :-1, :-1]
    return torch.hypot(across, down).flatten()


if __name__ == "__main__":
    typer.run(main)

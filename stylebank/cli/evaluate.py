"""The command that measures: evaluate."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebank.cli.options import AsJson, Bank, Device, Force, VggSource, note
from stylebank.errors import ConfigError

if TYPE_CHECKING:
    from stylebank.reference.evaluation import Evaluation


Content = Annotated[
    Path,
    typer.Option(
        metavar="DIR", help="Folder of photos; of the one that trained the bank, those held back are used."
    ),
]
Styles = Annotated[Path, typer.Option(metavar="DIR", help="Folder that holds the style images.")]
Size = Annotated[int, typer.Option(min=64, max=2048, help="Side of the photos' centre squares, in pixels.")]
Steps = Annotated[
    int,
    typer.Option(
        min=0, max=10_000, metavar="STEPS", help="Also find how many steps, at most this, optimize needs."
    ),
]
Lpips = Annotated[
    str | None,
    typer.Option(metavar="NET", help="Also LPIPS, by alex, vgg or squeeze; downloads its weights once."),
]
Inception = Annotated[
    Path | None, typer.Option(metavar="FILE", help="With --lpips: InceptionV3 weights, for ArtFID.")
]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Picture of the style ratios to write, as bars.")
]


def evaluate(
    content: Content,
    styles: Styles,
    bank: Bank = None,
    size: Size = 256,
    photos: Annotated[int, typer.Option(min=1, max=1000, help="How many, at most.")] = 8,
    optimization: Steps = 0,
    lpips: Lpips = None,
    inception: Inception = None,
    plot: Plot = None,
    as_json: AsJson = False,
    device: Device = "auto",
    vgg: VggSource = "bundled",
    force: Force = False,
) -> None:
    """Measure a bank's styles on photos, as a Markdown table."""
    from stylebank.bank import bundle
    from stylebank.batch import planning
    from stylebank.files import resources
    from stylebank.machine.devices import choose_device
    from stylebank.pixels import charts, images
    from stylebank.reference import evaluation
    from stylebank.reference.perceptual import Perceptual

    if plot:
        planning.check_outputs(
            [plot], [*images.find_photos(content), *images.find_images(styles)], force=force
        )
    if inception and not lpips:
        raise ConfigError("--inception: goes with --lpips; give both or neither")
    found = evaluation.evaluate(
        bundle.read(bank or resources.default_bank()),
        content=content,
        styles=styles,
        side=-(-size // 4) * 4,
        count=photos,
        optimization=optimization,
        device=device,
        vgg_weights=resources.vgg_source(vgg),
        perceptual=Perceptual(lpips, inception, choose_device(device)) if lpips else None,
        note=note,
    )
    typer.echo(json.dumps(found.to_json(), indent=2) if as_json else table(found))
    if plot:
        groups = {row.name: row.figures.style_ratio for row in found.rows} | {"(median)": found.medians()}
        title = f"style ratio on {found.photos} photos of {found.side} px: 0 perfect, 1 unstyled"
        images.save(plot, charts.bars(groups, names=found.layers, title=title))
        note(f"{plot}: the style ratios as bars")


def table(found: "Evaluation") -> str:
    """The figures as a Markdown table and a line below it."""
    has_lpips = all(row.lpips is not None for row in found.rows)
    optional = ["LPIPS"] * has_lpips + ["optimisation"] * bool(found.optimization)
    heads = ["style", *found.layers, "content", "SSIM", "TV", *optional, "bytes"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in found.rows:
        figures = row.figures
        cells = [row.name, *(f"{ratio:.3f}" for ratio in figures.style_ratio)]
        cells += [f"{figures.content:.2f}", f"{figures.ssim:.3f}", f"{figures.tv:.3f}"]
        if has_lpips:
            cells.append(f"{row.lpips:.3f}")
        if found.optimization:
            most = f"over {found.optimization}"
            cells.append(most if row.optimization is None else f"{row.optimization:.0f}")
        lines.append(f"| {' | '.join([*cells, f'{row.bytes:,}'])} |")
    medians = [f"**{ratio:.3f}**" for ratio in found.medians()]
    lines.append(f"| **median** | {' | '.join(medians)} |" + " |" * (len(heads) - len(medians) - 1))
    facts = [f"{found.photos} photos, {found.side} px", f"{1000 * found.seconds:.0f} ms a photo"]
    if found.psnr is not None:
        facts.append(f"auto-encoder {found.psnr:.1f} dB PSNR, {found.ssim:.3f} SSIM")
    if found.artfid is not None:
        facts.append(f"ArtFID {found.artfid:.1f}")
    return "\n".join([*lines, "", "; ".join(facts)])

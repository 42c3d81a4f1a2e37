"""The command that measures: evaluate."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebank.errors import ConfigError
from stylebank.terminal.options import AsJson, Bank, Device, Force, VggSource, note

if TYPE_CHECKING:
    from stylebank.bank.bundle import Bundle
    from stylebank.reference.evaluation import Evaluation
    from stylebank.reference.views import Looks, Octaves, Plan

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
OctavesToo = Annotated[
    bool,
    typer.Option(
        "--octaves",
        help="Also how whole pictures look, painted at several sizes and seen from near and far, and whether small "
        "previews are like large pictures; takes minutes a picture on a CPU.",
    ),
]
Sizes = Annotated[
    str | None,
    typer.Option(
        metavar="SIDE,SIDE",
        help="With --octaves: long sides to paint at, in pixels; smaller photos are enlarged. "
        "\\[default: 512,1024,4096]",
    ),
]
OwnStroke = Annotated[
    float | None,
    typer.Option(
        "--stroke", metavar="X", help="With --octaves: size of strokes, as of stylize. \\[default: 1]"
    ),
]
LEAST, MOST = 64, 16384
"""Long sides in pixels that --sizes takes."""


def evaluate(
    content: Content,
    styles: Styles,
    bank: Bank = None,
    size: Size = 256,
    photos: Annotated[int, typer.Option(min=1, max=1000, help="How many, at most.")] = 8,
    optimization: Steps = 0,
    octaves: OctavesToo = False,
    sizes: Sizes = None,
    stroke: OwnStroke = None,
    lpips: Lpips = None,
    inception: Inception = None,
    plot: Plot = None,
    as_json: AsJson = False,
    device: Device = "auto",
    vgg: VggSource = "bundled",
    force: Force = False,
) -> None:
    """Measure a bank's styles on photos, as a Markdown table."""
    from stylebank.bank import personal
    from stylebank.batch import planning
    from stylebank.files import resources
    from stylebank.machine.devices import choose_device
    from stylebank.pixels import charts, folders, images
    from stylebank.reference import evaluation
    from stylebank.reference.perceptual import Perceptual

    if plot:
        planning.check_outputs(
            [plot], [*folders.find_photos(content), *folders.listing(styles).photos], force=force
        )
    if inception and not lpips:
        raise ConfigError("--inception: goes with --lpips; give both or neither")
    plan = _plan(octaves, sizes, stroke)
    contents = personal.read(bank)
    found = evaluation.evaluate(
        contents,
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
    seen = _look(plan, contents, found, content, styles, device, resources.vgg_source(vgg)) if plan else None
    _print(found, seen, as_json=as_json)
    if plot:
        groups = {row.name: row.figures.style_ratio for row in found.rows} | {"(median)": found.medians()}
        title = f"style ratio on {found.photos} photos of {found.side} px: 0 perfect, 1 unstyled"
        images.save(plot, charts.bars(groups, names=found.layers, title=title))
        note(f"{plot}: the style ratios as bars")


def _plan(octaves: bool, sizes: str | None, stroke: float | None) -> "Plan | None":
    """What is to be looked at, as the options say; None without --octaves."""
    from stylebank.bank import mixture
    from stylebank.reference.views import Plan

    for name, given in (("--sizes", sizes), ("--stroke", stroke)):
        if given is not None and not octaves:
            raise ConfigError(f"{name}: goes with --octaves; give both or neither")
    if not octaves:
        return None
    plan = Plan()
    if stroke is not None:
        mixture.check_stroke(stroke, "--octaves")
        plan = replace(plan, stroke=stroke)
    return plan if sizes is None else replace(plan, sizes=_sides(sizes))


def _sides(words: str) -> tuple[int, ...]:
    """The long sides of `--sizes`, each once."""
    try:
        sides = tuple(dict.fromkeys(int(word) for word in words.split(",")))
    except ValueError:
        raise ConfigError(
            f"--sizes {words}: has another form; give long sides in pixels, 512,1024,4096"
        ) from None
    if not all(LEAST <= side <= MOST for side in sides):
        raise ConfigError(f"--sizes {words}: is out of range; give long sides of {LEAST} to {MOST} px")
    return sides


def _look(
    plan: "Plan",
    bank: "Bundle",
    found: "Evaluation",
    content: Path,
    styles: Path,
    device: str,
    vgg_weights: Path | str,
) -> "Octaves":
    """Look at the styles and photos that were found, with a bar; what was skipped was said before."""
    from stylebank.reference import octaves
    from stylebank.terminal.console import Watch

    with Watch(plan.pictures(found.photos, len(found.rows)), what="looking at pictures") as watch:

        def report(done: int) -> None:
            watch.progress(done, {})
            if watch.stop():
                raise typer.Exit(watch.stop.exit_code)

        return octaves.measure(
            bank,
            content=content,
            styles=styles,
            plan=plan,
            count=found.photos,
            device=device,
            vgg_weights=vgg_weights,
            note=lambda _: None,
            report=report,
        )


def _print(found: "Evaluation", seen: "Octaves | None", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found.to_json() | {"octaves": seen and seen.to_json()}, indent=2))
        return
    typer.echo(table(found))
    if seen:
        typer.echo(f"\n{views_table(seen)}\n\n{previews_table(seen)}")


def table(found: "Evaluation") -> str:
    """The figures as a Markdown table and a line below it."""
    has_lpips = all(row.lpips is not None for row in found.rows)
    optional = ["LPIPS"] * has_lpips + ["optimisation"] * bool(found.optimization)
    rows = []
    for row in found.rows:
        figures = row.figures
        cells = [row.name, *_thousandths(figures.style_ratio)]
        cells += [f"{figures.content:.2f}", *_thousandths((figures.ssim, figures.tv, figures.tone))]
        if has_lpips:
            cells.append(f"{row.lpips:.3f}")
        if found.optimization:
            most = f"over {found.optimization}"
            cells.append(most if row.optimization is None else f"{row.optimization:.0f}")
        rows.append([*cells, f"{row.bytes:,}"])
    medians = ["median", *_thousandths(found.medians()), "", "", "", *_thousandths([found.tone()])]
    rows.append([f"**{cell}**" if cell else "" for cell in medians] + [""] * (len(optional) + 1))
    facts = [f"{found.photos} photos, {found.side} px", f"{1000 * found.seconds:.0f} ms a photo"]
    if found.psnr is not None:
        facts.append(f"auto-encoder {found.psnr:.1f} dB PSNR, {found.ssim:.3f} SSIM")
    if found.artfid is not None:
        facts.append(f"ArtFID {found.artfid:.1f}")
    heads = ["style", *found.layers, "content", "SSIM", "TV", "tone", *optional, "bytes"]
    return "\n".join([_markdown(heads, rows), "", "; ".join(facts)])


def views_table(seen: "Octaves") -> str:
    """Style ratios and tone by size and octave, the medians over styles first, and a line below."""
    rows = []
    for name, looks in _named(seen):
        for view in looks.views:
            figures = _thousandths((*view.style_ratio, view.tone))
            rows.append([name, f"{view.painted}", f"{view.seen}", *figures])
    sizes = zip(seen.plan.sizes, seen.enlarged, strict=False)
    enlarged = [f"{many} to {size} px" for size, many in sizes if many]
    facts = [f"{seen.photos} whole photos, stroke {seen.plan.stroke:g}"]
    facts.append(f"painted enlarged: {', '.join(enlarged) or 'none'}")
    facts.append("photos are seen as small as pictures")
    return "\n".join(
        [_markdown(["style", "painted", "seen at", *seen.layers, "tone"], rows), "", "; ".join(facts)]
    )


def previews_table(seen: "Octaves") -> str:
    """How like their final pictures previews are, the medians over styles first, and a line below."""
    rows = [[name, *_thousandths((looks.preview.ssim, *looks.preview.gram))] for name, looks in _named(seen)]
    plan, many = seen.plan, seen.enlarged[-1]
    facts = (
        f"pictures of {plan.final / 1e6:g} megapixels, shrunk to {plan.preview} px, against paintings of the photos at "
        f"{plan.preview} px: SSIM and relative squared Gram distances; {many} of {seen.photos} photos enlarged for it"
    )
    return "\n".join([_markdown(["style", "SSIM", *seen.layers], rows), "", facts])


def _named(seen: "Octaves") -> "list[tuple[str, Looks]]":
    return [("**median**", seen.medians()), *((row.name, row) for row in seen.rows)]


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


def _thousandths(figures: Iterable[float]) -> list[str]:
    return [f"{figure:.3f}" for figure in figures]

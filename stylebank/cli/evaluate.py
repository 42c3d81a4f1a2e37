"""The command that measures: evaluate."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylebank.errors import ConfigError
from stylebank.terminal.options import AsJson, Bank, Device, Force, VggSource, note

if TYPE_CHECKING:
    from stylebank.bank.bundle import Bundle
    from stylebank.reference import defects as findings
    from stylebank.reference import views
    from stylebank.reference.evaluation import Evaluation
    from stylebank.reference.views import Octaves

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
DefectsToo = Annotated[
    bool,
    typer.Option(
        "--defects",
        help="Also what goes wrong in whole pictures: grids, weaves, bare and busy ground, haloes, borders, black and "
        "patches, each with a limit; takes a few seconds a style on a CPU.",
    ),
]
Sizes = Annotated[
    str | None,
    typer.Option(
        metavar="SIDE,SIDE",
        help="With --octaves or --defects: long sides to paint at, in pixels; smaller photos are enlarged. "
        "\\[default: 512,1024,4096; for defects 512,1024: photos at the first, a drawn scene at each]",
    ),
]
OwnStroke = Annotated[
    float | None,
    typer.Option(
        "--stroke",
        metavar="X",
        help="With --octaves or --defects: size of strokes, as of stylize. \\[default: 1]",
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
    defects: DefectsToo = False,
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
    wanted = _plans(octaves, defects, sizes, stroke)
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
    asked = _Asked(contents, content, styles, found.photos, len(found.rows), device)
    seen = asked.octaves(wanted[0], resources.vgg_source(vgg)) if wanted[0] else None
    wrong = asked.defects(wanted[1]) if wanted[1] else None
    _print(found, seen, wrong, as_json=as_json)
    if plot:
        groups = {row.name: row.figures.style_ratio for row in found.rows} | {"(median)": found.medians()}
        title = f"style ratio on {found.photos} photos of {found.side} px: 0 perfect, 1 unstyled"
        images.save(plot, charts.bars(groups, names=found.layers, title=title))
        note(f"{plot}: the style ratios as bars")


def _plans(
    octaves: bool, defects: bool, sizes: str | None, stroke: float | None
) -> "tuple[views.Plan | None, findings.Plan | None]":
    """What is to be looked at for --octaves and for --defects, as the options say; None without them."""
    from stylebank.bank import mixture
    from stylebank.reference import defects as findings
    from stylebank.reference import views

    for name, given in (("--sizes", sizes), ("--stroke", stroke)):
        if given is not None and not (octaves or defects):
            raise ConfigError(f"{name}: goes with --octaves or --defects; give both or neither")
    changes: dict[str, Any] = {}
    if stroke is not None:
        mixture.check_stroke(stroke, "--octaves" if octaves else "--defects")
        changes["stroke"] = stroke
    if sizes is not None:
        changes["sizes"] = _sides(sizes)
    return (
        replace(views.Plan(), **changes) if octaves else None,
        replace(findings.Plan(), **changes) if defects else None,
    )


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


@dataclass(frozen=True)
class _Asked:
    """What pictures are looked at: the bank's, of how many photos and styles; what was skipped was said before."""

    bank: "Bundle"
    content: Path
    styles: Path
    photos: int
    count: int
    device: str

    def octaves(self, plan: "views.Plan", vgg_weights: Path | str) -> "Octaves":
        """Look from near and from far, with a bar."""
        from stylebank.reference import octaves

        with self._watch(plan.pictures(self.photos, self.count), "looking at pictures") as report:
            return octaves.measure(**self._given(), plan=plan, vgg_weights=vgg_weights, report=report)

    def defects(self, plan: "findings.Plan") -> "findings.Defects":
        """Look for defects, with a bar."""
        from stylebank.reference import inspection

        with self._watch(plan.pictures(self.photos, self.count), "looking for defects") as report:
            return inspection.measure(**self._given(), plan=plan, report=report)

    def _given(self) -> dict[str, Any]:
        places = {"bank": self.bank, "content": self.content, "styles": self.styles}
        return places | {"count": self.photos, "device": self.device, "note": lambda _: None}

    @contextmanager
    def _watch(self, pictures: int, what: str) -> Iterator[Callable[[int], None]]:
        from stylebank.terminal.console import Watch

        with Watch(pictures, what=what) as watch:

            def report(done: int) -> None:
                watch.progress(done, {})
                if watch.stop():
                    raise typer.Exit(watch.stop.exit_code)

            yield report


def _print(
    found: "Evaluation", seen: "Octaves | None", wrong: "findings.Defects | None", *, as_json: bool
) -> None:
    from stylebank.terminal import tables

    if as_json:
        more = {"octaves": seen and seen.to_json(), "defects": wrong and wrong.to_json()}
        typer.echo(json.dumps(found.to_json() | more, indent=2))
        return
    parts = [tables.table(found)]
    parts += [tables.views_table(seen), tables.previews_table(seen)] if seen else []
    parts += [tables.defects_table(wrong)] if wrong else []
    typer.echo("\n\n".join(parts))

"""The command that paints photos in one style, one or many: stylize."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebank import __version__
from stylebank.cli.options import (
    Bank,
    Device,
    EngineName,
    Force,
    KeepColor,
    MaxMemory,
    PrecisionName,
    Strength,
    Stroke,
    Tile,
    note,
    say,
    say_weights,
    tile_bar,
)
from stylebank.errors import ImageError, StyleBankError

if TYPE_CHECKING:
    from PIL.Image import Image

    from stylebank.bank.bundle import Bundle
    from stylebank.bank.mixture import Mixture
    from stylebank.batch.planning import Job
    from stylebank.batch.running import Result
    from stylebank.batch.unfinished import Unfinished
    from stylebank.engines.choice import Computing
    from stylebank.machine.memory import Tiling


Photos = Annotated[
    list[Path],
    typer.Argument(metavar="PHOTO...", help="Photos, folders of them, patterns; - for the program's input."),
]
Style = Annotated[
    str,
    typer.Option(
        help="A style, see 'stylebank list'; or a mixture, NAME:WEIGHT+NAME:WEIGHT; either with a strength and a "
        "stroke of its own, as in wave@0.7x2."
    ),
]
Pictures = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE or DIR",
        help="A picture for one photo, else a folder; - for the program's output. "
        "\\[default: PHOTO-STYLE.png in this folder]",
    ),
]
Format = Annotated[
    str, typer.Option("--format", help="Of pictures that are named for you: png, jpg, webp, tif or bmp.")
]
JsonLines = Annotated[
    bool, typer.Option("--json", help="Say what became of each photo, a line of JSON each.")
]


@dataclass
class Reporter:
    """Says what becomes of photos, a line each.

    Attributes:
        unfinished: record of the run; None if there is one photo only, so that its error is the command's.
        as_json: whether lines are JSON.
    """

    unfinished: "Unfinished | None"
    as_json: bool
    made: int = 0
    skipped: int = 0
    begun: float = field(default_factory=time.monotonic)

    def __call__(self, result: "Result") -> None:
        """Report one photo.

        Raises:
            ImageError: the only photo cannot be read.
        """
        from stylebank.batch.planning import STREAM

        if self.as_json:
            typer.echo(json.dumps(result.to_json()), err=result.job.picture == STREAM)
        if result.error and not self.unfinished:
            raise ImageError(result.error)
        self.made, self.skipped = self.made + (not result.error), self.skipped + bool(result.error)
        if self.unfinished and not result.error:
            self.unfinished.add(result.job)
        if self.as_json:
            return
        if result.error:
            say(f"{result.error}; skipped")
        elif result.job.picture != STREAM:
            say(str(result.job.picture))

    def close(self) -> None:
        """Sum up.

        Raises:
            StyleBankError: photos were skipped.
        """
        seconds = time.monotonic() - self.begun
        if self.made > 1:
            note(f"{self.made} pictures in {seconds:.1f} s, {self.made / seconds:.2g} a second")
        if self.skipped:
            raise StyleBankError(
                f"{self.skipped} of {self.made + self.skipped} photos: were skipped, see above; check those files"
            )


def stylize(
    photos: Photos,
    style: Style,
    bank: Bank = None,
    output: Pictures = None,
    strength: Strength = 1.0,
    stroke: Stroke = 1.0,
    keep_color: KeepColor = False,
    form: Format = "png",
    tile: Tile = "auto",
    max_memory: MaxMemory = None,
    engine: EngineName = "auto",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    as_json: JsonLines = False,
    force: Force = False,
) -> None:
    """Paint photos in one style, at their own size; what was interrupted continues where it stopped."""
    from stylebank.bank import bundle, mixture
    from stylebank.batch import planning
    from stylebank.batch.unfinished import Unfinished
    from stylebank.engines.choice import Computing
    from stylebank.files import resources
    from stylebank.machine.distributed import rank_and_world
    from stylebank.pixels import formats

    mixed = mixture.parse(style, strength=strength, stroke=stroke, where=f"--style {style}")
    contents = bundle.read(bank or resources.default_bank())
    contents.filter_of(mixed)  # names are checked before they become part of a file's
    computing = Computing(engine, precision, device)
    computing.choose()  # refused before anything is planned
    suffix = f".{form.removeprefix('.')}"
    formats.check_suffix(Path(f"--format {suffix}"))
    jobs = planning.plan(photos, output, style="+".join(mixed.names), suffix=suffix, force=force)
    process = rank_and_world()
    settings = {"version": __version__, "bank": contents.digest(), "style": repr(mixed)}
    settings |= {"keep color": str(keep_color), "engine": engine, "precision": precision}
    unfinished = Unfinished(output or Path(), settings, process=process) if len(jobs) > 1 else None
    say_weights(mixed)
    with tile_bar(tile, max_memory) as tiling:
        own = jobs[process[0] :: process[1]]
        paint = _Painting(contents, computing, tiling, mixed, keep_color=keep_color)
        _make(own, paint, unfinished, as_json=as_json)


@dataclass(frozen=True)
class _Painting:
    """What is done to every photo."""

    contents: "Bundle"
    computing: "Computing"
    tiling: "Tiling"
    mixed: "Mixture"
    keep_color: bool


def _make(jobs: "list[Job]", painting: _Painting, unfinished: "Unfinished | None", *, as_json: bool) -> None:
    """Make the pictures that are not yet there."""
    from stylebank.batch import running
    from stylebank.engines import tuning
    from stylebank.machine import devices
    from stylebank.painting.painter import StyleBank

    remaining = unfinished.remaining(jobs) if unfinished else jobs
    if len(remaining) < len(jobs):
        note(f"{len(jobs) - len(remaining)} of {len(jobs)} pictures are done already")
    computing = painting.computing
    if unfinished:
        computing = tuning.tuned(computing, painting.contents, photos=len(remaining), note=note)
    workers = max(1, min(devices.cores(), len(remaining)))  # a photo for each core
    if computing.device == "mps":
        workers = 1  # PyTorch up to 2.14 crashes there when threads compute at the same time
    bank = StyleBank(painting.contents, computing=computing, tiling=painting.tiling, workers=workers)

    def paint(photos: "list[Image]") -> "list[Image]":
        return bank.stylize_all(photos, painting.mixed, keep_color=painting.keep_color)

    if unfinished:
        unfinished.begin()
    reporter = Reporter(unfinished, as_json)
    running.run(
        remaining,
        paint,
        workers=workers,
        together=bank.stages.together,
        report=reporter,
        give_up=painting.tiling.give_up,
    )
    if unfinished:
        unfinished.finish()
    reporter.close()

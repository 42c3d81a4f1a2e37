"""The command that paints photos in one style, one or many: stylize."""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebank import __version__
from stylebank.errors import ImageError, SkippedError
from stylebank.terminal.options import (
    Bank,
    Device,
    EngineName,
    Force,
    KeepColor,
    KeepMetadata,
    Lossless,
    MaxMemory,
    PrecisionName,
    Quality,
    Strength,
    Stroke,
    Tile,
    complete_style,
    encoding,
    note,
    say,
    say_weights,
    tile_bar,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from stylebank.bank.bundle import Bundle
    from stylebank.bank.mixture import Mixture
    from stylebank.batch.planning import Job, Plan
    from stylebank.batch.running import Result
    from stylebank.batch.unfinished import Unfinished
    from stylebank.engines.choice import Computing
    from stylebank.machine.memory import Tiling
    from stylebank.pixels.encoding import Encoding


Photos = Annotated[
    list[Path],
    typer.Argument(metavar="PHOTO...", help="Photos, folders of them, patterns; - for the program's input."),
]
Styles = Annotated[
    list[str],
    typer.Option(
        "--style",
        help="A style, see 'stylebank list'; or a mixture, NAME:WEIGHT+NAME:WEIGHT; either with a strength and a "
        "stroke of its own, as in wave@0.7x2. May be repeated: a picture in each.",
        autocompletion=complete_style,
    ),
]
Pictures = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE or DIR/",
        help="A picture for one photo, else a folder; - for the program's output. "
        "\\[default: PHOTO-STYLE.png in this folder]",
    ),
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        help="Of pictures that are named for you: png, jpg, webp, tif, bmp, avif, heic or jxl.",
    ),
]
Names = Annotated[
    str,
    typer.Option(
        "--name",
        metavar="TEMPLATE",
        help="Of pictures that are named for you, of {stem}, {style}, {folder}, {suffix} and {number}; "
        "'{style}/{stem}' sorts them by style.",
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Leave pictures that are there, and not older than their photos."),
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
        made: pictures.
        kept: pictures that were there already.
        skipped: photos, and folders that cannot be opened.
    """

    unfinished: "Unfinished | None"
    as_json: bool
    made: int = 0
    kept: int = 0
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
            raise result.bug or ImageError(result.error)
        self.made, self.skipped = self.made + (not result.error), self.skipped + bool(result.error)
        if self.unfinished and not result.error:
            self.unfinished.add(result.job)
        if self.as_json:
            return
        for line in result.notes:
            note(f"{result.job.photo}: {line}")
        if result.error:
            say(f"{result.error}; skipped")
        elif result.job.picture != STREAM:
            say(str(result.job.picture))

    def close(self) -> None:
        """Sum up.

        Raises:
            SkippedError: some were skipped.
            ImageError: all were.
        """
        seconds = time.monotonic() - self.begun
        if self.made > 1:
            note(f"{self.made} pictures in {seconds:.1f} s, {self.made / seconds:.2g} a second")
        if self.skipped:
            done = self.made + self.kept
            kind = SkippedError if done else ImageError
            raise kind(
                f"{self.skipped} of {done + self.skipped} photos: were skipped, see above; check those files"
            )


def stylize(
    photos: Photos,
    style: Styles,
    bank: Bank = None,
    output: Pictures = None,
    strength: Strength = 1.0,
    stroke: Stroke = 1.0,
    keep_color: KeepColor = False,
    form: Format = "png",
    name: Names = "{stem}-{style}",
    quality: Quality = None,
    lossless: Lossless = False,
    keep_metadata: KeepMetadata = "date",
    skip_existing: SkipExisting = False,
    tile: Tile = "auto",
    max_memory: MaxMemory = None,
    engine: EngineName = "auto",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    as_json: JsonLines = False,
    force: Force = False,
) -> None:
    """Paint photos in one style or several, at their own size; what was interrupted continues where it stopped."""
    from stylebank.bank import mixture, personal
    from stylebank.batch import names, planning
    from stylebank.batch.unfinished import Unfinished
    from stylebank.engines.choice import Computing
    from stylebank.machine.distributed import rank_and_world
    from stylebank.pixels import formats

    mixes = [
        mixture.parse(words, strength=strength, stroke=stroke, where=f"--style {words}") for words in style
    ]
    contents = personal.read(bank)
    for mixed in mixes:
        contents.filter_of(mixed)  # names are checked before they become part of a file's
    computing = Computing(engine, precision, device)
    computing.choose()  # refused before anything is planned
    suffix = f".{form.removeprefix('.')}"
    formats.check_suffix(Path(f"--format {suffix}"))
    names.check(name, lasting=skip_existing)
    how = encoding(quality, lossless, keep_metadata)
    words = ["+".join(mixed.names) for mixed in mixes]
    plan = planning.plan(photos, output, styles=words, suffix=suffix, template=name, force=force)
    for suffix in {job.suffix if job.picture == planning.STREAM else job.picture.suffix for job in plan.jobs}:
        how.check(suffix)
    process = rank_and_world()
    settings = {"version": __version__, "bank": contents.digest(), "style": repr(mixes), "how": repr(how)}
    settings |= {"keep color": str(keep_color), "engine": engine, "precision": precision}
    many = len(plan.jobs) > 1 or plan.closed
    unfinished = Unfinished(Path(output or ""), settings, process=process) if many else None
    for line in plan.notes:
        note(line)
    for mixed in mixes:
        say_weights(mixed)
    with tile_bar(tile, max_memory) as tiling:
        own = replace(plan, jobs=plan.jobs[process[0] :: process[1]])
        paint = _Painting(contents, computing, tiling, mixes, how, keep_color=keep_color)
        _make(own, paint, Reporter(unfinished, as_json), skip_existing=skip_existing)


@dataclass(frozen=True)
class _Painting:
    """What is done to every photo."""

    contents: "Bundle"
    computing: "Computing"
    tiling: "Tiling"
    mixes: "list[Mixture]"
    how: "Encoding"
    keep_color: bool


def _make(plan: "Plan", painting: _Painting, reporter: Reporter, *, skip_existing: bool) -> None:
    """Make the pictures that are not yet there."""
    from stylebank.batch import running
    from stylebank.engines import tuning
    from stylebank.machine import devices
    from stylebank.painting.painter import StyleBank

    unfinished = reporter.unfinished
    for line in plan.closed:
        say(line)
        reporter.skipped += 1
    remaining = _remaining(plan.jobs, reporter, skip_existing=skip_existing)
    computing = painting.computing
    if unfinished:
        computing = tuning.tuned(computing, painting.contents, photos=len(remaining), note=note)
    workers = max(1, min(devices.cores(), len(remaining)))  # a photo for each core
    if computing.device == "mps":
        workers = 1  # PyTorch up to 2.14 crashes there when threads compute at the same time
    bank = StyleBank(painting.contents, computing=computing, tiling=painting.tiling, workers=workers)

    def paint(photos: "list[Image]", style: int) -> "list[Image]":
        return bank.stylize_all(photos, painting.mixes[style], keep_color=painting.keep_color)

    if unfinished:
        unfinished.begin()
    running.run(
        remaining,
        paint,
        workers=workers,
        together=bank.stages.together * len(painting.mixes),
        report=reporter,
        how=painting.how,
        give_up=painting.tiling.give_up,
    )
    if unfinished:
        unfinished.finish()
    reporter.close()


def _remaining(jobs: "list[Job]", reporter: Reporter, *, skip_existing: bool) -> "list[Job]":
    """The jobs whose pictures are not there yet, of an interrupted run or, if so asked, of any."""
    from stylebank.batch import planning

    left = reporter.unfinished.remaining(jobs) if reporter.unfinished else jobs
    if skip_existing:
        left = [job for job in left if not planning.is_there(job)]
    reporter.kept = len(jobs) - len(left)
    if reporter.kept:
        note(f"{reporter.kept} of {len(jobs)} pictures are done already")
    return left

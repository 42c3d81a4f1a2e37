"""The command that paints what moves: video, for films, animations, numbered images and folders of them."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from stylebank.bank.mixture import PHOTO
from stylebank.terminal.options import (
    Bank,
    Device,
    EngineName,
    KeepColor,
    MaxMemory,
    PrecisionName,
    Strength,
    Stroke,
    Tile,
    complete_style,
    tile_bar,
)
from stylebank.terminal.placing import (
    Assigned,
    AutoRegions,
    Feather,
    Fit,
    LabelFile,
    MaskedRegions,
    Mixes,
    Overlapping,
    Rest,
    places,
    regional,
)

if TYPE_CHECKING:
    from stylebank.pixels.masks import Overlap
    from stylebank.video.timeline import Looks, Timeline

Source = Annotated[
    Path,
    typer.Argument(
        metavar="IN", help="A video, a GIF, WebP or PNG that moves, frames/%05d.png, or a folder of clips."
    ),
]
Target = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        metavar="OUT",
        help="Its suffix is the kind: mp4, mov, mkv, webm, gif, webp, apng, or frames/%05d.png; a folder for a folder.",
    ),
]
OneStyle = Annotated[
    str | None,
    typer.Option(
        "--style",
        help="A style or a mixture, as in wave, wave:0.5+scream:0.5, wave@0.7x2 (strength and stroke).",
        autocompletion=complete_style,
    ),
]
MixAt = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TIME=STYLE",
        help="A style or a mixture at a time, as in 0s=wave, 1:30=scream; in between they change evenly. "
        "May be repeated.",
    ),
]
Steady = Annotated[
    float | None,
    typer.Option(
        metavar="0..1",
        help="How long paint stays on what stands still: 0 paints each frame by itself. \\[default: 0.95]",
    ),
]
CodecName = Annotated[
    str | None,
    typer.Option(help="h264, h265, av1, vp9, prores or ffv1. \\[default: h264; vp9 in webm]"),
]
FilmQuality = Annotated[
    int | None,
    typer.Option(
        metavar="CRF",
        help="0 is the best: up to 51 for h264 and h265, 63 for av1 and vp9; of webp, 1 to 100, the best. "
        "\\[default: 18, 20, 26, 24, 90]",
    ),
]
LongestSide = Annotated[
    int | None, typer.Option(metavar="N", help="Make the clip smaller: its longer side in pixels.")
]
Rate = Annotated[str | None, typer.Option(help="Frames a second of numbered images. \\[default: 25]")]
Replace = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


def video(
    source: Source,
    output: Target,
    style: OneStyle = None,
    mix: Mixes = None,
    mix_at: MixAt = None,
    region: MaskedRegions = None,
    regions: LabelFile = None,
    auto_regions: AutoRegions = None,
    assign: Assigned = None,
    rest: Rest = PHOTO,
    strength: Strength = 1.0,
    stroke: Stroke = 1.0,
    keep_color: KeepColor = False,
    steady: Steady = None,
    feather: Feather = 0.0,
    overlap: Overlapping = "over",
    fit: Fit = False,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="Begin there, as in 90s or 1:30.")] = None,
    preview: Annotated[str | None, typer.Option(metavar="TIME", help="Paint so much only, as 5s.")] = None,
    max_side: LongestSide = None,
    fps: Rate = None,
    codec: CodecName = None,
    quality: FilmQuality = None,
    bank: Bank = None,
    tile: Tile = "auto",
    max_memory: MaxMemory = None,
    engine: EngineName = "auto",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    force: Replace = False,
) -> None:
    """Paint a video, with its sound and times; what was interrupted continues where it stopped."""
    from stylebank.footage import clips
    from stylebank.painting.painter import StyleBank
    from stylebank.terminal import reels
    from stylebank.video import timeline

    only, ways = regional(rest, feather, overlap), (region, regions, auto_regions)
    whole = {"--style": style, "--mix": mix, "--mix-at": mix_at}
    given = places("video", whole, ways, assign, only=only, strength=strength, fit=fit)
    looks = _looks(style, mix, mix_at, rest, strength=strength, stroke=stroke)
    settings = reels.Settings(
        replace(looks, keep_color=keep_color, overlap=cast("Overlap", overlap)),
        given,
        feather,
        codec,
        quality,
        max_side,
        clips.rate_of(fps),
        timeline.seconds(start, "--start") if start is not None else Fraction(0),
        timeline.seconds(preview, "--preview") if preview is not None else None,
        steady,
        force,
    )
    with tile_bar(tile, max_memory) as tiling:
        loaded = StyleBank.load(bank, engine=engine, precision=precision, device=device, tiling=tiling)
        reels.paint(source, output, settings, loaded)


def _looks(
    style: str | None, mix: list[str] | None, mix_at: list[str] | None, rest: str, **how: Any
) -> "Looks":
    """What is painted how: styles over time, or the rest of what regions are yet to cover."""
    from stylebank.bank import mixture
    from stylebank.video import timeline
    from stylebank.video.timeline import Looks

    over_time: Timeline | None = None
    if mix_at:
        over_time = timeline.parse(mix_at, **how)
    elif mix:
        over_time = timeline.steady(mixture.from_options(mix, **how))
    elif style:
        over_time = timeline.steady(mixture.parse(style, where=f"--style {style}", **how))
    others = rest if rest == PHOTO else mixture.parse(rest, where=f"--rest {rest}", **how)
    return Looks(over_time, (), others, **how)

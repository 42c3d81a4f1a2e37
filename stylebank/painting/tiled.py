"""Painting in tiles what `fusion` paints whole: the same layers and formulas, statistics of the whole image.

F = E(I) and the filtered features lie on disk, at a sixteenth of the pixels; of every norm that sees more than that
the layers before it run once more. About twice the work of a whole image, in memory that depends on the tile alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stylebank.config import STRIDE
from stylebank.machine.memory import Report
from stylebank.network.instance_norm import InstanceNorm, Statistics, at_cells, blend_affine
from stylebank.network.layers import ConvBlock
from stylebank.network.model import StyleBankNetwork
from stylebank.painting import fusion
from stylebank.painting.fusion import Mode, Paint
from stylebank.painting.passes import Known, Map, Passes, through
from stylebank.painting.windows import PIXELS, Shape, Window, cells_of, places, tiles
from stylebank.pixels import images

if TYPE_CHECKING:
    from PIL.Image import Image


Program = Callable[[Passes, Map], Map]
"""What is to be made of a photo (1, 3, H, W) in [0, 1], sides divisible by 4; so large is what it makes."""


def run(
    program: Program,
    photo: "Image",
    *,
    side: int,
    device: torch.device,
    finish: Callable[[Tensor, Tensor], Tensor],
    report: Report | None,
) -> "Image":
    """Paint an upright RGB image tile by tile; of the whole there are only 8-bit pixels in memory.

    Args:
        program: what to do.
        photo: the image.
        side: of the tiles, in feature cells.
        device: where it is done.
        finish: gives each tile of the output its last form, of it and the photo, (1, 3, h, w) in [0, 1].
        report: see `memory.Report`.

    Raises:
        OutputError: the disk has no room for the features.
    """
    size = (photo.height, photo.width)
    result = images.blank(size)

    def read(top: int, left: int, bottom: int, right: int) -> Tensor:
        return images.to_tensor(photo.crop((left, top, right, bottom)))

    source = _shown(PIXELS, read, size, device)

    def paint_all(passes: Passes) -> None:
        output = program(passes, source)
        for tile, window in passes.over(output.shape):
            found = finish(tile.cut(output.read(window), window), source.read(tile))
            result.paste(images.to_pil(found), (STRIDE * tile.left, STRIDE * tile.top))

    plan = Passes(size, [], device=device)
    paint_all(plan)
    paint_all(Passes(size, tiles(cells_of(size), side), device=device, report=report, total=plan.work))
    return result


def masks_as_map(passes: Passes, masks: Tensor) -> Map:
    """Masks (R, H, W) as a map of the image that passes go over."""

    def read(top: int, left: int, bottom: int, right: int) -> Tensor:
        return masks[None, :, top:bottom, left:right]

    return _shown(Shape(len(masks), STRIDE), read, passes.size, passes.device)


def _shown(
    shape: Shape,
    read: Callable[[int, int, int, int], Tensor],
    size: tuple[int, int],
    device: torch.device,
) -> Map:
    """A map of pixels (H, W) that `read` gives by boxes (top, left, bottom, right), as `pad_to_stride` extends them."""

    def window_of(window: Window) -> Tensor:
        rows, columns = places(window, size)
        top, left = int(rows.min()), int(columns.min())
        part = read(top, left, int(rows.max()) + 1, int(columns.max()) + 1)
        return part[..., rows - top, :][..., columns - left].to(device)

    return Map(shape, window_of)


def laid_over(photo: Map, output: Map, cover: Map) -> Map:
    """The output where the cover (1, 1, H, W) is 1, and the photo where it is 0."""
    return Map(
        output.shape, lambda window: torch.lerp(photo.read(window), output.read(window), cover.read(window))
    )


def paint(passes: Passes, network: StyleBankNetwork, photo: Map, with_paint: Paint) -> Map:
    """Paint an image in one style; see `fusion.paint`.

    Args:
        passes: over the tiles of the image.
        network: E and D.
        photo: (1, 3, H, W) in [0, 1], sides divisible by 4.
        with_paint: see there.

    Returns:
        (1, 3, H, W), near [0, 1].
    """
    features = _encoded(passes, network, photo)
    filtered = _cast(network, passes.keep(features.convolved(with_paint.filter, with_paint.apply)))
    output = _decoded(network, filtered, passes.survey(filtered, list(network.decoder)))
    if not fusion.restores(network, [with_paint]):
        return output
    output = passes.keep(output)
    affine = fusion.restoring(passes.statistics(output), passes.statistics(photo), with_paint.share)
    return _blended(output, *affine, None)


def fuse(
    passes: Passes, network: StyleBankNetwork, photo: Map, paints: Sequence[Paint], masks: Map, *, mode: Mode
) -> Map:
    """Paint the regions of an image; see `fusion.fuse`.

    Args:
        passes: see `paint`.
        network: see `paint`.
        photo: see `paint`.
        paints: one for each of R regions.
        masks: (1, R, H, W) in [0, 1], 1 in sum at each pixel.
        mode: see `fusion.Mode`.
    """
    features = _encoded(passes, network, photo)
    if mode == "exact":
        return _exact(passes, network, photo, features, paints, masks)
    widest = max((each.filter for each in paints), key=lambda weight: weight.shape[-1])

    def mixed(window: Window) -> Tensor:
        x = features.read(window)
        cells = at_cells(masks.read(window)[0], x).to(x.dtype)
        return torch.stack([each.apply(mask * x) for each, mask in zip(paints, cells, strict=True)]).sum(0)

    filtered = _cast(network, passes.keep(Map(features.convolved(widest, paints[0].apply).shape, mixed)))
    inside = masks if mode == "region" else None
    output = _decoded(network, filtered, passes.survey(filtered, list(network.decoder), inside))
    if not fusion.restores(network, paints):
        return output
    output = passes.keep(output)
    found, wanted = (passes.statistics(image, inside) for image in (output, photo))
    shares = torch.tensor([each.share for each in paints], device=found.mean.device).unsqueeze(1)
    return _blended(output, *fusion.restoring(found, wanted, shares), masks)


def _exact(
    passes: Passes,
    network: StyleBankNetwork,
    photo: Map,
    features: Map,
    paints: Sequence[Paint],
    masks: Map,
) -> Map:
    """Each style's own statistics, injected; the regions meet in the features, so that D paints the seams."""
    restored = fusion.restores(network, paints)
    regions: list[Mapping[InstanceNorm, Statistics]] = []
    affines = []
    for each in paints:
        filtered = _cast(network, passes.keep(features.convolved(each.filter, each.apply)))
        known = passes.survey(filtered, list(network.decoder))
        regions += known.regions
        if restored:
            alone = passes.keep(_decoded(network, filtered, known))
            affines.append(fusion.restoring(passes.statistics(alone), passes.statistics(photo), each.share))
    widest = max((each.filter for each in paints), key=lambda weight: weight.shape[-1])

    def mixed(window: Window) -> Tensor:
        x = features.read(window)
        cells = at_cells(masks.read(window)[0], x).to(x.dtype)
        return torch.stack([mask * each.apply(x) for each, mask in zip(paints, cells, strict=True)]).sum(0)

    fused = _cast(network, passes.keep(Map(features.convolved(widest, paints[0].apply).shape, mixed)))
    output = _decoded(network, fused, Known(regions, masks))
    if not restored:
        return output
    scales, shifts = (torch.cat(part) for part in zip(*affines, strict=True))
    return _blended(output, scales, shifts, masks)


def _encoded(passes: Passes, network: StyleBankNetwork, photo: Map) -> Map:
    """F = E(I). Its last convolution's output is kept before the norm, so that one run serves norm and features."""
    layers = list(network.encoder)
    blocks = [layer for layer in layers if isinstance(layer, ConvBlock)]
    *first, last = blocks
    photo = _cast(network, photo)
    known = passes.survey(photo, first)
    raw = _cast(network, passes.keep(through(photo, [*first, last.conv], known.at)))
    injected = Known([{last.norm: passes.statistics(raw)}])
    features = Map(raw.shape, lambda window: last.activate(raw.read(window), injected.at(window)))
    for residual in layers[len(blocks) :]:
        found = passes.survey(features, [residual])
        features = _cast(network, passes.keep(through(features, [residual], found.at)))
    return features


def _cast(network: StyleBankNetwork, found: Map) -> Map:
    """The map in the precision of the network's convolutions; on disk all is float32."""
    return Map(found.shape, lambda window: found.read(window).to(network.precision))


def _decoded(network: StyleBankNetwork, features: Map, known: Known) -> Map:
    output = through(features, list(network.decoder), known.at)
    return Map(output.shape, lambda window: output.read(window).float())


def _blended(output: Map, scales: Tensor, shifts: Tensor, masks: Map | None) -> Map:
    def read(window: Window) -> Tensor:
        return blend_affine(output.read(window), scales, shifts, masks.read(window)[0] if masks else None)

    return Map(output.shape, read)

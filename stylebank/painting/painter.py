"""A loaded bank: image in, image out, in one style, in a mixture, or in several by regions."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

import torch
from torch import Tensor

from stylebank.bank import bundle, mixture
from stylebank.bank.bundle import Bundle
from stylebank.bank.mixture import PHOTO, Mix
from stylebank.errors import ConfigError, ImageError, too_large
from stylebank.files import resources
from stylebank.machine.devices import choose_device, choose_precision
from stylebank.machine.memory import Tiling
from stylebank.network.model import StyleBankNetwork, pad_to_stride
from stylebank.painting import budget, fusion, tiled
from stylebank.painting.fusion import Mode, Paint
from stylebank.painting.passes import Map, Passes
from stylebank.painting.tiled import Program
from stylebank.pixels import images, masks, srgb
from stylebank.pixels.masks import Mask

if TYPE_CHECKING:
    from PIL.Image import Image

Picture = TypeVar("Picture", "Image", Tensor)


class StyleBank:
    """Many styles in one small network.

    >>> bank = StyleBank.load()
    >>> picture = bank.stylize(photo, bank.styles[0])
    >>> milder = bank.stylize(photo, {"munch_the_scream": 0.7, "hokusai_great_wave": 0.3}, strength=0.8)
    >>> both = bank.fuse(photo, [(sky, "van_gogh_starry_night"), (ground, "hokusai_great_wave")])

    Images are PIL images of any mode, turned upright as their EXIF says, or float tensors (3, H, W) or (B, 3, H, W) in
    [0, 1], sRGB; any H, W. What comes out is what came in: a PIL image in RGB, or a tensor of the same shape and dtype,
    on the same device, in [0, 1].

    Args:
        contents: a bank as read from its file.
        device: "auto", "cpu" or "cuda".
        tiling: when PIL images are painted in tiles; tensors never are.
        precision: of the convolutions, "float32", "bfloat16", or "auto", see `devices.choose_precision`.

    Attributes:
        contents: see above.
        network: encoder, filters and decoder, on the device.
        device: where it computes.
    """

    def __init__(
        self,
        contents: Bundle,
        *,
        device: str = "auto",
        tiling: Tiling | None = None,
        precision: str = "float32",
    ) -> None:
        self.contents = contents
        self._tiling = tiling or Tiling()
        self.device = choose_device(device)
        self.network: StyleBankNetwork = contents.build().to(self.device)
        self.network.precision = choose_precision(precision, self.device)

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        *,
        device: str = "auto",
        tiling: Tiling | None = None,
        precision: str = "float32",
    ) -> "StyleBank":
        """Read a bank file; without a path, the one that comes with the package.

        Raises:
            TensorFileError: the file is missing, damaged or no bank.
            DeviceError: there is no such device or precision.
        """
        contents = bundle.read(Path(path) if path else resources.default_bank())
        return cls(contents, device=device, tiling=tiling, precision=precision)

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles, in the order of the file."""
        return self.contents.names

    def paint(self, mix: Mix, *, strength: float = 1.0) -> Paint:
        """The one filter that a style or a mixture of styles comes to.

        Args:
            mix: a style's name, "wave:0.5+scream:0.5@0.8", a dict of weights, or a `Mixture`.
            strength: 0, the photo's reconstruction, to 1, the full style. One in the words of `mix`, or a
                `Mixture`'s, goes before it.

        Raises:
            UnknownStyleError: the bank has no such style; the message names the nearest.
            ConfigError: a weight or a strength is out of range, or the network knows no strength.
        """
        found = mixture.of(mix, strength=strength)
        self.contents.check_strength(found.strength)
        weight, gain = self.contents.mixed_filter(found.weights)
        return Paint((torch.from_numpy(weight).float() * gain).to(self.device), found.share)

    def stylize(
        self, image: Picture, style: Mix, *, strength: float = 1.0, keep_color: bool = False
    ) -> Picture:
        """Paint an image in one style or a mixture.

        Args:
            image: see the class.
            style: see `paint`.
            strength: see `paint`.
            keep_color: whether the photo's chroma stays, and only its luma is painted.

        Raises:
            UnknownStyleError, ConfigError: see `paint`.
            ImageError: the tensor is no such image, or needs more memory than there is.
        """
        chosen = self.paint(style, strength=strength)

        def painted(content: Tensor) -> Tensor:
            output = fusion.paint(self.network, pad_to_stride(content), chosen)
            return output[..., : content.shape[2], : content.shape[3]]

        def in_tiles(passes: Passes, photo: Map) -> Map:
            return tiled.paint(passes, self.network, photo, chosen)

        return self._convert(image, painted, in_tiles, keep_color=keep_color)

    def fuse(
        self,
        image: Picture,
        regions: Iterable[tuple[Mask, Mix]],
        *,
        rest: Mix = PHOTO,
        strength: float = 1.0,
        mode: Mode = "exact",
        feather: float = 0.0,
        keep_color: bool = False,
    ) -> Picture:
        """Paint the regions of an image, each in its style or mixture.

        Args:
            image: see the class; the images of a batch share the masks.
            regions: mask and mixture of each. A mask is a PIL image (white is covered) or an array (H, W) in [0, 1];
                it is resized to the image. Where masks overlap they share the pixel.
            rest: what pixels get that no mask covers: "photo", themselves, or a mixture.
            strength: of every region that says none of its own.
            mode: "exact", "region" or "paper", whose statistics count where styles meet; see `fusion.Mode`.
            feather: width in pixels of the seams that edges of masks are softened to.
            keep_color: see `stylize`.

        Raises:
            UnknownStyleError, ConfigError, ImageError: see `stylize`; or a mask is no mask.
        """
        regions = list(regions)
        _check_fusion(len(regions), mode, feather)
        given = [masks.of(mask) for mask, _ in regions]
        mixes = [mix for _, mix in regions] + ([rest] if rest != PHOTO else [])
        paints = [self.paint(mix, strength=strength) for mix in mixes]

        @cache
        def layout(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
            if feather > max(size):
                raise ConfigError(
                    f"feather {feather:g}: is more than the image's {max(size)} pixels; give less"
                )
            return masks.layout(given, size, fill=rest != PHOTO, feather=feather)

        def painted(content: Tensor) -> Tensor:
            size = (content.shape[2], content.shape[3])
            shares, cover = layout(size)
            padded = pad_to_stride(shares.unsqueeze(0).to(self.device))[0]
            fused = [
                fusion.fuse(self.network, photo, paints, padded, mode=mode)
                for photo in pad_to_stride(content).split(1)
            ]
            output = torch.cat(fused)[..., : size[0], : size[1]]
            return torch.lerp(content, output, cover.to(self.device))

        def in_tiles(passes: Passes, photo: Map) -> Map:
            shares, cover = layout(passes.size)
            shown = tiled.masks_as_map(passes, shares)
            output = tiled.fuse(passes, self.network, photo, paints, shown, mode=mode)
            return tiled.laid_over(photo, output, tiled.masks_as_map(passes, cover.unsqueeze(0)))

        return self._convert(image, painted, in_tiles, keep_color=keep_color, regions=len(paints))

    def _convert(
        self,
        image: Picture,
        paint: Callable[[Tensor], Tensor],
        in_tiles: Program,
        *,
        keep_color: bool,
        regions: int = 0,
    ) -> Picture:
        """Take an image as callers give it, paint it whole or in tiles, give it back in its own form."""
        if not isinstance(image, Tensor):
            if 0 in image.size:
                raise ImageError(f"image: has no pixels ({image.size[0]} x {image.size[1]}); give another")
            upright = srgb.upright_rgb(image)
            size = (upright.height, upright.width)
            side = budget.tile_side(self._tiling, self.network, size, regions=regions, device=self.device)
            if side is None:
                return images.to_pil(self._run(images.to_tensor(upright), paint, keep_color=keep_color))
            with torch.no_grad(), _complaining(size):
                finish = partial(_finished, keep_color=keep_color)
                return tiled.run(
                    in_tiles,
                    upright,
                    side=side,
                    device=self.device,
                    finish=finish,
                    report=self._tiling.report,
                )
        if (
            not image.is_floating_point()
            or image.ndim not in (3, 4)
            or image.shape[-3] != 3
            or not image.numel()
        ):
            raise ImageError(
                f"image tensor: is {tuple(image.shape)} {image.dtype}; give (3, H, W) or (B, 3, H, W), float in [0, 1]"
            )
        batch = image if image.ndim == 4 else image.unsqueeze(0)
        output = self._run(batch.float(), paint, keep_color=keep_color)
        return output.to(image.device, image.dtype).reshape(image.shape)

    @torch.no_grad()
    def _run(self, content: Tensor, paint: Callable[[Tensor], Tensor], *, keep_color: bool) -> Tensor:
        height, width = content.shape[-2:]
        content = content.to(self.device)
        with _complaining((height, width)):
            return _finished(paint(content), content, keep_color=keep_color)


def _check_fusion(regions: int, mode: Mode, feather: float) -> None:
    """Refuse what `fuse` cannot do, whatever the image."""
    if mode not in get_args(Mode):
        raise ConfigError(f"fusion '{mode}': is unknown; choose one of {', '.join(get_args(Mode))}")
    if not regions:
        raise ConfigError("regions: there are none; give at least one mask")
    if not 0 <= feather < math.inf:
        raise ConfigError(f"feather {feather:g}: is out of range; give 0 or more pixels")


def _finished(output: Tensor, content: Tensor, *, keep_color: bool) -> Tensor:
    """What networks give as an image: (B, 3, H, W) in [0, 1], with the content's chroma if that is kept."""
    if keep_color:
        output = fusion.keep_color(output.clamp(0, 1), content)
    return output.clamp(0, 1)


@contextmanager
def _complaining(size: tuple[int, int]) -> Iterator[None]:
    """Say in one line that there is not enough memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        lacks = isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
        if not lacks:
            raise
        raise too_large(width=size[1], height=size[0]) from error

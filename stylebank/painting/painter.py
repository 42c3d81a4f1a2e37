"""A loaded bank: image in, image out, in one style, in a mixture, or in several by regions."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from stylebank.bank import hub, mixture, personal
from stylebank.bank.bundle import Bundle
from stylebank.bank.mixture import PHOTO, Mix
from stylebank.engines.choice import Computing
from stylebank.engines.stages import Stages
from stylebank.errors import ConfigError, ImageError
from stylebank.machine import devices, memory
from stylebank.machine.memory import Tiling
from stylebank.painting import budget, strokes
from stylebank.painting.canvas import Canvas
from stylebank.painting.fusion import Mode
from stylebank.painting.pyramid import Way
from stylebank.painting.sources import Photo, Photos, Source, Tensors
from stylebank.painting.strokes import Size
from stylebank.photos import srgb
from stylebank.pixels import images
from stylebank.pixels.masks import Mask, Overlap

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

Picture = TypeVar("Picture", "Image", "Tensor")
Made = TypeVar("Made")


class StyleBank:
    """Many styles in one small network.

    >>> bank = StyleBank.load()
    >>> picture = bank.stylize(photo, bank.styles[0])
    >>> milder = bank.stylize(photo, {"munch_the_scream": 0.7, "hokusai_great_wave": 0.3}, strength=0.8)
    >>> both = bank.fuse(photo, [(sky, "van_gogh_starry_night"), (ground, "hokusai_great_wave")])
    >>> canvas = bank.open(photo)  # encoded once, for many pictures
    >>> pictures = [canvas.stylize(style) for style in bank.styles]

    Images are PIL images of any mode, turned upright as their EXIF says, or float tensors (3, H, W) or (B, 3, H, W) in
    [0, 1], sRGB; any H, W. What comes out is what came in: a PIL image in RGB, or a tensor of the same shape and dtype,
    on the same device, in [0, 1].

    Args:
        contents: a bank as read from its file.
        computing: engine, precision and device; None for the fastest that there are.
        tiling: when PIL images are painted in tiles; tensors never are.
        workers: threads that paint at the same time, and divide the cores among them.

    Attributes:
        contents: see above.
        computing: see above.
        stages: the engine.
    """

    def __init__(
        self,
        contents: Bundle,
        *,
        computing: Computing | None = None,
        tiling: Tiling | None = None,
        workers: int = 1,
    ) -> None:
        self.contents = contents
        self.computing = computing or Computing()
        self._tiling = tiling or Tiling()
        self.stages = self.computing.stages(
            contents, workers=workers, threads=max(1, devices.cores() // workers)
        )
        # Of what one worker takes, another is not to think that it is gone for good.
        self._taken = memory.resident() if workers > 1 and self.stages.device_type == "cpu" else None
        # PyTorch has one number of threads for the whole process; its tiles get all of them one after another.
        self._tiles_at_once = workers if self.computing.choose() == "torch" else devices.cores()
        self._tiles: Stages | None = None
        self._in_tiles = RLock()

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        *,
        engine: str = "auto",
        precision: str = "auto",
        device: str = "auto",
        tiling: Tiling | None = None,
    ) -> "StyleBank":
        """Read a bank file; without a path, the user's own, or where there is none the one that comes with the package.

        Args:
            path: of the file; "shipped" for the one that comes with the package.
            engine: "auto", the fastest that is installed, "openvino", "onnx" or "torch".
            precision: of the convolutions, "float32", "bfloat16", or "auto": bfloat16 where the processor has it.
            device: see `devices.choose_device`.
            tiling: see the class.

        Raises:
            TensorFileError: the file is missing, damaged or no bank.
            DeviceError, ConfigError: there is no such engine, device or precision.
        """
        contents = personal.read(path or None)
        return cls(contents, computing=Computing(engine, precision, device), tiling=tiling)

    @classmethod
    def from_pretrained(
        cls,
        name: Path | str,
        *,
        revision: str | None = None,
        token: hub.Token = None,
        cache_dir: Path | str | None = None,
        update: bool = False,
        **how: Any,
    ) -> "StyleBank":
        """Read a bank of a path, or "owner/bank" of the cache or the Hugging Face Hub; see `hub.fetch` and `load`."""
        found = hub.fetch(name, revision=revision, token=token, cache_dir=cache_dir, update=update)
        return cls.load(found, **how)

    def push_to_hub(self, name: str, **how: Any) -> str:
        """Publish the bank as "owner/bank" on the Hugging Face Hub; the commit. See `hub.push`."""
        return hub.push(self.contents, name, **how)

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles, in the order of the file."""
        return self.contents.names

    def open(self, image: Picture) -> Canvas[Picture]:
        """An image to be painted more than once: a copy of it, and what the encoder makes of it, are kept.

        Raises:
            ImageError: the tensor is no such image, or the smallest tiles take too much memory.
        """
        if images.is_pil(image):
            return self._canvas(Photo(_upright(image).copy()), regions=1)
        return self._whole(Tensors(_checked(image).clone()))

    def stylize(
        self,
        image: Picture,
        style: Mix,
        *,
        strength: float = 1.0,
        stroke: float = 1.0,
        keep_color: bool = False,
    ) -> Picture:
        """Paint an image in one style or a mixture.

        Args:
            image: see the class.
            style: a style's name, "wave:0.5+scream:0.5@0.8x2", a dict of weights, or a `Mixture`.
            strength: 0, the photo's reconstruction, to 1, the full style. One in the words of `style`, or a
                `Mixture`'s, goes before it.
            stroke: size of strokes and forms, relative to the picture: 1 as designed, 0.5 finer, 2 and 4 larger. One of
                `style` goes before it.
            keep_color: whether the photo's chroma stays, and only its luma is painted.

        Raises:
            UnknownStyleError: the bank has no such style; the message names the nearest.
            ConfigError: a weight, a strength or a stroke is out of range, or the network knows no strength.
            ImageError: the tensor is no such image, or needs more memory than there is.
        """
        canvas = self._open(image, once=True)
        return canvas.stylize(style, strength=strength, stroke=stroke, keep_color=keep_color)

    def fuse(
        self,
        image: Picture,
        regions: Iterable[tuple[Mask, Mix]],
        *,
        rest: Mix = PHOTO,
        strength: float = 1.0,
        stroke: float = 1.0,
        mode: Mode = "exact",
        feather: float = 0.0,
        keep_color: bool = False,
        overlap: Overlap = "over",
        fit: bool = False,
    ) -> Picture:
        """Paint the regions of an image, each in its style or mixture.

        Args:
            image: see the class; the images of a batch share the masks.
            regions: mask and mixture of each, painted in this order. A mask is a PIL image (white is covered, or what
                is not transparent) or an array (H, W), in [0, 1] or of 8 or 16 bits; see `masks`. One of another size
                is resized to the image. In the place of a mixture "photo" leaves a region as it is.
            rest: what pixels get that no mask covers: "photo", themselves, or a mixture.
            strength: of every region that says none of its own.
            stroke: likewise; see `stylize`.
            mode: "exact", "region" or "paper", whose statistics count where styles meet; see `fusion.Mode`.
            feather: width in pixels of the seams that edges of masks are softened to.
            keep_color: see `stylize`.
            overlap: "over", later masks go before earlier ones, or "share", they divide the pixel; see `masks.layout`.
            fit: whether masks of another shape than the image's are stretched to it; else they are refused.

        Raises:
            UnknownStyleError, ConfigError, ImageError: see `stylize`; or a mask is no mask, or of another shape.
        """
        try:
            pairs = [(mask, mix) for mask, mix in regions]
        except (TypeError, ValueError) as error:
            raise ConfigError(f"regions: are no pairs ({error}); give [(mask, style), ...]") from error
        canvas = self._open(image, regions=len(pairs) + (rest != PHOTO))
        return canvas.fuse(
            pairs,
            rest=rest,
            strength=strength,
            stroke=stroke,
            mode=mode,
            feather=feather,
            keep_color=keep_color,
            overlap=overlap,
            fit=fit,
        )

    def stylize_all(
        self,
        photos: "Sequence[Image]",
        style: Mix,
        *,
        strength: float = 1.0,
        stroke: float = 1.0,
        keep_color: bool = False,
    ) -> "list[Image]":
        """Paint PIL images of one size, at once where they fit; see `stylize`."""
        upright = [_upright(photo) for photo in photos]
        if len({photo.size for photo in upright}) != 1:
            raise ImageError(
                f"images: {len(upright)} are not of one size; give at least one, and equal sizes"
            )
        mixed = mixture.of(style, strength=strength, stroke=stroke)
        size = strokes.painted_size((upright[0].height, upright[0].width), [mixed.stroke or stroke])
        if len(upright) == 1 or self._way(size).side is not None:
            canvases = (self._canvas(Photo(photo), once=True) for photo in upright)
            return [one.stylize(mixed, keep_color=keep_color) for one in canvases]
        return list(self._canvas(Photos(upright), once=True).stylize(mixed, keep_color=keep_color))

    def _open(self, image: Picture, *, regions: int = 0, once: bool = False) -> Canvas[Picture]:
        if images.is_pil(image):
            return self._canvas(Photo(_upright(image)), regions=regions, once=once)
        return self._whole(Tensors(_checked(image)), once=once)

    def _whole(self, image: Tensors, *, once: bool = False) -> "Canvas[Tensor]":
        return Canvas(self.contents, image, lambda _: Way(self.stages), once=once)

    def _canvas(self, photos: Source[Made], *, regions: int = 0, once: bool = False) -> Canvas[Made]:
        def way(size: Size) -> Way:
            return self._way(size, regions=regions)

        return Canvas(self.contents, photos, way, report=self._tiling.progress, once=once)

    def _way(self, size: Size, *, regions: int = 0) -> Way:
        """How images of a size are painted: whole, if they fit."""
        side = budget.tile_side_at_rest(
            self._tiling,
            self.contents,
            self.stages,
            size,
            self._tiles,
            regions=regions,
            taken=self._taken,
            cores=self._tiles_at_once,
        )
        return Way(self.stages) if side is None else Way(self._for_tiles(), side, self._in_tiles)

    def _for_tiles(self) -> Stages:
        """The engine as it paints tiles, several at the same time."""
        if self.stages.workers == self._tiles_at_once:
            return self.stages
        with self._in_tiles:
            self._tiles = self._tiles or self.computing.stages(
                self.contents, workers=self._tiles_at_once, threads=1
            )
            return self._tiles


def _upright(photo: "Image") -> "Image":
    if not images.is_pil(photo):
        raise ImageError(f"image: is a {type(photo).__name__}; give a PIL image")
    if 0 in photo.size:
        raise ImageError(f"image: has no pixels ({photo.size[0]} x {photo.size[1]}); give another")
    try:
        photo.load()  # here: later on several threads would read the file at the same time
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"image: cannot be read ({error}); give another") from error
    return srgb.upright_rgb(photo)


def _checked(image: "Tensor") -> "Tensor":
    if not hasattr(image, "is_floating_point"):
        raise ImageError(f"image: is a {type(image).__name__}; give a PIL image, or a float tensor")
    if not image.is_floating_point() or image.ndim not in (3, 4) or image.shape[-3] != 3 or not image.numel():
        raise ImageError(
            f"image tensor: is {tuple(image.shape)} {image.dtype}; give (3, H, W) or (B, 3, H, W), float in [0, 1]"
        )
    return image

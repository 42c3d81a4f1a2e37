"""The layered five-image style set: one image for each of relu1_1, relu2_1, relu3_1, relu4_1, relu5_1.

Image l supervises only VGG layer l, with its own weight: relu1_1 sees the finest marks and the colours, relu5_1
the largest forms. One painting at all five layers is the usual style; a set of different images takes fine marks
from one and large forms from another ("LayerNeuralStylize", the source of the idea, asserts exactly five).

Decides which image, which crop and which size each layer sees, and records it so that anybody can rebuild the
supervising image: cut the crop, then resize it by Lanczos resampling. Does not run VGG. An experiment with other
`style_layers` (the paper's own four) takes styles of one image only.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylebank import config
from stylebank.config import Style
from stylebank.errors import ConfigError, StyleSetError
from stylebank.files import atomic
from stylebank.pixels import images, resampling
from stylebank.supervision import image_words
from stylebank.supervision.image_words import SMALLEST_CROP

if TYPE_CHECKING:
    from torch import Tensor

BLANK = image_words.BLANK
"""In the place of a file name: an image whose every pixel is white, (255, 255, 255)."""

ZOOMS = (1, 2, 4, 8)
"""A zoom recipe's crops show 1, 1/2, 1/4 and 1/8 of the large image's sides."""


@dataclass(frozen=True)
class LayerImage:
    """What supervises one VGG layer of one style.

    Attributes:
        layer: VGG layer name.
        source: file name without folders, or "blank".
        sha256: digest of the file, empty for "blank".
        crop: (left, top, width, height) in pixels of the upright image.
        size: (H, W) in pixels that the crop is resized to.
        weight: of the layer's loss; a style's loss is the mean of its weighted layers.
        path: where the file lies on this machine; None once the style is read back from a bank.
    """

    layer: str
    source: str
    sha256: str
    crop: tuple[int, int, int, int]
    size: tuple[int, int]
    weight: float
    path: Path | None = None

    def load(self) -> "Tensor":
        """The supervising image: (1, 3, H, W) float32 in [0, 1], sRGB.

        Raises:
            ImageError: the file cannot be read.
        """
        if self.source == BLANK:
            import torch

            return torch.ones(1, 3, *self.size)
        assert self.path is not None, "a style read from a bank has no files"
        left, top, width, height = self.crop
        image = images.read(self.path).crop((left, top, left + width, top + height))
        return images.to_tensor(resampling.resized(image, size=self.size))

    def same_image(self) -> "LayerImage":
        """The image alone, without layer and weight: equal for two layers that see the same pixels."""
        return replace(self, layer="", weight=0.0)

    def to_manifest(self) -> dict[str, Any]:
        """Plain JSON data; no path of this machine."""
        return {
            "layer": self.layer,
            "file": self.source,
            "sha256": self.sha256,
            "crop": list(self.crop),
            "size": list(self.size),
            "weight": self.weight,
        }


@dataclass(frozen=True)
class StyleSet:
    """A style ready to supervise: its name, filter size, and one image per VGG layer; a mixture of styles has none."""

    name: str
    kernel: int
    layers: tuple[LayerImage, ...]

    @property
    def is_layered(self) -> bool:
        """Whether its layers see different images."""
        return len({image.same_image() for image in self.layers}) > 1

    def pictures(self) -> "list[Tensor]":
        """Its distinct images, (1, 3, H, W) in [0, 1] each.

        Raises:
            ImageError: one cannot be read.
        """
        return [image.load() for image in {image.same_image(): image for image in self.layers}.values()]

    def runs(self) -> list[tuple[str, LayerImage]]:
        """Neighbouring layers with one image and weight, "relu1_1 to relu3_1" or "relu4_1", and the first of each."""
        found = []
        for _, group in groupby(self.layers, lambda image: (image.same_image(), image.weight)):
            first, *others = group
            found.append((f"{first.layer} to {others[-1].layer}" if others else first.layer, first))
        return found

    def located(self, *folders: Path) -> "StyleSet":
        """The same, with the images of a style that was read from a bank found below folders, by name and content.

        Raises:
            StyleSetError: one is not there.
        """
        found: dict[str, list[Path]] = {}
        for path in sorted(path for folder in folders for path in folder.rglob("*")):
            found.setdefault(path.name, []).append(path)
        return replace(
            self, layers=tuple(_located(image, found, folders[0], self.name) for image in self.layers)
        )

    def to_manifest(self) -> dict[str, Any]:
        """Plain JSON data, the inverse of `from_manifest`."""
        return {"name": self.name, "kernel": self.kernel, "layers": [x.to_manifest() for x in self.layers]}


def from_manifest(data: Any) -> StyleSet:
    """Read a style set back from JSON data.

    Raises:
        StyleSetError: the data is not what `to_manifest` writes.
    """
    try:
        layers = tuple(
            LayerImage(
                layer=str(entry["layer"]),
                source=str(entry["file"]),
                sha256=str(entry["sha256"]),
                crop=_integers(entry["crop"], 4),
                size=_integers(entry["size"], 2),
                weight=float(entry["weight"]),
            )
            for entry in data["layers"]
        )
        style = StyleSet(name=str(data["name"]), kernel=int(data["kernel"]), layers=layers)
        config.check_name(style.name, where="style manifest", is_new=False)
        if style.to_manifest() != data or not _is_in_range(style):
            raise ValueError("a value is of another type, or out of range")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise StyleSetError(f"style manifest: is malformed ({error!r}); the file is damaged") from error
    return style


def resolve(style: Style, layers: Sequence[str], weights: Sequence[float]) -> StyleSet:
    """Find and measure the images of a style as it was written down.

    Args:
        style: one [[style]] entry.
        layers: VGG layer names of the experiment, L of them.
        weights: their L weights, multiplied with the style's own.

    Raises:
        StyleSetError: not one and not five images, no or two ways of saying which, a recipe that cannot be cut, no
            layer with a weight.
        ImageError: a file cannot be read.
    """
    given = [key for key in ("image", "images", "zoom") if getattr(style, key)]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise StyleSetError(f"style '{style.name}': says {found}; give one of image, images, zoom, set")
    combined = weights_of(style, weights)
    found_images = _images(style, len(layers))
    return StyleSet(
        name=style.name,
        kernel=style.kernel,
        layers=tuple(
            replace(image, layer=layer, weight=weight)
            for image, layer, weight in zip(found_images, layers, combined, strict=True)
        ),
    )


def weights_of(style: Style, weights: Sequence[float]) -> list[float]:
    """The L weights of a style's layers: its own times those of the experiment.

    Raises:
        StyleSetError: it has not one for each layer, one is negative or endless, or no layer has any.
    """
    own = style.weights or (1.0,) * len(weights)
    if len(own) != len(weights) or not all(0 <= w < math.inf for w in own) or sum(own) == 0:
        raise StyleSetError(
            f"style '{style.name}': weights {list(own)} do not fit; give {len(weights)} numbers, "
            "none negative, not all zero"
        )
    combined = [a * b for a, b in zip(own, weights, strict=True)]
    if not any(combined) or not all(map(math.isfinite, combined)):
        what = "endless" if any(combined) else "all zero: nothing would teach it"
        raise StyleSetError(
            f"style '{style.name}': its weights {list(own)} times layer_weights {list(weights)} are {what}; "
            "give a layer a weight in both"
        )
    return combined


def files_of(style: Style) -> list[Path]:
    """The image files that a style names."""
    names = [name for name in (style.image, *style.images, *style.zoom) if name and name != BLANK]
    return [image_words.split(style, name)[0] for name in names]


def _images(style: Style, count: int) -> list[LayerImage]:
    if style.image:
        return [_whole(style, style.image)] * count
    if count != 5:
        raise StyleSetError(
            f"style '{style.name}': is a layered set, but the experiment has {count} style layers; "
            "layered sets need the five relu1_1 ... relu5_1"
        )
    if style.images:
        if len(style.images) != 5:
            raise StyleSetError(
                f"style '{style.name}': has {len(style.images)} images; give one for all layers, or five: for "
                "relu1_1 (finest marks, colour), relu2_1, relu3_1, relu4_1, relu5_1 (largest forms)"
            )
        return [_whole(style, image) for image in style.images]
    return _zoom(style)


def _zoom(style: Style) -> list[LayerImage]:
    """Centred crops in layer order: the whole image has the finest marks, its eighth the largest."""
    if len(style.zoom) != 2:
        raise StyleSetError(
            f"style '{style.name}': zoom has {len(style.zoom)} images; give two, the large one and the second"
        )
    if style.rest_layer not in ("relu1_1", "relu5_1"):
        raise StyleSetError(
            f"style '{style.name}': rest_layer '{style.rest_layer}' is at neither end; use relu1_1 or relu5_1"
        )
    whole, rest = (_whole(style, image) for image in style.zoom)
    left, top, width, height = whole.crop
    if min(width, height) // ZOOMS[-1] < SMALLEST_CROP:
        raise StyleSetError(
            f"style '{style.name}': {whole.source} is too small to zoom ({width} x {height} px); "
            f"use one of at least {ZOOMS[-1] * SMALLEST_CROP} px on its short side"
        )
    crops = []
    for zoom in ZOOMS:
        w, h = width // zoom, height // zoom
        crops.append(replace(whole, crop=(left + (width - w) // 2, top + (height - h) // 2, w, h)))
    return [*crops, rest] if style.rest_layer == "relu5_1" else [rest, *crops]


def _whole(style: Style, name: str) -> LayerImage:
    """One image, or the part that its name asks for, resized to the style's long side; layer and weight are open."""
    if name == BLANK:
        side = style.size
        return LayerImage("", BLANK, "", (0, 0, side, side), (side, side), 1.0)
    path, box = image_words.split(style, name)
    width, height = images.read(path).size
    crop = image_words.crop(style, box, width, height) if box else (0, 0, width, height)
    scale = style.size / max(crop[2:])
    # 32 px: below it relu5_1 would be a map of one or two cells.
    size = (max(32, round(crop[3] * scale)), max(32, round(crop[2] * scale)))
    return LayerImage("", path.name, atomic.sha256_file(path), crop, size, 1.0, path)


def _located(image: LayerImage, found: Mapping[str, list[Path]], folder: Path, style: str) -> LayerImage:
    if image.source == BLANK:
        return image
    for path in found.get(image.source, []):
        if path.is_file() and atomic.sha256_file(path) == image.sha256:
            return replace(image, path=path)
    raise StyleSetError(
        f"style '{style}': its image {image.source} (sha256 {image.sha256[:12]}) is not below {folder}; say where it is"
    )


def _is_in_range(style: StyleSet) -> bool:
    images_fit = (min(*x.size, *x.crop[2:]) > 0 and 0 <= x.weight < math.inf for x in style.layers)
    return style.kernel in range(1, 16, 2) and all(images_fit)


def _integers(values: Any, count: int) -> Any:
    if len(values) != count or not all(type(value) is int and value >= 0 for value in values):
        raise ConfigError(f"{values!r} is not {count} whole numbers")
    return tuple(values)

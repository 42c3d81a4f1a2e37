"""What is painted, and the form in which the picture comes back: PIL images, or tensors."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from stylebank.engines.stages import Array, Stages
from stylebank.pixels import images

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

Made_co = TypeVar("Made_co", covariant=True)


class Source(Protocol[Made_co]):
    """What is painted, and the form in which the picture comes back.

    Attributes:
        size: (H, W).
        count: B.
    """

    size: tuple[int, int]
    count: int

    def read(self, stages: Stages, top: int, left: int, bottom: int, right: int) -> Array:
        """A part (B, 3, h, w) in [0, 1], sRGB."""

    def collect(self, stages: Stages, painted: Iterator[tuple[int, int, Array]]) -> Made_co:
        """The picture of its parts: top and left of each, and (B, 3, h, w) in [0, 1]; one is the whole."""


class Photos:
    """Upright RGB images of one size, of which pictures of that size are made."""

    def __init__(self, photos: "Sequence[Image]") -> None:
        self._photos = photos
        self.size, self.count = (photos[0].height, photos[0].width), len(photos)

    def read(self, stages: Stages, top: int, left: int, bottom: int, right: int) -> Array:
        """See `Source`."""
        whole = (top, left, bottom, right) == (0, 0, *self.size)
        parts = self._photos if whole else [photo.crop((left, top, right, bottom)) for photo in self._photos]
        return stages.photo(np.stack([images.to_pixels(part) for part in parts]))

    def collect(self, stages: Stages, painted: "Iterator[tuple[int, int, Array]]") -> "list[Image]":
        """See `Source`."""
        pictures: list[Image] = []
        for top, left, output in painted:
            parts = [images.from_pixels(pixels) for pixels in stages.pixels(output)]
            if parts[0].size == self._photos[0].size:
                return parts
            pictures = pictures or [images.blank(self.size) for _ in parts]
            for picture, part in zip(pictures, parts, strict=True):
                picture.paste(part, (left, top))
        return pictures


class Photo:
    """One upright RGB image; see `Photos`."""

    def __init__(self, photo: "Image") -> None:
        self._photos = Photos([photo])
        self.size, self.count = self._photos.size, 1
        self.read = self._photos.read

    def collect(self, stages: Stages, painted: "Iterator[tuple[int, int, Array]]") -> "Image":
        """See `Source`."""
        return self._photos.collect(stages, painted)[0]


class Tensors:
    """A batch (B, 3, H, W) or an image (3, H, W); the picture is a tensor of its shape, kind and device."""

    def __init__(self, image: "Tensor") -> None:
        self._image = image
        self.size, self.count = (image.shape[-2], image.shape[-1]), len(image) if image.ndim == 4 else 1

    def read(self, stages: Stages, top: int, left: int, bottom: int, right: int) -> Array:
        """See `Source`."""
        batch = self._image if self._image.ndim == 4 else self._image.unsqueeze(0)
        return stages.array(batch[..., top:bottom, left:right])

    def collect(self, _stages: Stages, painted: "Iterator[tuple[int, int, Array]]") -> "Tensor":
        """See `Source`."""
        import torch

        ((_, _, output),) = painted  # tensors are painted whole
        return torch.as_tensor(output).to(self._image.device, self._image.dtype).reshape(self._image.shape)

"""What is painted, at any size, and the form in which the picture comes back: PIL images, or tensors."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from stylebank.engines.stages import Array, Stages
from stylebank.pixels import images, resampling
from stylebank.priming import ground

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

Made_co = TypeVar("Made_co", covariant=True)

Own = TypeVar("Own", bound="Source[object]")

Parts = Iterator[tuple[int, int, Array]]
"""Of a picture: top and left of each, and (B, 3, h, w) in [0, 1]; one is the whole."""


class Source(Protocol[Made_co]):
    """What is painted, and the form in which the picture comes back.

    Attributes:
        size: (H, W).
        count: B.
    """

    size: tuple[int, int]
    count: int

    @property
    def picture(self) -> Made_co:
        """In the form in which it was given."""

    def read(self, stages: Stages, top: int, left: int, bottom: int, right: int) -> Array:
        """A part (B, 3, h, w) in [0, 1], sRGB."""

    def resized(self, size: tuple[int, int]) -> "Source[Made_co]":
        """The same at another size (H, W), by bicubic resampling."""

    def primed(self, share: float) -> "Source[Made_co]":
        """The same as a first pass wants it; see `ground.primed`."""

    def ground(self: Own, photo: Own, before: Own, share: float) -> Own:
        """This painting enlarged to a photo's size, and a share of the detail that the photo has only there.

        Args:
            photo: of any size.
            before: the photo at the painting's size.
            share: 0 for the enlarged painting alone, to 1.
        """

    def settled(self: Own, over: Own, keep: float) -> Own:
        """The marks of this picture; of its forms a share `keep`, the rest of what it was painted over."""

    def painted(self, stages: Stages, parts: Parts) -> "Source[Made_co]":
        """The picture of its parts, of this size, as something to paint."""


class Photos:
    """Upright RGB images of one size, of which pictures are made; levels are rounded at every size."""

    def __init__(self, photos: "Sequence[Image]") -> None:
        self.picture = photos
        self.size, self.count = (photos[0].height, photos[0].width), len(photos)

    def read(self, stages: Stages, top: int, left: int, bottom: int, right: int) -> Array:
        """See `Source`."""
        whole = (top, left, bottom, right) == (0, 0, *self.size)
        parts = self.picture if whole else [photo.crop((left, top, right, bottom)) for photo in self.picture]
        return stages.photo(np.stack([images.to_pixels(part) for part in parts]))

    def resized(self, size: tuple[int, int]) -> "Photos":
        """See `Source`."""
        if size == self.size:
            return self
        return Photos([resampling.resampled(photo, size=size) for photo in self.picture])

    def primed(self, share: float) -> "Photos":
        """See `Source`."""
        return Photos([_primed(photo, share) for photo in self.picture])

    def ground(self, photo: "Photos", before: "Photos", share: float) -> "Photos":
        """See `Source`."""
        found = zip(self.picture, photo.picture, before.picture, strict=True)
        return Photos([resampling.detailed(*three, share) for three in found])

    def settled(self, over: "Photos", keep: float) -> "Photos":
        """See `Source`."""
        found = zip(self.picture, over.picture, strict=True)
        return Photos([resampling.settled(*both, keep) for both in found])

    def painted(self, stages: Stages, parts: Parts) -> "Photos":
        """See `Source`."""
        pictures: list[Image] = []
        for top, left, output in parts:
            found = [images.from_pixels(pixels) for pixels in stages.pixels(output)]
            if found[0].size == self.picture[0].size:
                return Photos(found)
            pictures = pictures or [images.blank(self.size) for _ in found]
            for picture, part in zip(pictures, found, strict=True):
                picture.paste(part, (left, top))
        return Photos(pictures)


class Photo:
    """One upright RGB image; see `Photos`."""

    def __init__(self, photo: "Image") -> None:
        self.picture, self._photos = photo, Photos([photo])
        self.size, self.count = self._photos.size, 1
        self.read = self._photos.read

    def resized(self, size: tuple[int, int]) -> "Photo":
        """See `Source`."""
        return Photo(self._photos.resized(size).picture[0])

    def primed(self, share: float) -> "Photo":
        """See `Source`."""
        return Photo(_primed(self.picture, share))

    def ground(self, photo: "Photo", before: "Photo", share: float) -> "Photo":
        """See `Source`."""
        return Photo(resampling.detailed(self.picture, photo.picture, before.picture, share))

    def settled(self, over: "Photo", keep: float) -> "Photo":
        """See `Source`."""
        return Photo(resampling.settled(self.picture, over.picture, keep))

    def painted(self, stages: Stages, parts: Parts) -> "Photo":
        """See `Source`."""
        return Photo(self._photos.painted(stages, parts).picture[0])


class Tensors:
    """A batch (B, 3, H, W) or an image (3, H, W); the picture is a tensor of its shape, kind and device."""

    def __init__(self, image: "Tensor") -> None:
        self.picture = image
        self._batch = image if image.ndim == 4 else image.unsqueeze(0)
        self.size, self.count = (image.shape[-2], image.shape[-1]), len(self._batch)

    def read(self, stages: Stages, top: int, left: int, bottom: int, right: int) -> Array:
        """See `Source`."""
        return stages.array(self._batch[..., top:bottom, left:right])

    def resized(self, size: tuple[int, int]) -> "Tensors":
        """See `Source`; in float32."""
        if size == self.size:
            return self
        from stylebank.network import tensors

        found = tensors.resized(self._batch.detach(), size)
        return Tensors(found if self.picture.ndim == 4 else found[0])

    def primed(self, share: float) -> "Tensors":
        """See `Source`; in float32."""
        from stylebank.network import tensors

        found = tensors.primed(self._batch, share)
        return Tensors(found if self.picture.ndim == 4 else found[0])

    def ground(self, photo: "Tensors", before: "Tensors", share: float) -> "Tensors":
        """See `Source`."""
        enlarged = self.resized(photo.size).picture
        if not share:
            return Tensors(enlarged)
        detail = photo.picture.detach().float() - before.resized(photo.size).picture
        return Tensors((enlarged + share * detail).clamp(0, 1))

    def settled(self, over: "Tensors", keep: float) -> "Tensors":
        """See `Source`; in float32."""
        half = ((self.size[0] + 1) // 2, (self.size[1] + 1) // 2)
        own = self.picture.detach().float()
        forms, blurred = (source.resized(half).resized(self.size).picture for source in (over, self))
        return Tensors((own + (1 - keep) * (forms - blurred)).clamp(0, 1).to(self.picture.dtype))

    def painted(self, _stages: Stages, parts: Parts) -> "Tensors":
        """See `Source`."""
        import torch

        ((_, _, output),) = parts  # tensors are painted whole
        own = self.picture
        return Tensors(torch.as_tensor(output).to(own.device, own.dtype).reshape(own.shape))


def _primed(photo: "Image", share: float) -> "Image":
    values = images.to_pixels(photo).transpose(2, 0, 1) * np.float32(1 / 255)
    levels = np.rint(ground.primed(values, share) * 255).astype(np.uint8)
    return images.from_pixels(np.ascontiguousarray(levels.transpose(1, 2, 0)))

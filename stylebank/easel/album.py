"""Photos that the page has sent, in memory: the last few of them, each with its masks.

Nothing of them is ever written to a disk. What has to give way is asked for again by 410, and the page sends it again.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from threading import RLock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stylebank.easel import refusals
from stylebank.errors import ImageError
from stylebank.photos import originals
from stylebank.photos.originals import Original
from stylebank.pixels import images, masks

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PHOTOS = 6
MOST_BYTES = 1_500_000_000
"""Decoded, of all photos; one alone may have more."""

MOST_MASKS = 64
"""Of a photo."""
MASK_PIXELS = 50_000_000
_MASK_BYTES = 400_000_000  # of a photo's masks
_RESIZED = 64  # masks that are kept at the sizes of previews

MOST_PAINTINGS, PAINTING_BYTES = 16, 400_000_000
"""That are kept for new styles, and the bytes of their files in all."""

_LARGEST = 12
"""Labels of a label image that become masks: the largest."""

Floats = NDArray[np.float32]


@dataclass
class Photograph:
    """A photo and its masks.

    Attributes:
        id: 16 digits of the SHA-256 of the file's bytes: the same photo, the same id.
        name: of the file, without folders; for people, never opened.
        original: the photo as its file has it.
    """

    id: str
    name: str
    original: Original
    _masks: OrderedDict[str, NDArray[np.uint8]] = field(default_factory=OrderedDict)
    _resized: OrderedDict[tuple[str, tuple[int, int]], Floats] = field(default_factory=OrderedDict)
    _lock: RLock = field(default_factory=RLock)

    @property
    def image(self) -> "Image":
        """The photo upright, RGB."""
        return self.original.image

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.image.height, self.image.width

    @property
    def bytes(self) -> int:
        """That it takes decoded; Pillow keeps four for each pixel, and one more of an alpha."""
        return self.size[0] * self.size[1] * (5 if self.original.alpha else 4)

    def add_mask(self, mask: Floats) -> str:
        """Keep a mask (h, w) in [0, 1]; its digest.

        Raises:
            ImageError: it has another shape than the photo.
        """
        masks.check_shape("mask", mask.shape, self.size, remedy="send one of the photo's shape")
        levels = np.rint(mask * 255).astype(np.uint8)
        facts = hashlib.sha256(f"{levels.shape}".encode() + levels.tobytes())
        digest = facts.hexdigest()[:16]
        with self._lock:
            self._masks[digest] = levels
            self._masks.move_to_end(digest)
            while len(self._masks) > 1 and (
                len(self._masks) > MOST_MASKS
                or sum(each.nbytes for each in self._masks.values()) > _MASK_BYTES
            ):
                self._masks.popitem(last=False)
        return digest

    def levels(self, digest: str) -> NDArray[np.uint8]:
        """A mask's grey levels (h, w), as its file has them.

        Raises:
            RefusedError: it is no longer here.
        """
        with self._lock:
            if digest not in self._masks:
                raise refusals.gone("mask", mask=digest[:64])
            self._masks.move_to_end(digest)
            return self._masks[digest]

    def cover(self, digest: str, size: tuple[int, int]) -> Floats:
        """A mask at the size (H, W) of a preview, kept at that.

        Raises:
            RefusedError: it is no longer here.
        """
        levels = self.levels(digest)
        with self._lock:
            if (digest, size) not in self._resized:
                self._resized[digest, size] = cover(levels, size)
                while len(self._resized) > _RESIZED:
                    self._resized.popitem(last=False)
            return self._resized[digest, size]


def cover(levels: NDArray[np.uint8], size: tuple[int, int]) -> Floats:
    """A mask (H, W) of grey levels (h, w), as the command line reads it from their file."""
    return masks.resized(masks.of(levels), size)


class Album:
    """The photos, the one asked for last at the end; those at the beginning give way."""

    def __init__(self) -> None:
        self._photos: OrderedDict[str, Photograph] = OrderedDict()
        self._lock, self._kept = RLock(), ""

    def add(self, data: bytes, name: str, *, keep: bool = False) -> Photograph:
        """Decode a photo and take it in.

        Args:
            data: the bytes of its file.
            name: what the file is called.
            keep: whether it never gives way: the page could not send it again.

        Raises:
            ImageError: see `originals.read_bytes`.
        """
        identity = hashlib.sha256(data).hexdigest()[:16]
        with self._lock:
            if identity in self._photos:
                self._photos.move_to_end(identity)
                return self._photos[identity]
        found = Photograph(identity, plain_name(name), originals.read_bytes(data, plain_name(name)))
        with self._lock:
            self._photos.setdefault(identity, found)
            self._photos.move_to_end(identity)
            self._kept = identity if keep else self._kept
            self._make_room()
            return self._photos[identity]

    def get(self, identity: str) -> Photograph:
        """A photo.

        Raises:
            RefusedError: it is not here, or no longer.
        """
        with self._lock:
            if identity not in self._photos:
                raise refusals.gone("photo")
            self._photos.move_to_end(identity)
            return self._photos[identity]

    def holds(self, identity: str) -> bool:
        """Whether a photo is here still; it is not counted as asked for."""
        with self._lock:
            return identity in self._photos

    def _make_room(self) -> None:
        while len(self._photos) > 1 and (
            len(self._photos) > MOST_PHOTOS or sum(each.bytes for each in self._photos.values()) > MOST_BYTES
        ):
            oldest = next((key for key in list(self._photos)[:-1] if key != self._kept), None)
            if oldest is None:
                return
            del self._photos[oldest]


@dataclass(frozen=True)
class Painting:
    """A painting that the page has sent to make a style of: the bytes of its file, and its size in pixels."""

    name: str
    data: bytes
    width: int
    height: int


class Paintings:
    """The last few of them."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, Painting] = OrderedDict()
        self._lock = RLock()

    def add(self, data: bytes, name: str) -> tuple[str, Painting]:
        """Take one in; its id.

        Raises:
            ImageError: it is no image.
        """
        identity = hashlib.sha256(data).hexdigest()[:16]
        image = images.read_bytes(data, plain_name(name))
        made = Painting(plain_name(name), data, image.width, image.height)
        with self._lock:
            self._found[identity] = made
            self._found.move_to_end(identity)
            while len(self._found) > 1 and (
                len(self._found) > MOST_PAINTINGS
                or sum(len(each.data) for each in self._found.values()) > PAINTING_BYTES
            ):
                self._found.popitem(last=False)
        return identity, made

    def get(self, identity: str) -> Painting:
        """One of them.

        Raises:
            RefusedError: it is no longer here.
        """
        with self._lock:
            if identity not in self._found:
                raise refusals.gone("painting", image=identity)
            return self._found[identity]


def plain_name(name: str) -> str:
    """A file's name without folders and what no name holds; never empty."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(letter for letter in last if letter.isprintable())[-120:] or "photo"


def mask_of(data: bytes) -> Floats:
    """A mask of the bytes of an image file; see `masks`.

    Raises:
        ImageError: they are none.
    """
    return masks.read_mask(Path("mask"), data=data, max_pixels=MASK_PIXELS)


def masks_in(data: bytes, name: str, photo: Photograph) -> list[tuple[str, Floats]]:
    """Names and masks (h, w) of a file: itself, or one of each label, the largest first.

    What has two values, is grey and soft, or transparent in parts, is one mask; else each of its labels is one.

    Raises:
        ImageError: it is no image, or of another shape than the photo.
    """
    path = Path(plain_name(name))
    labels = masks.read_labels(path, data=data, max_pixels=MASK_PIXELS) if _has_labels(data, path) else None
    if labels is None:
        return [(path.stem, masks.read_mask(path, data=data, max_pixels=MASK_PIXELS))]
    masks.check_shape(path.name, labels.values.shape, photo.size, remedy="send one of the photo's shape")
    settled = labels.settled()
    found = [(settled.shown(label), settled.mask(label)) for label in settled.found()[:_LARGEST]]
    if not found:
        raise ImageError(f"{path.name}: holds no labels; send another")
    return found


def _has_labels(data: bytes, path: Path) -> bool:
    """Whether an image file is more than one mask: a palette, colours, or a few greys beside black and white."""
    image = images.read_unconverted(path, data=data, max_pixels=MASK_PIXELS)
    if image.mode in ("1", "LA", "La", "F") or image.mode.startswith("I"):
        return image.mode.startswith("I")
    if image.mode in ("RGBA", "PA") and image.getextrema()[-1] != (255, 255):
        return False
    if image.mode == "P":
        return len(image.getcolors(256) or ()) > 2
    pixels = images.to_pixels(image.convert("RGB"))
    if (pixels != pixels[..., :1]).any():
        return True
    levels = np.unique(pixels[..., 0])
    return 2 < len(levels) <= _LARGEST

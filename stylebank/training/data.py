"""Endless, seekable stream of content crops.

Batch n is a function of (photos, seed, n) alone: to resume a run its step is all there is to remember. Photos come
in a new order every epoch; each draw picks a scale, a place and a mirroring. Decoding runs ahead in threads, and
decoded photos are kept in memory up to a budget.

A photo that cannot be read is replaced by the next one in the list, and reported once.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from stylebank.config import Training
from stylebank.errors import ContentError, ImageError
from stylebank.machine import devices
from stylebank.pixels import images, resampling

if TYPE_CHECKING:
    from PIL.Image import Image

CACHE_BYTES = 4 << 30
"""Decoded photos kept in memory, at 3 bytes a pixel; the rest are decoded anew each epoch."""

_GIVE_UP = 64  # unreadable photos in a row

Reporter = Callable[[str], None]


def hold_back(photos: Sequence[Path], folder: Path, count: int) -> tuple[list[Path], list[Path]]:
    """Split photos into (training, held back); at most a quarter is held back.

    The choice goes by the digest of the path inside the folder: more photos later move few between the two.
    """
    count = min(count, len(photos) // 4)
    by_digest = sorted(photos, key=lambda photo: hashlib.sha256(_inner_path(photo, folder)).digest())
    held = set(by_digest[:count])
    return [photo for photo in photos if photo not in held], by_digest[:count]


def digest(photos: Iterable[Path], folder: Path) -> str:
    """SHA-256 over paths inside the folder and file sizes: whether a resumed run has the same list."""
    sha = hashlib.sha256()
    for photo in photos:
        size = photo.stat().st_size if photo.exists() else 0  # a link to nowhere is one more broken photo
        sha.update(_inner_path(photo, folder) + b"\0" + str(size).encode() + b"\n")
    return sha.hexdigest()


def read_squares(
    photos: Sequence[Path],
    side: int,
    report: Reporter,
    *,
    count: int | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Tensor:
    """Centre squares of photos for previews and figures: (B, 3, side, side) float32 in [0, 1], sRGB.

    Photos that cannot be read are reported and left out; B is at most `count`. `progress` is told how many there are.

    Raises:
        ContentError: none of them can be read.
    """
    squares: list[Tensor] = []
    for photo in photos:
        if len(squares) == count:
            break
        try:
            image = images.read(photo)
        except ImageError as error:
            report(f"{error}; skipped")
            continue
        short = min(image.size)
        left, top = ((length - short) / 2 for length in image.size)
        box = (left, top, left + short, top + short)
        squares.append(images.to_tensor(resampling.resized(image, size=(side, side), box=box)))
        progress(len(squares))
    if not squares:
        raise ContentError(
            f"{photos[0].parent}: none of {len(photos)} photos can be read; check the content folder"
        )
    return torch.cat(squares)


def draw_styles(count: int, *, batch: int, seed: int, number: int) -> list[int]:
    """The style indices Y of stylizing batch `number`: every style once before any comes again."""
    return [
        int(_shuffled(seed, 2, count, draw // count)[draw % count])
        for draw in range(number * batch, (number + 1) * batch)
    ]


class ContentStream:
    """Random square crops of photos: `stream.batch(n)` is (B, 3, crop, crop) float32 in [0, 1], sRGB.

    Args:
        photos: files; their order matters.
        crop: side in pixels.
        batch: B.
        places: the places of each batch to make, for a process that works on a part of it; all by default.
        zoom: a crop shows the photo at a short side of 1 to `zoom` times the crop, log-uniform.
        seed: of everything random.
        report: is told once of each photo that cannot be read.
        workers: decoding threads; half of the cores by default, and at least two.
        pinned: whether batches lie in memory that a GPU fetches them from while it works.
    """

    def __init__(
        self,
        photos: Sequence[Path],
        *,
        crop: int,
        batch: int,
        zoom: float,
        seed: int,
        report: Reporter,
        places: range | None = None,
        workers: int | None = None,
        pinned: bool = False,
    ) -> None:
        self._photos = list(photos)
        self._crop, self._batch, self._zoom, self._seed = crop, batch, zoom, seed
        self._places = places or range(batch)
        self._report = report
        self._lock = Lock()
        self._cache: dict[int, Image] = {}
        self._cached_bytes = 0
        self._broken: set[int] = set()
        workers = workers or max(2, devices.cores() // 2)
        self._pinned, self._ahead = pinned, 2 * workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="content")
        self._pending: dict[int, Future[Tensor]] = {}

    @classmethod
    def of(
        cls,
        training: Training,
        photos: Sequence[Path],
        *,
        report: Reporter,
        batch: int | None = None,
        places: range | None = None,
        pinned: bool = False,
    ) -> "ContentStream":
        """The stream that an experiment asks for, in its batches or in batches of another size, or in parts of them."""
        return cls(
            photos,
            crop=training.crop,
            batch=batch or training.batch,
            zoom=training.zoom,
            seed=training.seed,
            report=report,
            places=places,
            pinned=pinned,
        )

    def batch(self, number: int) -> Tensor:
        """Batch `number` >= 0; the next few are made ready in the background.

        Raises:
            ContentError: too many photos in a row cannot be read.
        """
        for ahead in range(number, number + self._ahead):
            if ahead not in self._pending:
                self._pending[ahead] = self._pool.submit(self._make, ahead)
        for stale in [n for n in self._pending if not number <= n < number + self._ahead]:
            self._pending.pop(stale).cancel()
        return self._pending.pop(number).result()

    def close(self) -> None:
        """Stop the decoding threads."""
        self._pool.shutdown(cancel_futures=True)

    def _make(self, number: int) -> Tensor:
        crops = torch.cat([self._draw(number * self._batch + place) for place in self._places])
        return crops.pin_memory() if self._pinned else crops

    def _draw(self, draw: int) -> Tensor:
        epoch, place = divmod(draw, len(self._photos))
        image = self._photo(int(_shuffled(self._seed, 0, len(self._photos), epoch)[place]))
        random = np.random.default_rng((self._seed, 1, draw))
        width, height = image.size
        side = min(width, height) / self._zoom ** random.random()
        left, top = random.random() * (width - side), random.random() * (height - side)
        box = (left, top, left + side, top + side)
        crop = images.to_tensor(resampling.resized(image, size=(self._crop, self._crop), box=box))
        return crop.flip(3) if random.random() < 0.5 else crop

    def _photo(self, index: int) -> "Image":
        """The photo at this place of the list, or the next one that can be read."""
        for offset in range(min(_GIVE_UP, len(self._photos))):
            found = (index + offset) % len(self._photos)
            if found in self._cache:
                return self._cache[found]
            if found in self._broken:
                continue
            try:
                image = self._small(images.read(self._photos[found]))
            except ImageError as error:
                self._mark_broken(found, error)
                continue
            self._keep(found, image)
            return image
        raise ContentError(
            f"{self._photos[index].parent}: {min(_GIVE_UP, len(self._photos))} photos in a row cannot be read; "
            "check the content folder"
        )

    def _small(self, image: "Image") -> "Image":
        """No larger than the largest scale needs, so that a cache of large photos stays small."""
        short, wanted = min(image.size), round(self._crop * self._zoom)
        if short <= wanted:
            return image
        width, height = (round(length * wanted / short) for length in image.size)
        return resampling.resized(image, size=(height, width))

    def _keep(self, index: int, image: "Image") -> None:
        size = 3 * image.size[0] * image.size[1]
        with self._lock:
            if index not in self._cache and self._cached_bytes + size <= CACHE_BYTES:
                self._cache[index] = image
                self._cached_bytes += size

    def _mark_broken(self, index: int, error: ImageError) -> None:
        with self._lock:
            if index not in self._broken:
                self._broken.add(index)
                self._report(f"{error}; skipped")


@lru_cache(maxsize=16)
def _shuffled(seed: int, stream: int, count: int, epoch: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.random.default_rng((seed, stream, epoch)).permutation(count)


def _inner_path(photo: Path, folder: Path) -> bytes:
    return photo.relative_to(folder).as_posix().encode("utf-8", "surrogateescape")

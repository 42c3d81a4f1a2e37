"""What a frozen encoder makes of photos, computed once: E(I) and what pictures are to keep of a fixed set of crops.

With E and D frozen, neither changes while a filter trains. A crop is computed when it is first asked for, and kept: in
memory up to a budget, beyond it in a file that has no name, so that nothing is left behind however the program ends.
"""

import mmap
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import starmap
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stylebank.errors import OutputError
from stylebank.supervision.objective import Kept

MEMORY_BYTES = 1 << 30
"""Kept in memory; a larger pool goes to the disk, where the system's page cache keeps what it can."""


class Features(NamedTuple):
    """E(I) (B, 4 width, h, w) of B crops, and what pictures are to keep of them, see `Kept`."""

    encoded: Tensor
    content: Tensor
    parts: Tensor
    edges: Tensor
    flat: Tensor

    @property
    def kept(self) -> Kept:
        """What `Objective` compares pictures with."""
        return Kept(*self[1:])

    def split(self) -> Iterator["Features"]:
        """Those of each crop, B = 1."""
        return starmap(Features, zip(*(tensor.split(1) for tensor in self), strict=True))


class FeaturePool:
    """`size` crops, and batches of their features: batch n is a function of (seed, n) alone.

    Args:
        compute: the features of crop `number`, B = 1; equal for equal numbers, and of one shape and dtype.
        size: how many crops.
        batch: B.
        seed: of the order.
        folder: where a large pool's file lies; the system's folder for such if None.
    """

    def __init__(
        self,
        compute: Callable[[int], Features],
        *,
        size: int,
        batch: int,
        seed: int,
        folder: Path | None = None,
    ) -> None:
        self._compute = compute
        self._size, self._batch, self._seed = size, batch, seed
        self._folder = folder
        self._stores: list[Tensor] = []
        self._known: set[int] = set()

    def batch(self, number: int) -> Features:
        """Batch `number` >= 0: every crop comes once before any comes again."""
        draws = range(number * self._batch, (number + 1) * self._batch)
        return self.take([self._place(draw) for draw in draws])

    def take(self, places: Sequence[int]) -> Features:
        """The features of the crops at these places, 0 to size - 1."""
        for place in places:
            if place not in self._known:
                self._keep(place, self._compute(place))
        return Features(*(store[list(places)] for store in self._stores))

    def _place(self, draw: int) -> int:
        epoch, place = divmod(draw, self._size)
        if epoch == 0:
            return place  # as the crops come: whoever reads them ahead is right
        order = np.random.default_rng((self._seed, 3, epoch)).permutation(self._size)
        return int(order[place])

    def _keep(self, place: int, found: Features) -> None:
        if not self._stores:
            self._stores = self._room(found)
        for store, tensor in zip(self._stores, found, strict=True):
            store[place] = tensor[0]
        self._known.add(place)

    def _room(self, example: Features) -> list[Tensor]:
        """Stores for the whole pool, one a kind of feature."""
        wanted = self._size * sum(tensor.nbytes for tensor in example)
        if wanted <= MEMORY_BYTES or example[0].device.type != "cpu":
            return [tensor.new_empty((self._size, *tensor.shape[1:])) for tensor in example]
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                _reserve(file, wanted)  # a disk that fills up later would be a crash
                memory = mmap.mmap(file.fileno(), wanted)  # keeps the file alive, and nothing else does
        except OSError as error:
            raise OutputError(
                f"{self._folder or 'temporary folder'}: has no room for {wanted / 2**30:.1f} GiB of features "
                f"({error.strerror}); free space, or choose another --run folder"
            ) from error
        stores, offset = [], 0
        for tensor in example:
            count = self._size * tensor.numel()
            # No buffer has room for nothing: terms that weigh nothing keep nothing.
            flat = (
                torch.frombuffer(memory, dtype=tensor.dtype, count=count, offset=offset)
                if count
                else tensor.new_empty(0)
            )
            stores.append(flat.view(self._size, *tensor.shape[1:]))
            offset += count * tensor.element_size()
        return stores


def _reserve(file: BinaryIO, size: int) -> None:
    """Take room on the disk for a file; macOS and Windows take it as bytes are written."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, len(_ZEROS)):
        file.write(_ZEROS[: size - start])
    file.flush()


_ZEROS = bytes(1 << 22)

"""A batch of photos divided among the cores: a photo for each at a time, and in tiles what is too large."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stylebank.engines import choice
from stylebank.engines.choice import Engine, Work
from stylebank.machine import devices, memory
from stylebank.pixels import images

if TYPE_CHECKING:
    from PIL.Image import Image

    from stylebank.painting.painter import StyleBank

_BATCH = 8  # photos on a GPU at a time

_BYTES_PER_PIXEL: dict[Engine, int] = {"openvino": 12, "onnx": 12, "torch": 20}
"""Memory of painting a whole photo, for each channel of the network's width; measured in float32: 10, 10, 16 to 19."""


@dataclass(frozen=True)
class Crew:
    """How a batch of photos is painted.

    Attributes:
        paint: makes pictures of photos of one size.
        workers: threads to call it from.
        together: photos to give it at a time.
    """

    paint: Callable[[list["Image"]], list["Image"]]
    workers: int
    together: int


def gather(engine: Engine, work: Work, *, photos: int) -> Crew:
    """Divide the machine: on the CPU a photo for each core is faster than all cores for each photo.

    Raises:
        UnknownStyleError, ConfigError, DeviceError: see `engines.painter`.
    """
    workers = max(1, min(choice.cores(), photos))
    work = replace(work, workers=workers, threads=choice.cores() // workers)
    paint = choice.painter(engine, work)
    device = devices.choose_device(work.device).type if engine == "torch" else "cpu"
    tiler = _Tiler(engine, work, device)

    def paint_images(photos: list["Image"]) -> list["Image"]:
        if tiler.takes(photos[0].size):
            return [tiler.paint(photo) for photo in photos]
        pixels = np.stack([images.to_pixels(photo) for photo in photos])
        return [images.from_pixels(picture) for picture in paint(pixels)]

    return Crew(paint_images, workers, _BATCH if device == "cuda" else 1)


class _Tiler:
    """Paints what is too large for the engine, with PyTorch, one photo at a time; it is loaded when it is needed."""

    def __init__(self, engine: Engine, work: Work, device: str) -> None:
        self._work, self._lock = work, threading.Lock()
        self._bytes = _BYTES_PER_PIXEL[engine] * work.bank.network.width  # a pixel
        taken = memory.resident() if device == "cpu" else 0
        at_once = _BATCH if device == "cuda" else work.workers
        self._budget = (work.tiling.limit(device, taken) - taken) / at_once  # for each photo
        self._bank: StyleBank | None = None

    def takes(self, size: tuple[int, int]) -> bool:
        """Whether a photo of this size (in any order) is not to be painted whole."""
        work = self._work
        if work.tiling.tile != "auto":
            return work.tiling.tile != "off" and max(size) > int(work.tiling.tile)
        return size[0] * size[1] * self._bytes > self._budget

    def paint(self, photo: "Image") -> "Image":
        """Paint one photo, with all cores."""
        import torch

        with self._lock:
            if not self._bank:
                self._bank = choice.load(self._work)
            threads = torch.get_num_threads()
            torch.set_num_threads(choice.cores())
            try:
                return self._bank.stylize(photo, self._work.mixture, keep_color=self._work.keep_color)
            finally:
                torch.set_num_threads(threads)

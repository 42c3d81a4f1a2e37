"""A painter of frames: each is painted with what is known of those before it, so that still scenes hold still."""

from typing import TYPE_CHECKING

from stylebank.errors import ConfigError
from stylebank.files.tensorfile import Arrays
from stylebank.painting.painter import StyleBank
from stylebank.video.looks import Look

if TYPE_CHECKING:
    from PIL.Image import Image

STEADY = 0.8
"""Steadiness where nobody asks for another."""


class SteadyPainter:
    """Paints the frames of a clip in their order.

    >>> painter = SteadyPainter(bank, steady=0.8)
    >>> pictures = [painter.paint(frame, Look("mosaic")) for frame in frames]

    Args:
        bank: that paints.
        steady: 0, each frame by itself, to 1, as steady as can be.

    Raises:
        ConfigError: `steady` is not in [0, 1].
    """

    def __init__(self, bank: StyleBank, *, steady: float = STEADY) -> None:
        if not 0 <= steady <= 1:
            raise ConfigError(
                f"steady {steady:g}: is out of range; give 0 (each frame by itself) to 1 (steadiest)"
            )
        self._bank, self._steady = bank, steady

    def reset(self) -> None:
        """Forget all frames: a new clip begins."""

    def paint(self, frame: "Image", look: Look) -> "Image":
        """The picture of the next frame, of its size.

        Args:
            frame: RGB, of the size of the last one, or a new clip begins.
            look: see there.

        Raises:
            UnknownStyleError, ConfigError, ImageError: see `Look.painted`.
        """
        return look.painted(self._bank, frame)

    def state(self) -> Arrays:
        """What is remembered of past frames, by names: a painter that it is given to goes on as this one would."""
        return {}

    def restore(self, state: Arrays) -> None:
        """Remember what another painter did; see `state`."""
        self.reset()

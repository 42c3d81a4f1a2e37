"""How a frame of a video is painted: style or mixture, strength, stroke, and regions of it in other styles."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stylebank.bank.mixture import Mix
from stylebank.painting.painter import StyleBank
from stylebank.pixels.masks import Overlap

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Look:
    """How one frame is painted; the next may have another, which is how styles change over time.

    Attributes:
        share: a style's name, the words of a mixture, or a `Mixture`. With regions: what no mask covers, "photo" for
            its own pixels.
        strength: 0, the photo's reconstruction, to 1, the full style; one in `share`'s words goes before it.
        stroke: size of strokes and forms, likewise.
        keep_color: whether the frame's chroma stays, and only its luma is painted.
        regions: mask and mixture of each, or "photo"; a mask is an L image of the frame's size, white is covered.
        overlap: whose a pixel is that several masks claim, see `masks.Overlap`.
    """

    share: Mix
    strength: float = 1.0
    stroke: float = 1.0
    keep_color: bool = False
    regions: "tuple[tuple[Image, Mix], ...]" = ()
    overlap: Overlap = "over"

    def painted(self, bank: StyleBank, frame: "Image") -> "Image":
        """A frame painted by itself.

        Args:
            bank: that knows the styles.
            frame: RGB.

        Raises:
            UnknownStyleError, ConfigError, ImageError: see `StyleBank.stylize` and `StyleBank.fuse`.
        """
        if not self.regions:
            return bank.stylize(
                frame, self.share, strength=self.strength, stroke=self.stroke, keep_color=self.keep_color
            )
        return bank.fuse(
            frame,
            self.regions,
            rest=self.share,
            strength=self.strength,
            stroke=self.stroke,
            keep_color=self.keep_color,
            overlap=self.overlap,
        )

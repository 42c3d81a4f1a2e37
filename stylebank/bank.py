"""A loaded bank: image in, image out."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from stylebank import bundle, images, resources
from stylebank.bundle import Bundle
from stylebank.devices import choose_device
from stylebank.errors import ImageError, UnknownStyleError, nearest
from stylebank.model import pad_to_stride

if TYPE_CHECKING:
    from PIL.Image import Image

Picture = TypeVar("Picture", "Image", Tensor)


class StyleBank:
    """Many styles in one small network.

    >>> bank = StyleBank.load()
    >>> picture = bank.stylize(photo, bank.styles[0])

    Args:
        contents: a bank as read from its file.
        device: "auto", "cpu" or "cuda".
    """

    def __init__(self, contents: Bundle, *, device: str = "auto") -> None:
        self.contents = contents
        self._device = choose_device(device)
        self._network = contents.build().to(self._device)

    @classmethod
    def load(cls, path: Path | str | None = None, *, device: str = "auto") -> "StyleBank":
        """Read a bank file; without a path, the one that comes with the package.

        Raises:
            TensorFileError: the file is missing, damaged or no bank.
            DeviceError: there is no such device.
        """
        return cls(bundle.read(Path(path) if path else resources.default_bank()), device=device)

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles, in the order of the file."""
        return self.contents.names

    def index(self, style: str) -> int:
        """Place of a style in `styles`.

        Raises:
            UnknownStyleError: the bank has no such style; the message names the nearest.
        """
        if style not in self.styles:
            raise UnknownStyleError(
                f"style '{style}': is not in the bank{nearest(style, self.styles)}; "
                f"it has {', '.join(self.styles) or 'no styles'}"
            )
        return self.styles.index(style)

    def stylize(self, image: Picture, style: str) -> Picture:
        """Paint an image in one style.

        Args:
            image: a PIL image of any mode, turned upright as its EXIF says, or a float tensor (3, H, W) or
                (B, 3, H, W) in [0, 1], sRGB; any H, W.
            style: a name out of `styles`.

        Returns:
            What came in: a PIL image in RGB, or a tensor of the same shape and dtype, on the same device, in [0, 1].

        Raises:
            UnknownStyleError: the bank has no such style.
            ImageError: the tensor is no such image.
        """
        index = self.index(style)
        if not isinstance(image, Tensor):
            if 0 in image.size:
                raise ImageError(f"image: has no pixels ({image.size[0]} x {image.size[1]}); give another")
            upright = images.to_rgb(images.upright(image))
            return images.to_pil(self._run(images.to_tensor(upright), index))
        if (
            not image.is_floating_point()
            or image.ndim not in (3, 4)
            or image.shape[-3] != 3
            or not image.numel()
        ):
            raise ImageError(
                f"image tensor: is {tuple(image.shape)} {image.dtype}; give (3, H, W) or (B, 3, H, W), float in [0, 1]"
            )
        batch = image if image.ndim == 4 else image.unsqueeze(0)
        return self._run(batch.float(), index).to(image.device, image.dtype).reshape(image.shape)

    @torch.no_grad()
    def _run(self, content: Tensor, index: int) -> Tensor:
        height, width = content.shape[-2:]
        padded = pad_to_stride(content.to(self._device))
        try:
            output = self._network.stylize(padded, [index] * len(padded))
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(
                error
            ):
                raise
            raise ImageError(
                f"image: {width} x {height} px need more memory than there is; make it smaller"
            ) from error
        return output[..., :height, :width].clamp(0, 1)

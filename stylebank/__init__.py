"""StyleBank: fast style transfer with one small network and a bank of style filters.

>>> from stylebank import StyleBank, masks
>>> sky, labels = masks.read_mask(Path("sky.png")), masks.read_labels(Path("labels.png"))
>>> StyleBank.load().fuse(photo, [(sky, "night"), (labels.mask(*labels.meant("#c82828")), "wave")])
"""

from typing import TYPE_CHECKING, Any

from stylebank.errors import StyleBankError

if TYPE_CHECKING:
    from stylebank.painting.painter import StyleBank
    from stylebank.pixels import masks

__version__ = "0.1.0"

__all__ = ["StyleBank", "StyleBankError", "__version__", "masks"]


def __getattr__(name: str) -> Any:
    """Import `StyleBank`, and PyTorch with it, or `masks`, and NumPy, when it is first asked for."""
    if name == "StyleBank":
        from stylebank.painting.painter import StyleBank

        return StyleBank
    if name == "masks":
        from stylebank.pixels import masks

        return masks
    raise AttributeError(f"module 'stylebank' has no attribute '{name}'")

"""StyleBank: fast style transfer with one small network and a bank of style filters."""

from typing import TYPE_CHECKING, Any

from stylebank.errors import StyleBankError

if TYPE_CHECKING:
    from stylebank.painting.painter import StyleBank

__version__ = "0.1.0"

__all__ = ["StyleBank", "StyleBankError", "__version__"]


def __getattr__(name: str) -> Any:
    """Import `StyleBank`, and PyTorch with it, when it is first asked for."""
    if name == "StyleBank":
        from stylebank.painting.painter import StyleBank

        return StyleBank
    raise AttributeError(f"module 'stylebank' has no attribute '{name}'")

"""torch.hub: `torch.hub.load("OWNER/stylebank", "stylebank")` gives a bank that is ready to paint."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stylebank import StyleBank

dependencies = ["torch", "torchvision", "numpy", "scipy", "PIL", "safetensors", "filelock", "psutil"]


def stylebank(bank: str | None = None, **how: Any) -> "StyleBank":
    """A loaded bank: `stylebank().stylize(photo, "munch_the_scream")`.

    Args:
        bank: path of a bank file, or "owner/bank" on the Hugging Face Hub; None for the one that comes along.
        how: engine, precision, device and what else `StyleBank.from_pretrained` takes.
    """
    from stylebank import StyleBank

    return StyleBank.from_pretrained(bank, **how) if bank else StyleBank.load("shipped", **how)

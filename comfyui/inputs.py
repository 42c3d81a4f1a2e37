"""Inputs that several nodes share, and the types that only these nodes know."""

from typing import Any

from comfy_api.latest import io

from stylebank.bank import mixture
from stylebank.files import resources, tensorfile

Bank = io.Custom("STYLEBANK")
"""A `StyleBank`."""

Style = io.Custom("STYLEBANK_STYLE")
"""A `Mixture`: one style, or several with weights."""


def share(name: str, tooltip: str, *, default: float = 1.0) -> Any:
    """A number from 0 to 1."""
    return io.Float.Input(name, default=default, min=0.0, max=1.0, step=0.05, tooltip=tooltip)


def stroke() -> Any:
    """The size of strokes."""
    least, largest = mixture.STROKES
    tooltip = "Size of strokes and forms, relative to the picture: 1 as designed, 0.5 finer, 2 and 4 larger."
    return io.Float.Input("stroke", default=1.0, min=least, max=largest, step=0.25, tooltip=tooltip)


def keep_colour() -> Any:
    """Whether only the luma is painted."""
    return io.Boolean.Input("keep_color", default=False, tooltip="Keep the photo's colours, paint its luma.")


def names() -> list[str]:
    """Styles of the bank that is read where nobody names one, by its header."""
    for path in (resources.default_bank(), resources.shipped_bank()):
        try:
            return [str(style["style"]["name"]) for style in tensorfile.manifest_of(path)["styles"]]
        except (LookupError, TypeError):
            continue
    return [""]

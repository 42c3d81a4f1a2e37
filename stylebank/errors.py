"""Every error a user can cause, drawn as a tree.

    StyleBankError (a ValueError)
    |- ConfigError         an experiment file or a command-line value
    |- ImageError          an image file that cannot be read, or is over a limit
    |- StyleSetError       a layered style set: wrong number of images, bad recipe, bad name
    |- ContentError        a folder of photos with nothing usable in it
    |- TensorFileError     a bank, checkpoint or VGG file: damaged, of another kind, too new
    |- UnknownStyleError   a style name that the bank does not hold
    |- OutputError         a file that must not be replaced, or a disk that cannot be written
    |  `- EncodingError    a picture that its format cannot hold
    |- SkippedError        some photos of many were skipped, the others are done
    |- DeviceError         a device that this machine does not have
    `- RunError            a run folder that belongs to another experiment

Every message is one line, `<what>: <why> (<numbers>); <what to do>`, fit to be printed as it is.
Internal invariants use `assert`; whatever escapes as another exception is a bug of the program.
"""

import difflib
from collections.abc import Iterable, Sequence

_FEW = 20  # names that fit a line


class StyleBankError(ValueError):
    """Something that the user can correct; the message is one line that says how.

    Attributes:
        exit_code: of a command that ends in it: 2, nothing was done.
    """

    exit_code = 2


class ConfigError(StyleBankError):
    """An experiment file or a command-line value is wrong."""


class ImageError(StyleBankError):
    """An image file cannot be read, is damaged, or is over a limit."""


class StyleSetError(StyleBankError):
    """A layered style set is not five images, or names something that does not exist."""


class ContentError(StyleBankError):
    """A folder of photos holds nothing usable."""


class TensorFileError(StyleBankError):
    """A bank, checkpoint or VGG file is damaged, of another kind, or from a newer version."""


class UnknownStyleError(StyleBankError):
    """A style name that the bank does not hold."""


class OutputError(StyleBankError):
    """A file must not be replaced, or cannot be written."""


class EncodingError(OutputError):
    """A picture that its format cannot hold."""


class SkippedError(StyleBankError):
    """Some photos of many were skipped; the pictures of the others are made."""

    exit_code = 3


class DeviceError(StyleBankError):
    """The device asked for is not there."""


class RunError(StyleBankError):
    """A run folder belongs to another experiment, or cannot be continued."""


def too_large(width: int, height: int) -> ImageError:
    """What to raise where there is no memory to paint an image of so many pixels."""
    return ImageError(f"image: {width} x {height} px need more memory than there is; make it smaller")


def several(styles: Sequence[str]) -> str:
    """Styles in a line of text: the names of a few, of many how many there are."""
    if len(styles) > _FEW:
        return f"{len(styles)} styles, see 'stylebank list'"
    return ", ".join(styles) or "no styles"


def nearest(word: str, known: Iterable[str]) -> str:
    """' (did you mean X?)' if a known word is close or has this one in it, else an empty string."""
    words = list(known)
    inside = [other for other in words if len(word) > 2 and word.lower() in other]
    close = difflib.get_close_matches(word, words, n=1) or inside
    return f" (did you mean '{close[0]}'?)" if close else ""

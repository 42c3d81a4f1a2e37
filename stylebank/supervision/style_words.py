"""A style as the command line says it: an image, five of them, a zoom recipe, or the TOML file of a set."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stylebank import config
from stylebank.config import Style
from stylebank.errors import StyleSetError


def from_words(words: str) -> Style:
    """Parse the command line's `NAME=STYLE`; relative paths start at the current folder.

    STYLE is one image, five images separated by commas, `zoom:LARGE,SECOND`, `zoom:LARGE,SECOND@relu1_1`, or a
    TOML file of a set. An image may be a part of a file, as in `night.jpg@0.5:0:1:0.5`.

    Raises:
        StyleSetError: there is no `=`.
        ConfigError: the name is malformed.
    """
    name, equals, what = words.partition("=")
    if not equals or not what:
        raise StyleSetError(
            f"--style {words}: has no '='; write NAME=IMAGE or NAME=five images in layer order"
        )
    config.check_name(name, where=f"--style {words}")
    if what.endswith(".toml"):
        return config.style_from_set({"name": name, "set": what}, where=f"--style {words}", folder=Path())
    if what.startswith("zoom:"):
        pair, _, layer = what.removeprefix("zoom:").rpartition("@")
        if not (pair and layer.startswith("relu")):  # the @ is of a part of an image, or there is none
            pair, layer = what.removeprefix("zoom:"), "relu5_1"
        return Style(name=name, zoom=tuple(pair.split(",")), rest_layer=layer)
    parts = tuple(what.split(","))
    return Style(name=name, image=what) if len(parts) == 1 else Style(name=name, images=parts)


def from_arguments(name: str, words: Sequence[str], *, size: int | None, kernel: int | None) -> Style:
    """The style of `stylebank add-style NAME WORDS...`: five images as five words, or one word as in `from_words`.

    Without a size it is the bank's (0), or what a TOML file says.

    Raises:
        StyleSetError: neither one word nor five.
        ConfigError: the name is malformed, or the kernel even.
    """
    if len(words) not in (1, 5):
        raise StyleSetError(
            f"style '{name}': has {len(words)} images; give one for all layers, or five: for relu1_1 (finest marks, "
            "colour), relu2_1, relu3_1, relu4_1, relu5_1 (largest forms)"
        )
    found = from_words(f"{name}={','.join(words)}")
    if size or not words[0].endswith(".toml"):
        found = replace(found, size=size or 0)
    if kernel:
        found = replace(found, kernel=kernel)
    config.check_style(found, where=f"style '{name}'")
    return found

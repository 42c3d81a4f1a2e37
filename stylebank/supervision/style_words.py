"""A style as the command line says it: an image, five of them, a zoom recipe, or the TOML file of a set."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from stylebank import config
from stylebank.config import Style
from stylebank.errors import StyleSetError
from stylebank.files import experiments
from stylebank.supervision import image_words

_MOST_SPLITS = 5000  # ways to read a word with commas: twenty of them, and five images


def from_words(words: str) -> Style:
    """Parse the command line's `NAME=STYLE`; relative paths start at the current folder.

    STYLE is one image, five images separated by commas, `zoom:LARGE,SECOND`, `zoom:LARGE,SECOND@relu1_1`, or a
    TOML file of a set, the user's or one that comes along. An image may be a part of a file, as in
    `night.jpg@0.5:0:1:0.5`. Commas in the names of files that are there separate nothing.

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
        what = str(experiments.located(Path(what)))
        return config.style_from_set({"name": name, "set": what}, where=f"--style {words}", folder=Path())
    if image_words.is_image(what):  # a file that is there as a whole is one image, whatever is in its name
        return Style(name=name, image=what)
    if what.startswith("zoom:"):
        pair, layer = what.removeprefix("zoom:"), "relu5_1"
        shorter, _, asked = pair.rpartition("@")
        if shorter and asked.startswith("relu"):  # else the @ is of a part of an image, or there is none
            pair, layer = shorter, asked
        return Style(name=name, zoom=_split(pair, 2), rest_layer=layer)
    parts = _split(what, 5)
    return Style(name=name, image=what) if len(parts) == 1 else Style(name=name, images=parts)


def _split(words: str, count: int) -> tuple[str, ...]:
    """The images between commas: so many that are there if they can be found, for a name may hold commas itself."""
    pieces = words.split(",")
    if len(pieces) > count and math.comb(len(pieces) - 1, count - 1) <= _MOST_SPLITS:
        for cuts in combinations(range(1, len(pieces)), count - 1):
            edges = zip((0, *cuts), (*cuts, len(pieces)), strict=True)
            found = tuple(",".join(pieces[start:end]) for start, end in edges)
            if all(map(image_words.is_image, found)):
                return found
    is_one = len(pieces) != count and not any(map(image_words.is_image, pieces))
    return (words,) if is_one else tuple(pieces)


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
    config.check_name(name, where="new name")
    found = from_words(f"{name}={words[0]}") if len(words) == 1 else Style(name=name, images=tuple(words))
    if size or not words[0].endswith(".toml"):
        found = replace(found, size=size or 0)
    if kernel:
        found = replace(found, kernel=kernel)
    config.check_style(found, where=f"style '{name}'")
    return found

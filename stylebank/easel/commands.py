"""A recipe as a command line that makes the same picture, and as a file with its masks that the page opens again."""

import io
import json
import re
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from stylebank.bank import mixture
from stylebank.bank.mixture import PHOTO
from stylebank.easel import album, recipes
from stylebank.easel.album import Photograph
from stylebank.easel.recipes import MOST_REGIONS, Recipe, plain
from stylebank.easel.refusals import RefusedError
from stylebank.errors import ConfigError, StyleBankError
from stylebank.files import toml
from stylebank.pixels import formats, images, metadata
from stylebank.pixels.encoding import Encoding

_NAME = "recipe.json"
_JSON, _MASK, _ALL = 1_000_000, 64_000_000, 256_000_000  # bytes unpacked: of the recipe, a mask, all


@dataclass(frozen=True)
class Form:
    """How a picture is written.

    Attributes:
        format: suffix of its file.
        quality: see `Encoding`.
        lossless: likewise.
        keep_metadata: likewise.
    """

    format: str = ".png"
    quality: int | None = None
    lossless: bool = False
    keep_metadata: str = "date"

    @property
    def encoding(self) -> Encoding:
        """How that is written."""
        return Encoding(self.quality, self.lossless, metadata.check(self.keep_metadata))

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "Form":
        """The form of a body that has other keys too.

        Raises:
            ConfigError: there is no such format, or it cannot be written like that.
        """
        quality = found.get("quality")
        if quality is not None and (not isinstance(quality, int) or isinstance(quality, bool)):
            raise ConfigError("quality: is no whole number; give 1 to 100, or null")
        given = {key: found[key] for key in ("format", "lossless", "keep_metadata") if key in found}
        types = {"format": str, "lossless": bool, "keep_metadata": str}
        values = {key: toml.typed(value, types[key], key) for key, value in given.items()}
        form = cls(quality=quality, **values)
        if form.format not in formats.WRITTEN:
            raise ConfigError(
                f"format {form.format[:20]!r}: is unknown; use one of {', '.join(formats.WRITTEN)}"
            )
        form.encoding.check(form.format)
        return form


def file_names(recipe: Recipe) -> list[str]:
    """A file name for the mask of each region, visible or not: of its name's letters, each once."""
    found: list[str] = []
    for place, region in enumerate(recipe.regions, 1):
        letters = re.sub(r"[^a-z0-9]+", "-", region.name.lower()).strip("-")[:40] or f"region-{place}"
        name = letters if f"{letters}.png" not in found else f"{letters}-{place}"
        found.append(f"{name}.png")
    return found


def picture_name(photo: str, recipe: Recipe, suffix: str) -> str:
    """What the file of a picture is called, as the commands call it."""
    names = mixture.parse(recipe.style).names if recipe.style != PHOTO else ("photo",)
    word = "fused" if recipe.painted else "+".join(names)
    return f"{PurePosixPath(photo).stem[:80]}-{word[:120]}{suffix}"


def command(recipe: Recipe, form: Form, photo: Photograph, options: Sequence[str]) -> list[str]:
    """The command lines that make the same picture, beside the photo and the masks of `pack`.

    Args:
        recipe: see there.
        form: likewise.
        photo: its name and size.
        options: of the bank and the engine.

    Raises:
        ConfigError: the recipe paints nothing.
    """
    name = photo.name if not photo.name.startswith("-") else f"./{photo.name}"
    output = picture_name(photo.name, recipe, form.format)
    painted, words = recipe.painted, ["stylebank"]
    if not recipe.mixtures():
        raise ConfigError("recipe: paints nothing; choose a style")
    if painted:
        words += ["fuse", name]
        for region, file in zip(recipe.regions, file_names(recipe), strict=True):
            words += ["--region", f"{file}={region.words}"] if region.visible else []
        words += ["--rest", recipe.style] if recipe.style != PHOTO else []
        width = recipes.feather(recipe, max(photo.size))
        words += ["--feather", plain(width)] if width else []
        words += ["--overlap", recipe.overlap] if recipe.overlap != "over" else []
    else:
        words += ["stylize", name, "--style", recipe.style]
    if recipe.style != PHOTO:
        words += ["--strength", plain(recipe.strength)] if recipe.strength != 1 else []
        words += ["--stroke", plain(recipe.stroke)] if recipe.stroke != 1 else []
    words += ["--keep-color"] if recipe.keep_color else []
    words += ["-o", output if not output.startswith("-") else f"./{output}"]
    words += ["--quality", str(form.quality)] if form.quality is not None else []
    words += ["--lossless"] if form.lossless else []
    words += ["--keep-metadata", form.keep_metadata] if form.keep_metadata != "date" else []
    return [shlex.join([*words, *options])]


def pack(recipe: Recipe, photo: Photograph) -> bytes:
    """Recipe and masks as the bytes of a zip file.

    Raises:
        RefusedError: a mask is no longer here.
    """
    names = file_names(recipe)
    told = recipe.to_json()
    for region, name in zip(told["regions"], names, strict=True):
        region["mask"] = name
    facts = {"stylebank": 1, "recipe": told, "photo": {"name": photo.name, "size": photo.size[::-1]}}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr(_NAME, json.dumps(facts, indent=1))
        for region, name in zip(recipe.regions, names, strict=True):
            packed.writestr(name, images.grey_png(photo.levels(region.mask)))
    return buffer.getvalue()


def unpack(data: bytes, photo: Photograph) -> Recipe:
    """The recipe of a zip file, its masks kept with the photo. No file is written; other entries are not looked at.

    Raises:
        RefusedError: it is no such file, or unpacks to more than there is any use for.
        ConfigError, ImageError: the recipe or a mask in it is none.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            facts = json.loads(_entry(packed, _NAME, _JSON))
            found = facts["recipe"]
            regions = found.get("regions", [])
            if len(regions) > MOST_REGIONS:
                raise ConfigError(f"recipe regions: are more than {MOST_REGIONS}; leave some out")
            left, kept = _ALL, dict[str, str]()
            for region in regions:
                if region["mask"] not in kept:
                    unpacked = _entry(packed, region["mask"], min(_MASK, left))
                    left -= len(unpacked)
                    kept[region["mask"]] = photo.add_mask(album.mask_of(unpacked))
                region["mask"] = kept[region["mask"]]
    except (
        zipfile.BadZipFile,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        NotImplementedError,
    ) as error:
        if isinstance(error, StyleBankError):
            raise
        raise RefusedError(422, "recipe: is no zip file that 'export' made; choose another") from error
    except (RuntimeError, RecursionError, OSError, EOFError) as error:  # locked by a password, or damaged
        raise RefusedError(422, "recipe: is damaged or locked; choose another") from error
    return recipes.read(found)


def _entry(packed: zipfile.ZipFile, name: str, most: int) -> bytes:
    """An entry's bytes, however much it says that it has.

    Raises:
        RefusedError: more than `most`.
    """
    with packed.open(name) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise RefusedError(413, f"recipe: unpacks to more than {most / 1e6:g} MB in {name[:60]!r}; send less")
    return data

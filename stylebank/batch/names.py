"""Names of pictures: by a template, unlike each other on every file system, and no longer than one allows."""

import os
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stylebank.errors import ConfigError
from stylebank.files import atomic

TEMPLATE = "{stem}-{style}"
"""Of a picture's name without its suffix, unless another is asked for."""

FIELDS = ("stem", "style", "folder", "suffix", "number")
"""Of a template: the photo's name without its suffix, the style's, the photo's folder, the photo's suffix without its
point, and the photo's number from 1."""


@dataclass(frozen=True)
class Wanted:
    """A picture that wants a name.

    Attributes:
        photo: its file.
        place: the photo's path inside the folder of pictures.
        style: in words that fit a file's name.
    """

    photo: Path
    place: Path
    style: str


def check(template: str, *, lasting: bool = False) -> None:
    """Make sure that a template makes names.

    Args:
        template: see `of`.
        lasting: whether a photo's name must stay its own when others are added.

    Raises:
        ConfigError: it has an unknown field, leaves the folder, has letters that some file system refuses, or counts.
    """
    known = ", ".join(f"{{{field}}}" for field in FIELDS)
    try:
        pieces = list(string.Formatter().parse(template))
        unknown = [name for _, name, *_ in pieces if name is not None and name not in FIELDS]
        if unknown:
            raise ConfigError(f"--name {template}: has no field {{{unknown[0]}}}; its fields are {known}")
        if lasting and any(name == "number" for _, name, *_ in pieces):
            raise ConfigError(
                f"--skip-existing --name {template}: {{number}} is another photo's once one is added; leave it out"
            )
        template.format(**dict.fromkeys(FIELDS[:-1], "x"), number=1)
    except ConfigError:
        raise
    except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise ConfigError(f"--name {template}: is no template ({error}); its fields are {known}") from error
    literal = "".join(text for text, *_ in pieces)
    parts = PurePosixPath(literal).parts
    if (
        not template.strip("/ .")
        or ".." in parts
        or template.startswith(("/", "~"))
        or template.endswith("/")
    ):
        raise ConfigError(f"--name {template}: leads out of the folder, or to no name; write names below it")
    if bad := sorted(set(literal) & set('<>:"\\|?*') | {c for c in literal if not c.isprintable()}):
        raise ConfigError(f"--name {template}: has {bad[0]!r}, which some systems refuse; leave it out")


def of(pictures: Sequence[Wanted], *, folder: Path, suffix: str, template: str = TEMPLATE) -> list[Path]:
    """A path for each picture, no two of them one file, even where capitals and forms of accents are the same.

    Photos that differ by their suffix only keep it in the pictures' names; what else would collide is numbered.

    Args:
        pictures: in the order of their photos' numbers.
        folder: where their places are.
        suffix: of the pictures' names.
        template: of the names; see `FIELDS`.
    """
    numbers = {
        photo: number for number, photo in enumerate(dict.fromkeys(each.photo for each in pictures), 1)
    }
    places = [_path(each, numbers[each.photo], template) for each in pictures]
    keys = [_key(folder / place) for place in places]
    photos = Counter(keys)
    suffixes = Counter((key, each.photo.suffix.lower()) for key, each in zip(keys, pictures, strict=True))
    found: list[Path] = []
    taken: set[str] = set()
    for each, place, key in zip(pictures, places, keys, strict=True):
        if photos[key] > 1 and suffixes[key, each.photo.suffix.lower()] == 1:
            place = _path(each, numbers[each.photo], template, stem=each.place.name)
        path = _fitting(folder / place, suffix)
        copy = 1
        while _key(path) in taken:
            copy += 1
            numbered = (folder / place).with_name(f"{place.name}-{copy}")
            if _key(numbered) not in photos:  # else another photo has a right to that name
                path = _fitting(numbered, suffix)
        taken.add(_key(path))
        found.append(path)
    return found


def _path(picture: Wanted, number: int, template: str, stem: str = "") -> Path:
    """The path inside the folder of pictures, without a suffix."""
    photo, folder = picture.photo, picture.photo.absolute().parent
    name = template.format(
        stem=_part(stem or picture.place.stem),
        style=picture.style,
        folder=_part(folder.resolve().name if folder.name == ".." else folder.name),
        suffix=photo.suffix.removeprefix("."),
        number=number,
    )
    return picture.place.parent / name


def _part(name: str) -> str:
    """A name that leads no further when it is a part of a path: nothing (the root's), `.` and `..` would."""
    return name if name.strip(".") else "_" * max(len(name), 1)


def _key(path: Path) -> str:
    """Equal for paths that are one file on some file system."""
    return unicodedata.normalize("NFC", str(path.resolve())).casefold()


def _fitting(path: Path, suffix: str) -> Path:
    """The path with its suffix; a name that the file system finds too long is cut, and told from others by a digest."""
    name, longest = f"{path.name}{suffix}", _longest(path.parent)
    if len(os.fsencode(name)) <= longest:
        return path.with_name(name)
    digest = atomic.sha256_bytes(os.fsencode(name))[:8]
    start = atomic.shortened(path.name, longest - len(os.fsencode(suffix)), digest=digest)
    return path.with_name(f"{start}{suffix}")


def _longest(folder: Path) -> int:
    """Bytes of a name in a folder, which may be yet to be made."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        return min(os.pathconf(folder, "PC_NAME_MAX"), atomic.LONGEST_NAME)
    except (OSError, ValueError, AttributeError):  # Windows has no such question
        return atomic.LONGEST_NAME

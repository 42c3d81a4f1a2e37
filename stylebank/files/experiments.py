"""Experiments and style sets that come along: their names, what each is, and copies of them to change.

They lie in the folder `configs`: inside an installed package, beside it in a source tree. A name is a path there
without its ending: smoke, layered/exp2, styles/mosaic.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from stylebank.errors import ConfigError, OutputError, nearest
from stylebank.files import resources, toml
from stylebank.files.atomic import write_atomically

_ENDING = ".toml"
_AFTER = re.compile(r" stylebank train | Drawn by ")
"""Where a first sentence ends that has no full stop."""


def names() -> list[str]:
    """Of every experiment and style set, those of folders last."""
    folder = resources.configs_folder()
    found = [path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob(f"*{_ENDING}")]
    return sorted(found, key=lambda name: (name.count("/"), name))


def located(path: Path) -> Path:
    """A path as it is if something is there, or else the file that comes along under this name, ending or not.

    Raises:
        ConfigError: a word that is neither a path nor such a name.
    """
    if path.exists():
        return path
    name = PurePosixPath(path.as_posix().removeprefix("configs/").removesuffix(_ENDING)).as_posix()
    if name in names():
        return _file(name)
    if path.suffix != _ENDING and path.parent == Path():
        raise ConfigError(
            f"config '{path}': is no file, and none that comes along{nearest(name, names())}; see 'stylebank configs'"
        )
    return path


def summary(name: str) -> str:
    """What one is, as the first sentence of its first comment says it."""
    lines = _file(name).read_text("utf-8").splitlines()
    comment = [line.removeprefix("#").strip() for line in lines[: next(_no_comments(lines), len(lines))]]
    said = " ".join(comment).removeprefix(f"{name}: ").partition(". ")[0]
    return _AFTER.split(said)[0].rstrip(".: ")


def text(name: str) -> str:
    """Of one's file.

    Raises:
        ConfigError: none has this name.
    """
    return _checked(name).read_text("utf-8")


def copy(name: str, folder: Path, *, force: bool = False) -> list[Path]:
    """Copy one, and the style sets and images that it names, into a folder of the user's.

    Args:
        name: see `names`.
        folder: is made if it is not there.
        force: whether files of other contents are replaced.

    Returns:
        The files, the experiment's first.

    Raises:
        ConfigError: none has this name.
        OutputError: a file of another content is there, or the folder cannot be written.
    """
    first = _checked(name)
    home = first.parent
    copies = {folder / path.relative_to(home): path.read_bytes() for path in dict.fromkeys(_needed(first))}
    for target, data in copies.items():
        if not force and target.exists() and not (target.is_file() and target.read_bytes() == data):
            raise OutputError(f"{target}: is there and has another content; use --force to replace it")
    for target, data in copies.items():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{target.parent}: cannot be made ({error.strerror}); choose another"
            ) from error
        write_atomically(target, data)
    return list(copies)


def _needed(path: Path) -> Iterator[Path]:
    """A file, and what of the folder it names: sets, and images of sets."""
    yield path
    table = toml.read(path)
    for style in (table, *table.get("style", [])):
        if "set" in style:
            yield from _needed(path.parent / style["set"])
        images = (path.parent / image for image in _images(style))
        yield from (image for image in images if image.is_file())


def _images(style: Mapping[str, Any]) -> list[str]:
    return [*style.get("images", []), *([style["image"]] if "image" in style else [])]


def _no_comments(lines: list[str]) -> Iterator[int]:
    return (place for place, line in enumerate(lines) if not line.startswith("#"))


def _checked(name: str) -> Path:
    known = names()
    word = name.removesuffix(_ENDING)
    if word not in known:
        raise ConfigError(f"config '{name}': none comes along{nearest(word, known)}; see 'stylebank configs'")
    return _file(word)


def _file(name: str) -> Path:
    return resources.configs_folder() / f"{name}{_ENDING}"

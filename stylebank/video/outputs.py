"""Which file a clip becomes: its kind by its suffix, what must not be replaced, and the places of a folder's clips."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from stylebank.errors import ConfigError, OutputError
from stylebank.files import atomic
from stylebank.footage import animations, clips, codecs, reading, writing
from stylebank.persistence.pieces import Pieces
from stylebank.pixels.encoding import Encoding
from stylebank.pixels.formats import check_suffix

if TYPE_CHECKING:
    from stylebank.footage.clips import Clip, Writer


def writer(
    clip: "Clip",
    target: Path,
    size: tuple[int, int],
    *,
    codec: str | None = None,
    quality: int | None = None,
    window: tuple[Fraction, Fraction | None] | None = None,
) -> "tuple[Writer, list[str]]":
    """What makes the file, and what to know about it before, a line each.

    Args:
        clip: that is painted.
        target: the file, or a name such as `painted/%05d.png`.
        size: (H, W) of the pictures.
        codec: a key of `codecs.CODECS`; None for the usual.
        quality: see the writers.
        window: start and length in seconds of what is painted; None for all.

    Raises:
        ConfigError: an option does not fit the kind of file.
        OutputError: the suffix is of no kind that is written.
    """
    suffix = target.suffix.lower()
    if clips.is_numbered(target):
        check_suffix(target)
        how = Encoding(quality)
        how.check(suffix)
        _no_codec(codec, "numbered images have")
        return animations.ImagesWriter(target, how), []
    if suffix in animations.SUFFIXES:
        _no_codec(codec, f"{suffix} files have")
        facts = clip.facts
        loops = facts.loops if isinstance(clip, animations.Animation) else 0
        has_sound = isinstance(clip, reading.Film) and clip.has_sound
        notes = [f"its sound is left out, {suffix} files have none"] if has_sound else []
        return animations.AnimationWriter(suffix, facts.time_base, loops, quality), notes
    if suffix not in codecs.FORMATS:
        known = ", ".join([*codecs.FORMATS, *animations.SUFFIXES])
        raise OutputError(f"{target}: '{suffix}' is no known kind of video; use one of {known}")
    reading.library()
    found = writing.FilmWriter(
        clip.path if isinstance(clip, reading.Film) else None,
        clip.facts,
        size,
        codecs.FORMATS[suffix],
        codec or ("vp9" if suffix == ".webm" else "h264"),
        quality,
        window,
    )
    return found, list(found.notes())


def _no_codec(codec: str | None, what: str) -> None:
    if codec is not None:
        raise ConfigError(f"--codec {codec}: {what} none; leave it out")


def check(target: Path, source: Path, pieces: Pieces, *, force: bool) -> None:
    """Refuse to replace anything but what an interrupted run of the same clip left.

    Raises:
        OutputError: saying what.
    """
    if clips.is_numbered(target):
        if clips.is_numbered(source) and target.absolute() == source.absolute():
            raise OutputError(f"{target}: is the clip itself; choose another output")
        there = {number for number in clips.existing(target) if number}
        if there and not (force or pieces.is_begun):
            first = clips.numbered(target, min(there))
            raise OutputError(f"{first}: exists; choose another name, or add --force")
        return
    if atomic.identity(target) is not None and atomic.identity(target) == atomic.identity(source):
        raise OutputError(f"{target}: is the clip itself; choose another output")
    if target.is_dir():
        raise OutputError(f"{target}: is a folder; give a file name, such as {target / source.name}")
    atomic.refuse_foreign(target, lambda path: not path.stat().st_size or pieces.owns(path), force=True)
    if target.exists() and target.stat().st_size and not (force or pieces.owns(target)):
        raise OutputError(f"{target}: exists; choose another name, or add --force")


def folder(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """Clips below a folder, each with its place below another; hidden files and what is painted are none.

    Raises:
        OutputError: the second is a file, or the first.
    """
    if target.is_file() or target.suffix.lower() in {*codecs.FORMATS, *animations.SUFFIXES}:
        raise OutputError(f"{target}: is a file, but there are the clips of a folder; give a folder")
    if target.resolve() == source.resolve():
        raise OutputError(f"{source}: is where the clips would go too; choose another folder with -o")
    found = []
    for path in sorted(source.rglob("*")):
        place = path.relative_to(source)
        suffix = path.suffix.lower()
        if any(part.startswith(".") for part in place.parts) or path.resolve().is_relative_to(
            target.resolve()
        ):
            continue
        if path.is_file() and (suffix in reading.SUFFIXES or _moves(path, suffix)):
            kept = suffix in codecs.FORMATS or suffix in animations.SUFFIXES
            found.append((path, target / (place if kept else place.with_name(f"{place.name}.mp4"))))
    return found


def _moves(path: Path, suffix: str) -> bool:
    return suffix in (".gif", ".apng") or (suffix in animations.SUFFIXES and animations.moves(path))

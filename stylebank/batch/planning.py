"""Which picture each photo becomes: folders, patterns and names, and what must not be replaced."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylebank.batch import names
from stylebank.errors import ImageError, OutputError
from stylebank.files import atomic
from stylebank.pixels import folders, formats, images

STREAM = Path("-")
"""In the place of a photo, the program's input; of a picture, its output."""


_OUTPUTS = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
"""Other names of the program's output."""


@dataclass(frozen=True)
class Job:
    """One photo and the picture to make of it; see `STREAM`.

    Attributes:
        photo: its file.
        picture: the picture's.
        suffix: that of the picture's format.
        style: which of the run's styles, from 0.
    """

    photo: Path
    picture: Path
    suffix: str = ".png"
    style: int = 0


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        jobs: in the order of the photos, of one photo in that of the styles.
        notes: what lies in folders and is no photo to paint, a line each.
        closed: folders that cannot be opened, a line each.
    """

    jobs: list[Job]
    notes: list[str]
    closed: list[str]


def plan(
    photos: Sequence[Path],
    output: str | Path | None,
    *,
    styles: Sequence[str],
    suffix: str = ".png",
    template: str = names.TEMPLATE,
    force: bool = False,
) -> Plan:
    """Decide the output file of every photo; nothing is written yet.

    A folder stands for all images below it, and its pictures keep their places in the output folder. A pattern such as
    `trip/*.jpg` stands for all files that fit, if no file has that name.

    Args:
        photos: files, folders, patterns; or `STREAM` alone, whose picture goes to `STREAM` unless `output` says else.
        output: a file or `STREAM` for one picture, else a folder, as is what ends in a slash; None for the current one.
        styles: parts of the pictures' names; each photo is painted in each.
        suffix: of the pictures' names.
        template: of the pictures' names, see `names.FIELDS`.
        force: whether files of another kind may be replaced.

    Raises:
        ContentError: a folder holds no image.
        ImageError: a photo does not exist.
        OutputError: a picture would replace a photo, or a file that is no image.
    """
    target = _written(output) if output else None
    if STREAM in photos:
        return Plan([_from_stream(photos, output, styles, suffix, force=force)], [], [])
    given = list(_matching(photos))
    found, notes, closed = _found(given, target or Path())
    count = len(found) * len(styles)
    single = len(given) == 1 and len(styles) == 1 and not atomic.is_folder(given[0])
    if target == STREAM:
        if count > 1:
            raise OutputError(f"-: has room for one picture, and there are {count}; give a folder")
        jobs = [Job(found[0][0], STREAM, suffix)]
    elif target and single and not is_folder_name(output):
        jobs = [Job(given[0], target)]
    else:
        is_file_name = (
            target and not is_folder_name(output) and target.suffix.lower() in formats.IMAGE_SUFFIXES
        )
        if target and (is_file_name or target.is_file()):
            raise OutputError(f"{target}: is a file, but there are {count} pictures; give a folder")
        wanted = [names.Wanted(*each, style) for each in found for style in styles]
        paths = names.of(wanted, folder=target or Path(), suffix=suffix, template=template)
        jobs = [
            Job(each.photo, path, suffix, place % len(styles))
            for place, (each, path) in enumerate(zip(wanted, paths, strict=True))
        ]
    check_outputs([job.picture for job in jobs], [job.photo for job in jobs], force=force)
    return Plan(jobs, notes, closed)


def target(photo: Path, output: str | None, word: str, *, suffix: str = ".png") -> Path:
    """The picture of a command that makes one: the file that is asked for, or PHOTO-WORD in a folder, or a stream.

    Args:
        photo: see `Job`.
        output: a file or `STREAM`, or a folder; None for the current one, or `STREAM` if the photo comes from there.
        word: what the command makes.
        suffix: of a name that is made up.
    """
    if output and not is_folder_name(output):
        return _written(output)
    if photo == STREAM and not output:
        return STREAM
    stem = "picture" if photo == STREAM else photo.stem
    return Path(output or "") / f"{stem}-{word}{suffix}"


def _written(output: str | Path) -> Path:
    return STREAM if str(output) in _OUTPUTS else Path(output)


def is_folder_name(output: str | Path | None) -> bool:
    """Whether an output is a folder that is there, or is written as one."""
    return str(output or "").endswith(("/", os.sep)) or (
        output is not None and atomic.is_folder(Path(output))
    )


def is_there(job: Job) -> bool:
    """Whether a job's picture is there already, and not older than its photo."""
    try:
        return job.picture.stat().st_mtime >= job.photo.stat().st_mtime
    except OSError:
        return False


def _from_stream(
    photos: Sequence[Path], output: str | Path | None, styles: Sequence[str], suffix: str, *, force: bool
) -> Job:
    if len(photos) > 1:
        raise ImageError("-: stands for the program's input, one photo; give it alone")
    if len(styles) > 1:
        raise ImageError("-: is one photo for one picture; give one --style")
    where = target(STREAM, None if output is None else str(output), styles[0], suffix=suffix)
    if where != STREAM:
        check_outputs([where], [], force=force)
    return Job(STREAM, where, suffix)


def _matching(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, and in place of a pattern the files that fit it."""
    for path in paths:
        if atomic.identity(path) or not any(letter in str(path) for letter in "*?["):
            yield path
            continue
        start, pattern = (Path(path.anchor), path.relative_to(path.anchor)) if path.anchor else (Path(), path)
        try:
            yield from sorted(start.glob(str(pattern))) or [path]
        except ValueError as error:
            raise ImageError(
                f"{path}: is no pattern ({error}); write folder/**/*.jpg, for example"
            ) from error


def _found(given: Sequence[Path], output: Path) -> tuple[list[tuple[Path, Path]], list[str], list[str]]:
    """Photos, each with its place in an output folder; notes and closed folders, see `Plan`."""
    found: list[tuple[Path, Path]] = []
    notes: list[str] = []
    closed: list[str] = []
    for path in given:
        if atomic.is_folder(path):
            listing = folders.checked(path)
            found += _places(path, listing, output)
            notes += listing.notes(path)
            closed += listing.refusals()
        elif atomic.identity(path) is None:
            raise ImageError(f"{path}: does not exist; check the path")
        else:
            found.append((path, Path(path.name)))
    return list(dict.fromkeys(found)), notes, closed  # each photo once, if given twice


def _places(folder: Path, found: folders.Listing, output: Path) -> list[tuple[Path, Path]]:
    """Photos below a folder with their places in it; pictures of an output folder inside it are none of them."""
    inside, below = output.resolve(), folder.resolve()
    if inside == below:
        raise OutputError(f"{folder}: is where the pictures would go too; choose another folder with -o")
    places = [(photo, photo.relative_to(folder)) for photo in found.photos]
    if not inside.is_relative_to(below):
        return places
    own = inside.relative_to(below)
    return [(photo, place) for photo, place in places if not place.is_relative_to(own)]


def check_outputs(pictures: Iterable[Path], photos: Iterable[Path], *, force: bool) -> None:
    """Refuse pictures that no format fits, that are one of the photos, or that replace a file of another kind.

    Raises:
        OutputError: saying which.
    """
    originals = {atomic.identity(photo) for photo in photos} - {None}
    for picture in pictures:
        if picture == STREAM:
            continue
        formats.check_suffix(picture)
        atomic.refuse_foreign(picture, _may_go, force=force)
        if atomic.identity(picture) in originals:
            raise OutputError(f"{picture}: is the photo itself; choose another output")


def _may_go(path: Path) -> bool:
    """Whether a file is an image, or nobody's work: an empty one, such as `mktemp` makes to have its name."""
    return not path.stat().st_size or images.is_image(path)

"""Which picture each photo becomes: folders, patterns and names, and what must not be replaced."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylebank.errors import ImageError, OutputError
from stylebank.files import atomic
from stylebank.pixels import folders, formats, images

STREAM = Path("-")
"""In the place of a photo, the program's input; of a picture, its output."""


@dataclass(frozen=True)
class Job:
    """One photo and the picture to make of it; see `STREAM`. The suffix is that of the picture's format."""

    photo: Path
    picture: Path
    suffix: str = ".png"


def plan(
    photos: Sequence[Path], output: Path | None, *, style: str, suffix: str = ".png", force: bool = False
) -> list[Job]:
    """Decide the output file of every photo; nothing is written yet.

    A folder stands for all images below it, and its pictures keep their places in the output folder. A pattern such as
    `trip/*.jpg` stands for all files that fit, if no file has that name.

    Args:
        photos: files, folders, patterns; or `STREAM` alone, whose picture goes to `STREAM` unless `output` says else.
        output: a file or `STREAM` for one photo, else a folder; None for the current one.
        style: part of the pictures' names.
        suffix: of the pictures' names.
        force: whether files of another kind may be replaced.

    Raises:
        ContentError: a folder holds no image.
        ImageError: a photo does not exist.
        OutputError: a picture would replace a photo, another picture or a file that is no image.
    """
    if STREAM in photos:
        if len(photos) > 1:
            raise ImageError("-: stands for the program's input, one photo; give it alone")
        if output and output != STREAM:
            check_outputs([output], [], force=force)
        return [Job(STREAM, output or STREAM, suffix)]
    found: list[tuple[Path, Path]] = []  # photo, its place in an output folder
    given = list(_matching(photos))
    for path in given:
        if atomic.is_folder(path):
            found += _photos_of(path, output or Path())
        elif atomic.identity(path) is None:
            raise ImageError(f"{path}: does not exist; check the path")
        else:
            found.append((path, Path(path.name)))
    single = len(given) == 1 and not atomic.is_folder(given[0])
    if output == STREAM:
        if len(found) > 1:
            raise OutputError(f"-: has room for one picture, and there are {len(found)}; give a folder")
        return [Job(found[0][0], STREAM, suffix)]
    if output and single and not atomic.is_folder(output):
        jobs = [Job(given[0], output)]
    else:
        if output and (output.suffix.lower() in formats.IMAGE_SUFFIXES or output.is_file()):
            raise OutputError(f"{output}: is a file, but there are {len(found)} photos; give a folder")
        folder = output or Path()
        jobs = [
            Job(photo, folder / place.with_name(f"{place.stem}-{style}{suffix}")) for photo, place in found
        ]
    jobs = list(dict.fromkeys(jobs))  # a photo that is given twice
    makers: dict[Path, Path] = {}
    for job in jobs:
        other = makers.setdefault(job.picture.resolve(), job.photo)
        if other != job.photo:
            raise OutputError(
                f"{job.picture}: would be made of both {other} and {job.photo}; stylize them apart"
            )
    check_outputs([job.picture for job in jobs], [job.photo for job in jobs], force=force)
    return jobs


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


def _photos_of(folder: Path, output: Path) -> list[tuple[Path, Path]]:
    """Photos below a folder with their places in it; pictures of an output folder inside it are none of them."""
    inside, below = output.resolve(), folder.resolve()
    if inside == below:
        raise OutputError(f"{folder}: is where the pictures would go too; choose another folder with -o")
    places = [(photo, photo.relative_to(folder)) for photo in folders.find_photos(folder)]
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
        formats.check_suffix(picture)
        atomic.refuse_foreign(picture, images.is_image, force=force)
        if atomic.identity(picture) in originals:
            raise OutputError(f"{picture}: is the photo itself; choose another output")

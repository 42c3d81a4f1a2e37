"""Which picture each photo becomes, and the work on many: skip and report what cannot be read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stylebank import data, files, images
from stylebank.errors import ImageError, OutputError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Job:
    """One photo and the picture to make of it."""

    photo: Path
    picture: Path


def plan(photos: Sequence[Path], output: Path | None, *, style: str, force: bool) -> list[Job]:
    """Decide the output file of every photo; nothing is written yet.

    A folder stands for all images below it, and its pictures keep their places in the output folder.

    Raises:
        ContentError: a folder holds no image.
        ImageError: a photo does not exist.
        OutputError: a picture would replace a photo, another picture or a file that is no image.
    """
    found: list[tuple[Path, Path]] = []  # photo, its place in an output folder
    for path in photos:
        if files.is_folder(path):
            found += [(photo, photo.relative_to(path)) for photo in data.find_photos(path)]
        elif files.identity(path) is None:
            raise ImageError(f"{path}: does not exist; check the path")
        else:
            found.append((path, Path(path.name)))
    single = len(photos) == 1 and not photos[0].is_dir()
    if output and single and not files.is_folder(output):
        jobs = [Job(photos[0], output)]
    else:
        if output and (output.suffix.lower() in images.IMAGE_SUFFIXES or output.is_file()):
            raise OutputError(f"{output}: is a file, but there are {len(found)} photos; give a folder")
        folder = output or Path()
        jobs = [Job(photo, folder / place.with_name(f"{place.stem}-{style}.png")) for photo, place in found]
    makers: dict[Path, Path] = {}
    for job in jobs:
        other = makers.setdefault(job.picture.resolve(), job.photo)
        if other != job.photo:
            raise OutputError(
                f"{job.picture}: would be made of both {other} and {job.photo}; stylize them apart"
            )
    check_outputs([job.picture for job in jobs], [job.photo for job in jobs], force=force)
    return jobs


def check_outputs(pictures: Iterable[Path], photos: Iterable[Path], *, force: bool) -> None:
    """Refuse pictures that no format fits, that are one of the photos, or that replace a file of another kind.

    Raises:
        OutputError: saying which.
    """
    originals = {files.identity(photo) for photo in photos} - {None}
    for picture in pictures:
        images.check_suffix(picture)
        files.refuse_foreign(picture, images.is_image, force=force)
        if files.identity(picture) in originals:
            raise OutputError(f"{picture}: is the photo itself; choose another output")


def run(jobs: Sequence[Job], paint: Callable[["Image"], "Image"], *, say: Callable[[str], None]) -> int:
    """Make every picture; return how many photos were skipped because they cannot be read.

    Raises:
        ImageError: the only photo cannot be read.
        OutputError: a picture cannot be written.
    """
    skipped = 0
    for job in jobs:
        try:
            photo = images.read(job.photo)
        except ImageError as error:
            if len(jobs) == 1:
                raise
            say(f"{error}; skipped")
            skipped += 1
            continue
        picture = paint(photo)
        del photo  # a large one is a lot of memory, and so is encoding
        images.save(job.picture, picture)
        say(str(job.picture))
    return skipped

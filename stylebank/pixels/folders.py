"""The photos in a folder: what is taken for one, and in which order."""

import os
from pathlib import Path

from stylebank.errors import ContentError
from stylebank.files.atomic import is_folder
from stylebank.pixels.formats import IMAGE_SUFFIXES


def find_images(folder: Path) -> list[Path]:
    """All image files below a folder by suffix, sorted by their path inside; hidden ones are left out.

    Links to files count, links to folders are not followed: those may lead around in a circle.
    """
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(root, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
        ]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def find_photos(folder: Path) -> list[Path]:
    """All image files below a folder, in an order that does not depend on the file system.

    Raises:
        ContentError: the folder is missing or holds no image.
    """
    if not is_folder(folder):
        raise ContentError(f"{folder}: is not a folder; give a folder of photos")
    found = find_images(folder)
    if not found:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise ContentError(f"{folder}: holds no photos; put images in it ({suffixes})")
    return found

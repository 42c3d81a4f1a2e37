"""The photos in a folder: what is taken for one, in which order, and what is left out and why."""

import os
import stat
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stylebank.errors import ContentError
from stylebank.files.atomic import identity, is_folder
from stylebank.pixels.formats import IMAGE_SUFFIXES, UNREAD

_MADE_BY_MACHINES = frozenset(
    (
        "@eadir",
        "#recycle",
        "@recycle",
        "#snapshot",
        "@recently-snapshot",
        "__macosx",
        "$recycle.bin",
        "system volume information",
        "lost+found",
    )
)
_MADE_BY_MACHINES_ENDS = (".lrdata", ".photoslibrary/resources")
_RUBBISH = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", ".ds_store"))
_SHOWN = 4


@dataclass(frozen=True)
class Listing:
    """What lies below a folder.

    Attributes:
        photos: image files by suffix, sorted by their path inside.
        left_out: how many files of which kind and suffix, as in ("camera raw", ".cr2"), are no photos to read.
        closed: folders that cannot be opened, each with the reason.
    """

    photos: list[Path]
    left_out: Counter[tuple[str, str]]
    closed: list[tuple[Path, str]]

    def notes(self, folder: Path) -> list[str]:
        """A line for all that is left out, if anything is."""
        return [f"{folder}: left out {self.summary()}"] if self.left_out else []

    def refusals(self) -> list[str]:
        """A line for each closed folder."""
        return [f"{path}: cannot be opened ({reason}); skipped" for path, reason in self.closed]

    def summary(self) -> str:
        """Counts by kind, the most frequent first: "3 camera raw (.cr2, .nef), 1 video (.mp4)"."""
        kinds: Counter[str] = Counter()
        suffixes: dict[str, list[str]] = {}
        for (kind, suffix), count in self.left_out.most_common():
            kinds[kind] += count
            suffixes.setdefault(kind, []).append(suffix)
        return ", ".join(f"{count} {kind}{_listed(suffixes[kind])}" for kind, count in kinds.most_common())


def listing(folder: Path) -> Listing:
    """Look at everything below a folder.

    Hidden files and machine-made thumbnails are left out. Links are followed, into each folder once, so that a circle
    of them ends.
    """
    found = Listing([], Counter(), [])
    seen = {identity(folder)}

    def is_closed(error: OSError) -> None:
        found.closed.append((Path(error.filename), error.strerror or str(error)))

    for root, folders, names in os.walk(folder, followlinks=True, onerror=is_closed):
        folders[:] = sorted(name for name in folders if _is_walked(Path(root, name), found.left_out, seen))
        for name in names:
            suffix = Path(name).suffix.lower()
            if name.lower() in _RUBBISH or name.startswith("._"):
                continue
            if name.startswith("."):
                found.left_out["hidden", suffix] += suffix in IMAGE_SUFFIXES
            elif name.lower().startswith("synophoto_thumb"):
                found.left_out["thumbnails", suffix] += 1
            elif suffix in IMAGE_SUFFIXES and _is_no_file(Path(root, name)):
                found.left_out["pipes, sockets or devices", suffix] += 1
            elif suffix in IMAGE_SUFFIXES:
                found.photos.append(Path(root, name))
            else:
                found.left_out[UNREAD.get(suffix, "other files"), suffix] += 1
    found.photos.sort(key=lambda path: path.relative_to(folder).as_posix())
    for nothing in [key for key, count in found.left_out.items() if not count]:
        del found.left_out[nothing]
    return found


def find_photos(folder: Path, *, note: Callable[[str], None] | None = None) -> list[Path]:
    """All image files below a folder, in an order that does not depend on the file system.

    Args:
        folder: see `listing`.
        note: told of what is left out, a line or more.

    Raises:
        ContentError: the folder is missing or holds no image.
    """
    found = checked(folder)
    if note:
        for line in (*found.notes(folder), *found.refusals()):
            note(line)
    return found.photos


def checked(folder: Path) -> Listing:
    """What lies below a folder, if there are photos.

    Raises:
        ContentError: the folder is missing or holds no image.
    """
    if not is_folder(folder):
        raise ContentError(f"{folder}: is not a folder; give a folder of photos")
    found = listing(folder)
    if found.photos:
        return found
    seen = [f"{found.summary()}"] if found.left_out else []
    seen += [f"{path} cannot be opened ({reason})" for path, reason in found.closed[:1]]
    holds = f" ({'; '.join(seen)})" if seen else ""
    raise ContentError(f"{folder}: holds no photos{holds}; put images in it, as .jpg, .png, .heic or .tif")


def _is_walked(path: Path, left_out: Counter[tuple[str, str]], seen: set[tuple[int, int] | None]) -> bool:
    """Whether a folder is looked into; if not, why is counted."""
    name = path.name.lower()
    if name in _MADE_BY_MACHINES or path.as_posix().lower().endswith(_MADE_BY_MACHINES_ENDS):
        left_out["folders made by machines", path.name] += 1
        return False
    if name.startswith("."):
        left_out["hidden folders", path.name] += 1
        return False
    own = identity(path)
    if own in seen and own is not None:
        left_out["links to folders seen already", path.name] += 1
        return False
    seen.add(own)
    return True


def _is_no_file(path: Path) -> bool:
    """Whether something else than a file has the name, which might never come to an end; not if it is out of reach."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:  # a broken link, say: who reads it says so
        return False


def _listed(suffixes: list[str]) -> str:
    """' (.cr2, .nef ...)', or nothing if there are none."""
    known = sorted(filter(None, suffixes))
    more = " ..." if len(known) > _SHOWN else ""
    return f" ({', '.join(known[:_SHOWN])}{more})" if known else ""

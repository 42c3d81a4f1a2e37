"""What a list of styles says for people: name, artist and title where known, layered or not, one line each."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stylebank.bank.entries import Entry
from stylebank.errors import UnknownStyleError, nearest
from stylebank.files import resources
from stylebank.supervision.styleset import BLANK

_KIND = 7
"""Letters of the column that says layered, mixture, or stopped: not trained to its end."""


@dataclass(frozen=True)
class Work:
    """A painting that supervises a style: the artist with his or her years, and the title with the painting's."""

    artist: str
    title: str

    @property
    def by(self) -> str:
        """The artist without years."""
        return re.sub(r" [(][-0-9]+[)]", "", self.artist)

    def __str__(self) -> str:
        """Artist without years, and title."""
        return f"{self.by}: {self.title}"


def works(entry: Entry) -> list[Work | str]:
    """What an entry was made of, finest layers first, each once: works that are known, else names of files.

    Known is a work by the bytes of its image: a picture that only has the name of one is another.
    """
    images = [(image.sha256, image.source) for image in entry.style.layers if image.source != BLANK]
    known = _known(resources.paintings())
    return list(dict.fromkeys(known.get(digest, source) for digest, source in images))


def matching(entries: Sequence[Entry], words: str | None) -> list[Entry]:
    """The entries that have these words in name, artist or title, however they are written; all if there are none.

    Raises:
        UnknownStyleError: none has; the message names the nearest.
    """
    wanted = (words or "").casefold()
    found = [
        entry
        for entry in entries
        if any(wanted in str(said).casefold() for said in (entry.name, *works(entry)))
    ]
    if words and not found:
        near = nearest(words, [entry.name for entry in entries])
        raise UnknownStyleError(
            f"'{words}': is in no style's name, artist or title{near}; see 'stylebank list'"
        )
    return found


def lines(entries: Sequence[Entry], *, columns: int | None = None) -> list[str]:
    """One line for each entry, columns aligned.

    Args:
        entries: of a bank.
        columns: letters of a terminal's line; what is said after the name is cut to it. None cuts nothing.
    """
    width = max((len(entry.name) for entry in entries), default=0)
    found = []
    for entry in entries:
        line = f"{entry.name:{width}}  {_kind(entry):{_KIND}}  {described(entry)}".rstrip()
        if columns and len(line) > max(columns, len(entry.name)):
            line = (
                f"{line[: max(columns, len(entry.name)) - 1]}…" if columns > len(entry.name) else entry.name
            )
        found.append(line)
    return found


def described(entry: Entry) -> str:
    """Artist and title of the work it was made of, of several the artists; files in brackets; parts of a mixture."""
    if entry.mixture:
        return " + ".join(f"{weight:.3g} {name}" for name, weight in entry.mixture.items())
    found = works(entry)
    if len(found) == 1:
        return str(found[0]) if isinstance(found[0], Work) else f"({found[0]})"
    return " + ".join(_once(f"({work})" if isinstance(work, str) else work.by for work in found))


def to_json(entry: Entry) -> dict[str, Any]:
    """Everything that is known of an entry as plain JSON data, its name first."""
    known = [work for work in works(entry) if isinstance(work, Work)]
    return {
        "name": entry.name,
        "artists": _once(work.artist for work in known),
        "titles": _once(work.title for work in known),
        "layered": entry.style.is_layered,
        **entry.to_manifest(),
    }


def _kind(entry: Entry) -> str:
    if entry.mixture:
        return "mixture"
    if entry.style.is_layered:
        return "layered"
    return "" if entry.card else "stopped"


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


@cache
def _known(table: Path) -> Mapping[str, Work]:
    """Works by the SHA-256 of their images; none where the table is missing."""
    try:
        text = table.read_text("utf-8")
    except OSError:
        return {}
    rows = csv.DictReader(text.splitlines())
    return {
        digest: Work(row["artist"], row["title"])
        for row in rows
        for digest in (row.get("sha256") or "").split()
    }

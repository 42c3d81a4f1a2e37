"""The bank that a run writes: what may stand in its place, so that nobody's work is lost.

A run replaces what it wrote itself, as long as nothing was added to it. Styles added since, and banks of other runs, it
refuses to replace before its first step; what came only while it trained stays, and its own bank goes beside. The run's
folder remembers the encoders and decoders it has written.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.errors import OutputError, RunError, TensorFileError
from stylebank.files import atomic, tensorfile
from stylebank.persistence import continuing
from stylebank.persistence.continuing import checkpoint_path
from stylebank.supervision.styleset import StyleSet

_REMEMBERED = "banks.txt"
"""In a run's folder: digests of the encoders and decoders that it wrote, one a line."""


@dataclass(frozen=True)
class Standing:
    """What stands where a run's bank goes.

    Attributes:
        exists: whether anything does.
        bank: what it is, if it is a sound bank.
        is_own: whether this run wrote its encoder and decoder.
        added: names of entries that the run did not make.
    """

    exists: bool = False
    bank: Bundle | None = None
    is_own: bool = False
    added: tuple[str, ...] = ()

    @property
    def is_free(self) -> bool:
        """Whether nothing is lost if the run replaces it."""
        return not self.exists or (self.is_own and not self.added)

    @property
    def why(self) -> str:
        """What would be lost."""
        if self.added:
            several = f"{', '.join(self.added[:3])}{', ...' if len(self.added) > 3 else ''}"
            return f"has styles added since ({several})"
        if self.bank is None:
            return "is no bank that can be read"
        return f"is another run's bank ({len(self.bank.entries)} styles)"


class Outlet:
    """Where a run's bank goes.

    Args:
        path: the file.
        folder: the run's.
        styles: of the run.
        experiment: facts of the run, see `continuing`.
        step: of its checkpoint; 0 if it has none.
        force: replace what stands there now, whatever it is.
    """

    def __init__(
        self,
        path: Path,
        folder: Path,
        *,
        styles: Sequence[StyleSet],
        experiment: Mapping[str, Any],
        step: int,
        force: bool,
    ) -> None:
        self.path, self._folder, self._step = path, folder, step
        self._styles = {style.name: style for style in styles}
        self._experiment = experiment
        self._given_up = atomic.sha256_file(path) if force and path.is_file() else None

    def standing(self) -> Standing:
        """What stands there."""
        if not os.path.lexists(self.path.resolve()):
            return Standing()
        try:
            bank = bundle.read(self.path)
        except TensorFileError:
            return Standing(exists=True)
        if not self._is_own(bank):
            return Standing(exists=True, bank=bank)
        added = tuple(entry.name for entry in bank.entries if not self._made(entry))
        return Standing(exists=True, bank=bank, is_own=True, added=added)

    def check(self) -> None:
        """Refuse a place where something would be lost, or that cannot be written.

        Raises:
            OutputError: saying which.
        """
        found = self.standing()
        if not found.is_free and not self._is_given_up():
            raise OutputError(f"{self.path}: {found.why}; give another --out, or --force to replace it")
        with atomic.locked(self.path):
            pass  # a folder that cannot be written is found now, not after the training

    def done(self) -> Bundle | None:
        """The bank, if it is there as the run wrote it after the steps it has done, or grown since."""
        found = self.standing()
        steps = found.bank.training.get("steps") if found.bank and found.is_own else None
        return found.bank if steps == self._step and self._step > 0 else None

    def lacking(self, bank: Bundle) -> list[str]:
        """Styles of the run that are not in a bank it wrote."""
        return [name for name in self._styles if name not in bank.names]

    def write(self, bank: Bundle) -> Path:
        """Write the run's bank, beside the place if something that the run may not replace came there; return where.

        Raises:
            OutputError: it cannot be written.
        """
        with atomic.locked(self.path):
            found = self.standing()
            if found.is_free or self._is_given_up() or _are_equal(found.bank, bank):
                return self._put(self.path, bank)
        number = 2
        while True:
            beside = self.path.with_name(f"{self.path.stem}-{number}{self.path.suffix}")
            with atomic.locked(beside):
                if not os.path.lexists(beside):
                    return self._put(beside, bank)
            number += 1

    def _put(self, path: Path, bank: Bundle) -> Path:
        digests = self._remembered()
        if (digest := bank.coder_digest()) not in digests:
            # Before the bank: a kill between the two leaves a digest too much, not a bank that nobody knows.
            text = "".join(f"{line}\n" for line in [*digests, digest])
            atomic.write_atomically(self._folder / _REMEMBERED, text.encode())
        bundle.write(path, bank)
        return path

    def _remembered(self) -> list[str]:
        try:
            return (self._folder / _REMEMBERED).read_text("ascii", errors="replace").split()
        except OSError:
            return []

    def _is_own(self, bank: Bundle) -> bool:
        if digests := self._remembered():
            return bank.coder_digest() in digests
        # A run of before it remembered: the same experiment, and no further than its checkpoint.
        steps, facts = bank.training.get("steps"), dict(bank.training)
        styles = [entry.style.to_manifest() for entry in bank.entries if self._made(entry)]
        own = [self._styles[style["name"]].to_manifest() for style in styles]
        start = {"from": self._experiment["from"]} if "from" in facts and "from" in self._experiment else {}
        same = not continuing.differences(
            {**facts, "styles": styles} | start, {**self._experiment, "styles": own}
        )
        return same and isinstance(steps, int) and 0 < steps <= self._step

    def _made(self, entry: Entry) -> bool:
        """Whether an entry is one of the run's, not added, mixed, renamed or trained further since."""
        own = self._styles.get(entry.name)
        return (
            own is not None and entry.is_joint and not entry.recipe and _pixels(entry.style) == _pixels(own)
        )

    def _is_given_up(self) -> bool:
        """Whether what stands there is what the user said may be replaced."""
        return self._given_up is not None and (
            not self.path.is_file() or atomic.sha256_file(self.path) == self._given_up
        )


def check_places(folder: Path, *, content: Path, out: Path, resume: bool, force: bool) -> None:
    """Check that a run's folder, its photos and the bank to write do not get in each other's way.

    Raises:
        OutputError: `out` is no bank, or the run's own.
        RunError: the folder lies among the photos or below a file, or has nothing to resume.
    """
    place = next((place for place in (folder, *folder.parents) if atomic.identity(place)), folder)
    if place.is_file():
        raise RunError(f"{folder}: can be no folder ({place} is a file); choose another --run folder")
    atomic.refuse_foreign(out, lambda path: tensorfile.kind_of(path) == bundle.KIND, force=force)
    if out.resolve() == folder.resolve():
        raise OutputError(f"{out}: is the run's folder; give the bank a file name of its own")
    if out.resolve().parent == folder.resolve() and out.resolve().name in _OF_A_RUN:
        raise OutputError(f"{out}: is the run's own file; give the bank a file name of its own")
    if folder.resolve().is_relative_to(content.resolve()):
        raise RunError(
            f"{folder}: lies in the content folder, and its pictures are no photos; choose another --run"
        )
    if resume and not checkpoint_path(folder).exists():
        raise RunError(f"{folder}: holds no checkpoint to resume; leave out --resume to start")


def refuse_inputs(out: Path, inputs: Iterable[Path]) -> None:
    """Refuse to write over what is being read, whatever else is allowed.

    Raises:
        OutputError: the file to write is one of the inputs, under this name or another.
    """
    own = atomic.identity(out)
    if own and own in map(atomic.identity, inputs):
        raise OutputError(f"{out}: is read by this training; give the bank a file name of its own")


_OF_A_RUN = {"checkpoint.safetensors", "preview.png", "curves.png", "losses.csv", _REMEMBERED}


def _pixels(style: StyleSet) -> list[tuple[object, ...]]:
    """What a style looks like, whatever its files are called."""
    return [(x.layer, x.sha256, tuple(x.crop), tuple(x.size), x.weight) for x in style.layers]


def _are_equal(there: Bundle | None, bank: Bundle) -> bool:
    return (
        there is not None
        and there.digest() == bank.digest()
        and [x.to_manifest() for x in there.entries] == [x.to_manifest() for x in bank.entries]
        and dict(there.training) == dict(bank.training)
    )

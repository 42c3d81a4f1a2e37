"""Change a bank file under its lock, so that many processes at once lose nothing: add, bake, remove, rename, merge.

Every change reads the file again under the lock and replaces it as a whole. The bytes of encoder, decoder and untouched
entries come from the file, never from a network in memory.
The user's own bank begins with its first change, see `personal`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stylebank import config
from stylebank.bank import bundle, entries, personal
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.bank.mixture import Mixture
from stylebank.errors import ConfigError, OutputError, TensorFileError
from stylebank.files import atomic, tensorfile
from stylebank.supervision.styleset import StyleSet

_MARGIN = 4096
"""Bytes that a header may be longer than was thought: its numbers are rounded otherwise."""

Change = Callable[[Bundle], Bundle]
Note = Callable[[str], object]


def edit(path: Path, change: Change, *, note: Note = lambda _: None) -> Bundle:
    """Apply a change to a bank file and return what it holds now.

    Args:
        path: the file; it need not be there yet if it is the user's own bank.
        change: what to do; it is called more than once.
        note: told if the user's own bank began with this change.

    Raises:
        StyleBankError: the file is no bank or cannot be written, or the change is refused; then it is as it was.
    """
    change(personal.contents(path))  # what is refused already now leaves not even a lock file behind
    personal.check_open(path)
    with atomic.locked(path):
        begins = personal.source(path) != path
        changed = change(personal.contents(path))
        bundle.write(path, changed)
    if begins:
        note(personal.made(path))
    return changed


def adding(new: Entry, *, coder_digest: str, source: str) -> Change:
    """Append an entry that was trained against the encoder and decoder of this digest; `source` begins complaints."""

    def change(bank: Bundle) -> Bundle:
        if bank.coder_digest() != coder_digest:
            raise OutputError(
                f"{source}: was trained against another encoder and decoder than the bank's "
                f"({coder_digest[:12]}, not {bank.coder_digest()[:12]}); use the bank that it was made with"
            )
        check_free(bank, new.name)
        if misfit := new.misfit(bank.network.width):
            raise TensorFileError(f"{source}: its filter {misfit}; get the file again")
        return replace(bank, entries=(*bank.entries, new))

    return change


def removing(names: Sequence[str]) -> Change:
    """Take entries out."""

    def change(bank: Bundle) -> Bundle:
        for name in names:
            bank.find(name)
        return replace(bank, entries=tuple(entry for entry in bank.entries if entry.name not in names))

    return change


def renaming(old: str, new: str) -> Change:
    """Give an entry another name, in its place."""
    config.check_name(new, where="new name")

    def change(bank: Bundle) -> Bundle:
        entry = bank.find(old)
        check_free(bank, new)
        found = tuple(renamed(entry, new) if other is entry else other for other in bank.entries)
        return replace(bank, entries=found)

    return change


def baking(name: str, mixture: Mixture) -> Change:
    """Append a mixture of entries as an entry of its own, with no training; a strength is not part of it."""
    config.check_name(name, where="new name")
    if mixture.marks:
        raise ConfigError(f"bake: {mixture} has marks of other styles; bake the forms and the marks apart")

    def change(bank: Bundle) -> Bundle:
        check_free(bank, name)
        weight, gain = bank.mixed_filter(mixture.weights)
        revises = any(bank.find(part).revision is not None for part in mixture.names)
        revision, revision_gain = bank.mixed_filter(mixture.weights, again=True) if revises else (None, 1.0)
        baked = Entry(
            style=StyleSet(name=name, kernel=weight.shape[-1], layers=()),
            filter=weight,
            gain=gain,
            recipe={"mixture": dict(mixture.weights)},
            revision=revision,
            revision_gain=revision_gain,
        )
        if misfit := baked.misfit(bank.network.width):
            raise OutputError(f"style '{name}': its filter {misfit}; the gains of its parts are too large")
        return replace(bank, entries=(*bank.entries, baked))

    return change


def import_style(file: Path, *, bank: Path, name: str | None = None, note: Note = lambda _: None) -> Entry:
    """Append the entry of a style file, under its own name or another; `note` as of `edit`.

    Raises:
        StyleBankError: it is no style file, of another encoder and decoder, or the name is taken.
    """
    entry, coder_digest = entries.read(file)
    if name is not None:
        config.check_name(name, where="--name")
        entry = renamed(entry, name)
    edit(bank, adding(entry, coder_digest=coder_digest, source=str(file)), note=note)
    return entry


def export_style(name: str, *, bank: Path, out: Path, force: bool) -> None:
    """Write one entry of a bank as a style file.

    Raises:
        StyleBankError: the bank has no such style, or `out` is the bank, another file, or cannot be written.
    """
    contents = bundle.read(bank)
    entry, coder_digest = contents.find(name), contents.coder_digest()

    def is_this_style(path: Path) -> bool:
        if tensorfile.kind_of(path) != entries.KIND:
            return False
        there, digest = entries.read(path)
        return there.name == name and digest == coder_digest

    if atomic.identity(out) and atomic.identity(out) == atomic.identity(bank):
        raise OutputError(f"{out}: is the bank itself; choose another output")
    atomic.refuse_foreign(out, is_this_style, force=force)
    entries.write(out, entry, coder_digest=coder_digest)


def merge(
    paths: Sequence[Path], *, out: Path, renames: Sequence[tuple[Path, str, str]], force: bool
) -> Bundle:
    """Write one bank with the entries of several that share encoder and decoder, and return it.

    Args:
        paths: the banks; what is not an entry comes from the first.
        out: the bank to write; it may be one of them.
        renames: (bank, old name, new name).
        force: replace `out` even if it is another file.

    An entry that two banks have, equal to the last bit, is taken once.

    Raises:
        StyleBankError: encoders or decoders differ, a name stands for two styles, a bank to rename in is not among
            the banks, or `out` exists and is none of them.
    """
    for path, _, new in renames:
        config.check_name(new, where="--rename")
        if path not in paths:
            raise OutputError(f"--rename {path}: is none of the banks; name one of them as it stands there")
    if atomic.identity(out) and atomic.identity(out) not in map(atomic.identity, paths) and not force:
        raise OutputError(
            f"{out}: exists and is none of the banks to merge; choose another name, or add --force"
        )
    atomic.refuse_foreign(out, lambda path: tensorfile.kind_of(path) == bundle.KIND, force=force)

    def merged() -> Bundle:
        banks = []
        for path in paths:
            bank = bundle.read(path)
            for place, old, new in renames:
                if place == path:
                    bank = renaming(old, new)(bank)
            banks.append(bank)
        found = banks[0]
        for path, bank in zip(paths[1:], banks[1:], strict=True):
            if bank.coder_digest() != found.coder_digest():
                raise TensorFileError(
                    f"{path}: has another encoder and decoder than {paths[0]} ({bank.coder_digest()[:12]}, not "
                    f"{found.coder_digest()[:12]}); only banks grown from one merge"
                )
            for entry in bank.entries:
                found = _with(found, entry, path)
        return found

    merged()
    with atomic.locked(out):
        found = merged()
        bundle.write(out, found)
    return found


def _with(bank: Bundle, entry: Entry, source: Path) -> Bundle:
    """The bank with one more entry, unless it has the very same."""
    if entry.name not in bank.names:
        return replace(bank, entries=(*bank.entries, entry))
    if not bank.find(entry.name).is_same(entry):
        raise OutputError(
            f"{source}: its style '{entry.name}' is another than an earlier bank's; add --rename "
            f"{source}:{entry.name}=NEWNAME"
        )
    return bank


def check_free(bank: Bundle, name: str) -> None:
    """Make sure that a name is not taken.

    Raises:
        OutputError: it is.
    """
    if name in bank.names:
        raise OutputError(
            f"style '{name}': is in the bank already; choose another name, or remove that first"
        )


def check_room(path: Path, bank: Bundle, new: Entry) -> None:
    """Make sure that a bank's file can take one more entry as long as this one.

    Raises:
        OutputError: it is full.
    """
    tensors, manifest = bundle.parts(replace(bank, entries=(*bank.entries, new)))
    length = tensorfile.header_length(kind=bundle.KIND, tensors=tensors, manifest=manifest)
    if length > tensorfile.MAX_HEADER - _MARGIN:
        raise OutputError(
            f"{path}: has no room for another style ({len(bank.entries)} styles; a header of {length} bytes, and "
            f"{tensorfile.MAX_HEADER} at most); remove one, or add it to another copy of the bank"
        )


def renamed(entry: Entry, name: str) -> Entry:
    """The same entry under another name."""
    return replace(entry, style=replace(entry.style, name=name))

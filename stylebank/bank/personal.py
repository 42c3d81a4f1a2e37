"""The user's own bank: made from the one that comes along by its first change, and read by every command from then on.

Nothing copies it: the first change that succeeds writes, in one piece and under the bank's lock, what it made of the
bank that comes along. So a change that is refused or killed leaves no bank behind, and of two at once one begins the
bank and the other finds it.
"""

import os
import shlex
from pathlib import Path

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.errors import ConfigError, OutputError, StyleBankError, TensorFileError
from stylebank.files import atomic, resources, tensorfile


def read(name: Path | str | None) -> Bundle:
    """Read the bank that `--bank` means: a path, "shipped", or None for the user's own, else the one that comes along.

    Raises:
        TensorFileError: the file is missing, damaged or no bank; of the user's own it says what else there is.
        ConfigError: the environment variable that names the user's own bank names no path.
    """
    return contents(resources.bank_named(name))


def to_change(name: Path | str | None) -> Path:
    """The bank that a command changes: a path, or None for the user's own, which need not be there yet.

    Raises:
        OutputError: it is the bank that comes along, by that word or by the variable.
        ConfigError: nobody knows where the user's own would be.
    """
    path = resources.own_bank() if name is None else Path(name)
    same = name is None and path.exists() and path.samefile(resources.shipped_bank())
    if same or str(name) == resources.SHIPPED:
        said = resources.BANK_VARIABLE if same else "--bank shipped"
        raise OutputError(
            f"{said}: is the bank that comes with StyleBank, which stays as it is; leave it out to change your own"
        )
    return path


def source(path: Path) -> Path:
    """The file that holds what a bank to change holds now: itself, or for an own one not there yet the shipped."""
    return resources.shipped_bank() if is_own(path) and not os.path.lexists(path) else path


def contents(path: Path) -> Bundle:
    """Read a bank, or what it will begin with.

    Raises:
        TensorFileError: see `read`.
    """
    try:
        return bundle.read(source(path))
    except TensorFileError as error:
        if not is_own(path) or path == resources.shipped_bank():
            raise
        raise TensorFileError(
            f"{error}; it is your own bank: move it away to begin a new one, or read the one that comes along with "
            "--bank shipped"
        ) from error


def is_own(path: Path) -> bool:
    """Whether a path is that of the user's own bank."""
    try:
        return path.absolute() == resources.own_bank()
    except (ConfigError, OSError):
        return False


def check_open(path: Path) -> None:
    """Refuse a bank that could not be changed, before anybody works for it.

    Raises:
        OutputError: the file, or the folder that is to hold it, is protected from writing or no folder.
    """
    try:
        target = path.resolve()
        there = target.exists()
        shut = there and not (target.stat().st_mode & 0o222 and os.access(target, os.W_OK))
        folder = next(folder for folder in target.parents if folder.exists())
    except (OSError, RuntimeError, StopIteration) as error:
        raise OutputError(
            f"{path}: cannot be changed ({getattr(error, 'strerror', None) or error}); {_elsewhere(path)}"
        ) from error
    if shut:
        raise OutputError(f"{path}: is protected from writing; {_elsewhere(path)}")
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        why = "is protected from writing" if folder.is_dir() else "is no folder"
        raise OutputError(f"{path}: cannot be changed ({folder} {why}); {_elsewhere(path)}")


def made(path: Path) -> str:
    """The line about an own bank that there is from now on."""
    return f"your own bank is made: {path} (from the one that comes with StyleBank)"


def notes(path: Path, bank: Bundle) -> list[str]:
    """What whoever named no bank may want to know of the one that is read instead."""
    if is_own(path):
        news = _news(path, bank)
        return [f"your own bank: {path}{f'; {news}' if news else ''}"]
    if resources.own_is_named():
        return [
            f"{resources.BANK_VARIABLE}: there is no {resources.own_bank()} yet; these come with StyleBank"
        ]
    return []


def _news(path: Path, bank: Bundle) -> str:
    """What the bank that comes along has that the user's own has not, and how to get at it; empty if nothing."""
    try:
        shipped = bundle.read(resources.shipped_bank())
    except StyleBankError:
        return ""
    if atomic.identity(path) == atomic.identity(resources.shipped_bank()):
        return ""
    if shipped.coder_digest() != bank.coder_digest():
        return (
            f"the bank that comes with StyleBank is another than it was made from ({len(shipped.entries)} styles, "
            "other encoder and decoder); --bank shipped uses it"
        )
    held = {tensorfile.digest(entry.tensors) for entry in bank.entries}
    more = [entry.name for entry in shipped.entries if tensorfile.digest(entry.tensors) not in held]
    if not more:
        return ""
    both = shlex.join(map(str, (path, resources.shipped_bank())))
    names = ", ".join(more[:3]) + (", ..." if len(more) > 3 else "")
    return (
        f"the bank that comes with StyleBank has {len(more)} that yours has not ({names}), see --bank shipped; to "
        f"take them over: stylebank merge {both} -o {shlex.quote(str(path))}"
    )


def _elsewhere(path: Path) -> str:
    """What to do about a bank that cannot be changed."""
    if is_own(path):
        return f"name a file in a folder of yours with {resources.BANK_VARIABLE}, or give a copy of a bank with --bank"
    return "copy it to a folder of yours and give the copy with --bank"

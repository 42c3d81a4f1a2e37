"""Banks on the Hugging Face Hub: one file, taken from a path, the cache or there, and checked; published with a card.

The one module that may open a connection, and only for a name that is no path and not in the cache. What is fetched is
checked as every bank is, by its own manifest; huggingface_hub, an extra, is imported where it is needed.
"""

import logging
import re
import tempfile
from pathlib import Path
from types import ModuleType

from stylebank.bank import bundle, hub_card
from stylebank.bank.bundle import Bundle
from stylebank.errors import ConfigError, OutputError, StyleBankError, TensorFileError

FILE = "bank.safetensors"
"""The bank's name in its repository, or in a folder."""

PREFIX = "hf:"
"""Before a repository's name, where a path might stand too."""

Token = str | bool | None
"""Of an account: itself, False for nobody's, None for the one that is logged in."""


def fetch(
    name: Path | str,
    *,
    revision: str | None = None,
    token: Token = None,
    cache_dir: Path | str | None = None,
    update: bool = False,
) -> Path:
    """The file of a bank, which is on disk and whole when this returns.

    Args:
        name: path of a bank, or of a folder that holds one as `FILE`; else "owner/bank" on the Hub. "hf:owner/bank" is
            on the Hub whatever is on disk.
        revision: a commit, branch or tag; None for "main".
        token: see `Token`.
        cache_dir: folder of the cache; None for that of huggingface_hub, which `HF_HOME` moves.
        update: whether the Hub is asked if a branch or tag that is in the cache has moved on; else nobody is asked.

    Raises:
        TensorFileError: there is no such repository, revision or file, or what it holds is damaged or no bank.
        ConfigError: huggingface_hub is not installed.
    """
    path = Path(name).expanduser()
    word = name.as_posix() if isinstance(name, Path) else name
    if not is_on_hub(word):
        return path / FILE if path.is_dir() else path
    word = word.removeprefix(PREFIX)
    hub = _library(word)
    try:
        found = hub.try_to_load_from_cache(word, FILE, cache_dir=cache_dir, revision=revision)
    except ValueError as error:
        raise TensorFileError(_complaint(word, revision, error)) from error
    kept = Path(found) if isinstance(found, str) else None
    if kept and not update:
        try:
            bundle.read(kept)
            return kept
        except TensorFileError:
            pass  # a cache is no place to mend: it is fetched again
    got = Path(_download(word, revision, token, cache_dir, anew=kept is not None and not update))
    try:
        bundle.read(got)
    except TensorFileError as error:
        why = str(error).removeprefix(f"{got}: ").partition(";")[0]
        raise TensorFileError(
            f"{word}: its {FILE} cannot be used ({why}); try another revision, or tell its owner"
        ) from error
    return got


def push(
    contents: Bundle,
    name: str,
    *,
    license: str = "mit",  # noqa: A002  # as the Hub and its library call it
    private: bool | None = None,
    revision: str | None = None,
    message: str = "Upload a bank of StyleBank",
    token: Token = None,
    each_style: bool = False,
) -> str:
    """Publish a bank with its card as "owner/bank", which is made if it is not there yet.

    Args:
        contents: of the bank; names of image files and configs are part of it.
        name: of the repository.
        license: of the weights, as the Hub abbreviates it: "mit", "cc-by-4.0", "other".
        private: whether a new repository is; None for what the account says.
        revision: branch to write to; None for "main".
        message: of the commit.
        token: see `Token`.
        each_style: whether each style is uploaded as a file of its own too, `styles/NAME.style.safetensors`.

    Returns:
        The commit, a `revision` for `fetch`.

    Raises:
        OutputError: the Hub refuses it, or cannot be reached.
        ConfigError: the license is none, or huggingface_hub is not installed.
    """
    hub = _library(name)
    if not re.fullmatch(r"[a-z0-9.+-]{1,40}", license):
        raise ConfigError(f"license '{license}': is none the Hub knows; give its short name, as mit")
    api = hub.HfApi(token=token, library_name="stylebank")
    with tempfile.TemporaryDirectory(prefix="stylebank-") as written:
        folder = Path(written)
        bundle.write(folder / FILE, contents)
        (folder / "README.md").write_bytes(hub_card.text(contents, name, license=license).encode())
        if each_style:
            _write_styles(folder / "styles", contents)
        try:
            api.create_repo(name, private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=name, folder_path=folder, commit_message=message, revision=revision
            )
        except Exception as error:  # see `_download`
            raise OutputError(_complaint(name, revision, error)) from error
    return str(commit.oid)


def is_on_hub(name: str) -> bool:
    """Whether a name means a bank of the Hub: it says so, or is OWNER/NAME and no path on this disk."""
    owner_and_name = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name)
    is_file = name.endswith((".safetensors", ".pth", ".pt"))
    return name.startswith(PREFIX) or bool(owner_and_name and not is_file and not Path(name).exists())


def _write_styles(folder: Path, contents: Bundle) -> None:
    from stylebank.bank import entries

    folder.mkdir()
    coder = contents.coder_digest()
    for entry in contents.entries:
        entries.write(folder / f"{entry.name}.style.safetensors", entry, coder_digest=coder)


def _library(name: str) -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ConfigError(
            f"{name}: is on the Hugging Face Hub, whose library is not installed; pip install 'stylebank[hub]'"
        ) from error
    return huggingface_hub


def _download(
    name: str, revision: str | None, token: Token, cache_dir: Path | str | None, *, anew: bool
) -> str:
    """Fetch a bank's file into the cache, in place of a damaged one if `anew`."""
    how = {"revision": revision, "token": token, "cache_dir": cache_dir, "force_download": anew}
    its_log = logging.getLogger("huggingface_hub")
    before = its_log.level
    its_log.setLevel(logging.ERROR)  # it warns of each attempt; what went wrong in the end is told once
    try:
        return str(_library(name).hf_hub_download(name, FILE, **how, library_name="stylebank"))
    except Exception as error:  # of its HTTP library too, which is another one in each of its versions
        raise TensorFileError(_complaint(name, revision, error)) from error
    finally:
        its_log.setLevel(before)


def _complaint(name: str, revision: str | None, error: Exception) -> str:
    """What went wrong on the Hub, as a line."""
    from huggingface_hub import errors

    if isinstance(error, StyleBankError):
        return str(error)
    where = f"{name}@{revision}" if revision else name
    code = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.HFValidationError):
        return f"{name}: is no name of a repository; write owner/bank"
    if isinstance(error, errors.GatedRepoError):
        return f"{name}: is gated; ask for access on its page, then log in: hf auth login"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"{name}: is not on the Hub, or private; check the name, or log in: hf auth login"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{where}: there is no such revision; give a commit, branch or tag of it"
    if isinstance(error, errors.OfflineModeIsEnabled | errors.LocalEntryNotFoundError) or code is None:
        return f"{where}: the Hub cannot be asked ({_why(error)}); try again online"
    if isinstance(error, errors.EntryNotFoundError):
        return f"{where}: holds no {FILE}; give a repository that push_to_hub made"
    if code in (401, 403):
        return f"{name}: the Hub refuses it (HTTP {code}); log in with a token that may: hf auth login"
    return f"{where}: the Hub fails (HTTP {code}); try again later"


def _why(error: BaseException) -> str:
    """The innermost reason, in a few words."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    while error.__cause__:
        error = error.__cause__
    return " ".join(str(error).split())[:120] or type(error).__name__

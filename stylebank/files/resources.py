"""Where the weights that come with the package lie, and where the user's own bank does."""

import os
from pathlib import Path

from stylebank.errors import ConfigError

BANK_VARIABLE = "STYLEBANK_BANK"
"""Environment variable that names the user's own bank, a file; without it that lies in the user's data folder."""

SHIPPED = "shipped"
"""In the place of a bank's path: the one that comes with the package, whatever the user has."""


def weights_folder() -> Path:
    """The folder `weights`: inside an installed package, beside it in a source tree."""
    return _beside("weights")


def configs_folder() -> Path:
    """The folder `configs`, likewise; see `experiments`."""
    return _beside("configs")


def drawn_styles() -> Path:
    """The layered style sets that the project drew itself."""
    return configs_folder() / "styles"


def shipped_bank() -> Path:
    """The bank that comes with the package; commands read it, and never change it unless somebody names its path."""
    return weights_folder() / "bank.safetensors"


def own_bank() -> Path:
    """The user's own bank, an absolute path, whether there is one yet or not.

    Raises:
        ConfigError: nobody knows where it would be: there is no home folder, or the variable names no path.
    """
    if named := _named():
        try:
            return Path(named).expanduser().absolute()
        except (OSError, RuntimeError) as error:  # the home of nobody, or a current folder that is gone
            raise ConfigError(
                f"{BANK_VARIABLE} {named}: is no path ({error}); give that of a file"
            ) from error
    import platformdirs

    try:
        folder = platformdirs.user_data_path("stylebank", appauthor=False)
        if not folder.is_absolute():
            raise RuntimeError(f"{folder} is a relative path")
    except RuntimeError as error:  # where nobody knows a home
        raise ConfigError(
            f"your data folder: is not known ({error}); name a file for your own bank with {BANK_VARIABLE}"
        ) from error
    return folder / "bank.safetensors"


def own_is_named() -> bool:
    """Whether the environment says where the user's own bank is."""
    return bool(_named())


def default_bank() -> Path:
    """The bank to read where nobody names one: the user's own if there is one, else that of the package.

    A data folder that cannot be looked into, as another user's home, has none.

    Raises:
        ConfigError: the environment variable names no path.
    """
    try:
        own = own_bank()
        own.lstat()  # a link that leads nowhere is there: what it led to is missed, not made anew
    except (FileNotFoundError, NotADirectoryError):
        return shipped_bank()
    except (ConfigError, OSError):
        if not own_is_named():
            return shipped_bank()
        own = own_bank()
    return own


def bank_named(name: Path | str | None) -> Path:
    """The bank to read that `--bank` means: a path, the word "shipped", or None for `default_bank`.

    Raises:
        ConfigError: see `default_bank`.
    """
    if name is None:
        return default_bank()
    return shipped_bank() if str(name) == SHIPPED else Path(name)


def cache_folder() -> Path:
    """Where what can be found out again is kept, in the user's folder for that; no folder where there is no home."""
    import platformdirs

    try:
        return platformdirs.user_cache_path("stylebank", appauthor=False)
    except RuntimeError:
        return Path(os.devnull)


def paintings() -> Path:
    """What is known of style images: CSV with the columns file, artist, title, and sha256, one or several of copies."""
    return weights_folder() / "paintings.csv"


def photos_folder() -> Path:
    """Five photos in the public domain: enough to try things, few to learn a style well."""
    return weights_folder() / "photos"


def sample() -> Path:
    """Of the photos that come along, the one to try pages with."""
    return photos_folder() / "coffee.jpg"


def vgg_weights() -> Path:
    """VGG-16 up to conv5_1, float16."""
    return weights_folder() / "vgg16.safetensors"


def vgg_source(name: str) -> Path | str:
    """What the option `--vgg` means: "bundled" is the file that comes along; else a file, or "torchvision"."""
    return vgg_weights() if name == "bundled" else name


def _named() -> str:
    named = os.environ.get(BANK_VARIABLE, "")
    return named if named.strip() else ""


def _beside(name: str) -> Path:
    package = Path(__file__).resolve().parents[1]
    return package / name if (package / name).is_dir() else package.parent / name


def icon() -> Path:
    """The mark of the studio, the page and the documentation, an SVG."""
    return Path(__file__).parents[1] / "icon.svg"

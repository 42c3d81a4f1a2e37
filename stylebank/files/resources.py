"""Where the weights that come with the package lie."""

from pathlib import Path


def weights_folder() -> Path:
    """The folder `weights`: inside an installed package, beside it in a source tree."""
    return _beside("weights")


def drawn_styles() -> Path:
    """The layered style sets that the project drew itself."""
    return _beside("configs") / "styles"


def default_bank() -> Path:
    """The bank that ships with the package."""
    return weights_folder() / "bank.safetensors"


def photos_folder() -> Path:
    """Five photos in the public domain: enough to try things, few to learn a style well."""
    return weights_folder() / "photos"


def vgg_weights() -> Path:
    """VGG-16 up to conv5_1, float16."""
    return weights_folder() / "vgg16.safetensors"


def vgg_source(name: str) -> Path | str:
    """What the option `--vgg` means: "bundled" is the file that comes along; else a file, or "torchvision"."""
    return vgg_weights() if name == "bundled" else name


def _beside(name: str) -> Path:
    package = Path(__file__).resolve().parents[1]
    return package / name if (package / name).is_dir() else package.parent / name

"""What a run is: frozen dataclasses read from TOML, unknown keys rejected.

One complete experiment is one TOML file with the tables [network], [training], [loss], [report] and one [[style]]
per style; every key is a field below with the same name. Values are typed strictly (a bool is no number, a number
is finite, in range). What the layered images of a style are is `styleset`'s business.
"""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stylebank.errors import ConfigError
from stylebank.files import toml

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_DEVICES = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")  # of Windows, where no file may be called so


def _number(default: Any, low: float, high: float, *, odd: bool = False) -> Any:
    """A field with a default and an inclusive range, of which only odd numbers may count."""
    return field(default=default, metadata={"low": low, "high": high, "odd": odd})


STRIDE = 4
"""Pixels per feature cell: two convolutions of stride 2."""

MINIMUM_SIDE = 16
"""Shortest image side that the network takes, in pixels: below it the 9x9 layers have nothing to reflect."""

JOHNSON_BLOCKS = 5
"""Residual blocks of Johnson's network."""


@dataclass(frozen=True)
class Network:
    """The shape of encoder, filters and decoder; `model.StyleBankNetwork` says what each means."""

    kind: Literal["stylebank", "johnson"] = "stylebank"  # johnson: one style, in blocks of the encoder
    width: int = _number(20, 1, 512)
    blocks: int = _number(5, 0, 64)  # residual ones at the decoder's start; none there in a johnson
    outer_kernel: int = _number(5, 3, 9, odd=True)  # of the first and the last convolution
    output: Literal["sigmoid", "linear"] = "sigmoid"
    restore_moments: bool = True  # false: the paper's plain auto-encoder branch

    @property
    def is_bank(self) -> bool:
        """Whether styles are filters; else there is one style, which encoder and decoder have learnt."""
        return self.kind == "stylebank"

    @property
    def encoder_blocks(self) -> int:
        """Residual blocks between the encoder's convolutions and the filter."""
        return 0 if self.is_bank else JOHNSON_BLOCKS

    @property
    def decoder_blocks(self) -> int:
        """Residual blocks between the filter and the decoder's convolutions."""
        return self.blocks if self.is_bank else 0


FIRST_EDITION = {"blocks": 0, "outer_kernel": 9}
"""What the network of files was that do not say it: the paper's."""


@dataclass(frozen=True)
class Training:
    """Algorithm 1 of the paper and its optimizer. `crop` is in pixels; paper symbols in brackets."""

    steps: int = _number(20_000, 1, 10**8)
    batch: int = _number(4, 1, 4096)  # m
    crop: int = _number(256, 16, 4096)
    zoom: float = _number(1.5, 1.0, 16.0)  # crops show photos at a short side of 1 to `zoom` crops
    stylizing_steps: int = _number(2, 1, 1000)  # T: then one auto-encoder step
    balance: float = _number(1.0, 0.0, 1000.0)  # lambda: its gradient norm over the stylizing one
    learning_rate: float = _number(1e-3, 1e-8, 1.0)
    warmup: int = _number(50, 0, 10**6)
    schedule: Literal["cosine", "staircase", "inverse"] = "cosine"
    hold: float = _number(0.5, 0.0, 0.99)  # share of the run before the cosine begins to fall
    decay: float = _number(0.8, 0.01, 1.0)  # of the staircase
    decay_every: int = _number(30_000, 1, 10**8)  # of the staircase; when the inverse one is at a half
    revisions: float = _number(0.6, 0.0, 1.0)  # share of stylizing steps that train R; 0: styles have no R
    revise_after: float = _number(0.5, 0.0, 1.0)  # share of the run that trains K alone; R starts as a copy
    chained: float = _number(0.3, 0.0, 1.0)  # share of revisions whose ground is itself a revision
    grain: float = _number(1.0, 0.0, 1.0)  # share of the grain that painting gives the flat parts of photos
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = _number(0, 0, 2**31 - 1)


@dataclass(frozen=True)
class Loss:
    """Weights of the stylizing branch [alpha, beta, gamma] and the VGG layers that it looks at."""

    content: float = _number(1.0, 0.0, 1e6)
    style: float = _number(10.0, 0.0, 1e6)
    tv: float = _number(0.05, 0.0, 1e6)
    far: float = _number(0.5, 0.0, 1e6)  # of revisions: the two finest layers', on the picture shrunk by two
    empty: float = _number(10.0, 0.0, 1e6)  # places with less contrast than the style's images have anywhere
    peaks: float = _number(1.0, 0.0, 1e6)  # of joint trainings: spots that rule the decoder's norms
    tone: float = _number(1.0, 0.0, 1e6)  # light and dark that do not follow the photo's
    color: float = _number(2.0, 0.0, 1e6)  # colours that do not follow the photo's
    seams: float = _number(0.5, 0.0, 1e6)  # colours along edges that neither side has
    weave: float = _number(10.0, 0.0, 1e6)  # regular patterns on flat ground
    content_layer: str = "relu4_2"
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    layer_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Report:
    """How often, in steps, a run saves and shows itself."""

    checkpoint_every: int = _number(500, 1, 10**8)
    preview_every: int = _number(1000, 1, 10**8)
    held_back: int = _number(8, 0, 1000)  # photos never trained on, for previews and figures


@dataclass(frozen=True)
class Style:
    """One style as written down: exactly one of `image`, `images` and `zoom` says what it is.

    `image` stands for all layers; `images` are five in layer order ("blank" is a white one); `zoom` is
    [large image, second image]. "night.jpg@0.5:0:1:0.5" is a part: left, top, right, bottom in fractions of the sides.
    `size` is the long side, in pixels, of the supervising images; 0, for a style added to a bank, is that of the bank's
    others. Relative paths start at `folder`.
    """

    name: str
    image: str = ""
    images: tuple[str, ...] = ()
    zoom: tuple[str, ...] = ()
    rest_layer: str = "relu5_1"  # which layer of a zoom recipe the second image takes
    weights: tuple[float, ...] = ()
    size: int = _number(512, 16, 8192)
    kernel: int = _number(3, 1, 7)  # a 16 px image has features of 4 cells: no room to mirror more
    folder: str = ""


@dataclass(frozen=True)
class Config:
    """One experiment."""

    network: Network
    training: Training
    loss: Loss
    report: Report
    styles: tuple[Style, ...]

    def to_manifest(self) -> dict[str, Any]:
        """The experiment as plain JSON data, without the folders of this machine."""
        manifest: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        for style in manifest["styles"]:
            del style["folder"]
            style["image"] = Path(style["image"]).name
            for several in ("images", "zoom"):
                style[several] = [Path(image).name for image in style[several]]
        return manifest


def read(
    path: Path,
    *,
    styles_folder: Path | None = None,
    more_styles: Sequence[Style] = (),
    network: str | None = None,
) -> Config:
    """Read an experiment from a TOML file.

    Args:
        path: the file.
        styles_folder: where relative paths of style images start; by default the folder of the file.
        more_styles: appended to those of the file.
        network: its kind, instead of the file's.

    Raises:
        ConfigError: the file cannot be read, or a value is missing, unknown, mistyped or out of range.
    """
    table = toml.read(path)
    toml.reject_unknown(table, ("network", "training", "loss", "report", "style"), str(path))
    entries = table.get("style", [])
    if not isinstance(entries, list):
        raise ConfigError(f"{path}: 'style' is not a list; write [[style]] with two brackets")
    folder = styles_folder or path.parent
    where = f"{path}: [[style]]"
    listed = [
        # A set file is part of the experiment, not of the artwork: it lies beside the config.
        style_from_set(entry, where=where, folder=path.parent)
        if isinstance(entry, dict) and "set" in entry
        else style_from_table(entry, where=where, folder=folder)
        for entry in entries
    ]
    shape = toml.section(Network, table, "network", where=str(path))
    if network is not None:
        shape = toml.instance(Network, dataclasses.asdict(shape) | {"kind": network}, "--network")
    styles = (*listed, *more_styles)
    config = Config(
        network=shape,
        training=toml.section(Training, table, "training", where=str(path)),
        loss=toml.section(Loss, table, "loss", where=str(path)),
        report=toml.section(Report, table, "report", where=str(path)),
        # A johnson network has no filters whose size could be chosen.
        styles=styles if shape.is_bank else tuple(dataclasses.replace(style, kernel=1) for style in styles),
    )
    check(config, where=str(path))
    return config


def check(config: Config, *, where: str) -> None:
    """Reject an experiment whose values are each fine but do not go together.

    Raises:
        ConfigError: no styles, a name twice, or as many layer weights as there are not layers.
    """
    if not config.styles:
        raise ConfigError(f"{where}: no style to train; add a [[style]] with a name and an image")
    names = [style.name for style in config.styles]
    for name, count in Counter(names).items():
        if count > 1:
            raise ConfigError(f"{where}: style '{name}' stands {count} times; give each its own name")
    if not config.network.is_bank and (len(config.styles) > 1 or config.styles[0].kernel != 1):
        raise ConfigError(
            f"{where}: a johnson network has one style, and no filter (kernel 1); it has {len(config.styles)}, "
            f"the first of kernel {config.styles[0].kernel}"
        )
    check_loss(config.loss, where=where)
    if config.training.crop % 16:
        raise ConfigError(f"{where}: crop {config.training.crop} is no multiple of 16; use one that is")


def check_loss(loss: Loss, *, where: str) -> None:
    """Reject layer weights that are not one for each style layer, or negative.

    Raises:
        ConfigError: saying which.
    """
    layers, weights = loss.style_layers, loss.layer_weights
    if len(layers) != len(weights):
        counts = f"{len(layers)} style_layers and {len(weights)} layer_weights"
        raise ConfigError(f"{where}: [loss] has {counts}; give each layer one weight")
    if any(weight < 0 for weight in weights):
        raise ConfigError(f"{where}: [loss] layer_weights {list(weights)} hold a negative one; use 0 or more")


def style_from_set(table: Mapping[str, Any], *, where: str, folder: Path) -> Style:
    """Make a style of a TOML file, the table's `set`; keys that the table has beside it win.

    Raises:
        ConfigError: the file cannot be read, or a key of either is wrong.
    """
    path = folder / toml.typed(table["set"], str, f"{where} set")
    included = toml.read(path)
    if "set" in included:
        raise ConfigError(f"{path}: points to another set; name the images here")
    own = {key: value for key, value in table.items() if key != "set"}
    return style_from_table(included | own, where=str(path), folder=path.parent)


def style_from_table(table: object, *, where: str, folder: Path) -> Style:
    """Make a style of a TOML table; relative paths start at `folder`.

    Raises:
        ConfigError: a key is unknown, mistyped or out of range, or the name is missing or malformed.
    """
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: is not a table; write that line and its keys below")
    keys = [f.name for f in dataclasses.fields(Style) if f.name != "folder"]
    toml.reject_unknown(table, ("set", *keys), where)
    style = dataclasses.replace(toml.instance(Style, table, where), folder=str(folder))
    check_style(style, where=where)
    return style


def check_style(style: Style, *, where: str) -> None:
    """Reject a malformed name or a kernel that is even or too large.

    Raises:
        ConfigError: saying which.
    """
    check_name(style.name, where=where)
    if style.kernel not in (1, 3, 5, 7):
        raise ConfigError(f"{where}: kernel {style.kernel} of '{style.name}' is no filter's; use 1, 3, 5, 7")


def check_name(name: str, *, where: str, is_new: bool = True) -> None:
    """Reject a style name that is not made of a-z, 0-9, _ and -, at most 64 long; a new one that no file may have.

    Raises:
        ConfigError: with what a name may be.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise ConfigError(
            f"{where}: {name[:80]!r} is no style name; use 1 to 64 of a-z, 0-9, _ and -, a letter or digit first"
        )
    if is_new and _DEVICES.fullmatch(name):
        raise ConfigError(f"{where}: '{name}' is a device on Windows, and no file's name; choose another")

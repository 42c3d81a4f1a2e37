"""One style of a bank: its filters, their gains, layered set and report card; also as a file of its own, to share.

A style file (`x.style.safetensors`) holds one entry and the digest of the encoder and decoder that its filter was
trained against; with any other pair the filter means nothing, so a bank takes the entry only if the digest is its own.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stylebank.errors import ConfigError, StyleSetError, TensorFileError
from stylebank.files import tensorfile, toml
from stylebank.supervision import styleset
from stylebank.supervision.styleset import StyleSet

KIND = "style"
LARGEST_KERNEL = 7

Origin = Literal["joint", "added"]


@dataclass(frozen=True)
class Card:
    """A report card: how an entry was made, and how well it paints photos that it was not trained on.

    Attributes:
        origin: "joint" if it was trained together with encoder and decoder, "added" if they were frozen.
        steps: of its training; of the whole bank's if joint.
        seconds: computing time of these steps; 0 if joint: equal experiments give equal banks, to the last byte.
        photos: how many it was measured on, centre squares of `side` pixels.
        side: in pixels.
        style_ratio: per style layer, style loss of the outputs over that of the photos: 0 perfect, 1 unstyled.
        content: relative content distance.
        ssim: of the outputs to the photos.
    """

    origin: Origin
    steps: int
    seconds: float
    photos: int
    side: int
    style_ratio: tuple[float, ...]
    content: float
    ssim: float


@dataclass(frozen=True)
class Entry:
    """One style as data.

    Attributes:
        style: its name, filter size and layered set.
        filter: K, (C, C, k, k) float16, as in the file; paints photos.
        gain: ||F|| / ||K (*) F|| over photos: times this the stylized features are as strong as the photo's own, so
            that strengths and mixture weights mean the same for every style.
        revision: R, of K's shape, paints over enlarged paintings; None for a style that uses K for that, too.
        revision_gain: as `gain`, of R over enlarged paintings.
        card: None if its training was stopped before its end.
        recipe: plain JSON data: the experiment of an entry that was added, or trained further since, and the
            `{"mixture": {name: weight}}` of a baked one; empty for a joint one, whose experiment is the bank's.
    """

    style: StyleSet
    filter: NDArray[np.float16]
    gain: float
    card: Card | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    revision: NDArray[np.float16] | None = None
    revision_gain: float = 1.0

    @property
    def name(self) -> str:
        """The style's name, unique in a bank."""
        return self.style.name

    @property
    def is_joint(self) -> bool:
        """Whether encoder and decoder were trained with it."""
        return not self.mixture and (self.card is None or self.card.origin == "joint")

    @property
    def mixture(self) -> Mapping[str, float]:
        """Styles and weights that a baked entry was mixed of, as they were called then; empty for a trained one."""
        found: Mapping[str, float] = self.recipe.get("mixture", {})
        return found

    @property
    def tensors(self) -> dict[str, NDArray[np.float16]]:
        """Its filters by their names in files."""
        found = {"filter": self.filter}
        return found if self.revision is None else found | {"revision": self.revision}

    def of_pass(self, *, again: bool) -> tuple[NDArray[np.float16], float]:
        """Filter and gain of the first pass over a photo, or of one over an enlarged painting."""
        if again and self.revision is not None:
            return self.revision, self.revision_gain
        return self.filter, self.gain

    def to_manifest(self) -> dict[str, Any]:
        """All but the filters as plain JSON data, the inverse of `from_manifest`."""
        card = asdict(self.card) | {"style_ratio": list(self.card.style_ratio)} if self.card else None
        style = self.style.to_manifest()
        found = {"style": style, "gain": self.gain, "card": card, "recipe": dict(self.recipe)}
        return found if self.revision is None else found | {"revision_gain": self.revision_gain}

    def is_same(self, other: "Entry") -> bool:
        """Whether two entries are equal to the last bit."""
        ours, theirs = (tensorfile.digest(entry.tensors) for entry in (self, other))
        return ours == theirs and self.to_manifest() == other.to_manifest()

    def misfit(self, width: int) -> str:
        """Why no network of this width can use a filter; empty if it can."""
        channels, kernel = 4 * width, self.style.kernel
        wanted = (channels, channels, kernel, kernel)
        if kernel > LARGEST_KERNEL:
            return f"is over {LARGEST_KERNEL} cells ({kernel})"
        for tensor in self.tensors.values():
            if tensor.shape != wanted or tensor.dtype != np.float16:
                return f"has shape {tuple(tensor.shape)} {tensor.dtype}, not {wanted} float16"
            if not np.isfinite(tensor).all():
                return "holds numbers that are not finite"
        return ""


def from_manifest(data: Any, tensors: Mapping[str, NDArray[Any]]) -> Entry:
    """Put an entry together from JSON data and its filters by name.

    Raises:
        StyleSetError, ConfigError: the data is not what `to_manifest` writes.
        KeyError: it has no filter, or a revision without a gain or the other way round.
    """
    toml.reject_unknown(data, ("style", "gain", "card", "recipe", "revision_gain"), "style manifest")
    gain = _gain(data["gain"])
    revision_gain = _gain(data["revision_gain"]) if "revision" in tensors else 1.0
    style, recipe = styleset.from_manifest(data["style"]), _object(data["recipe"])
    if bool(style.layers) == ("mixture" in recipe):
        raise StyleSetError("style manifest: has both or neither of layers and mixture; the file is damaged")
    for name, weight in _object(recipe.get("mixture", {})).items():
        if not 0 < toml.typed(weight, float, f"style manifest: weight of {name}") <= 1:
            raise StyleSetError(f"style manifest: weight {weight} is out of range; the file is damaged")
    return Entry(
        style=style,
        filter=tensors["filter"],
        gain=gain,
        card=None
        if data["card"] is None
        else toml.instance(Card, dict(data["card"]), "style manifest: card"),
        recipe=recipe,
        revision=tensors["revision"] if "revision_gain" in data else None,
        revision_gain=revision_gain,
    )


def _gain(value: Any) -> float:
    gain: float = toml.typed(value, float, "style manifest: gain")
    if not 0 < gain < math.inf:
        raise StyleSetError(f"style manifest: gain {gain} is no positive number; the file is damaged")
    return gain


def write(path: Path, entry: Entry, *, coder_digest: str) -> None:
    """Write a style file atomically; equal entries give equal files.

    Raises:
        OutputError: the file cannot be written.
    """
    manifest = {"coder": coder_digest, "entry": entry.to_manifest()}
    tensorfile.write(path, kind=KIND, tensors=entry.tensors, manifest=manifest)


def read(path: Path) -> tuple[Entry, str]:
    """Read a style file and check every byte of it: the entry, and the digest of its encoder and decoder.

    Raises:
        TensorFileError: the file is missing, damaged, of another kind or newer than this program.
    """
    tensors, manifest = tensorfile.read(path, kind=KIND)
    try:
        entry, coder_digest = from_manifest(manifest["entry"], tensors), manifest["coder"]
        if tensors.keys() != entry.tensors.keys() or not re.fullmatch("[0-9a-f]{64}", coder_digest):
            raise ValueError("it holds something else")
    except MALFORMED as error:
        raise TensorFileError(
            f"{path}: is no style of this version ({describe(error)}); get the file again"
        ) from error
    return entry, coder_digest


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise TypeError(f"{data!r} is no JSON object")
    return data


MALFORMED = (KeyError, TypeError, ValueError, OverflowError)
"""What reading a manifest of another form may raise."""


def describe(error: Exception) -> str:
    """A malformed manifest's error, for a line of text."""
    return str(error) if isinstance(error, (ConfigError, StyleSetError)) else f"manifest {error!r}"

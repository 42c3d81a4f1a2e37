"""The bank on disk: one safetensors file with a self-checking manifest.

Tensors are `encoder.*`, `decoder.*` (float32), `style.<name>.filter` and, of styles that have one,
`style.<name>.revision` (float16); the manifest holds the network's shape, all that is known of each style, and the
experiment that trained them. A `Bundle` keeps tensors as they are in the file, so that a bank can grow without touching
the bytes of what it already held. Reading one needs no PyTorch; making a network of it does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from stylebank.bank import entries
from stylebank.bank.entries import Card, Entry
from stylebank.bank.mixture import Mixture
from stylebank.config import FIRST_EDITION, Loss, Network, Report
from stylebank.errors import ConfigError, TensorFileError, UnknownStyleError, nearest, several
from stylebank.files import tensorfile, toml
from stylebank.files.atomic import sha256_bytes
from stylebank.files.tensorfile import Arrays
from stylebank.network.architecture import coder_shapes
from stylebank.supervision.styleset import StyleSet

if TYPE_CHECKING:
    from torch import Tensor

    from stylebank.network.model import StyleBankNetwork

KIND = "bank"

Table = TypeVar("Table", Loss, Report)

_BANKS = {"filter": "filters.", "revision": "revisions."}
"""What the tensors of entries are called in a network."""


@dataclass(frozen=True)
class Bundle:
    """A bank as data.

    Attributes:
        network: shape of encoder, filters and decoder.
        coder: weights of encoder and decoder by their names in the network, as they are in the file.
        entries: the styles, in the order of the filters.
        training: the experiment as plain JSON data; empty if unknown.
    """

    network: Network
    coder: Arrays
    entries: tuple[Entry, ...]
    training: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """The styles' names, in the order of the filters."""
        return tuple(entry.name for entry in self.entries)

    def trained_with(self, table: type[Table], name: str) -> Table:
        """A table of the experiment that trained the bank, such as its "loss"; defaults where it says nothing.

        Raises:
            ConfigError: the experiment is not of this version.
        """
        found = self.training.get("config", {})
        return toml.section(
            table, found if isinstance(found, dict) else {}, name, where="the bank's experiment"
        )

    def coder_digest(self) -> str:
        """SHA-256 of encoder and decoder: equal for two banks whose filters can be exchanged."""
        shape = asdict(self.network)
        if self.network.is_bank:
            del shape["kind"]  # banks of before there were kinds keep their digests
        for name, value in FIRST_EDITION.items():  # and so do those of before there was more than one form
            if shape[name] == value:
                del shape[name]
        facts = f"{sorted(shape.items())}{tensorfile.digest(self.coder)}"
        return sha256_bytes(facts.encode())

    def digest(self) -> str:
        """SHA-256 of all that its pictures depend on."""
        filters = {entry.name: entry.filter for entry in self.entries}
        gains = [entry.gain for entry in self.entries]
        again = {entry.name: entry.revision for entry in self.entries if entry.revision is not None}
        gains += [entry.revision_gain for entry in self.entries if entry.revision is not None]
        facts = f"{self.coder_digest()}{tensorfile.digest(filters)}{gains}"
        return sha256_bytes((facts + tensorfile.digest(again) if again else facts).encode())

    def mixed_filter(
        self, weights: Sequence[tuple[str, float]], *, again: bool = False
    ) -> tuple[NDArray[np.float16], float]:
        """The filter of a mixture and its gain, as a bank keeps them.

        Args:
            weights: style and weight w_i of each part; smaller kernels are padded with zeros.
            again: whether it paints over an enlarged painting, with revisions R_i in the place of K_i.

        Returns:
            A single style's own filter (C, C, k, k) and gain. Else s sum_i w_i g_i K_i, rounded to float16 as every
            filter of a bank is, and its gain 1 / s, where s = sum_i w_i / g_i is how strong the parts' own features
            are: so a mixture that is saved stays what it was, and mixtures of mixtures are mixtures of styles.

        Raises:
            UnknownStyleError: there is no such style; the message names the nearest.
        """
        parts = [(*self.find(name).of_pass(again=again), weight) for name, weight in weights]
        if len(parts) == 1:
            return parts[0][:2]
        largest = max(found.shape[-1] for found, _, _ in parts)
        total = np.zeros((*parts[0][0].shape[:2], largest, largest), np.float32)
        strength = sum(weight / gain for _, gain, weight in parts)
        with np.errstate(over="ignore", invalid="ignore"):  # who saves it checks that it is finite
            for found, gain, weight in parts:
                total += padded(found.astype(np.float32), largest) * (strength * gain * weight)
            return total.astype(np.float16), 1 / strength

    def filter_of(self, mixture: Mixture, *, again: bool = False) -> NDArray[np.float32]:
        """What a mixture is painted with, (C, C, k, k): s ((1 - p) identity + p g K) with s = (1 - p) + p / g.

        So K is as it was trained at p = 1 (what follows a filter may go by its scale), and fades evenly below.

        Args:
            mixture: see there.
            again: see `mixed_filter`.

        Raises:
            UnknownStyleError: there is no such style; the message names the nearest.
            ConfigError: there is no filter to fade: the network is a johnson.
        """
        if mixture.strength < 1 and not self.network.is_bank:
            raise ConfigError(
                "strength: a johnson network has its style in every layer; leave the strength at 1"
            )
        weight, gain = self.mixed_filter(mixture.weights_of(again=again), again=again)
        kernel: NDArray[np.float32] = weight.astype(np.float32)
        if mixture.share == 1:
            return kernel
        strength = np.float32((1 - mixture.share) + mixture.share / gain)
        kernel *= np.float32(mixture.share * gain) * strength
        channels, side = len(kernel), kernel.shape[-1]
        kernel[range(channels), range(channels), side // 2, side // 2] += (1 - mixture.share) * strength
        return kernel

    def find(self, name: str) -> Entry:
        """The entry of this name.

        Raises:
            UnknownStyleError: there is none; the message names the nearest.
        """
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise UnknownStyleError(
            f"style '{name}': is not in the bank{nearest(name, self.names)}; it has {several(self.names)}"
        )

    def build(self) -> "StyleBankNetwork":
        """The network in float32, on the CPU, ready to stylize; it shares no memory with this data."""
        import torch

        from stylebank.network import tensors
        from stylebank.network.model import StyleBankNetwork

        revises = any(entry.revision is not None for entry in self.entries)
        kernels = [entry.style.kernel for entry in self.entries]
        with torch.device("meta"):  # no memory for weights that are replaced at once
            network = StyleBankNetwork(self.network, kernels, revises=revises)
        filters = {
            f"{prefix}{place}": entry.of_pass(again=name == "revision")[0]
            for name, prefix in _BANKS.items()
            if name == "filter" or revises
            for place, entry in enumerate(self.entries)
        }
        state = tensors.to_torch({**self.coder, **filters})
        network.load_state_dict(
            {key: tensor.to(torch.float32, copy=True) for key, tensor in state.items()}, assign=True
        )
        return network.requires_grad_(False).eval()


def from_network(
    network: "StyleBankNetwork",
    shape: Network,
    styles: Sequence[StyleSet],
    training: Mapping[str, Any],
    *,
    gains: Sequence[tuple[float, float]] | None = None,
    cards: Sequence[Card | None] | None = None,
) -> Bundle:
    """Take a snapshot of a network with S styles, the gains of their filters and, if finished, their report cards."""
    coder = {
        key: tensor.float().cpu().numpy().copy()
        for key, tensor in network.state_dict().items()
        if not key.startswith(tuple(_BANKS.values()))
    }
    several = len(styles)
    again: list[NDArray[np.float16] | None] = [stored(weight) for weight in network.revisions]
    gains, cards = gains or [(1.0, 1.0)] * several, cards or [None] * several
    found = [
        Entry(style, stored(weight), gain, card, revision=revision, revision_gain=revision_gain)
        for style, weight, revision, (gain, revision_gain), card in zip(
            styles, network.filters, again or [None] * several, gains, cards, strict=True
        )
    ]
    return Bundle(network=shape, coder=coder, entries=tuple(found), training=training)


def stored(weight: "Tensor") -> NDArray[np.float16]:
    """A filter as banks keep it: rounded to float16, half the size for no visible change."""
    half: NDArray[np.float16] = weight.detach().half().cpu().numpy()
    return half.copy()


def padded(weight: NDArray[np.float32], kernel: int) -> NDArray[np.float32]:
    """The same filter (C, C, k, k) with a larger odd kernel: zeros around it."""
    margin = (kernel - weight.shape[-1]) // 2
    return np.pad(weight, ((0, 0), (0, 0), (margin, margin), (margin, margin)))


def write(path: Path, bundle: Bundle) -> None:
    """Write a bank atomically; equal bundles give equal files.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors, manifest = parts(bundle)
    tensorfile.write(path, kind=KIND, tensors=tensors, manifest=manifest)


def parts(bundle: Bundle) -> tuple[Arrays, dict[str, Any]]:
    """What a bank's file holds: tensors and manifest."""
    manifest = {
        "network": asdict(bundle.network),
        "styles": [entry.to_manifest() for entry in bundle.entries],
        "training": dict(bundle.training),
    }
    filters = {
        _tensor_name(entry.name, kind): tensor
        for entry in bundle.entries
        for kind, tensor in entry.tensors.items()
    }
    return {**bundle.coder, **filters}, manifest


def read(path: Path) -> Bundle:
    """Read a bank and check every byte of it.

    Raises:
        TensorFileError: the file is missing, damaged, of another kind or newer than this program.
    """
    tensors, manifest = tensorfile.read(path, kind=KIND)
    try:
        shape = {"network": FIRST_EDITION | dict(manifest["network"])}
        network = toml.section(Network, shape, "network", where=str(path))
        listed = [entries.from_manifest(data, _tensors_of(data, tensors)) for data in manifest["styles"]]
        training = dict(manifest["training"])
    except entries.MALFORMED as error:
        raise TensorFileError(
            f"{path}: is no bank of this version ({entries.describe(error)}); get the file again"
        ) from error
    _check_tensors(path, tensors, network, listed)
    coder = {name: tensor for name, tensor in tensors.items() if not name.startswith("style.")}
    return Bundle(network=network, coder=coder, entries=tuple(listed), training=training)


def _check_tensors(path: Path, tensors: Arrays, network: Network, listed: Sequence[Entry]) -> None:
    """Names, shapes and dtypes must be those of the network that the manifest describes."""
    if len({entry.name for entry in listed}) != len(listed):
        raise TensorFileError(f"{path}: lists a style twice; get the file again")
    coder = coder_shapes(network)
    styles = {_tensor_name(entry.name, kind) for entry in listed for kind in entry.tensors}
    for name in (coder.keys() | styles) ^ tensors.keys():
        problem = "does not belong" if name in tensors else "is missing"
        raise TensorFileError(f"{path}: tensor '{name}' {problem}; get the file again")
    for name, shape in coder.items():
        found = tensors[name]
        if found.shape != shape or found.dtype != np.float32:
            raise TensorFileError(
                f"{path}: tensor '{name}' has shape {found.shape} {found.dtype}, not {shape} float32; "
                "get the file again"
            )
    for entry in listed:
        if misfit := entry.misfit(network.width):
            raise TensorFileError(f"{path}: a filter of style '{entry.name}' {misfit}; get the file again")


def _tensor_name(style: str, kind: str) -> str:
    return f"style.{style}.{kind}"


def _tensors_of(data: Any, tensors: Arrays) -> Arrays:
    """A style's filters by name; empty arrays where they are missing, which the check of tensors complains of."""
    kinds = ("filter", "revision") if "revision_gain" in data else ("filter",)
    return {kind: tensors.get(_tensor_name(data["style"]["name"], kind), np.empty(0)) for kind in kinds}

"""The bank on disk: one safetensors file with a self-checking manifest.

Tensors are `encoder.*`, `decoder.*` (float32) and `style.<name>.filter` (float16); the manifest holds the network's
shape, all that is known of each style, and the experiment that trained them. A `Bundle` keeps tensors as they are in
the file, so that a bank can grow without touching the bytes of what it already held. Reading one needs no PyTorch;
making a network of it does.
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
from stylebank.config import Loss, Network, Report
from stylebank.errors import ConfigError, TensorFileError, UnknownStyleError, nearest
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

_FILTERS = "filters."


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
        facts = f"{sorted(shape.items())}{tensorfile.digest(self.coder)}"
        return sha256_bytes(facts.encode())

    def digest(self) -> str:
        """SHA-256 of all that its pictures depend on."""
        filters = {entry.name: entry.filter for entry in self.entries}
        gains = [entry.gain for entry in self.entries]
        return sha256_bytes(f"{self.coder_digest()}{tensorfile.digest(filters)}{gains}".encode())

    def mixed_filter(self, weights: Sequence[tuple[str, float]]) -> tuple[NDArray[np.float16], float]:
        """The filter of a mixture and its gain, as a bank keeps them.

        Args:
            weights: style and weight w_i of each part; smaller kernels are padded with zeros.

        Returns:
            A single style's own filter (C, C, k, k) and gain. Else sum_i w_i g_i K_i, rounded to float16 as every
            filter of a bank is, and the gain 1: so a mixture that is saved stays what it was, and mixtures of mixtures
            are mixtures of styles.

        Raises:
            UnknownStyleError: there is no such style; the message names the nearest.
        """
        parts = [(self.find(name), weight) for name, weight in weights]
        if len(parts) == 1:
            return parts[0][0].filter, parts[0][0].gain
        largest = max(entry.style.kernel for entry, _ in parts)
        total = np.zeros((*parts[0][0].filter.shape[:2], largest, largest), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # who saves it checks that it is finite
            for entry, weight in parts:
                total += padded(entry.filter.astype(np.float32), largest) * (entry.gain * weight)
            return total.astype(np.float16), 1.0

    def filter_of(self, mixture: Mixture) -> NDArray[np.float32]:
        """What a mixture is painted with, (C, C, k, k): (1 - p) identity + p K, as strong as the photo's features.

        Raises:
            UnknownStyleError: there is no such style; the message names the nearest.
            ConfigError: there is no filter to fade: the network is a johnson.
        """
        if mixture.strength < 1 and not self.network.is_bank:
            raise ConfigError(
                "strength: a johnson network has its style in every layer; leave the strength at 1"
            )
        weight, gain = self.mixed_filter(mixture.weights)
        kernel: NDArray[np.float32] = mixture.share * (weight.astype(np.float32) * np.float32(gain))
        if mixture.share < 1:
            channels, side = len(kernel), kernel.shape[-1]
            kernel[range(channels), range(channels), side // 2, side // 2] += 1 - mixture.share
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
            f"style '{name}': is not in the bank{nearest(name, self.names)}; "
            f"it has {', '.join(self.names) or 'no styles'}"
        )

    def build(self) -> "StyleBankNetwork":
        """The network in float32, on the CPU, ready to stylize; it shares no memory with this data."""
        import torch

        from stylebank.network import tensors
        from stylebank.network.model import StyleBankNetwork

        shape = asdict(self.network) | {"kernels": [entry.style.kernel for entry in self.entries]}
        with torch.device("meta"):  # no memory for weights that are replaced at once
            network = StyleBankNetwork(**shape)
        filters = {f"{_FILTERS}{place}": entry.filter for place, entry in enumerate(self.entries)}
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
    gains: Sequence[float],
    cards: Sequence[Card] | None = None,
) -> Bundle:
    """Take a snapshot of a network with S styles, their gains and, if finished, their report cards."""
    coder = {
        key: tensor.float().cpu().numpy().copy()
        for key, tensor in network.state_dict().items()
        if not key.startswith(_FILTERS)
    }
    found = [
        Entry(style=style, filter=stored(weight), gain=gain, card=card)
        for style, weight, gain, card in zip(
            styles, network.filters, gains, cards or (None,) * len(styles), strict=True
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
    manifest = {
        "network": asdict(bundle.network),
        "styles": [entry.to_manifest() for entry in bundle.entries],
        "training": dict(bundle.training),
    }
    filters = {_filter_name(entry.name): entry.filter for entry in bundle.entries}
    tensorfile.write(path, kind=KIND, tensors={**bundle.coder, **filters}, manifest=manifest)


def read(path: Path) -> Bundle:
    """Read a bank and check every byte of it.

    Raises:
        TensorFileError: the file is missing, damaged, of another kind or newer than this program.
    """
    tensors, manifest = tensorfile.read(path, kind=KIND)
    try:
        network = toml.section(Network, manifest, "network", where=str(path))
        listed = [
            entries.from_manifest(data, tensors.get(_filter_name(data["style"]["name"]), np.empty(0)))
            for data in manifest["styles"]
        ]
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
    for name in (coder.keys() | {_filter_name(entry.name) for entry in listed}) ^ tensors.keys():
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
            raise TensorFileError(f"{path}: tensor '{_filter_name(entry.name)}' {misfit}; get the file again")


def _filter_name(style: str) -> str:
    return f"style.{style}.filter"

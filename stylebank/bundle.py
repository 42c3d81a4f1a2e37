"""The bank on disk: one safetensors file with a self-checking manifest.

Tensors are `encoder.*`, `decoder.*` (float32) and `style.<name>.filter` (float16); the manifest holds the network's
shape, all that is known of each style, and the experiment that trained them. A `Bundle` keeps tensors as they are in
the file, so that a bank can grow without touching the bytes of what it already held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from stylebank import entries, fusion, tensorfile, toml
from stylebank.config import Loss, Network, Report
from stylebank.entries import Card, Entry
from stylebank.errors import TensorFileError, UnknownStyleError, nearest
from stylebank.files import sha256_bytes
from stylebank.model import StyleBankNetwork
from stylebank.styleset import StyleSet

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
    coder: Mapping[str, Tensor]
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

    def mixed_filter(self, weights: Sequence[tuple[str, float]]) -> tuple[Tensor, float]:
        """The filter (C, C, k, k) and the gain that a mixture of styles comes to; see `fusion.mixed_filter`.

        Raises:
            UnknownStyleError: there is no such style; the message names the nearest.
        """
        parts = [(self.find(name), weight) for name, weight in weights]
        return fusion.mixed_filter([(entry.filter, entry.gain, weight) for entry, weight in parts])

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

    def build(self) -> StyleBankNetwork:
        """The network in float32, on the CPU, ready to stylize; it shares no memory with this data."""
        network = _empty(self.network, [entry.style.kernel for entry in self.entries])
        filters = {f"{_FILTERS}{place}": entry.filter for place, entry in enumerate(self.entries)}
        state = {
            key: tensor.to(torch.float32, copy=True) for key, tensor in {**self.coder, **filters}.items()
        }
        network.load_state_dict(state, assign=True)
        return network.requires_grad_(False).eval()


def from_network(
    network: StyleBankNetwork,
    shape: Network,
    styles: Sequence[StyleSet],
    training: Mapping[str, Any],
    *,
    gains: Sequence[float],
    cards: Sequence[Card] | None = None,
) -> Bundle:
    """Take a snapshot of a network with S styles, their gains and, if finished, their report cards."""
    state = network.state_dict()
    coder = {
        key: tensor.detach().to("cpu", torch.float32, copy=True)
        for key, tensor in state.items()
        if not key.startswith(_FILTERS)
    }
    found = [
        Entry(style=style, filter=stored(weight), gain=gain, card=card)
        for style, weight, gain, card in zip(
            styles, network.filters, gains, cards or (None,) * len(styles), strict=True
        )
    ]
    return Bundle(network=shape, coder=coder, entries=tuple(found), training=training)


def stored(weight: Tensor) -> Tensor:
    """A filter as banks keep it: rounded to float16, half the size for no visible change."""
    return weight.detach().to("cpu", torch.float16, copy=True)


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
            entries.from_manifest(data, tensors.get(_filter_name(data["style"]["name"]), torch.empty(0)))
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


def _check_tensors(
    path: Path, tensors: Mapping[str, Tensor], network: Network, listed: Sequence[Entry]
) -> None:
    """Names, shapes and dtypes must be those of the network that the manifest describes."""
    if len({entry.name for entry in listed}) != len(listed):
        raise TensorFileError(f"{path}: lists a style twice; get the file again")
    coder = _empty(network, []).state_dict()
    for name in (coder.keys() | {_filter_name(entry.name) for entry in listed}) ^ tensors.keys():
        problem = "does not belong" if name in tensors else "is missing"
        raise TensorFileError(f"{path}: tensor '{name}' {problem}; get the file again")
    for name, weight in coder.items():
        found = tensors[name]
        if (found.shape, found.dtype) != (weight.shape, weight.dtype):
            raise TensorFileError(
                f"{path}: tensor '{name}' has shape {tuple(found.shape)} {found.dtype}, not {tuple(weight.shape)} "
                f"{weight.dtype}; get the file again"
            )
    for entry in listed:
        if misfit := entry.misfit(network.width):
            raise TensorFileError(f"{path}: tensor '{_filter_name(entry.name)}' {misfit}; get the file again")


def _empty(network: Network, kernels: Sequence[int]) -> StyleBankNetwork:
    """The network without memory behind its weights."""
    with torch.device("meta"):
        return StyleBankNetwork(
            width=network.width,
            kernels=kernels,
            output=network.output,
            restore_moments=network.restore_moments,
            kind=network.kind,
        )


def _filter_name(style: str) -> str:
    return f"style.{style}.filter"

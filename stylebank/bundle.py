"""The bank on disk: one safetensors file with a self-checking manifest.

Tensors are `encoder.*`, `decoder.*` (float32) and `style.<name>.filter` (float16); the manifest holds the network's
shape, each style's layered set with the digests of its images, and the experiment that trained it. A `Bundle` keeps
tensors as they are in the file, so that a bank can grow without touching the bytes of what it already held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylebank import styleset, tensorfile, toml
from stylebank.config import Network
from stylebank.errors import ConfigError, StyleSetError, TensorFileError
from stylebank.model import StyleBankNetwork
from stylebank.styleset import StyleSet

KIND = "bank"

_FILTER = "filters."


@dataclass(frozen=True)
class Bundle:
    """A bank as data.

    Attributes:
        network: shape of encoder, filters and decoder.
        styles: the style sets, in the order of the filters.
        tensors: by their names in the file, in the file's dtypes.
        training: the experiment as plain JSON data; empty if unknown.
    """

    network: Network
    styles: tuple[StyleSet, ...]
    tensors: Mapping[str, Tensor]
    training: Mapping[str, Any]

    def build(self) -> StyleBankNetwork:
        """The network in float32, on the CPU, ready to stylize."""
        network = _empty(self.network, self.styles)
        names = _names(network, self.styles)
        state = {key: self.tensors[name].float() for key, name in names.items()}
        network.load_state_dict(state, assign=True)
        return network.requires_grad_(False).eval()


def from_network(
    network: StyleBankNetwork, shape: Network, styles: Sequence[StyleSet], training: Mapping[str, Any]
) -> Bundle:
    """Take a snapshot of a network; filters are rounded to float16, half their size for no visible change."""
    state, tensors = network.state_dict(), {}
    for key, name in _names(network, styles).items():
        dtype = torch.float16 if key.startswith(_FILTER) else torch.float32
        tensors[name] = state[key].detach().to("cpu", dtype, copy=True)
    return Bundle(network=shape, styles=tuple(styles), tensors=tensors, training=training)


def write(path: Path, bundle: Bundle) -> None:
    """Write a bank atomically; equal bundles give equal files.

    Raises:
        OutputError: the file cannot be written.
    """
    manifest = {
        "network": asdict(bundle.network),
        "styles": [style.to_manifest() for style in bundle.styles],
        "training": dict(bundle.training),
    }
    tensorfile.write(path, kind=KIND, tensors=bundle.tensors, manifest=manifest)


def read(path: Path) -> Bundle:
    """Read a bank and check every byte of it.

    Raises:
        TensorFileError: the file is missing, damaged, of another kind or newer than this program.
    """
    tensors, manifest = tensorfile.read(path, kind=KIND)
    try:
        network = toml.section(Network, manifest, "network", where=str(path))
        styles = tuple(styleset.from_manifest(entry) for entry in manifest["styles"])
        training = dict(manifest["training"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = error if isinstance(error, (ConfigError, StyleSetError)) else f"manifest {error!r}"
        raise TensorFileError(f"{path}: is no bank of this version ({reason}); get the file again") from error
    _check_tensors(path, tensors, network, styles)
    return Bundle(network=network, styles=styles, tensors=tensors, training=training)


def _check_tensors(
    path: Path, tensors: Mapping[str, Tensor], network: Network, styles: tuple[StyleSet, ...]
) -> None:
    """Names and shapes must be those of the network that the manifest describes."""
    if len({style.name for style in styles}) != len(styles) or any(style.kernel > 7 for style in styles):
        raise TensorFileError(f"{path}: lists a style twice, or a filter over 7 cells; get the file again")
    empty = _empty(network, styles)
    state = empty.state_dict()
    wanted = {name: state[key].shape for key, name in _names(empty, styles).items()}
    for name in wanted.keys() ^ tensors.keys():
        problem = "is missing" if name in wanted else "does not belong"
        raise TensorFileError(f"{path}: tensor '{name}' {problem}; get the file again")
    for name, shape in wanted.items():
        if tensors[name].shape != shape:
            raise TensorFileError(
                f"{path}: tensor '{name}' has shape {tuple(tensors[name].shape)}, not {tuple(shape)}; "
                "get the file again"
            )


def _empty(network: Network, styles: Sequence[StyleSet]) -> StyleBankNetwork:
    """The network without memory behind its weights."""
    with torch.device("meta"):
        kernels = [style.kernel for style in styles]
        return StyleBankNetwork(
            width=network.width,
            kernels=kernels,
            output=network.output,
            restore_moments=network.restore_moments,
        )


def _names(network: StyleBankNetwork, styles: Sequence[StyleSet]) -> dict[str, str]:
    """Each weight's key in the network, by index of the style, and its name in the file, by name of the style."""
    return {
        key: f"style.{styles[int(key.removeprefix(_FILTER))].name}.filter" if key.startswith(_FILTER) else key
        for key in network.state_dict()
    }

"""One safetensors file with a self-checking manifest: the form of banks, checkpoints and VGG weights.

safetensors itself checks no payload: a flipped bit loads silently. Here the file's single metadata key holds canonical
JSON with a digest of every tensor and of itself, and a file that does not re-serialise to its own bytes is refused: any
flipped bit and any truncation is found, and named. One key also makes files reproducible (several are written in random
order), so equal contents give equal bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from stylebank.errors import TensorFileError
from stylebank.files import write_atomically

FORMAT = 1

_KEY = "stylebank"
_MAX_HEADER = 1 << 20
_DAMAGED = "get the file again, or restore a copy"


def write(path: Path, *, kind: str, tensors: Mapping[str, Tensor], manifest: Mapping[str, Any]) -> None:
    """Write tensors and a manifest atomically.

    Args:
        path: the file; replaced if it exists.
        kind: "bank", "checkpoint" or "vgg".
        tensors: any shapes, float or integer, on any device.
        manifest: plain JSON data, finite numbers only.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, serialise(kind=kind, tensors=tensors, manifest=manifest))


def serialise(*, kind: str, tensors: Mapping[str, Tensor], manifest: Mapping[str, Any]) -> bytes:
    """The bytes of a file; equal contents give equal bytes."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    document = {
        "format": FORMAT,
        "kind": kind,
        "digests": {name: _digest(name, tensor) for name, tensor in tensors.items()},
        "manifest": dict(manifest),
    }
    document["sha256"] = _self_digest(document)
    return safetensors.torch.save(tensors, metadata={_KEY: _canonical(document)})


def read(path: Path, *, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read and check every byte of a file.

    Returns:
        The tensors, on the CPU, and the manifest.

    Raises:
        TensorFileError: the file is missing, damaged, of another kind, or from a newer version.
    """
    data = _bytes(path)
    document = _document(path, data)
    if document["format"] != FORMAT:
        raise TensorFileError(
            f"{path}: has format {document['format']!r}, this version reads {FORMAT}; upgrade stylebank"
        )
    if document["kind"] != kind:
        raise TensorFileError(f"{path}: is a {document['kind']} file, not a {kind}; give a {kind} file")
    if document["sha256"] != _self_digest(document):
        raise TensorFileError(f"{path}: its manifest is damaged; {_DAMAGED}")
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise TensorFileError(
            f"{path}: its tensors cannot be read ({_one_line(error)}); {_DAMAGED}"
        ) from error
    digests = document["digests"]
    for name in sorted(digests.keys() | tensors.keys()):
        if name not in tensors or digests.get(name) != _digest(name, tensors[name]):
            raise TensorFileError(f"{path}: tensor '{name}' is damaged; {_DAMAGED}")
    # Digests cover contents; this covers every other bit of the header.
    if safetensors.torch.save(tensors, metadata={_KEY: _canonical(document)}) != data:
        raise TensorFileError(f"{path}: its header is damaged; {_DAMAGED}")
    return tensors, document["manifest"]


def kind_of(path: Path) -> str | None:
    """The kind that a file says it is, without checking it; None if it is no file of this project."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            kind = _header(path, file.read(length)).get("kind") if 0 < length <= _MAX_HEADER else None
    except (OSError, TensorFileError):
        return None
    return kind if isinstance(kind, str) else None


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except IsADirectoryError as error:
        raise TensorFileError(f"{path}: is a folder; give a file") from error
    except OSError as error:
        raise TensorFileError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if data[:2] == b"PK" or data[:2] in (b"\x80\x02", b"\x80\x04"):
        raise TensorFileError(f"{path}: is a PyTorch pickle, which is never opened; give a .safetensors file")
    return data


def _document(path: Path, data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 0 < length <= min(_MAX_HEADER, len(data) - 8):
        raise TensorFileError(f"{path}: is no StyleBank file, or cut short ({len(data)} bytes); {_DAMAGED}")
    return _header(path, data[8 : 8 + length])


def _header(path: Path, header: bytes) -> dict[str, Any]:
    try:
        document = json.loads(json.loads(header)["__metadata__"][_KEY])
        wanted = {"format": int, "kind": str, "digests": dict, "manifest": dict, "sha256": str}
        if {key: type(value) for key, value in document.items()} != wanted:
            raise ValueError("its fields are others")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TensorFileError(
            f"{path}: is no StyleBank file, or its header is damaged; {_DAMAGED}"
        ) from error
    found: dict[str, Any] = document
    return found


def _self_digest(document: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(_canonical(rest).encode()).hexdigest()


def _canonical(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _digest(name: str, tensor: Tensor) -> str:
    """SHA-256 over name, dtype, shape and bytes of a tensor."""
    sha = hashlib.sha256(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
    sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return sha.hexdigest()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]

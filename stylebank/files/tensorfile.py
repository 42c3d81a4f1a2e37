"""One safetensors file with a self-checking manifest: the form of banks, checkpoints and VGG weights.

safetensors itself checks no payload: a flipped bit loads silently. Here the file's single metadata key holds canonical
JSON with a digest of every tensor and of itself, and a file that does not re-serialise to its own bytes is refused: any
flipped bit and any truncation is found, and named. One key also makes files reproducible (several are written in random
order), so equal contents give equal bytes.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from stylebank.errors import OutputError, TensorFileError
from stylebank.files.atomic import write_atomically

FORMAT = 1

Arrays = Mapping[str, NDArray[Any]]
"""Tensors by name: a file is read, checked and written without PyTorch."""

_KEY = "stylebank"
MAX_HEADER = 1 << 24
"""Bytes of names and manifest: a thousand styles take a quarter, with names of any length."""

_DAMAGED = "get the file again, or restore a copy"


def write(path: Path, *, kind: str, tensors: Arrays, manifest: Mapping[str, Any]) -> None:
    """Write tensors and a manifest atomically.

    Args:
        path: the file; replaced if it exists.
        kind: "bank", "style", "checkpoint" or "vgg".
        tensors: any shapes, float or integer; names are printable and of at most 200 letters.
        manifest: plain JSON data: text for keys, finite numbers only.

    Raises:
        OutputError: the file cannot be written, or names and manifest are longer than what `read` accepts.
    """
    data = serialise(kind=kind, tensors=tensors, manifest=manifest)
    header = int.from_bytes(data[:8], "little")
    if header > MAX_HEADER:
        raise OutputError(
            f"{path}: would have a header over the limit ({header} of {MAX_HEADER} bytes); "
            "split what it describes over several files"
        )
    write_atomically(path, data)


def header_length(*, kind: str, tensors: Arrays, manifest: Mapping[str, Any]) -> int:
    """How many bytes the header of a file would have, to within a few hundred; no look at its tensors' values."""
    document = {
        "format": FORMAT,
        "kind": kind,
        "digests": dict.fromkeys(tensors, "0" * 64),
        "manifest": dict(manifest),
        "sha256": "0" * 64,
    }
    size = sum(tensor.nbytes for tensor in tensors.values())
    header: dict[str, Any] = {"__metadata__": {_KEY: _canonical(document)}}
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [size, size]}
    return len(json.dumps(header, separators=(",", ":")))


def serialise(*, kind: str, tensors: Arrays, manifest: Mapping[str, Any]) -> bytes:
    """The bytes of a file; equal contents give equal bytes."""
    tensors = {name: np.require(tensor, requirements="C") for name, tensor in tensors.items()}
    document = {
        "format": FORMAT,
        "kind": kind,
        "digests": {name: _digest(name, tensor) for name, tensor in tensors.items()},
        "manifest": dict(manifest),
    }
    document["sha256"] = _self_digest(document)
    text = _canonical(document)
    # Else the file would be written, and refused when somebody needs it.
    assert all(tensor.dtype.isnative for tensor in tensors.values()), "digests are of native bytes"
    assert _names_fit(kind, tensors), "a kind is a word, and names are printable"
    assert _canonical(json.loads(text)) == text, "a manifest has text for keys"
    return safetensors.numpy.save(tensors, metadata={_KEY: text})


def read(path: Path, *, kind: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read and check every byte of a file.

    Returns:
        The tensors and the manifest.

    Raises:
        TensorFileError: the file is missing, damaged, of another kind, or from a newer version.
    """
    try:
        with _open(path) as file:
            document, size = _document(path, file)
            if document["sha256"] != _self_digest(document):
                raise TensorFileError(f"{path}: its manifest is damaged; {_DAMAGED}")
            if document["kind"] != kind:
                raise TensorFileError(
                    f"{path}: is a {document['kind']} file, not a {kind}; give a {kind} file"
                )
            found = os.fstat(file.fileno()).st_size
            if found != size:  # before memory is taken for it
                raise TensorFileError(
                    f"{path}: is cut short or has a tail ({found} bytes, not {_one_line(size)}); {_DAMAGED}"
                )
            file.seek(0)
            data = file.read(size)
        return _checked_tensors(path, data, document), document["manifest"]
    except TensorFileError:
        raise
    except OSError as error:
        raise TensorFileError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except MemoryError as error:
        raise TensorFileError(f"{path}: does not fit into memory; close other programs") from error
    except (SafetensorError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise TensorFileError(f"{path}: cannot be decoded ({_one_line(error)}); {_DAMAGED}") from error


def kind_of(path: Path) -> str | None:
    """The kind that a file says it is, without checking it; None if it is no file of this project."""
    try:
        with _open(path) as file:
            return str(_document(path, file)[0]["kind"])
    except (OSError, TensorFileError):
        return None


def manifest_of(path: Path) -> dict[str, Any]:
    """The manifest that a file says it has, without checking it; empty if it is no file of this project."""
    try:
        with _open(path) as file:
            manifest: dict[str, Any] = _document(path, file)[0]["manifest"]
            return manifest
    except (OSError, TensorFileError):
        return {}


def digest(tensors: Arrays) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of tensors, in whatever order they come."""
    parts = sorted(_digest(name, tensor) for name, tensor in tensors.items())
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _open(path: Path) -> BinaryIO:
    """Open a regular file; others may block, or never end."""
    if path.exists() and not path.is_file():
        raise TensorFileError(f"{path}: is a {'folder' if path.is_dir() else 'device'}; give a file")
    return path.open("rb")


def _document(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The metadata, checked for its form only, and the size that the file should have; reads only the header."""
    start = file.read(8)
    if not start:
        raise TensorFileError(f"{path}: is empty; {_DAMAGED}")
    length = int.from_bytes(start, "little")
    if not 0 < length <= MAX_HEADER:
        # Only now: the length of a good header may begin with the same two bytes as a pickle.
        if start[:4] == b"PK\3\4" or (start[:1] == b"\x80" and start[1:2] in (b"\2", b"\3", b"\4", b"\5")):
            raise TensorFileError(
                f"{path}: is a PyTorch pickle, which is never opened; give a .safetensors file"
            )
        raise TensorFileError(f"{path}: is no StyleBank file; give a file that stylebank wrote")
    header = file.read(length)
    if len(header) < length:
        raise TensorFileError(
            f"{path}: is no StyleBank file, or cut short ({8 + len(header)} bytes); {_DAMAGED}"
        )
    try:
        entries = json.loads(header)
        document = json.loads(entries.pop("__metadata__")[_KEY])
        if type(document["format"]) is int and document["format"] > FORMAT:
            raise TensorFileError(f"{path}: has a newer format than {FORMAT}; upgrade stylebank")
        wanted = {"format": int, "kind": str, "digests": dict, "manifest": dict, "sha256": str}
        if {key: type(value) for key, value in document.items()} != wanted or document["format"] != FORMAT:
            raise ValueError("its fields are others")
        if not _names_fit(document["kind"], document["digests"]):
            raise ValueError("its names are no names")
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
        if type(end) is not int:
            raise ValueError("its offsets are no numbers")
        return document, 8 + length + end
    except TensorFileError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise TensorFileError(
            f"{path}: is no StyleBank file, or its header is damaged; {_DAMAGED}"
        ) from error


def _checked_tensors(path: Path, data: bytes, document: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The tensors, if the file is exactly what its writer wrote."""
    tensors = safetensors.numpy.load(data)
    digests = document["digests"]
    for name in sorted(digests.keys() | tensors.keys()):
        if name not in tensors or digests.get(name) != _digest(name, tensors[name]):
            raise TensorFileError(f"{path}: tensor '{_one_line(name)}' is damaged; {_DAMAGED}")
    # Digests cover contents; this covers every other bit of the header.
    if safetensors.numpy.save(tensors, metadata={_KEY: _canonical(document)}) != data:
        raise TensorFileError(f"{path}: its header is damaged; {_DAMAGED}")
    return tensors


def _self_digest(document: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(_canonical(rest).encode()).hexdigest()


def _canonical(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _digest(name: str, tensor: NDArray[Any]) -> str:
    """SHA-256 over name, dtype, shape and bytes of a tensor."""
    sha = hashlib.sha256(f"{name}\0torch.{tensor.dtype}\0{tensor.shape}\0".encode())
    sha.update(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def _names_fit(kind: str, names: Iterable[str]) -> bool:
    """Whether the kind and the tensors' names can stand in a message of one line."""
    return bool(re.fullmatch("[a-z]{1,20}", kind)) and all(n.isprintable() and len(n) <= 200 for n in names)


def _one_line(text: object) -> str:
    """Text from a file, fit for a message: neither line breaks nor control characters, nor long."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text)[:200])

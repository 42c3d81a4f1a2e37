"""A tensor file gives back what was written, to the bit, or says in one line that it cannot."""

import hashlib
import json
import os
import random
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from stylebank.errors import OutputError, TensorFileError
from stylebank.files import tensorfile

TENSORS: dict[str, NDArray[Any]] = {
    "a.weight": np.array([1.5, -2.0], np.float32),
    "b": np.array([[1, 2], [3, 4]], np.uint8),
}
DTYPES = ("float32", "float16", "float64", "int64", "uint8", "bool")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A file of a few hundred bytes, so that every damage to it can be tried."""
    path = tmp_path / "small.safetensors"
    tensorfile.write(path, kind="bank", tensors=TENSORS, manifest={"step": 3, "x": [0.1, None, "é"]})
    assert path.stat().st_size < 1200
    return path


def refusal(path: Path) -> str:
    """Why a file is refused: one printable line that begins with its path."""
    with pytest.raises(TensorFileError) as caught:
        tensorfile.read(path, kind="bank")
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    assert len(message) < len(str(path)) + 400
    return message


def canonical(data: object) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def signed(**changes: Any) -> str:
    """The metadata text of an empty bank, with changes, and a digest that is right for them."""
    document = {"format": 1, "kind": "bank", "digests": {}, "manifest": {}} | changes
    sha256 = hashlib.sha256(canonical(document).encode()).hexdigest()
    return canonical(document | {"sha256": sha256})


def enclosed(header: bytes, payload: bytes = b"") -> bytes:
    """A safetensors file around a header."""
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + payload


def crafted(metadata: object, entries: Mapping[str, object] | None = None, payload: bytes = b"") -> bytes:
    """A file by somebody who knows the format."""
    header = {"__metadata__": {"stylebank": metadata}, **(entries or {})}
    return enclosed(json.dumps(header, separators=(",", ":")).encode(), payload)


def entry(dtype: object, shape: object, offsets: object) -> dict[str, dict[str, object]]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0, 3), (2, 3, 1, 1)], ids=str)
def test_tensors_of_every_type_and_shape_come_back_bit_for_bit(
    dtype: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    tensor = np.asarray(np.abs(3 * np.random.default_rng(0).standard_normal(shape)), dtype)
    tensorfile.write(tmp_path / "x", kind="bank", tensors={"x": tensor}, manifest={})
    found = tensorfile.read(tmp_path / "x", kind="bank")[0]["x"]
    assert (str(found.dtype), found.shape) == (dtype, shape)
    assert found.flags.writeable, "PyTorch takes no other memory without a warning"
    assert np.array_equal(found, tensor)


def test_special_floats_and_views_come_back(tmp_path: Path) -> None:
    whole = np.arange(12.0).reshape(3, 4)
    tensors: dict[str, NDArray[Any]] = {
        "special": np.array([float("nan"), float("inf"), -0.0, 1e-45], np.float32),
        "transposed": whole.T,
        "strided": whole[:, ::2],
        "row": whole[1],
        "reversed": whole[::-1],
        "expanded": np.broadcast_to(np.ones(1), 5),  # nothing may write to it
        "channels last": np.random.default_rng(0).random((2, 4, 5, 3)).transpose(0, 3, 1, 2),
    }
    tensorfile.write(tmp_path / "x", kind="bank", tensors=tensors, manifest={})
    found = tensorfile.read(tmp_path / "x", kind="bank")[0]
    assert found.keys() == tensors.keys()
    assert found.pop("special").tobytes() == tensors.pop("special").tobytes()
    assert all(np.array_equal(found[name], tensor) for name, tensor in tensors.items())


def test_a_manifest_comes_back_as_json_would_have_it(tmp_path: Path) -> None:
    manifest: dict[str, object] = {
        "é\ud800\n": [1, -0.0, 0.1 + 0.2, 1e300, 10**30, True, None, "", {}, []],
        "": {"b": 1, "a": 2},
    }
    tensorfile.write(tmp_path / "x", kind="vgg", tensors={}, manifest=manifest)
    tensors, found = tensorfile.read(tmp_path / "x", kind="vgg")
    assert (tensors, canonical(found)) == ({}, canonical(manifest))


def test_equal_contents_are_equal_bytes_in_any_order() -> None:
    keys = [f"key{number}" for number in range(30)]
    shuffle = random.Random(0).shuffle

    def serialised() -> bytes:
        shuffle(keys)
        tensors = {key: np.full(2, float(key[3:])) for key in keys}
        return tensorfile.serialise(kind="bank", tensors=tensors, manifest=dict.fromkeys(keys, 1))

    assert len({serialised() for _ in range(50)}) == 1
    several = {safetensors.numpy.save(TENSORS, metadata=dict.fromkeys(keys, "1")) for _ in range(50)}
    assert len(several) > 1, "the control: safetensors writes several metadata keys in random order"


def test_headers_of_all_lengths_are_read(tmp_path: Path) -> None:
    """The length is the file's first bytes, and some lengths begin as a pickle or an archive does."""
    path, lengths = tmp_path / "x", set()
    for size in [*range(0, 1100, 8), *range(18_500, 19_500, 8)]:
        tensorfile.write(path, kind="bank", tensors=TENSORS, manifest={"x": "x" * size})
        lengths.add(path.read_bytes()[:2])
        assert tensorfile.read(path, kind="bank")[1] == {"x": "x" * size}
    assert lengths >= {b"\x80\x02", b"\x80\x04", b"PK"}


def test_a_header_over_the_limit_is_neither_written_nor_read(small: Path) -> None:
    before = small.read_bytes()
    with pytest.raises(OutputError, match="header over the limit"):
        tensorfile.write(small, kind="bank", tensors={}, manifest={"x": "x" * tensorfile.MAX_HEADER})
    assert small.read_bytes() == before
    tensorfile.write(small, kind="bank", tensors={}, manifest={"x": "x" * (tensorfile.MAX_HEADER - 1000)})
    assert tensorfile.read(small, kind="bank")[1], "the control: just under it"
    small.write_bytes(crafted(signed(manifest={"x": "x" * tensorfile.MAX_HEADER})))
    assert "is no StyleBank file" in refusal(small)
    assert tensorfile.kind_of(small) is None


UNREADABLE: dict[str, dict[str, Any]] = {
    "a name of two lines": {"tensors": {"x\ny": np.ones(1)}},
    "an endless name": {"tensors": {"x" * 201: np.ones(1)}},
    "a kind of two words": {"kind": "my bank"},
    "numbers for keys": {"manifest": {"steps": {2: 0, 10: 0}}},  # they sort as numbers, and read back as text
    "a key twice": {"manifest": {"1": 0, 1: 0}},
}


@pytest.mark.parametrize("wrong", UNREADABLE.values(), ids=UNREADABLE)
def test_what_could_not_be_read_again_is_not_written(wrong: dict[str, Any], small: Path) -> None:
    before = small.read_bytes()
    right: dict[str, Any] = {"kind": "bank", "tensors": TENSORS, "manifest": {"steps": {"2": 0, "10": 0}}}
    tensorfile.serialise(**right)  # the control
    with pytest.raises((AssertionError, TypeError)):
        tensorfile.write(small, **(right | wrong))
    assert small.read_bytes() == before


def test_every_flipped_bit_is_found(small: Path) -> None:
    data = small.read_bytes()
    with small.open("r+b", buffering=0) as file:
        for place, byte in enumerate(data):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), place)
                refusal(small)
            os.pwrite(file.fileno(), bytes([byte]), place)
    assert tensorfile.read(small, kind="bank"), "the control: it was the flips"


def test_a_flipped_bit_of_a_tensor_names_that_tensor(small: Path) -> None:
    data = bytearray(small.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    entries = json.loads(data[8:start])
    for name in TENSORS:
        first, end = entries[name]["data_offsets"]
        assert end > first
        for place in range(start + first, start + end):
            data[place] ^= 1
            small.write_bytes(data)
            assert f"tensor '{name}' is damaged" in refusal(small)
            data[place] ^= 1


def test_every_cut_and_every_tail_is_found(small: Path) -> None:
    data = small.read_bytes()
    for tail in (b"\0", b"\n", b"\0" * 8, data):
        small.write_bytes(data + tail)
        refusal(small)
    for length in reversed(range(len(data))):
        os.truncate(small, length)
        refusal(small)


def test_random_damage_raises_nothing_else(small: Path) -> None:
    chance = random.Random(0)
    data = small.read_bytes()
    for _ in range(2000):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            start, length = chance.randrange(len(damaged)), chance.randint(0, 16)
            damaged[start : start + length] = chance.choice(
                [
                    chance.randbytes(length),
                    b"",
                    damaged[-length:],
                    b'"',
                    b"[" * length,
                    b"9" * length,
                    b"\0" * length,
                ]
            )
        if damaged != data:
            small.write_bytes(damaged)
            refusal(small)
            tensorfile.kind_of(small)


def test_random_damage_inside_a_sound_envelope_raises_nothing_else(small: Path) -> None:
    chance = random.Random(1)
    data = small.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    for _ in range(1000):
        header = bytearray(data[8:end].rstrip())
        for _ in range(chance.randint(1, 3)):
            start = chance.randrange(len(header))
            header[start : start + chance.randint(0, 2)] = chance.choice(
                [
                    b"0",
                    b"-1",
                    b"1e999",
                    b"NaN",
                    b"null",
                    b"true",
                    b"{}",
                    b"[]",
                    b'"',
                    b"\\ud800",
                    b",",
                    b"99999999999",
                ]
            )
        if header != data[8:end].rstrip():
            small.write_bytes(enclosed(bytes(header), data[end:]))
            refusal(small)
            tensorfile.kind_of(small)


def test_a_file_made_by_hand_is_read_if_it_is_right(small: Path) -> None:
    """The control of the tests below: what they refuse, they refuse for the one thing that is wrong."""
    values = struct.pack("<2f", 1.5, -2.0)

    def holding(name: str) -> bytes:
        digest = hashlib.sha256(f"{name}\0torch.float32\0(2,)\0".encode() + values).hexdigest()
        return crafted(signed(digests={name: digest}), {name: entry("F32", [2], [0, 8])["x"]}, values)

    small.write_bytes(holding("x"))
    tensors, manifest = tensorfile.read(small, kind="bank")
    assert (tensors["x"].tolist(), manifest) == ([1.5, -2.0], {})
    for name in ("x\ny", "x\x1b[2J", "x" * 201):  # somebody will print it
        small.write_bytes(holding(name))
        refusal(small)


def test_a_type_that_numpy_does_not_have_is_refused(small: Path) -> None:
    digest = hashlib.sha256(b"x\0torch.bfloat16\0(2,)\0" + bytes(4)).hexdigest()
    small.write_bytes(crafted(signed(digests={"x": digest}), entry("BF16", [2], [0, 4]), bytes(4)))
    assert "cannot be decoded ('BF16')" in refusal(small)


ODD_METADATA: dict[str, object] = {
    "not JSON": "{",
    "no text": 3,
    "a list": "[]",
    "no fields": "{}",
    "one field more": signed(more=1),
    "format as text": signed(format="1"),
    "format as truth": signed(format=True),
    "format zero": signed(format=0),
    "kind as list": signed(kind=["bank"]),
    "kind of two lines": signed(kind="bank\nstylebank: all is well"),
    "kind with an escape": signed(kind="bank\x1b[2J"),
    "digests as list": signed(digests=[]),
    "digest as number": signed(digests={"x": 1}),
    "tensor that is missing": signed(digests={"x": "0" * 64}),
    "tensor name of two lines": signed(digests={"x\ny": "0" * 64}),
    "lone surrogate in a tensor name": signed(digests={"\ud800": "0" * 64}),
    "endless tensor name": signed(digests={"x" * 10_000: "0" * 64}),
    "manifest as list": signed(manifest=[]),
    "NaN": signed().replace('"manifest":{}', '"manifest":{"x":NaN}'),
    "infinity by overflow": signed().replace('"manifest":{}', '"manifest":{"x":1e999}'),
    "number of many digits": signed().replace('"manifest":{}', '"manifest":{"x":%s}' % ("9" * 10_000)),
    "key twice": signed().replace('"format":1', '"format":1,"format":1'),
    "spaces": signed().replace(":", ": "),
    "wrong digest": signed().replace('"sha256":"', '"sha256":"0'),
}
HUGE = 2**63
ODD_ENTRIES: dict[str, object] = {
    "unknown type": entry("F31", [2], [0, 8]),
    "type of half bytes": entry("F4", [16], [0, 8]),
    "type as number": entry(1, [2], [0, 8]),
    "shape that does not fit": entry("F32", [3], [0, 8]),
    "shape that overflows": entry("F32", [2**32, 2**32], [0, 8]),
    "shape of fractions": entry("F32", [2.0], [0, 8]),
    "negative shape": entry("F32", [-2], [0, 8]),
    "nothing, times a huge number": entry("F32", [0, HUGE], [0, 0]) | {"y": entry("U8", [8], [0, 8])["x"]},
    "many dimensions": entry("F32", [2] + [1] * 10_000, [0, 8]),
    "huge offsets": entry("F32", [2**40], [0, 2**42]),
    "offsets beyond 64 bits": entry("F32", [2], [0, 2**70]),
    "offsets of many digits": entry("F32", [2], [0, 10**4000]),
    "offsets in reverse": entry("F32", [2], [8, 0]),
    "negative offsets": entry("F32", [2], [-8, 0]),
    "fractional offsets": entry("F32", [2], [0, 8.0]),
    "text for offsets": entry("F32", [2], "08"),
    "one offset": entry("F32", [2], [0]),
    "list for an entry": {"x": []},
    "number for an entry": {"x": 1},
    "name of two lines": {"x\ny": entry("F32", [2], [0, 8])["x"]},
    "tensor without a digest": entry("F32", [2], [0, 8]),
    "overlap": entry("F32", [2], [0, 8]) | {"y": entry("U8", [4], [4, 8])["x"]},
}


@pytest.mark.parametrize("metadata", ODD_METADATA.values(), ids=ODD_METADATA)
def test_odd_metadata_is_refused_in_one_line(metadata: object, small: Path) -> None:
    small.write_bytes(crafted(metadata))
    refusal(small)
    assert tensorfile.kind_of(small) in (None, "bank")


@pytest.mark.parametrize("entries", ODD_ENTRIES.values(), ids=ODD_ENTRIES)
def test_odd_entries_are_refused_in_one_line(entries: dict[str, object], small: Path) -> None:
    small.write_bytes(crafted(signed(), entries, bytes(8)))
    refusal(small)
    assert tensorfile.kind_of(small) in (None, "bank")


ODD_HEADERS = {
    "deep": b'{"__metadata__":' + b"[" * 100_000,
    "not UTF-8": b'{"__metadata__":{"stylebank":"\xff"}}',
    "UTF-16": json.dumps({"__metadata__": {"stylebank": signed()}}).encode("utf-16"),
    "a list": b"[]",
    "no metadata": json.dumps(entry("F32", [2], [0, 8])).encode(),
    "another program's metadata": b'{"__metadata__":{"format":"pt"}}',
    "metadata twice": crafted(signed())[8:].rstrip().replace(b"{", b'{"__metadata__":{"stylebank":"1"},', 1),
    "spaces": crafted(signed())[8:].replace(b":", b" :", 1),
}


@pytest.mark.parametrize("header", ODD_HEADERS.values(), ids=ODD_HEADERS)
def test_odd_headers_are_refused_in_one_line(header: bytes, small: Path) -> None:
    small.write_bytes(enclosed(header))
    refusal(small)
    assert tensorfile.kind_of(small) in (None, "bank")


def test_nesting_of_any_depth_raises_nothing_else(small: Path) -> None:
    """Reading and writing JSON run out of stack at different depths; in between, only one of them does."""
    for depth in (*range(100, 1100, 10), 10_000, 100_000):
        nested = '{"x":' * depth + "{}" + "}" * depth
        small.write_bytes(crafted(signed(manifest={}).replace('"manifest":{}', f'"manifest":{nested}')))
        refusal(small)


@pytest.mark.parametrize("length", [0, 1, 7, 2**20 + 1, 2**31, 2**63 - 1, 2**64 - 1])
def test_a_declared_length_that_cannot_be_is_refused(length: int, small: Path) -> None:
    small.write_bytes(struct.pack("<Q", length) + small.read_bytes()[8:])
    refusal(small)
    assert tensorfile.kind_of(small) is None


def test_a_file_of_another_kind_is_named_with_the_kind_that_was_wanted(small: Path) -> None:
    tensorfile.write(small, kind="checkpoint", tensors=TENSORS, manifest={})
    assert "is a checkpoint file, not a bank; give a bank file" in refusal(small)
    assert tensorfile.kind_of(small) == "checkpoint"


@pytest.mark.parametrize("more", [{}, {"signature": "of a later year"}])
def test_a_newer_format_asks_for_an_upgrade(more: dict[str, str], small: Path) -> None:
    small.write_bytes(crafted(signed(format=2, **more)))
    assert "newer format than 1; upgrade stylebank" in refusal(small)


@pytest.mark.parametrize(
    "start", [b"PK\3\4\0\0\0\0", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46", b"\x80\x04N.", b"\x80\x05N."]
)
def test_a_pickle_is_refused_by_its_name(start: bytes, small: Path) -> None:
    small.write_bytes(start + bytes(100) if len(start) == 8 else start)
    assert "is a PyTorch pickle, which is never opened; give a .safetensors file" in refusal(small)


@pytest.mark.posix
def test_a_path_that_is_no_readable_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path
) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    reasons = {
        tmp_path: "is a folder; give a file",
        tmp_path / "missing": r"cannot be read (No such file or directory); check the path",
        tmp_path / "empty": "is empty",
        tmp_path / "pipe": "is a device; give a file",
        small / "below": "cannot be read (Not a directory)",
        tmp_path / ("long" * 100): "cannot be read (File name too long)",
    }
    for path, reason in reasons.items():
        assert reason in refusal(path)
        assert tensorfile.kind_of(path) is None

    def refuse(*_: object) -> None:  # root may read everything
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "cannot be read (Permission denied)" in refusal(small)
    assert tensorfile.kind_of(small) is None


def test_a_file_larger_than_the_memory_is_refused(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(
        _data: bytes,
    ) -> None:  # a sparse file of true size would fill memory where the kernel overcommits
        raise MemoryError

    monkeypatch.setattr(safetensors.numpy, "load", load)
    assert "does not fit into memory" in refusal(small)


@pytest.mark.parametrize(
    "garbage", [b"", b"\0", b"\xff" * 100, b"\x89PNG\r\n\x1a\n", b"[style]\n" * 10, bytes(99)]
)
def test_garbage_is_of_no_kind(garbage: bytes, small: Path) -> None:
    assert tensorfile.kind_of(small) == "bank", "the control"
    small.write_bytes(garbage)
    assert tensorfile.kind_of(small) is None


def test_no_more_than_the_header_of_a_giant_is_read(small: Path, tmp_path: Path) -> None:
    """A sparse TiB: who reads it all takes more memory, or time, than there is."""
    os.truncate(small, 1 << 40)
    assert tensorfile.kind_of(small) == "bank"
    assert "cut short or has a tail (1099511627776 bytes" in refusal(small)
    for start in (b"\xff" * 8, b"PK\3\4" + bytes(4), struct.pack("<Q", 1 << 20)):
        (tmp_path / "giant").write_bytes(start)
        os.truncate(tmp_path / "giant", 1 << 40)
        assert tensorfile.kind_of(tmp_path / "giant") is None
        refusal(tmp_path / "giant")


def test_what_is_written_has_no_memory_of_where_a_tensor_was() -> None:
    """A view and its copy are one content: equal bytes."""
    whole = np.arange(6.0).reshape(2, 3)
    views = [whole[1], whole[1].copy(), np.asfortranarray(whole)[1], whole[:, ::-1].copy()[1, ::-1]]
    assert len({view.strides for view in views}) == 3, "they lie in memory in three ways"
    files = {tensorfile.serialise(kind="bank", tensors={"x": view}, manifest={}) for view in views}
    assert len(files) == 1

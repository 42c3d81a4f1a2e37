"""The samples of a TIFF of any depth, number and arrangement: libtiff unpacks the bytes, we pick the numbers.

Pillow reads up to 8 bits, and 16 in some arrangements; floats, 32 bits, planes of 16 bits it refuses or garbles.
Strips or tiles are given to it as a grey picture of single bytes, as many as they hold: so all lossless kinds of
compression that libtiff has are read, with no predictor, which is undone here (TIFF 6.0, section 14; Adobe's
TIFF technical note 3 for floats).
"""

import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylebank.photos import directories as tiff
from stylebank.photos.directories import Directory

Levels = NDArray[np.uint8]
Numbers = NDArray[Any]

_UNPACKED, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS, _LZMA, _ZSTD = 1, 5, 8, 32946, 32773, 34925, 50000
LOSSLESS = (_UNPACKED, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS, _LZMA, _ZSTD)
"""Kinds of compression whose bytes are unpacked here."""

_GROUP = 1 << 24  # bytes unpacked at a time, if the strips are not larger
_MOST_BYTES = 4_000_000_000
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}


class UnreadError(Exception):
    """What kind of samples is not read."""


def kind_of(directory: Directory) -> str:
    """The kind of samples in words: "16-bit", "32-bit float"."""
    bits = directory.number(tiff.BITS, 1)
    return f"{bits}-bit" + {2: " signed", 3: " float", 5: " complex", 6: " complex"}.get(
        directory.number(tiff.FORMAT, 1), ""
    )


def read(file: BinaryIO, directory: Directory) -> Numbers:
    """All samples, in the machine's order of bytes.

    Returns:
        (H, W, C) of the type that they are stored in.

    Raises:
        UnreadError: they are of a kind that is not read.
        ValueError: the file is damaged.
    """
    (width, height), count = directory.size, directory.number(tiff.SAMPLES, 1)
    bits, kind = _depth(directory, count)
    planes = count if directory.number(tiff.PLANAR, 1) == 2 else 1
    inside = count // planes  # samples of a pixel that lie together
    tiled = tiff.TILE_OFFSETS in directory.tags
    across, down = (
        (directory.number(tiff.TILE_WIDTH), directory.number(tiff.TILE_HEIGHT))
        if tiled
        else (width, min(directory.number(tiff.ROWS, height) or height, height))
    )
    if not (0 < across <= 2 * width + 65536 and 0 < down <= 2 * height + 65536):
        raise ValueError("its strips have no size")
    columns, rows = -(-width // across), -(-height // down)
    offsets = directory.numbers(tiff.TILE_OFFSETS if tiled else tiff.STRIP_OFFSETS)
    lengths = directory.numbers(tiff.TILE_COUNTS if tiled else tiff.STRIP_COUNTS)
    row_bytes = (across * inside * bits + 7) // 8
    if not lengths and directory.number(tiff.COMPRESSION, 1) == _UNPACKED:
        lengths = (row_bytes * down,) * len(offsets)
    if min(len(offsets), len(lengths)) < planes * columns * rows:
        raise ValueError("strips are missing")
    _check_length(file, directory, lengths, planes * height * ((width * inside * bits + 7) // 8))
    if row_bytes * down > 4 * height * ((width * inside * bits + 7) // 8) + _GROUP:
        raise ValueError("tiles are larger than the picture")
    result = np.empty((height, width, count), kind if bits % 8 == 0 else np.uint16)
    group = max(1, _GROUP // (row_bytes * down)) if columns == 1 else 1
    for plane in range(planes):
        for block in range(0, columns * rows, group):
            top, left = block // columns * down, block % columns * across
            blocks = [
                plane * columns * rows + each for each in range(block, min(block + group, columns * rows))
            ]
            tall = len(blocks) * down if tiled else min(len(blocks) * down, height - top)
            packed = [(offsets[each], lengths[each]) for each in blocks]
            unpacked = _unpacked(file, directory, packed, (tall, row_bytes), down)
            numbers = _numbers(unpacked, directory, inside, bits, kind)
            part = numbers[: height - top, : width - left]
            result[
                top : top + part.shape[0], left : left + part.shape[1], plane * inside : (plane + 1) * inside
            ] = part
    return result


def _depth(directory: Directory, count: int) -> tuple[int, str]:
    """Bits of a sample and its type in numpy's words."""
    bits = set(directory.numbers(tiff.BITS, (1,))[:count])
    kinds = set(directory.numbers(tiff.FORMAT, (1,))[:count])
    if len(bits) != 1 or len(kinds) != 1 or not 0 < count <= 64:
        raise UnreadError
    bit, kind = bits.pop(), _KINDS.get(kinds.pop(), "")
    whole = bit in (8, 16, 32, 64) and kind and (kind, bit) != ("f", 8)
    if not whole and not (kind == "u" and 0 < bit < 16):
        raise UnreadError
    if directory.number(tiff.COMPRESSION, 1) not in LOSSLESS:
        raise UnreadError
    return bit, f"{kind}{bit // 8}"


def _check_length(file: BinaryIO, directory: Directory, lengths: tuple[int, ...], size: int) -> None:
    """Refuse a small file that says it is huge, before memory is taken."""
    if size > _MOST_BYTES:
        raise MemoryError
    most = {_UNPACKED: 1, _PACKBITS: 64}.get(directory.number(tiff.COMPRESSION, 1), 20_000)
    if min(sum(lengths), file.seek(0, 2)) * most < size:
        raise ValueError("the file is cut short")


def _unpacked(
    file: BinaryIO, directory: Directory, packed: list[tuple[int, int]], shape: tuple[int, int], down: int
) -> Levels:
    """Strips or tiles, one below the other, as bytes (rows, bytes of a row)."""
    parts = []
    for offset, length in packed:
        file.seek(offset)
        parts.append(file.read(length))
        if len(parts[-1]) < length:
            raise ValueError("the file is cut short")
    compression, order = directory.number(tiff.COMPRESSION, 1), directory.number(tiff.FILL_ORDER, 1)
    if compression == _UNPACKED:
        levels = np.frombuffer(b"".join(parts), np.uint8)[: shape[0] * shape[1]].reshape(shape)
        return np.packbits(np.unpackbits(levels, axis=1, bitorder="little"), axis=1) if order == 2 else levels
    data = b"".join(_grey_file(parts, shape, down, compression, order))
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        return np.asarray(image)


def _grey_file(
    parts: list[bytes], shape: tuple[int, int], down: int, compression: int, order: int
) -> Iterator[bytes]:
    """A TIFF that calls the bytes grey levels."""
    places = np.cumsum([0, *map(len, parts)])[:-1] + 8
    end = 8 + sum(map(len, parts))
    lists = {tiff.STRIP_OFFSETS: places.tolist(), tiff.STRIP_COUNTS: [len(part) for part in parts]}
    tags = {
        tiff.WIDTH: shape[1],
        tiff.HEIGHT: shape[0],
        tiff.BITS: 8,
        tiff.COMPRESSION: compression,
        tiff.PHOTOMETRIC: 1,
        tiff.FILL_ORDER: order,
        tiff.SAMPLES: 1,
        tiff.ROWS: down,
    }
    for number, (tag, values) in enumerate(lists.items()):
        tags[tag] = values[0] if len(values) == 1 else end + number * 4 * len(values)
    yield struct.pack("<2sHI", b"II", 42, end + 8 * len(parts))
    yield from parts
    for values in lists.values():
        yield struct.pack(f"<{len(values)}I", *values)
    yield struct.pack("<H", len(tags))
    for tag in sorted(tags):
        count = len(lists.get(tag, (0,)))
        yield struct.pack("<HHII", tag, 4, count, tags[tag])
    yield bytes(4)


def _numbers(levels: Levels, directory: Directory, inside: int, bits: int, kind: str) -> Numbers:
    """Bytes (rows, bytes of a row) as numbers (rows, W, samples)."""
    rows, predictor = len(levels), directory.number(tiff.PREDICTOR, 1)
    if directory.number(tiff.COMPRESSION, 1) == _UNPACKED:
        predictor = 1
    if bits % 8:
        single = np.unpackbits(levels, axis=1)
        count = single.shape[1] // bits // inside
        single = single[:, : count * inside * bits].reshape(rows, count, inside, bits)
        return single.astype(np.uint16) @ (1 << np.arange(bits)[::-1]).astype(np.uint16)
    if predictor == 3:
        summed = np.cumsum(levels.reshape(rows, -1, inside), axis=1, dtype=np.uint8)
        parts = summed.reshape(rows, bits // 8, -1).swapaxes(1, 2)
        return np.ascontiguousarray(parts).view(f">{kind}").reshape(rows, -1, inside)
    numbers = np.ascontiguousarray(levels).view(f"{directory.order}u{bits // 8}").reshape(rows, -1, inside)
    if predictor == 2:
        numbers = np.cumsum(numbers, axis=1, dtype=f"u{bits // 8}")
        return numbers.view(kind)
    return numbers.view(f"{directory.order}{kind}")

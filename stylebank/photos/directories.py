"""The directories of a TIFF: which is the picture, how many pages there are, and what its tags say.

TIFF 6.0, section 2, and BigTIFF. Only tags that matter here are read, and no more bytes than the file has.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from stylebank.errors import ImageError

_MOST = 10_000  # directories
_LEAST = 1 << 20  # bytes that their tags may have in all, where the file is smaller
_FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_RATIONAL = 5

SUBFILE, OLD_SUBFILE = 254, 255
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS, STRIP_COUNTS = 273, 274, 277, 278, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, PREDICTOR = 282, 283, 284, 296, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SUBDIRECTORIES = 322, 323, 324, 325, 330
EXTRA, FORMAT, SUBSAMPLING, PROFILE, DNG_VERSION = 338, 339, 530, 34675, 50706
_WANTED = {value for name, value in list(globals().items()) if name.isupper() and isinstance(value, int)} - {
    _MOST
}

RAW = (32803, 34892)
"""Photometric interpretations of what a sensor saw (DNG): a mosaic, or before its colours are made."""


@dataclass(frozen=True)
class Directory:
    """One picture of a file.

    Attributes:
        offset: where the directory is in the file.
        order: "<" or ">", the order of bytes.
        tags: their values: whole numbers, of a profile its bytes, of a rational number both parts.
    """

    offset: int
    order: str
    tags: dict[int, tuple[int, ...] | bytes]

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The values of a tag."""
        return tuple(self.tags.get(tag, default))

    def number(self, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        return next(iter(self.tags.get(tag, ())), default)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""
        return self.number(WIDTH), self.number(HEIGHT)

    @property
    def is_page(self) -> bool:
        """Whether it is a picture of its own: neither a smaller copy nor a mask."""
        return not self.number(SUBFILE) & 5 and self.number(OLD_SUBFILE) != 2 and 0 not in self.size

    @property
    def dpi(self) -> tuple[float, float] | None:
        """Pixels an inch, if they are given for a unit of length."""
        unit = {2: 1.0, 3: 2.54}.get(self.number(RESOLUTION_UNIT, 2))
        parts = [self.numbers(tag) for tag in (X_RESOLUTION, Y_RESOLUTION)]
        if unit is None or any(len(part) != 2 or 0 in part for part in parts):
            return None
        across, down = (part[0] / part[1] * unit for part in parts)
        return across, down


def picture(file: BinaryIO, name: object) -> tuple[Directory, int]:
    """The directory of the picture, and the number of pages.

    The first page is the picture; one that is only a smaller copy gives way to the page it is a copy of, which
    software of scanners and cameras keeps in a later directory or below the first.

    Raises:
        ImageError: the file is a camera's raw file, or has no picture.
    """
    reader = _Reader(file)
    found = reader.chain()
    below = [
        directory
        for each in found[:1]
        for offset in each.numbers(SUBDIRECTORIES)[:100]
        if (directory := reader.directory(offset))
    ]
    if any(each.number(PHOTOMETRIC) in RAW or each.tags.get(DNG_VERSION) for each in (*found, *below)):
        raise ImageError(f"{name}: is a camera's raw file; develop it, and save JPEG or TIFF")
    pages = [each for each in found if each.is_page]
    inner = [each for each in below if each.is_page]
    if pages:
        return pages[0], len(pages)
    if found or inner:
        return max([*inner, *found], key=lambda each: each.size[0] * each.size[1]), 1
    if first(file) >= file.seek(0, 2):
        raise ImageError(f"{name}: is damaged, cut short (its directory lies beyond its end); copy it again")
    raise ImageError(f"{name}: is a damaged TIFF, without a picture; replace it")


def first(file: BinaryIO) -> int:
    """Where the first directory is."""
    return _header(file)[2]


def _header(file: BinaryIO) -> tuple[str, bool, int]:
    """The order of bytes, whether it is a BigTIFF, and where the first directory is."""
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = 43 in head[2:4]
    part = head[8:16] if big else head[4:8]
    return order, big, int.from_bytes(part, "little" if order == "<" else "big")


class _Reader:
    """Reads directories; those that say the same bytes again and again, to fill memory, are soon heard no more."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._order, self._big, self._first = _header(file)
        self._length = file.seek(0, 2)
        self._left = max(self._length, _LEAST)  # bytes that tags may have in all

    def chain(self) -> list[Directory]:
        """The directories one after the other; one that leads back ends them."""
        found: dict[int, Directory] = {}
        offset = self._first
        while offset and offset not in found and len(found) < _MOST:
            directory = self.directory(offset)
            if directory is None:
                break
            found[offset] = directory
            offset = directory.number(-1)
        return list(found.values())

    def directory(self, offset: int) -> Directory | None:
        """One directory; its tag -1 is where the next one is. None if it lies outside of the file."""
        file, order = self._file, self._order
        if not 8 <= offset < self._length:
            return None
        file.seek(offset)
        width, counter, entry, inline = (20, "Q", "HHQ", 8) if self._big else (12, "H", "HHI", 4)
        head = file.read(struct.calcsize(counter))
        if len(head) < struct.calcsize(counter):
            return None
        count = min(struct.unpack(order + counter, head)[0], 4096)
        table = file.read(width * count + inline)
        tags: dict[int, tuple[int, ...] | bytes] = {}
        for place in range(0, min(len(table) // width, count) * width, width):
            tag, kind, number = struct.unpack(order + entry, table[place : place + width - inline])
            if tag not in _WANTED or (kind not in _FORMATS and kind != _RATIONAL):
                continue
            letter, number = ("I", 2 * number) if kind == _RATIONAL else (_FORMATS[kind], number)
            data = table[place + width - inline : place + width]
            need = struct.calcsize(order + letter) * number
            if need > inline:
                start = int.from_bytes(data, "little" if order == "<" else "big")
                if start + need > self._length or need > self._left:
                    continue
                self._left -= need
                file.seek(start)
                data = file.read(need)
            tags[tag] = (
                data[:need] if tag == PROFILE else struct.unpack(f"{order}{number}{letter}", data[:need])
            )
        rest = table[width * count : width * count + inline]
        tags[-1] = (int.from_bytes(rest, "little" if order == "<" else "big"),)
        return Directory(offset, order, tags)

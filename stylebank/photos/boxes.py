"""What AVIF and JPEG XL files say in their boxes and Pillow does not pass on: code points of colour, size, frames.

AVIF: ISO/IEC 14496-12 and 23008-12. JPEG XL: ISO/IEC 18181-1 (annex D: headers) and 18181-2 (boxes).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MOST_BOXES = 10_000


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box; ends where one is broken."""
    place = 0
    for _ in range(_MOST_BOXES):
        length, kind, header = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], 8
        if length == 1:
            length, header = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        if length == 0:  # up to the end of the file
            length = len(data) - place
        if len(kind) < 4 or length < header or place >= len(data):
            return
        yield kind, data[place + header : place + length]
        place += length


def is_cut_short(file: BinaryIO) -> bool:
    """Whether a file of boxes, or a RIFF (WebP), ends before its own lengths say that it does."""
    end, place = file.seek(0, 2), 0
    for _ in range(_MOST_BOXES):
        file.seek(place)
        head = file.read(16)
        if head[:4] == b"RIFF":
            return int.from_bytes(head[4:8], "little") + 8 > end
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        place += length
        if length < 8 or place >= end:
            return place > end
    return False


def colour_of_avif(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer of the primary picture, as ITU-T H.273 counts them; None if it does not say.

    A profile goes before them, and other pictures of the file (a gain map, say) have their own.
    """
    meta = dict(boxes(dict(boxes(data)).get(b"meta", b"")[4:]))
    properties = dict(boxes(meta.get(b"iprp", b"")))
    shared = list(boxes(properties.get(b"ipco", b"")))
    primary = meta.get(b"pitm", b"")
    item = int.from_bytes(primary[4:], "big")
    for place in _associated(properties.get(b"ipma", b""), item):
        kind, content = shared[place - 1] if 0 < place <= len(shared) else (b"", b"")
        if kind == b"colr" and content[:4] == b"nclx" and len(content) >= 10:
            return int.from_bytes(content[4:6], "big"), int.from_bytes(content[6:8], "big")
    return None


def _associated(table: bytes, item: int) -> Iterator[int]:
    """Numbers of the properties of an item, from 1 (ItemPropertyAssociationBox)."""
    wide_item, wide = (table[0] > 0, table[3] & 1) if len(table) > 8 else (False, 0)
    place, size, step = 8, 4 if wide_item else 2, 2 if wide else 1
    for _ in range(min(int.from_bytes(table[4:8], "big"), _MOST_BOXES)):
        found = int.from_bytes(table[place : place + size], "big")
        count = int.from_bytes(table[place + size : place + size + 1], "big")
        place += size + 1
        if found == item:
            for at in range(place, place + step * count, step):
                yield int.from_bytes(table[at : at + step], "big") & (0x7FFF if wide else 0x7F)
        place += step * count


@dataclass(frozen=True)
class JxlHeader:
    """What stands at the start of a JPEG XL codestream."""

    size: tuple[int, int]
    turned: bool
    animated: bool


class _Bits:
    """Bits of a codestream, lowest first."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data[:64].ljust(64, b"\0"), "little")

    def take(self, count: int) -> int:
        """The next bits as a number."""
        value = self._rest & ((1 << count) - 1)
        self._rest >>= count
        return value

    def one_of(self, *widths: int) -> int:
        """A number of as many bits as the next two choose."""
        return self.take(widths[self.take(2)])


def header_of_jxl(data: bytes) -> JxlHeader | None:
    """The header of a JPEG XL file, bare or in boxes; None if there is none."""
    if data[:2] != b"\xff\x0a":
        parts = dict(reversed(list(boxes(data))))
        data = parts.get(b"jxlc") or parts.get(b"jxlp", b"")[4:]
    if data[:2] != b"\xff\x0a":
        return None
    bits = _Bits(data[2:])
    height, width = _size(bits)
    turned = animated = False
    if not bits.take(1) and bits.take(1):  # not all is as usual, and there are extra fields
        turned = bits.take(3) > 0
        if bits.take(1):
            _size(bits)
        if not bits.take(1):  # a preview's own size would come first
            animated = bool(bits.take(1))
    return JxlHeader((width, height), turned, animated)


def _size(bits: _Bits) -> tuple[int, int]:
    """Height and width (SizeHeader)."""
    small = bits.take(1)
    height = (bits.take(5) + 1) * 8 if small else bits.one_of(9, 13, 18, 30) + 1
    ratio = bits.take(3)
    if ratio:
        over, under = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
        return height, height * over // under
    return height, (bits.take(5) + 1) * 8 if small else bits.one_of(9, 13, 18, 30) + 1

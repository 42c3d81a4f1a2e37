"""PNG as its specification has it: which colour chunk counts, all 16 bits where they show, texts of any length.

Colour, by precedence (PNG, third edition, 4.3): cICP, iCCP, sRGB, gAMA and cHRM. Pillow applies iCCP only, keeps the
high bytes of 16-bit colour, and refuses files for long texts and for faults in an animation of which we take the
first picture, or in notes of no account: such chunks are hidden from it.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageFile

from stylebank.photos import spaces
from stylebank.photos.spaces import Samples, Space
from stylebank.photos.srgb import COLOUR, converted, of_samples

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_SMALL = (b"IHDR", b"cICP", b"sRGB", b"gAMA", b"cHRM", b"acTL", b"tRNS", b"iCCP")

_MOST_TEXT = 1_000_000
"""Bytes of one text, unpacked, that Pillow is shown; and 16 times that of all. It takes a little more."""
_MOST_PROFILE = 16_000_000
_MOST_CHUNKS = 1_000_000


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    length: int


@dataclass(frozen=True)
class Chunks:
    """What the chunks of a PNG say.

    Attributes:
        found: the small ones by kind, the first of each.
        hidden: places (start, end) of those that Pillow is not shown.
        frames: how many pictures the file has.
    """

    found: dict[bytes, bytes]
    hidden: tuple[tuple[int, int], ...]
    frames: int

    @property
    def space(self) -> Space | None:
        """What its colours mean, or None if that is for the embedded profile to say, or sRGB."""
        cicp = self.found.get(b"cICP", b"")
        if len(cicp) == 4 and (space := spaces.of_cicp(cicp[0], cicp[1])):
            return None if space.is_srgb and b"iCCP" not in self.found else space
        if b"iCCP" in self.found or b"sRGB" in self.found:
            return None
        gamma, primaries = self.found.get(b"gAMA", b""), self.found.get(b"cHRM", b"")
        space = spaces.of_gamma(
            int.from_bytes(gamma[:4], "big") / 100_000 if len(gamma) >= 4 else None,
            tuple(value / 100_000 for value in struct.unpack(">8I", primaries[:32]))
            if len(primaries) >= 32
            else None,
        )
        return None if space.is_srgb else space

    @property
    def profile(self) -> bytes | None:
        """The embedded profile, however long; Pillow refuses more than a megabyte."""
        packed = self.found.get(b"iCCP", b"").partition(b"\0")[2][1:]
        try:
            return zlib.decompressobj().decompress(packed, _MOST_PROFILE) or None
        except zlib.error:
            return None

    @property
    def deep(self) -> bool:
        """Whether samples have 16 bits, and are not grey without transparency, which Pillow reads whole."""
        header = self.found.get(b"IHDR", b"")
        return len(header) >= 13 and header[8] == 16 and header[9] in (2, 4, 6)


def chunks(file: BinaryIO) -> Chunks:
    """Look through a PNG; a broken one ends where it breaks."""
    found: dict[bytes, bytes] = {}
    hidden, texts, before_data = [], 0, True
    pictures, extra = 1, 0
    for chunk in _walk(file):
        if chunk.kind in _SMALL and before_data and chunk.kind not in found:
            file.seek(chunk.start)
            found[chunk.kind] = file.read(min(chunk.length, _MOST_PROFILE if chunk.kind == b"iCCP" else 1024))
        if chunk.kind == b"acTL" and len(found.get(b"acTL", b"")) >= 8:
            pictures, extra = max(int.from_bytes(found[b"acTL"][:4], "big"), 1), 1
        if chunk.kind == b"fcTL" and before_data:
            extra = 0  # the picture that all programs show is the first of the animation
        before_data &= chunk.kind != b"IDAT"
        long = False
        if chunk.kind in _TEXTS:
            size = _unpacked(file, chunk)
            texts += size
            long = size > _MOST_TEXT or texts > 16 * _MOST_TEXT
        elif chunk.kind == b"iCCP":
            long = _unpacked(file, chunk) > _MOST_TEXT
        if long or chunk.kind in _ANIMATION or _is_broken(file, chunk):
            hidden.append((chunk.start - 8, chunk.start + chunk.length + 4))
    file.seek(0)
    return Chunks(found, tuple(hidden), pictures + extra)


def _is_broken(file: BinaryIO, chunk: _Chunk) -> bool:
    """Whether a chunk that a picture can do without is damaged: by its checksum, or as a profile without a name."""
    if not chunk.kind[:1].islower() or chunk.kind in (*_ANIMATION, b"tRNS"):
        return False
    file.seek(chunk.start)
    data, own = file.read(chunk.length), file.read(4)
    if chunk.kind == b"iCCP" and not data.partition(b"\0")[2]:
        return True
    return len(own) == 4 and zlib.crc32(chunk.kind + data) != int.from_bytes(own, "big")


def _walk(file: BinaryIO) -> Iterator[_Chunk]:
    place = 8
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        header = file.read(8)
        if len(header) < 8:
            return
        length = int.from_bytes(header[:4], "big")
        yield _Chunk(header[4:], place + 8, length)
        place += length + 12


def _unpacked(file: BinaryIO, chunk: _Chunk) -> int:
    """Bytes of a text or profile when it is unpacked, as far as that matters."""
    if chunk.kind == b"tEXt" or chunk.length > _MOST_TEXT:
        return chunk.length
    file.seek(chunk.start)
    _, _, rest = file.read(chunk.length).partition(b"\0")
    if chunk.kind == b"iTXt":
        if not rest[:1].strip(b"\0"):  # not packed
            return chunk.length
        rest = rest[2:].split(b"\0", 2)[-1]
    try:
        packed = rest if chunk.kind == b"iTXt" else rest[1:]
        return len(zlib.decompressobj().decompress(packed, _MOST_TEXT + 1))
    except zlib.error:
        return chunk.length


def without_hidden(file: BinaryIO, hidden: tuple[tuple[int, int], ...]) -> BinaryIO:
    """The file as Pillow is to see it."""
    if not hidden:
        return file
    parts, place = [], 0
    for start, end in hidden:
        file.seek(place)
        parts.append(file.read(start - place))
        place = end
    file.seek(place)
    return io.BytesIO(b"".join([*parts, file.read()]))


def in_colour(image: ImageFile.ImageFile, found: Chunks, file: BinaryIO) -> Image.Image:
    """The picture in sRGB, where its chunks or its 16 bits ask for more than Pillow does; else as it is.

    Args:
        image: the file as Pillow opened it, not loaded.
        found: its chunks.
        file: what Pillow read it from.
    """
    space, key = found.space, found.found.get(b"tRNS", b"")
    profile = None if space else found.profile
    if found.deep and (own := spaces.of_profile(profile)) and own.coarse:
        space = own
    if found.deep and (space or key):
        values = _sixteen_bits(image, file)
        shown = of_samples(values, _opacity(values, key), space)
        shown.info = {name: value for name, value in image.info.items() if name not in COLOUR}
    else:
        image.load()
        shown = converted(image, space) if space else image
    if profile and not space:
        shown.info["icc_profile"] = profile
    return shown


def _opacity(values: Samples, key: bytes) -> Samples | None:
    """(H, W) of samples (H, W, C), from their own alpha or from the transparent colour; None if there is neither."""
    if values.shape[2] in (2, 4):
        return values[..., -1]
    if len(key) < 6:
        return None
    shown: Samples = (values != np.frombuffer(key[:6], ">u2")).any(axis=2) * np.uint16(65535)
    return shown


def _sixteen_bits(image: ImageFile.ImageFile, file: BinaryIO) -> Samples:
    """Samples (H, W, C) of a file with 16 bits a sample.

    Pillow unpacks one byte of each sample: the high one as big-endian, the low one if told that they are
    little-endian. Grey with alpha it can take for four bytes a pixel.
    """
    raw = str(image.tile[0].args)
    if raw == "LA;16B":
        image.tile = [image.tile[0]._replace(args="RGBA")]
        image.load()
        return np.asarray(image).view(">u2").astype(np.uint16)
    image.load()
    values: Samples = np.asarray(image).astype(np.uint16) * np.uint16(256)
    file.seek(0)
    with Image.open(file, formats=("PNG",)) as low:
        low.tile = [low.tile[0]._replace(args=raw[:-1] + "L")]
        low.load()
        values |= np.asarray(low)
    return values

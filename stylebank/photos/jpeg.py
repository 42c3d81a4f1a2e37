"""Why a JPEG is not read: the kinds that its start-of-frame marker tells apart."""

from typing import BinaryIO

_KINDS = {
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF, 0xF7), "lossless"),  # the last is that of JPEG-LS
    **dict.fromkeys((0xC5, 0xC6, 0xCD, 0xCE), "hierarchical"),
}
_MOST = 1000  # markers
_ALONE = (0x01, *range(0xD0, 0xD8))
"""Markers without a length."""


def refusal(file: BinaryIO) -> str:
    """Why: "is <what>; <what to do>", or "" if it is damaged, not of another kind (ITU-T T.81, annex B)."""
    place = 2
    for _ in range(_MOST):
        file.seek(place)
        head = file.read(5)
        if len(head) < 5 or head[0] != 0xFF:
            return ""
        marker = head[1]
        if marker == 0xFF or marker in _ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        if marker in _KINDS:
            return f"is a {_KINDS[marker]} JPEG; save it as an ordinary one, or as PNG"
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return f"is a JPEG of {head[4]} bits; save it with 8 bits" if head[4] in (12, 16) else ""
        if marker in (0xD9, 0xDA):
            return ""
        place += 2 + int.from_bytes(head[2:4], "big")
    return ""

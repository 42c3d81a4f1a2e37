"""Codecs that films are written in: encoder, containers, usual quality, pixel formats.

H.264 and H.265 are made by x264 and x265, which are under the GPL and come with PyAV's wheels; AV1 and VP9 are free.
"""

from dataclasses import dataclass, field

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""Suffix of a file and its container."""


@dataclass(frozen=True)
class Codec:
    """How one codec is used.

    Attributes:
        encoder: FFmpeg's name.
        containers: that it may go into.
        crf: usual quality; None for what has none.
        worst: largest number of quality.
        pixels: pixel format; for odd sizes, if that needs another; with transparency, if there is one.
        options: of the encoder.
        tag: that players of Apple ask for, in MP4 and MOV.
    """

    encoder: str
    containers: tuple[str, ...]
    crf: int | None
    worst: int
    pixels: tuple[str, str, str]
    options: dict[str, str] = field(default_factory=dict)
    tag: str = ""


CODECS = {
    "h264": Codec(
        "libx264", ("mp4", "mov", "matroska"), 18, 51, ("yuv420p", "yuv444p", ""), {"preset": "medium"}
    ),
    "h265": Codec(
        "libx265",
        ("mp4", "mov", "matroska"),
        20,
        51,
        ("yuv420p", "yuv444p", ""),
        {"preset": "medium", "x265-params": "log-level=none"},
        "hvc1",
    ),
    "av1": Codec("libsvtav1", ("mp4", "matroska", "webm"), 26, 63, ("yuv420p", "", ""), {"preset": "7"}),
    "vp9": Codec(
        "libvpx-vp9",
        ("mp4", "matroska", "webm"),
        24,
        63,
        ("yuv420p", "yuv420p", "yuva420p"),
        {"b": "0", "row-mt": "1", "cpu-used": "2"},
    ),
    "prores": Codec(
        "prores_ks", ("mov", "matroska"), None, 0, ("yuv422p10le", "yuv444p10le", "yuva444p10le")
    ),
    "ffv1": Codec("ffv1", ("matroska",), None, 0, ("yuv444p", "yuv444p", "yuva444p"), {"level": "3"}),
}

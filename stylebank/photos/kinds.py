"""What a file is by its first bytes: a format that is read here, or the kind to name in a refusal.

The list of formats is an allow-list: nothing that runs programs (EPS, PDF), and no decoder that photos do not need.
"""

HEAD = 4096
"""Bytes that tell."""

_VIDEO = ("a video", "export a frame as PNG")
_RAW = ("a camera's raw file", "develop it, and save JPEG or TIFF")
_ARCHIVE = ("an archive", "unpack it")

_READ = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\xff\x0a", "JXL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)

_REFUSED = (
    (b"version https://git-lfs", "a Git LFS pointer in place of the picture", "run git lfs pull"),
    (b"bplist00", "a property list, such as iCloud leaves in place of a photo", "download the photo"),
    (b"%PDF", "a PDF document", "export the page as PNG"),
    (b"%!PS", "a PostScript document", "export it as PNG"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document", "export it as PNG"),
    (b"8BPS", "a Photoshop document", "save a copy as PNG or TIFF"),
    (b"gimp xcf", "a GIMP document", "export it as PNG"),
    (b"v/1\x01", "an HDR picture (OpenEXR)", "export it as PNG or TIFF"),
    (b"#?RADIANCE", "an HDR picture (Radiance)", "export it as PNG or TIFF"),
    (b"#?RGBE", "an HDR picture (Radiance)", "export it as PNG or TIFF"),
    (b"PF\n", "an HDR picture (PFM)", "export it as PNG or TIFF"),
    (b"II\xbc\x01", "a JPEG XR picture", "convert it to PNG"),
    (b"BPG\xfb", "a BPG picture", "convert it to PNG"),
    (b"\0\0\1\0", "an icon (ICO)", "convert it to PNG"),
    (b"icns", "an icon (ICNS)", "convert it to PNG"),
    (b"qoif", "a QOI picture", "convert it to PNG"),
    (b"DDS ", "a texture (DDS)", "convert it to PNG"),
    (b"SIMPLE  =", "an astronomical picture (FITS)", "convert it to PNG or TIFF"),
    (b"AT&TFORM", "a DjVu document", "export the page as PNG"),
    (b"\0\5\x16\7", "a Mac's side file (AppleDouble)", "give the photo that it belongs to"),
    (b"IIRO", *_RAW),
    (b"IIRS", *_RAW),
    (b"MMOR", *_RAW),
    (b"IIU\0", *_RAW),
    (b"FUJIFILMCCD-RAW", *_RAW),
    (b"FOVb", *_RAW),
    (b"\x1aE\xdf\xa3", *_VIDEO),
    (b"\0\0\1\xba", *_VIDEO),
    (b"PK\3\4", *_ARCHIVE),
    (b"7z\xbc\xaf", *_ARCHIVE),
    (b"Rar!", *_ARCHIVE),
    (b"\x1f\x8b", *_ARCHIVE),
    (b"ID3", "a sound file", "give a picture"),
    (b"OggS", "a sound file", "give a picture"),
    (b"\x7fELF", "a program", "give a picture"),
    (b"MZ", "a program", "give a picture"),
)
_PORTABLE = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf")
_VIDEO_BRANDS = (
    b"iso",
    b"mp4",
    b"avc",
    b"qt",
    b"m4v",
    b"m4a",
    b"3g",
    b"dash",
    b"msnv",
    b"f4v",
    b"mqt",
    b"xavc",
)
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")


def plug_in(kind: str) -> None:
    """Have Pillow know a format, by its name, that a package of its own reads and writes.

    Raises:
        ImportError: the package is missing.
    """
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    elif kind == "JXL":
        import pillow_jxl  # noqa: F401  # registers itself


def of(head: bytes) -> tuple[str, str]:
    """What a file is.

    Args:
        head: its first `HEAD` bytes, or all.

    Returns:
        Pillow's name of the format and ""; or "" and why it is not read: "is <what>; <what to do>".
    """
    if head[:4] == b"II*\0" and head[8:10] == b"CR":
        return "", "is {}; {}".format(*_RAW)
    if head[:2] in _PORTABLE and head[2:3].isspace():
        return "PPM", ""
    if head[:4] == b"RIFF":
        return _of_riff(head[8:12])
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return _of_boxes(head)
    for start, name in _READ:
        if head.startswith(start):
            return name, ""
    for start, what, advice in _REFUSED:
        if head.startswith(start):
            return "", f"is {what}; {advice}"
    return "", _of_text(head)


def _of_riff(kind: bytes) -> tuple[str, str]:
    if kind == b"WEBP":
        return "WEBP", ""
    what, advice = _VIDEO if kind == b"AVI " else ("a sound file or other RIFF file", "give a picture")
    return "", f"is {what}; {advice}"


def _of_boxes(head: bytes) -> tuple[str, str]:
    """ISO/IEC 14496-12: the brands of a file say which standards it follows."""
    if head[4:8] != b"ftyp":
        return "", "is {}; {}".format(*_VIDEO)
    length = min(max(int.from_bytes(head[:4], "big"), 16), len(head))
    brands = [head[8:12], *(head[place : place + 4] for place in range(16, length, 4))]
    if brands[0] == b"crx ":
        return "", "is {}; {}".format(*_RAW)
    if brands[0] in (b"avif", b"avis") or (brands[0] in (b"mif1", b"msf1") and b"avif" in brands):
        return "AVIF", ""
    if brands[0] in _HEIF or any(brand in _HEIF[:8] for brand in brands):
        return "HEIF", ""
    if brands[0].lower().startswith(_VIDEO_BRANDS):
        return "", "is {}; {}".format(*_VIDEO)
    return "", _of_text(head)


def _of_text(head: bytes) -> str:
    """Why a file without a picture's mark is not read."""
    if head and not head.strip(b"\0"):
        return "holds zeros in place of a picture; copy it again"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return "is a web page (HTML); download the picture itself"
    if start.startswith((b"<svg", b"<?xml", b"<!doctype svg")) and b"<svg" in start:
        return "is a vector drawing (SVG); export it as PNG"
    if head[128:132] == b"DICM":
        return "is a medical picture (DICOM); convert it to PNG"
    text = head.decode("utf-8", "ignore")
    if len(text.encode()) >= len(head) - 3 and not any(
        letter < " " and letter not in "\t\r\n\f" for letter in text
    ):
        return "is no image but text; check the path"
    return "is no image, damaged at its start, or of a format that is not read; convert it to PNG"

"""What becomes of photos as files: names, formats, metadata, pipes, folders that are painted again."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle

Run = Callable[[str], tuple[object, str, str]]
COMMON = "--bank bank --engine onnx"
DATE = "2024:05:06 07:08:09"


@pytest.fixture(autouse=True)
def studio(tmp_path: Path, make_bank: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo with metadata, one with alpha and a bank, as the current folder."""
    monkeypatch.chdir(tmp_path)
    bundle.write(Path("bank"), make_bank({"wave": 3, "night": 3}))
    photo = Image.effect_noise((24, 17), 60).convert("RGB")
    exif = Image.Exif()
    exif[Base.Artist] = "A. Painter"
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = DATE
    photo.save("a.jpg", exif=exif.tobytes())
    os.utime("a.jpg", (1000, 2000))
    photo.putalpha(Image.new("L", photo.size, 0))
    photo.save("cut.png")


def pictures(folder: str = "out") -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def exif_of(path: str) -> tuple[object, object]:
    with Image.open(path) as image:
        found = image.getexif()
        return found.get_ifd(IFD.Exif).get(Base.DateTimeOriginal), found.get(Base.Artist)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("", (DATE, None)),
        ("--keep-metadata none", (None, None)),
        ("--keep-metadata", (DATE, "A. Painter")),
        ("--keep-metadata=basic", (DATE, "A. Painter")),
        ("--keep-metadata all", (DATE, "A. Painter")),
    ],
)
def test_metadata_are_kept_as_asked_for_by_stylize_and_fuse(
    words: str, wanted: object, command_line: Run
) -> None:
    for line in (f"stylize {words} a.jpg --style wave", f"fuse a.jpg {words} --mix wave=1"):
        assert command_line(f"{line} -o x.jpg {COMMON}")[0] == 0
        assert exif_of("x.jpg") == wanted
        kept = words not in ("", "--keep-metadata none")
        assert (Path("x.jpg").stat().st_mtime == 2000) is kept
    code, _, err = command_line(f"stylize a.jpg --style wave --keep-metadata=gps {COMMON}")
    assert (code, "is none of none, date, basic, all" in err) == (2, True)


def test_transparency_comes_back(command_line: Run) -> None:
    for line in ("stylize cut.png --style wave", "fuse cut.png --mix wave=1"):
        assert command_line(f"{line} -o x.png {COMMON}")[0] == 0
        with Image.open("x.png") as image:
            assert (image.mode, image.getchannel("A").getextrema()) == ("RGBA", (0, 0))
        assert command_line(f"{line} -o x.jpg {COMMON}")[0] == 0
        with Image.open("x.jpg") as image:
            assert np.asarray(image).min() > 250


def test_quality_and_lossless_are_passed_on(command_line: Run) -> None:
    sizes = []
    for words in ("--quality 10", "", "--quality 100"):
        assert command_line(f"stylize a.jpg --style wave -o x.jpg {words} {COMMON}")[0] == 0
        sizes.append(Path("x.jpg").stat().st_size)
    assert sizes == sorted(sizes)
    assert command_line(f"stylize a.jpg --style wave -o x.webp --lossless {COMMON}")[0] == 0
    assert b"VP8L" in Path("x.webp").read_bytes()
    for words in ("-o x.png --quality 90", "-o x.jpg --lossless", "--format jpg --quality 200"):
        code, _, err = command_line(f"stylize a.jpg --style wave {words} {COMMON}")
        assert (code, len(err.splitlines())) == (2, 1)


def test_several_styles_and_a_template(command_line: Run) -> None:
    line = f"stylize a.jpg cut.png --style wave --style night@0.5 -o out/ {COMMON} --format webp"
    assert command_line(f"{line} --name {{style}}/{{number}}-{{stem}}")[0] == 0
    assert pictures() == {"wave/1-a.webp", "night/1-a.webp", "wave/2-cut.webp", "night/2-cut.webp"}
    code, _, err = command_line(f"{line} --name {{colour}}")
    assert (code, "has no field {colour}" in err) == (2, True)


def test_what_is_there_already_is_left_if_asked(command_line: Run) -> None:
    line = f"stylize a.jpg cut.png --style wave -o out {COMMON} --skip-existing"
    assert command_line(line)[0] == 0
    before = Path("out/a-wave.png").stat().st_mtime_ns
    code, out, err = command_line(line)
    assert (code, out, "2 of 2 pictures are done already" in err) == (0, "", True)
    os.utime("cut.png", None)
    os.utime("out/cut-wave.png", (1, 1))
    assert command_line(line)[1].split() == ["out/cut-wave.png"]
    assert Path("out/a-wave.png").stat().st_mtime_ns == before


def test_a_folder_of_broken_photos_alone_ends_in_2_and_a_partly_broken_one_in_3(command_line: Run) -> None:
    Path("album").mkdir()
    for name in ("x.png", "y.heic"):
        Path("album", name).write_bytes(b"no image")
    line = f"stylize album --style wave -o out {COMMON}"
    assert command_line(line)[0] == 2
    Path("a.jpg").rename("album/a.jpg")
    code, out, err = command_line(line)
    assert (code, out.split()) == (3, ["out/a-wave.png"])
    assert err.splitlines()[-1].startswith("stylebank: error: 2 of 3 photos: were skipped")
    assert command_line(f"{line} --skip-existing")[0] == 3, "some are done, if not by this run"


def test_frames_that_are_dropped_are_said(command_line: Run) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:])
    Path("album").mkdir()
    frames[0].save("album/a.gif", save_all=True, append_images=frames[1:])
    Path("a.jpg").rename("album/b.jpg")
    for line in (
        "stylize a.gif --style wave -o x.png",
        "fuse a.gif --mix wave=1",
        "stylize album --style wave -o o",
    ):
        code, _, err = command_line(f"{line} {COMMON}")
        assert code == 0
        assert "a.gif: has 3 frames; the first is painted" in err


@pytest.mark.parametrize(
    "words",
    [
        "stylize - --style wave",
        "fuse - --mix wave=1",
        "sheet - --size 64",
        "sweep - wave --size 64 --steps 2",
    ],
)
def test_a_photo_comes_through_a_pipe_and_its_picture_leaves_through_one(words: str) -> None:
    line = [sys.executable, "-m", "stylebank", *words.split(), *COMMON.split()]
    done = subprocess.run(line, input=Path("a.jpg").read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Image.open(io.BytesIO(done.stdout)).format == "PNG"
    broken = subprocess.run(line, input=b"no image", capture_output=True, check=False)
    assert (broken.returncode, broken.stdout, len(broken.stderr.splitlines())) == (2, b"", 1)


def test_labels_of_a_piped_photo_are_files() -> None:
    line = [sys.executable, "-m", "stylebank", "segment", "-", "-k", "2", "-o", "new/", *COMMON.split()]
    done = subprocess.run(line, input=Path("a.jpg").read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pictures("new") == {"picture-labels.png", "picture-labels-preview.png"}


@pytest.mark.parametrize("words", ["fuse a.jpg --mix wave=1", "sheet a.jpg --size 64"])
def test_an_output_folder_holds_a_picture_that_is_named_for_you(words: str, command_line: Run) -> None:
    Path("there").mkdir()
    word = {"fuse": "fused"}.get(words.split(maxsplit=1)[0], "sheet")
    for folder in ("new/", "there"):
        assert command_line(f"{words} -o {folder} {COMMON}")[0] == 0
        assert pictures(folder) == {f"a-{word}.png"}

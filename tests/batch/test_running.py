"""What becomes of the photos of a batch: pictures, in order, several at a time; broken ones are skipped."""

import errno
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier

import pytest
from PIL import Image

from stylebank.batch import running
from stylebank.batch.planning import STREAM, Job
from stylebank.batch.running import Result
from stylebank.errors import ImageError, OutputError
from stylebank.photos import originals
from stylebank.photos.originals import Original
from stylebank.pixels import images

Paint = Callable[[list[Image.Image], int], list[Image.Image]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a relative path starts."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def draw(name: str, colour: str = "red", size: tuple[int, int] = (4, 3)) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def broken(name: str) -> Path:
    path = Path(name)
    path.write_bytes(b"\xff\xd8 no more")
    return path


def invert(photos: list[Image.Image], _style: int = 0) -> list[Image.Image]:
    assert len({photo.size for photo in photos}) == 1, "photos of one size"
    return [photo.point(lambda level: 255 - level) for photo in photos]


def run(jobs: list[Job], paint: Paint = invert, *, workers: int = 1, together: int = 1) -> list[Result]:
    results: list[Result] = []
    running.run(jobs, paint, workers=workers, together=together, report=results.append)
    return results


ORIENTATION, GPS = 0x0112, 0x8825
PHOTOS = {
    "one pixel": (Image.new("RGB", (1, 1), "red"), "a.png", (1, 1), (0, 255, 255)),
    "odd": (Image.new("RGB", (7, 5), "red"), "a.bmp", (7, 5), (0, 255, 255)),
    "tall": (Image.new("RGB", (33, 130), "red"), "a.webp", (33, 130), (0, 255, 255)),
    "turned": (Image.new("RGB", (30, 20), "white"), "a.jpg", (20, 30), (0, 0, 0)),
    "transparent": (Image.new("RGBA", (7, 5), (255, 0, 0, 0)), "a.png", (7, 5), (255, 255, 255)),
    "16 bits": (Image.new("I;16", (7, 5), 0x8080), "a.png", (7, 5), (127, 127, 127)),
    "CMYK": (Image.new("CMYK", (7, 5), (0, 0, 0, 0)), "a.tif", (7, 5), (0, 0, 0)),
    "palette": (Image.new("RGB", (7, 5), "red").convert("P"), "a.gif", (7, 5), (0, 255, 255)),
}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("kind", PHOTOS)
def test_a_picture_has_the_size_of_its_photo_upright_and_nothing_of_its_exif(kind: str, suffix: str) -> None:
    photo, name, size, colour = PHOTOS[kind]
    exif = Image.Exif()
    exif[ORIENTATION] = 6 if kind == "turned" else 1
    exif[GPS] = {1: "N", 2: (48.0, 51.0, 30.0)}
    photo.save(name, exif=exif.tobytes())
    with Image.open(name) as saved:
        assert kind != "turned" or {ORIENTATION, GPS} <= set(saved.getexif()), "what there is to lose"
    assert run([Job(Path(name), Path(f"out{suffix}"))])[0].size == size
    with Image.open(f"out{suffix}") as picture:
        has_alpha = kind == "transparent" and suffix != ".jpg"
        assert (picture.size, picture.mode) == (size, "RGBA" if has_alpha else "RGB")
        assert not set(picture.getexif()) & {ORIENTATION, GPS}
        assert not {"exif", "xmp", "transparency"} & set(picture.info)
        if has_alpha:
            assert picture.getchannel("A").getextrema() == (0, 0)
            return
        found = picture.getpixel((0, 0))
        assert isinstance(found, tuple)
        # Lossy files, the photo's and the picture's, keep a flat colour to within 3 of 255 levels.
        assert max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= 3


@pytest.mark.parametrize(("workers", "together"), [(1, 1), (3, 1), (1, 3), (2, 2)])
def test_broken_photos_are_skipped_and_the_rest_reported_in_order(workers: int, together: int) -> None:
    jobs = [
        Job(draw("a.png", "red"), Path("out/a.png")),
        Job(broken("b.png"), Path("out/b.png")),
        Job(Path("gone.png"), Path("out/gone.png")),
        Job(draw("c.png", "blue", (9, 5)), Path("out/deep/c.png")),
        *(Job(draw(f"{number}.png"), Path(f"out/{number}.png")) for number in range(9)),
    ]
    results = run(jobs, workers=workers, together=together)
    assert [result.job for result in results] == jobs
    assert [result.size for result in results] == [(4, 3), None, None, (9, 5)] + [(4, 3)] * 9
    assert str(results[1].error).startswith("b.png: ")
    assert str(results[2].error).startswith("gone.png: ")
    assert images.read(Path("out/a.png")).getpixel((0, 0)) == (0, 255, 255)
    assert images.read(Path("out/deep/c.png")).getpixel((0, 0)) == (255, 255, 0)
    assert {path.name for path in Path("out").iterdir()} == {"a.png", "deep", *(f"{n}.png" for n in range(9))}


def test_workers_work_at_the_same_time() -> None:
    meeting = Barrier(3, timeout=60)  # breaks, and fails the test, if one worker has to wait for another

    def paint(photos: list[Image.Image], _style: int) -> list[Image.Image]:
        meeting.wait()
        return photos

    run([Job(draw(f"{name}.png"), Path(f"out/{name}.png")) for name in "abc"], paint, workers=3)
    assert len(list(Path("out").iterdir())) == 3


def test_photos_of_one_size_are_painted_together() -> None:
    seen: list[list[tuple[int, int]]] = []

    def paint(photos: list[Image.Image], _style: int) -> list[Image.Image]:
        seen.append([photo.size for photo in photos])
        return photos

    sizes = [(4, 3), (5, 3), (4, 3), (4, 3), (4, 3)]
    jobs = [Job(draw(f"{n}.png", size=size), Path(f"out/{n}.png")) for n, size in enumerate(sizes)]
    results = run(jobs, paint, together=4)
    assert sorted(map(sorted, seen)) == [[(4, 3)], [(4, 3)] * 3, [(5, 3)]]
    assert [images.read(result.job.picture).size for result in results] == sizes


def test_only_a_few_photos_are_taken_ahead() -> None:
    """Millions of them: neither all their names nor all their pictures are in memory."""
    taken: list[int] = []

    def jobs() -> Iterator[Job]:
        for number in range(50):
            taken.append(number)
            yield Job(photo, Path(f"out/{number}.png"))

    photo = draw("a.png")
    ahead = []
    running.run(jobs(), invert, workers=2, together=1, report=lambda _: ahead.append(len(taken)))
    assert [count - place for place, count in enumerate(ahead)][:40] == [
        5
    ] * 40  # two for each worker, and one


@pytest.mark.parametrize("kind", [ImageError, OutputError])
def test_a_photo_that_is_too_large_to_paint_is_skipped(kind: type[Exception]) -> None:
    """For memory, or for the temporary folder."""

    def paint(photos: list[Image.Image], _style: int) -> list[Image.Image]:
        if photos[0].width > 5:
            raise kind("image: 9 x 5 px need more memory than there is; make it smaller")
        return photos

    jobs = [Job(draw("a.png", size=(9, 5)), Path("x.png")), Job(draw("b.png"), Path("y.png"))]
    results = run(jobs, paint)
    assert results[0].error == "a.png: image: 9 x 5 px need more memory than there is; make it smaller"
    assert (results[1].size, Path("x.png").exists()) == ((4, 3), False)


def test_who_ends_the_work_before_its_time_is_told_so_that_what_is_painted_ends_too() -> None:
    told: list[str] = []

    def interrupted(_: Result) -> None:
        raise KeyboardInterrupt

    for report, wanted in ((interrupted, ["given up"]), (lambda _: None, [])):
        told.clear()
        try:
            running.run(
                [Job(draw("a.png"), Path("x.png"))],
                *(invert,),
                workers=1,
                together=1,
                report=report,
                give_up=lambda: told.append("given up"),
            )
        except KeyboardInterrupt:
            assert report is interrupted
        assert told == wanted


def test_a_picture_that_cannot_be_written_is_skipped_and_the_others_are_made() -> None:
    Path("file").write_text("in the way")
    Path("y.png").mkdir()
    jobs = [
        Job(draw("a.png"), Path("file/a.png")),
        Job(draw("wide.png", size=(17000, 2)), Path("wide.webp")),
        Job(draw("b.png"), Path("y.png")),
        Job(draw("c.png"), Path("z.png")),
    ]
    errors = [result.error or "" for result in run(jobs, together=2)]
    assert errors[0].startswith("a.png: file/a.png: cannot be written")
    assert errors[1].startswith("wide.png: .webp file: cannot hold 17000 x 2 pixels")
    assert errors[2].startswith("b.png: y.png: cannot be written")
    assert (errors[3], Path("z.png").exists()) == ("", True)


def test_a_full_disk_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays full: to go on would be one message a photo."""

    def full(path: Path, *_: object, **__: object) -> None:
        raise OutputError(f"{path}: cannot be written") from OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(images, "save", full)
    jobs = [Job(draw(f"{n}.png"), Path(f"out/{n}.png")) for n in range(50)]
    painted: list[int] = []

    def paint(photos: list[Image.Image], _style: int) -> list[Image.Image]:
        painted.append(len(photos))
        return photos

    with pytest.raises(OutputError, match=r"out/0\.png: cannot be written"):
        run(jobs, paint)
    assert len(painted) < 5


def test_whatever_fails_with_one_photo_fails_with_that_alone() -> None:
    """Also a bug, and also where several are painted at once."""

    def paint(photos: list[Image.Image], _style: int) -> list[Image.Image]:
        if any(photo.getpixel((0, 0)) == (0, 0, 255) for photo in photos):
            raise RuntimeError("the engine fell over\nblue")
        return photos

    colours = ("red", "blue", "white")
    jobs = [Job(draw(f"{colour}.png", colour), Path(f"out/{colour}.png")) for colour in colours]
    results = run(jobs, paint, together=3)
    assert [result.size is None for result in results] == [False, True, False]
    wanted = "blue.png: failed (RuntimeError: the engine fell over blue); try it alone"
    assert (results[1].error, type(results[1].bug)) == (wanted, RuntimeError)


def test_several_styles_of_a_photo_are_painted_of_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path) -> Original:
        read.append(path)
        return originals.read(path)

    def paint(photos: list[Image.Image], style: int) -> list[Image.Image]:
        return [photo.point(lambda level: level // (style + 1)) for photo in photos]

    monkeypatch.setattr("stylebank.batch.streams.read", counted)
    photos = [draw("a.png", "white"), draw("b.png", "white")]
    jobs = [
        Job(photo, Path(f"out/{photo.stem}{style}.png"), style=style) for photo in photos for style in (0, 1)
    ]
    run(jobs, paint, together=4)
    assert read == photos
    levels = [images.read(job.picture).getpixel((0, 0)) for job in jobs]
    assert levels == [(255,) * 3, (127,) * 3] * 2


def test_a_stream_is_read_and_written(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        def __init__(self, data: bytes) -> None:
            self.buffer = io.BytesIO(data)

    out = Stream(b"")
    monkeypatch.setattr("sys.stdin", Stream(draw("a.png").read_bytes()))
    monkeypatch.setattr("sys.stdout", out)
    assert run([Job(STREAM, STREAM)])[0].size == (4, 3)
    assert Image.open(io.BytesIO(out.buffer.getvalue())).getpixel((0, 0)) == (0, 255, 255)
    monkeypatch.setattr("sys.stdin", Stream(b"no image"))
    assert str(run([Job(STREAM, Path("x.png"))])[0].error).startswith("-: is no image")


def test_what_a_killed_run_left_is_swept_once_and_not_for_every_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = [Job(draw(f"{name}.png"), Path(f"out/{name}.png")) for name in "abcd"]
    looked: list[Path] = []
    scandir = os.scandir

    def counted(folder: Path) -> "os._ScandirIterator[str]":
        looked.append(folder)
        return scandir(str(folder))

    Path("out").mkdir()
    Path(f"out/.b.png.{'0' * 16}.tmp").write_bytes(b"half")
    Path("out/.notes.tmp").write_bytes(b"theirs")
    monkeypatch.setattr(os, "scandir", counted)
    run(jobs)
    assert looked == [Path("out")]
    assert {path.name for path in Path("out").iterdir()} == {
        ".notes.tmp",
        *(f"{name}.png" for name in "abcd"),
    }

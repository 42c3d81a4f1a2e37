"""Which picture each photo becomes: names, places, what is never replaced, and what happens to a broken photo."""

import os
from pathlib import Path

import pytest
from PIL import Image

from stylebank import batch
from stylebank.batch import Job
from stylebank.errors import ContentError, ImageError, OutputError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a relative path starts."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def draw(name: str, colour: str = "red") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), colour).save(path)
    return path


def broken(name: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\xff\xd8 no more")
    return path


def plan(*photos: Path | str, output: Path | str | None = None, force: bool = False) -> dict[str, str]:
    """The pictures by their photos."""
    jobs = batch.plan(
        [Path(photo) for photo in photos], Path(output) if output else None, style="wave", force=force
    )
    return {str(job.photo): str(job.picture) for job in jobs}


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_without_an_output_pictures_are_named_after_photo_and_style_in_the_current_folder() -> None:
    draw("trip/a.jpg")
    assert plan("trip/a.jpg") == {"trip/a.jpg": "a-wave.png"}
    draw("b.tar.webp")
    assert plan("trip/a.jpg", "b.tar.webp") == {
        "trip/a.jpg": "a-wave.png",
        "b.tar.webp": "b.tar-wave.png",
    }


def test_one_photo_becomes_the_file_that_was_asked_for() -> None:
    draw("a.jpg")
    assert plan("a.jpg", output="new/any name.WebP") == {"a.jpg": "new/any name.WebP"}


def test_one_photo_goes_into_a_folder_that_is_there() -> None:
    draw("a.jpg")
    Path("out").mkdir()
    assert plan("a.jpg", output="out") == {"a.jpg": "out/a-wave.png"}


def test_photos_of_a_folder_keep_their_places() -> None:
    for name in ("trip/a.jpg", "trip/day/b.png", "trip/day/night/a.jpg"):
        draw(name)
    Path("trip/notes.txt").write_text("no photo")
    assert plan("trip", output="out") == {
        "trip/a.jpg": "out/a-wave.png",
        "trip/day/b.png": "out/day/b-wave.png",
        "trip/day/night/a.jpg": "out/day/night/a-wave.png",
    }
    assert plan("trip/day", "trip/a.jpg", output="out") == {
        "trip/day/b.png": "out/b-wave.png",
        "trip/day/night/a.jpg": "out/night/a-wave.png",
        "trip/a.jpg": "out/a-wave.png",
    }


def test_planning_writes_nothing(home: Path) -> None:
    draw("trip/day/a.jpg")
    before = everything(home)
    plan("trip", output="new/place")
    assert everything(home) == before


@pytest.mark.parametrize("names", [("x/a.jpg", "y/a.jpg"), ("x/a.jpg", "x/a.png")])
def test_two_photos_never_become_one_picture(names: tuple[str, str]) -> None:
    for name in names:
        draw(name)
    with pytest.raises(OutputError, match=f"would be made of both {names[0]} and {names[1]}"):
        plan(*names, output="out")
    if names[1].startswith("x"):
        with pytest.raises(OutputError, match="would be made of both"):
            plan("x", output="out")
    else:
        with pytest.raises(OutputError, match="would be made of both"):
            plan("x", "y", output="out")


def test_two_photos_never_become_one_picture_by_a_link() -> None:
    draw("x/one/a.jpg")
    draw("x/two/a.jpg")
    Path("out/one").mkdir(parents=True)
    Path("out/two").symlink_to("one")
    with pytest.raises(OutputError, match="would be made of both"):
        plan("x", output="out")


@pytest.mark.parametrize("way", ["a.png", "./a.png", "sub/../a.png", "link.png", "hard.png", "folder/a.png"])
def test_a_picture_never_replaces_its_photo(way: str) -> None:
    photo = draw("a.png")
    Path("sub").mkdir()
    Path("link.png").symlink_to(photo)
    os.link(photo, "hard.png")
    Path("folder").symlink_to(".")
    for force in (False, True):
        with pytest.raises(OutputError, match="is the photo itself"):
            plan("a.png", output=way, force=force)
    with pytest.raises(OutputError, match="is the photo itself"):
        plan("link.png", output="a.png")


def test_a_picture_never_replaces_another_of_the_photos() -> None:
    draw("trip/a.png")
    draw("trip/a-wave.png")
    with pytest.raises(OutputError, match="is the photo itself"):
        plan("trip", output="trip")


def test_a_picture_replaces_an_image_but_nothing_else() -> None:
    draw("a.jpg")
    draw("old.png")
    Path("thesis.png").write_text("my thesis")
    assert plan("a.jpg", output="old.png")
    with pytest.raises(OutputError, match="--force"):
        plan("a.jpg", output="thesis.png")
    assert plan("a.jpg", output="thesis.png", force=True)
    Path("out/a-wave.png").mkdir(parents=True)
    with pytest.raises(OutputError, match="is a folder"):
        plan("a.jpg", output="out", force=True)


def test_many_photos_need_a_folder() -> None:
    draw("a.jpg")
    draw("b.jpg")
    draw("out.png")
    with pytest.raises(OutputError, match="there are 2 photos; give a folder"):
        plan("a.jpg", "b.jpg", output="out.png")


def test_a_photo_that_is_not_there_is_refused() -> None:
    draw("a.jpg")
    Path("dangling.jpg").symlink_to("nowhere.jpg")
    for name in ("nowhere.jpg", "dangling.jpg"):
        with pytest.raises(ImageError, match=f"{name}: does not exist"):
            plan("a.jpg", name)


def test_a_folder_without_photos_is_refused() -> None:
    Path("empty/hidden/.cache").mkdir(parents=True)
    Path("empty/notes.txt").write_text("no photo")
    with pytest.raises(ContentError, match="holds no photos"):
        plan("empty")


def test_planning_looks_at_each_photo_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once more over a folder whose pictures are there already: not every picture against every photo."""
    count, looks = 60, 0
    for number in range(count):
        draw(f"trip/{number}.bmp")
        draw(f"out/{number}-wave.png")
    stat = Path.stat

    def counted(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        nonlocal looks
        looks += 1
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", counted)
    plan("trip", output="out")
    # Does it exist, is it a folder, a file, the photo: a dozen questions are plenty; all pairs would be 60 each.
    assert looks <= 12 * count


def invert(photo: Image.Image) -> Image.Image:
    return photo.point(lambda level: 255 - level)


ORIENTATION, GPS = 0x0112, 0x8825
PHOTOS = {
    "one pixel": (Image.new("RGB", (1, 1), "red"), "a.png", (1, 1), (0, 255, 255)),
    "odd": (Image.new("RGB", (7, 5), "red"), "a.bmp", (7, 5), (0, 255, 255)),
    "tall": (Image.new("RGB", (33, 130), "red"), "a.webp", (33, 130), (0, 255, 255)),
    "turned": (Image.new("RGB", (30, 20), "white"), "a.jpg", (20, 30), (0, 0, 0)),
    "transparent": (Image.new("RGBA", (7, 5), (255, 0, 0, 0)), "a.png", (7, 5), (0, 0, 0)),
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
    assert batch.run([Job(Path(name), Path(f"out{suffix}"))], invert, say=lambda _: None) == 0
    with Image.open(f"out{suffix}") as picture:
        assert (picture.size, picture.mode) == (size, "RGB")
        assert not set(picture.getexif()) & {ORIENTATION, GPS}
        assert not {"exif", "xmp", "icc_profile", "transparency"} & set(picture.info)
        found = picture.getpixel((0, 0))
        assert isinstance(found, tuple)
        # Lossy files, the photo's and the picture's, keep a flat colour to within 3 of 255 levels.
        assert max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= 3


def test_broken_photos_are_skipped_said_and_counted() -> None:
    jobs = [
        Job(draw("a.png", "red"), Path("out/a.png")),
        Job(broken("b.png"), Path("out/b.png")),
        Job(Path("gone.png"), Path("out/gone.png")),
        Job(draw("c.png", "blue"), Path("out/deep/c.png")),
    ]
    said: list[str] = []
    assert batch.run(jobs, invert, say=said.append) == 2
    assert said[0] == "out/a.png"
    assert said[1].startswith("b.png: ")
    assert said[2].startswith("gone.png: ")
    assert all(line.endswith("; skipped") for line in said[1:3])
    assert said[3:] == ["out/deep/c.png"]
    assert Image.open("out/a.png").getpixel((0, 0)) == (0, 255, 255)
    assert Image.open("out/deep/c.png").getpixel((0, 0)) == (255, 255, 0)
    assert {path.name for path in Path("out").iterdir()} == {"a.png", "deep"}


def test_without_broken_photos_none_are_counted() -> None:
    assert batch.run([Job(draw("a.png"), Path("out.png"))], invert, say=lambda _: None) == 0
    assert batch.run([], invert, say=lambda _: None) == 0


def test_the_only_photo_is_not_skipped_but_refused() -> None:
    with pytest.raises(ImageError, match=r"b\.png"):
        batch.run([Job(broken("b.png"), Path("out.png"))], invert, say=lambda _: None)
    assert not Path("out.png").exists()


def test_a_picture_that_cannot_be_written_ends_the_work() -> None:
    """A full disk stays full: to go on would be one message a photo."""
    Path("file").write_text("in the way")
    jobs = [Job(draw("a.png"), Path("file/a.png")), Job(draw("b.png"), Path("b-out.png"))]
    with pytest.raises(OutputError, match=r"file/a\.png"):
        batch.run(jobs, invert, say=lambda _: None)
    assert not Path("b-out.png").exists()

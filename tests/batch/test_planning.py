"""Which picture each photo becomes: names, places, and what is never replaced."""

import os
from pathlib import Path

import pytest
from PIL import Image

from stylebank.batch import planning
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


def plan(*photos: Path | str, output: Path | str | None = None, force: bool = False) -> dict[str, str]:
    """The pictures by their photos."""
    jobs = planning.plan(
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


@pytest.mark.posix
def test_two_photos_never_become_one_picture_by_a_link() -> None:
    draw("x/one/a.jpg")
    draw("x/two/a.jpg")
    Path("out/one").mkdir(parents=True)
    Path("out/two").symlink_to("one")
    with pytest.raises(OutputError, match="would be made of both"):
        plan("x", output="out")


@pytest.mark.posix
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
    with pytest.raises(OutputError, match="trip: is where the pictures would go too"):
        plan("trip", output="trip")
    with pytest.raises(OutputError, match="is the photo itself"):
        plan("trip/a.png", "trip/a-wave.png", output="trip")


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


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("trip/*.jpg", ["trip/a.jpg", "trip/b.jpg"]),
        ("trip/[b-z].jpg", ["trip/b.jpg"]),
        ("trip/**/a.*", ["trip/a.jpg", "trip/day/a.png"]),
        ("t[ri]ip", ["trip/a.jpg", "trip/b.jpg", "trip/day/a.png"]),
    ],
)
def test_a_pattern_stands_for_what_fits_it_also_where_no_shell_expands_it(
    pattern: str, wanted: list[str], home: Path
) -> None:
    for name in ("trip/a.jpg", "trip/b.jpg", "trip/day/a.png"):
        draw(name)
    Path("out").mkdir()
    if "**" in pattern:
        with pytest.raises(OutputError, match="made of both"):  # two photos called a
            plan(pattern, output="out")
        return
    assert list(plan(pattern, output="out")) == wanted
    assert [Path(photo).relative_to(home) for photo in plan(home / pattern, output="out")] == [
        Path(photo) for photo in wanted
    ]


def test_a_pattern_with_one_match_is_one_photo() -> None:
    draw("trip/a.jpg")
    assert plan("trip/*.jpg", output="x.png") == {"trip/a.jpg": "x.png"}
    with pytest.raises(ImageError, match="is no pattern"):
        plan("**.jpg")


def test_pictures_of_an_output_folder_inside_the_photos_are_no_photos(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("trip/a.jpg", "trip/painted/a-wave.png", "trip/painted.jpg"):
        draw(name)
    wanted = {"trip/a.jpg": "trip/painted/a-wave.png", "trip/painted.jpg": "trip/painted/painted-wave.png"}
    assert plan("trip", output="trip/painted") == wanted
    monkeypatch.chdir("trip")
    with pytest.raises(OutputError, match="is where the pictures would go too"):
        plan(".")
    assert list(plan(".", output="painted")) == ["a.jpg", "painted.jpg"]


def test_a_photo_that_is_given_twice_is_painted_once() -> None:
    draw("a.jpg")
    jobs = planning.plan([Path("a.jpg"), Path("a.jpg")], None, style="wave")
    assert len(jobs) == 1


def test_a_file_with_a_name_like_a_pattern_is_that_file() -> None:
    for name in ("[ab].jpg", "a.jpg"):
        draw(name)
    assert list(plan("[ab].jpg")) == ["[ab].jpg"]


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    with pytest.raises(ImageError, match=r"\*\.jpg: does not exist"):
        plan("*.jpg")


def test_a_stream_is_one_photo_and_becomes_one_picture() -> None:
    draw("a.jpg")
    assert plan("-") == {"-": "-"}
    assert plan("-", output="x.png") == {"-": "x.png"}
    assert plan("a.jpg", output="-") == {"a.jpg": "-"}
    with pytest.raises(ImageError, match="give it alone"):
        plan("-", "a.jpg")
    draw("b.jpg")
    with pytest.raises(OutputError, match="room for one picture, and there are 2"):
        plan("a.jpg", "b.jpg", output="-")

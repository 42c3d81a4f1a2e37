"""Which picture each photo becomes: names, places, and what is never replaced."""

import os
from pathlib import Path

import pytest
from PIL import Image

from stylebank.batch import planning
from stylebank.batch.planning import Job
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
    found = planning.plan([Path(photo) for photo in photos], output, styles=["wave"], force=force)
    return {str(job.photo): str(job.picture) for job in found.jobs}


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


def test_photos_that_differ_by_their_suffix_only_keep_it_in_the_names() -> None:
    for name in ("x/a.jpg", "x/a.png", "x/b.jpg"):
        draw(name)
    wanted = {"x/a.jpg": "out/a.jpg-wave.png", "x/a.png": "out/a.png-wave.png", "x/b.jpg": "out/b-wave.png"}
    assert plan("x", output="out") == plan(*wanted, output="out") == wanted


def test_photos_of_one_name_in_several_folders_are_numbered() -> None:
    for name in ("x/a.jpg", "y/a.jpg", "z/a.jpg", "z/a-wave.jpg"):
        draw(name)
    wanted = {"x/a.jpg": "out/a-wave.png", "y/a.jpg": "out/a-wave-2.png", "z/a.jpg": "out/a-wave-3.png"}
    assert plan(*wanted, output="out") == wanted
    assert plan("x", "y", "z", output="out") == wanted | {"z/a-wave.jpg": "out/a-wave-wave.png"}


@pytest.mark.posix
def test_two_photos_never_become_one_picture_by_a_link_or_capitals() -> None:
    for name in ("x/one/a.jpg", "x/two/a.jpg", "x/two/A.jpg"):
        draw(name)
    Path("out/one").mkdir(parents=True)
    Path("out/two").symlink_to("one")
    found = plan("x", output="out")
    assert len({Path(picture).resolve().as_posix().lower() for picture in found.values()}) == 3


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
    with pytest.raises(OutputError, match="there are 2 pictures; give a folder"):
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
    assert len(planning.plan([Path("a.jpg"), Path("a.jpg")], None, styles=["wave"]).jobs) == 1


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


def test_each_photo_is_painted_in_each_style() -> None:
    draw("trip/a.jpg")
    draw("trip/b.jpg")
    jobs = planning.plan([Path("trip")], "out", styles=["wave", "night"]).jobs
    assert [(str(job.picture), job.style) for job in jobs] == [
        ("out/a-wave.png", 0),
        ("out/a-night.png", 1),
        ("out/b-wave.png", 0),
        ("out/b-night.png", 1),
    ]
    for output in ("-", "x.png"):
        with pytest.raises(OutputError, match="there are 2"):
            planning.plan([Path("trip/a.jpg")], output, styles=["wave", "night"])


def test_an_output_that_ends_in_a_slash_is_a_folder() -> None:
    draw("a.jpg")
    assert plan("a.jpg", output="new/") == {"a.jpg": "new/a-wave.png"}
    assert plan("-", output="new/") == {"-": "new/picture-wave.png"}
    found = [str(planning.target(Path("a.jpg"), output, "fused")) for output in ("new/", None, "x.jpg", "-")]
    assert found == ["new/a-fused.png", "a-fused.png", "x.jpg", "-"]
    assert planning.target(planning.STREAM, None, "fused") == planning.STREAM


def test_what_a_folder_holds_beside_photos_is_said_in_a_line() -> None:
    for name in ("a.jpg", "day/b.jpg", ".hidden.jpg"):
        draw(f"trip/{name}")
    for name in ("c.CR2", "d.cr2", "notes.txt", "._a.jpg", "Thumbs.db", "@eaDir/a.jpg/T.jpg", "day/.t/x.jpg"):
        Path("trip", name).parent.mkdir(parents=True, exist_ok=True)
        Path("trip", name).write_bytes(b"")
    found = planning.plan([Path("trip")], "out", styles=["wave"])
    assert len(found.jobs) == 2
    (line,) = found.notes
    assert line.startswith("trip: left out 2 camera raw (.cr2), ")
    for part in ("1 hidden (.jpg)", "1 other files (.txt)", "1 folders made by machines", "1 hidden folders"):
        assert part in line


def test_links_to_folders_are_followed_once() -> None:
    draw("elsewhere/a.jpg")
    draw("trip/b.jpg")
    Path("trip/linked").symlink_to(Path("elsewhere").resolve())
    Path("trip/again").symlink_to(Path("elsewhere").resolve())
    Path("trip/circle").symlink_to(Path("trip").resolve())
    found = planning.plan([Path("trip")], "out", styles=["wave"])
    assert [job.photo.name for job in found.jobs] == ["a.jpg", "b.jpg"]
    assert "links to folders seen already" in found.notes[0]


def test_a_folder_that_cannot_be_opened_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    draw("trip/a.jpg")
    draw("trip/private/b.jpg")
    scandir = os.scandir

    def refusing(path: str) -> "os._ScandirIterator[str]":  # root may open everything
        if path.endswith("private"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = planning.plan([Path("trip")], "out", styles=["wave"])
    assert [job.photo.name for job in found.jobs] == ["a.jpg"]
    assert found.closed == ["trip/private: cannot be opened (Permission denied); skipped"]


def test_a_picture_is_there_if_it_is_not_older_than_its_photo() -> None:
    job = Job(draw("a.jpg"), draw("out/a.png"))
    os.utime(job.photo, (1000, 1000))
    for seconds, wanted in ((999, False), (1000, True), (1001, True)):
        os.utime(job.picture, (seconds, seconds))
        assert planning.is_there(job) is wanted
    job.picture.unlink()
    assert not planning.is_there(job)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_may_have_a_name_that_ends_like_a_pictures(is_there: bool) -> None:
    photo = draw("a.jpg")
    if is_there:
        Path("album.png").mkdir()
    assert plan(photo, output="album.png" if is_there else "album.png/") == {"a.jpg": "album.png/a-wave.png"}


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_the_programs_output_has_several_names(name: str) -> None:
    photo = draw("a.jpg")
    assert plan(photo, output=name) == {"a.jpg": "-"}
    assert planning.target(photo, name, "fused") == planning.STREAM
    assert plan(planning.STREAM, output=name) == {"-": "-"}


def test_an_empty_file_is_nobodys_work() -> None:
    photo = draw("a.jpg")
    Path("made-by-mktemp.png").touch()
    assert plan(photo, output="made-by-mktemp.png") == {"a.jpg": "made-by-mktemp.png"}
    Path("made-by-mktemp.png").write_text("a thesis")
    with pytest.raises(OutputError, match="another kind of file"):
        plan(photo, output="made-by-mktemp.png")

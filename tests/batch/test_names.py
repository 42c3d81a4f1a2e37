"""Names of pictures: templates, lengths, and that no two are one file."""

import os
from pathlib import Path

import pytest

from stylebank.batch import names
from stylebank.batch.names import Wanted
from stylebank.errors import ConfigError


def made(
    *photos: str, template: str = names.TEMPLATE, folder: Path = Path("out"), style: str = "wave"
) -> list[str]:
    wanted = [Wanted(Path(photo), Path(Path(photo).name), style) for photo in photos]
    paths = names.of(wanted, folder=folder, suffix=".png", template=template)
    return [path.relative_to(folder).as_posix() for path in paths]


def test_a_template_has_the_photos_and_the_styles_words() -> None:
    template = "{style}/{folder}_{stem}_{suffix}_{number:03}"
    assert made("trip/a.jpg", "b.tar.JPEG", template=template)[:1] == ["wave/trip_a_jpg_001" + ".png"]
    assert made("trip/b.tar.JPEG", template="{stem}") == ["b.tar.png"]


@pytest.mark.parametrize(
    "template",
    [
        "",
        " ",
        "{nothing}",
        "{stem",
        "{0}",
        "{stem.__class__}",
        "{stem[0]}",
        "../{stem}",
        "/{stem}",
        "~/{stem}",
        "a/",
        "{stem}?",
        "a:b",
        "a\\b",
        "a\nb",
        "{number:q}",
        "{stem!z}",
        "{}",
    ],
)
def test_a_template_that_makes_no_names_is_refused(template: str) -> None:
    with pytest.raises(ConfigError, match="--name"):
        names.check(template)


def test_usual_templates_pass() -> None:
    for template in (
        names.TEMPLATE,
        "{stem}",
        "{style}/{stem}",
        "{number:04}-{stem} (painted)",
        "\u00e4 {folder}",
    ):
        names.check(template)


def test_a_template_without_the_photos_name_numbers_what_would_collide() -> None:
    assert made("a.jpg", "b.jpg", "c.jpg", template="x") == ["x.png", "x-2.png", "x-3.png"]


def test_a_number_is_never_the_name_of_another_photo() -> None:
    found = made("x/a.jpg", "y/a.jpg", "a-2.jpg", template="{stem}")
    assert found == ["a.png", "a-3.png", "a-2.png"]


def test_names_that_some_file_systems_take_for_one_are_told_apart() -> None:
    found = made("A.jpg", "a.jpg", "caf\u00e9.jpg", "cafe\u0301.jpg")
    assert len({name.casefold() for name in found}) == 4
    assert found[3].endswith("-2.png")


def test_a_long_name_is_cut_to_what_the_file_system_takes_and_stays_its_own(tmp_path: Path) -> None:
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    photos = ["\u00e4" * 120 + f"{end}.jpg" for end in ("one", "two")]
    found = made(*photos, folder=tmp_path / "new", style="a_style")
    assert len(set(found)) == 2
    (tmp_path / "new").mkdir()
    for name in found:
        assert len(os.fsencode(name)) <= longest
        (tmp_path / "new" / name).touch()
    assert made(*photos, folder=tmp_path / "new", style="a_style") == found


@pytest.mark.parametrize("photo", ["../a.jpg", "/a.jpg", "trip/../../a.jpg"])
def test_the_folder_of_a_photo_never_leads_out_of_the_folder_of_pictures(
    photo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home/album").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "home/album")
    where = {"../a.jpg": "home/a.png", "/a.jpg": "_/a.png", "trip/../../a.jpg": "home/a.png"}[photo]
    assert made(photo, template="{folder}/{stem}") == [where]


def test_a_name_that_counts_photos_does_not_last() -> None:
    names.check("{folder}/{stem}-{style}", lasting=True)
    with pytest.raises(ConfigError, match="leave it out"):
        names.check("{number:03}", lasting=True)

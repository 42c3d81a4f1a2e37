"""Which files of a folder are taken for photos."""

import os
from pathlib import Path

import pytest

from stylebank.errors import ContentError
from stylebank.pixels import folders


def test_images_of_a_folder_are_found_in_order_and_once(tmp_path: Path) -> None:
    wanted = ["Z.PNG", "a/b/deep.webp", "a/link.jpg", "a.tiff", "b.JpEg"]
    for name in (*wanted, ".hidden.png", ".git/c.png", "a/.d/e.jpg", "notes.txt", "png", "f.png.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "a/circle").symlink_to(tmp_path)
    found = folders.find_photos(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == sorted(wanted)
    with pytest.raises(ContentError, match="is not a folder"):
        folders.find_photos(tmp_path / "missing")


def test_a_folder_without_photos_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.nef").touch()
    with pytest.raises(ContentError, match=r"holds no photos \(1 camera raw \(\.nef\)\); put images in it"):
        folders.find_photos(tmp_path)


def test_who_asks_for_photos_is_told_what_is_left_out(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.txt"):
        (tmp_path / name).touch()
    said: list[str] = []
    folders.find_photos(tmp_path, note=said.append)
    assert said == [f"{tmp_path}: left out 1 other files (.txt)"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes by name")
def test_a_pipe_with_a_photos_name_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "a.jpg").touch()
    (tmp_path / "broken.jpg").symlink_to("nowhere")
    (tmp_path / "film.MP4").touch()
    found = folders.listing(tmp_path)
    # A broken link is for who reads it to say.
    assert [photo.name for photo in found.photos] == ["a.jpg", "broken.jpg"]
    assert found.left_out == {("pipes, sockets or devices", ".jpg"): 1, ("video", ".mp4"): 1}

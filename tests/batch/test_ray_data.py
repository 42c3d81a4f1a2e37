"""Folders of object stores become folders of pictures, on a cluster too; a rerun continues."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank import StyleBank
from stylebank.bank import mixture
from stylebank.bank.bundle import Bundle
from stylebank.batch.ray_data import Folders, Stylizer
from stylebank.engines.choice import Computing
from stylebank.errors import ContentError
from stylebank.pixels import images

pytest.importorskip("pyarrow")


def draw(path: Path, size: tuple[int, int] = (20, 17)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 60).convert("RGB").save(path)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for name in ("a.jpg", "day/b.png", "day/.hidden/c.jpg"):
        draw(tmp_path / "in" / name)
    (tmp_path / "in/notes.txt").write_text("no photo")
    return Folders(f"file://{tmp_path}/in/", str(tmp_path / "out"), "wave", ".png", overwrite=False)


def rows(folders: Folders, *photos: str) -> dict[str, object]:
    return {"photo": np.array(photos, object), "picture": np.array(folders.pictures(photos), object)}


def test_photos_are_found_below_a_folder_and_keep_their_places(folders: Folders) -> None:
    assert folders.photos() == ["a.jpg", "day/b.png"]
    assert folders.pictures(folders.photos()) == ["a-wave.png", "day/b-wave.png"]


def test_photos_that_differ_by_their_suffix_only_become_two_pictures(
    folders: Folders, tmp_path: Path
) -> None:
    draw(tmp_path / "in/day/b.jpg")
    wanted = ["a-wave.png", "day/b.jpg-wave.png", "day/b.png-wave.png"]
    assert folders.pictures(folders.photos()) == wanted


def test_what_cannot_become_pictures_is_refused(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ContentError, match="is inside"):
        replace(folders, output=str(tmp_path / "in/out")).photos()
    for source, wanted in (
        (tmp_path / "empty", "holds no photos"),
        (tmp_path / "none", "cannot be listed"),
        ("what://ever", "is no address"),
    ):
        with pytest.raises(ContentError, match=wanted):
            Folders(str(source), "/out", "wave", ".png", overwrite=False).photos()


def test_an_actor_paints_what_is_not_yet_there(
    folders: Folders, tmp_path: Path, make_bank: Callable[..., Bundle]
) -> None:
    contents, mixed = make_bank({"wave": 3}), mixture.parse("wave")
    computing = Computing("onnx", "float32", "cpu")
    actor = Stylizer(contents, computing, mixed, False, folders)
    (tmp_path / "in/bad.jpg").write_bytes(b"no image")
    found = actor(rows(folders, "a.jpg", "bad.jpg", "day/b.png", "gone.jpg"))
    assert list(found["picture"]) == ["a-wave.png", "bad-wave.png", "day/b-wave.png", "gone-wave.png"]
    assert [bool(error) for error in found["error"]] == [False, True, False, True]
    assert found["error"][1].startswith("bad.jpg: is no image")
    photo = images.read(tmp_path / "in/a.jpg")
    wanted = images.to_pixels(StyleBank(contents, computing=computing).stylize(photo, mixed))
    assert np.array_equal(images.to_pixels(images.read(tmp_path / "out/a-wave.png")), wanted)
    (tmp_path / "out/a-wave.png").write_bytes(b"there")
    actor(rows(folders, "a.jpg"))
    assert (tmp_path / "out/a-wave.png").read_bytes() == b"there"
    anew = Folders(folders.source, folders.output, "wave", ".png", overwrite=True)
    Stylizer(contents, computing, mixed, False, anew)(rows(folders, "a.jpg"))
    assert np.array_equal(images.to_pixels(images.read(tmp_path / "out/a-wave.png")), wanted)
    Stylizer(contents, computing, mixed, True, anew)(rows(folders, "a.jpg"))
    kept = images.to_pixels(images.read(tmp_path / "out/a-wave.png"))
    assert not np.array_equal(kept, wanted), "the control, and colours that are kept"


@pytest.mark.timeout(240)
def test_ray_paints_a_folder_by_two_actors(folders: Folders, tmp_path: Path) -> None:
    """In a process of its own: Ray talks to its workers through sockets."""
    pytest.importorskip("ray")
    code = f"""
from stylebank.batch import ray_data
style = "munch_the_scream"
made = list(ray_data.stylize("{folders.source}", "{folders.output}", style=style, engine="onnx", actors=2))
print(sorted(made))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wanted = [("a.jpg", "a-munch_the_scream.jpg", ""), ("day/b.png", "day/b-munch_the_scream.jpg", "")]
    assert done.stdout.splitlines()[-1] == str(wanted)
    bank = StyleBank.load(engine="onnx")
    wanted_picture = bank.stylize(images.read(tmp_path / "in/day/b.png"), "munch_the_scream")
    found = images.to_pixels(images.read(tmp_path / "out/day/b-munch_the_scream.jpg")).astype(int)
    # JPEG at quality 95 moves noise by a few levels; another style's picture is 40 away in the mean.
    assert np.abs(found - images.to_pixels(wanted_picture)).mean() < 6

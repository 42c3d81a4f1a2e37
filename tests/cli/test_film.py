"""The command video as a person meets it; what needs PyAV is in tests/video."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.errors import ImageError
from stylebank.footage import animations
from stylebank.terminal import reels

Run = Callable[[str], tuple[object, str, str]]

BANK = "--bank bank --engine torch --precision float32"


def moving(path: Path, count: int = 4, size: tuple[int, int] = (24, 16)) -> Path:
    rows = np.linspace(0, 255, size[0] * size[1] * 3).reshape(size[1], size[0], 3)
    images = [Image.fromarray(np.roll(rows, 5 * place, 1).astype(np.uint8)) for place in range(count)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=100, loop=0)
    return path


def frames(path: Path) -> list[np.ndarray]:
    return [np.asarray(frame.image, float) for frame in animations.Animation(path).frames()]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_bank: Callable[..., Bundle]) -> Path:
    monkeypatch.chdir(tmp_path)
    bundle.write(tmp_path / "bank", make_bank({"wave": 3, "night": 5}))
    moving(tmp_path / "a.gif")
    labels = np.ones((16, 24), np.uint8)
    labels[:, 12:] = 2
    Image.fromarray(labels).save(tmp_path / "labels.png")
    return tmp_path


def test_animation_is_painted_without_the_extra(command_line: Run, place: Path) -> None:
    code, out, err = command_line(f"video a.gif -o b.webp --style wave --steady 0 {BANK}")
    assert (code, out) == (0, "b.webp\n")
    assert "4 frames, 4 painted in" in err
    assert len(frames(place / "b.webp")) == 4


def test_style_changes_on_its_way(command_line: Run, place: Path) -> None:
    said = [
        command_line(f"video a.gif -o {name}.webp {words} --quality 100 --steady 0 {BANK}")[0]
        for name, words in {
            "wave": "--style wave",
            "night": "--mix night=1",
            "way": "--mix-at 0s=wave --mix-at 300ms=night",
        }.items()
    ]
    assert said == [0, 0, 0]
    wave, night, way = (frames(place / f"{name}.webp") for name in ("wave", "night", "way"))
    assert np.array_equal(way[0], wave[0])
    assert np.array_equal(way[3], night[3])
    assert not np.array_equal(way[1], wave[1])
    assert not np.array_equal(way[1], night[1])


def test_masks_move_with_the_clip(command_line: Run, place: Path) -> None:
    images = [Image.new("L", (24, 16), level) for level in (255, 0, 255, 0)]
    images[0].save(place / "mask.gif", save_all=True, append_images=images[1:], duration=100)
    code, *_ = command_line(f"video a.gif -o b.webp --region mask.gif=wave --quality 100 --steady 0 {BANK}")
    assert code == 0
    changed = [
        np.abs(a - b).mean() for a, b in zip(frames(place / "b.webp"), frames(place / "a.gif"), strict=True)
    ]
    assert changed[1] == changed[3] == 0
    assert min(changed[0], changed[2]) > 1


def halves(place: Path, name: str) -> list[tuple[float, float]]:
    """By how much each frame of a painted clip differs from the clip's, on the left and on the right."""
    both = zip(frames(place / name), frames(place / "a.gif"), strict=True)
    return [(np.abs(a - b)[:, :10].mean(), np.abs(a - b)[:, 14:].mean()) for a, b in both]


@pytest.mark.parametrize("steady", ["--steady 0", ""])
def test_labels_stay_where_they_are_while_the_clip_moves(command_line: Run, place: Path, steady: str) -> None:
    if not steady:
        pytest.importorskip("cv2")
    line = f"video a.gif -o b.apng --regions labels.png --assign 2=wave {steady} {BANK}"
    code, _, err = command_line(line)
    assert code == 0
    assert "labels.png: 1 (50% of the pixels) left to the rest" in err
    assert all(left == 0 and right > 1 for left, right in halves(place, "b.apng"))
    code, *_ = command_line(f"{line.replace('b.apng', 'c.apng')} --assign 1=photo --rest night")
    assert code == 0
    assert all(left == 0 and right > 1 for left, right in halves(place, "c.apng"))


def test_regions_of_the_first_frame_that_is_painted_are_found_and_get_styles(
    command_line: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def clustered(_bank: object, photo: Image.Image, count: int, *, seed: int) -> np.ndarray:
        seen.append((np.asarray(photo, float), count, seed))
        labels = np.ones((photo.height, photo.width), np.uint8)
        labels[:, photo.width // 2 :] = 2
        return labels

    monkeypatch.setattr("stylebank.painting.regions.clustered", clustered)
    line = f"video a.gif -o b.apng --auto-regions 2 --start 100ms --steady 0 {BANK}"
    code, _, err = command_line(f"{line} --assign 1=night --assign auto")
    assert code == 0
    assert [(count, seed) for _, count, seed in seen] == [(2, 0)], "once for the whole clip"
    assert np.array_equal(seen[0][0], frames(place / "a.gif")[1])
    assert "region 2: wave" in err or "region 2: night" in err
    assert len(frames(place / "b.apng")) == 3


def test_regions_that_overlap_are_painted_over_each_other_or_share(command_line: Run, place: Path) -> None:
    Image.new("L", (24, 16), 255).save(place / "all.png")
    found = {}
    for name, words in {
        "night": "--style night",
        "over": "--region all.png=wave --region all.png=night",
        "share": "--region all.png=wave --region all.png=night --overlap share",
        "photo": "--region all.png=wave --region all.png=photo",
    }.items():
        assert command_line(f"video a.gif -o {name}.apng {words} --steady 0 {BANK}")[0] == 0
        found[name] = np.stack(frames(place / f"{name}.apng"))
    assert np.abs(found["over"] - found["night"]).max() <= 1
    assert np.abs(found["share"] - found["night"]).mean() > 1
    assert np.array_equal(found["photo"], np.stack(frames(place / "a.gif")))


def test_part_of_a_clip_and_numbered_images(command_line: Run, place: Path) -> None:
    code, *_ = command_line(
        f"video a.gif -o out/%02d.png --style wave --start 0.1 --preview 200ms --steady 0 {BANK}"
    )
    assert code == 0
    assert sorted(path.name for path in (place / "out").iterdir()) == ["01.png", "02.png"]
    code, _, err = command_line(f"video out/%02d.png -o c.gif --style night --fps 10 --steady 0 {BANK}")
    assert code == 0, err
    assert len(frames(place / "c.gif")) == 2


def test_nothing_is_replaced_unless_forced(command_line: Run) -> None:
    line = f"video a.gif -o b.gif --style wave --steady 0 {BANK}"
    assert command_line(line)[0] == 0
    code, _, err = command_line(line)
    assert (code, err) == (2, "stylebank: error: b.gif: exists; choose another name, or add --force\n")
    assert command_line(f"{line} --force")[0] == 0
    assert command_line(f"video a.gif -o a.gif --force --style wave {BANK}")[0] == 2


def test_a_folder_of_clips_is_painted_and_what_cannot_be_is_skipped(command_line: Run, place: Path) -> None:
    (place / "in/deep").mkdir(parents=True)
    moving(place / "in/x.gif")
    moving(place / "in/deep/y.webp")
    (place / "in/bad.gif").write_bytes(b"GIF89a, but no more")
    code, out, err = command_line(f"video in -o out --style wave --steady 0 {BANK}")
    assert code == 3
    assert "in/bad.gif: cannot be read as an animation" in err
    assert "1 of 3 clips: were skipped" in err
    assert sorted(out.split()) == ["out/deep/y.webp", "out/x.gif"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "video a.gif -o b.gif",
            "video: has no styles; give one of --style, --mix, --mix-at, --region, --regions, --a",
        ),
        ("video a.gif -o b.gif --style wave --mix wave=1", "has --style and --mix; give one of"),
        ("video a.gif -o b.gif --style wvae", "did you mean 'wave'"),
        ("video a.gif -o b.gif --mix-at 5=nite", "style 'nite': is not in the bank"),
        (
            "video a.gif -o b.gif --style wave --rest night",
            "^stylebank: error: --rest: goes with regions, not with --style",
        ),
        (
            "video a.gif -o b.gif --mix wave=1 --feather 2 --fit",
            "error: --feather, --fit: go with regions, not with --mix",
        ),
        ("video a.gif -o b.gif --regions labels.png", "--assign: goes with --regions and --auto-regions"),
        ("video a.gif -o b.gif --region labels.png=wave --assign 1=wave", "--assign: goes with --regions"),
        ("video a.gif -o b.gif --regions labels.png --assign 9=wave", "labels.png: has no label '9'"),
        ("video a.gif -o b.gif --regions labels.png --assign 1=wvae", "did you mean 'wave'"),
        ("video a.gif -o b.gif --regions labels.png --assign 1", "--assign 1: has another form"),
        ("video a.gif -o b.gif --regions labels.png --assign 1=photo", "all keep the photo"),
        ("video a.gif -o b.gif --regions none.png --assign 1=wave", "none.png"),
        ("video a.gif -o b.gif --auto-regions 99 --assign auto", "99 regions: is out of range"),
        ("video a.gif -o b.gif --region labels.png=wave --overlap under", "overlap 'under': is unknown"),
        ("video a.gif -o b.gif --region labels.png=wave --feather nan", "feather nan: is out of range"),
        ("video a.gif -o b.gif --style wave --start x", "--start: 'x' is no time"),
        ("video a.gif -o b.gif --style wave --start 9", "has no frame from there on"),
        ("video a.gif -o b.gif --style wave --fps 5", "--fps: goes with numbered images"),
        ("video a.gif -o b.gif --style wave --steady 2", "steady 2: is out of range"),
        ("video a.gif -o b.xyz --style wave", "'.xyz' is no known kind of video"),
        ("video none.gif -o b.gif --style wave", "none.gif: does not exist"),
        ("video bank -o b.gif --style wave", "bank: cannot be read as a video"),
        ("video a.gif -o b.gif --region x=wave=", "write MASK=STYLE"),
        ("video a.gif -o b.gif --region none.png=wave", "none.png"),
        ("video . -o b.mp4 --style wave", "give a folder"),
        ("video . -o . --style wave", "is where the clips would go too"),
        ("video a.gif -o bank/b.gif --style wave", "bank/b.gif: cannot be written|cannot be"),
    ],
)
def test_mistakes_are_one_line(command_line: Run, line: str, said: str) -> None:
    import re

    code, out, err = command_line(f"{line} {BANK}")
    assert (code, out) == (2, "")
    assert re.search(said, err), err
    assert "error: " in err.splitlines()[-1]


def test_missing_extra_is_named_with_its_command(
    command_line: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    (place / "x.mp4").write_bytes(b"film")
    monkeypatch.setitem(sys.modules, "av", None)
    code, _, err = command_line(f"video x.mp4 -o b.mp4 --style wave --steady 0 {BANK}")
    assert code == 2
    assert 'pip install "stylebank[video]"' in err
    assert len(err.splitlines()) == 1


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_numbered_images_stopped_at_once_go_on_and_foreign_ones_stay(command_line: Run, place: Path) -> None:
    target = place / "out/%03d.png"
    line = f"video a.gif -o {target} --style wave --steady 0 {BANK}"
    target.parent.mkdir()
    Image.new("RGB", (9, 9)).save(place / "out/003.png")
    code, _, err = command_line(line)
    assert (code, "003.png: exists; choose another name" in err) == (2, True)
    assert size_of(place / "out/003.png") == (9, 9)
    (place / "out/003.png").unlink()

    def stop(*_: object, **__: object) -> None:
        Image.new("RGB", (9, 9)).save(place / "out/001.png")
        raise ImageError("a.gif: is cut off here; get it again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stylebank.video.pipeline.Encoding.add", stop)
        assert command_line(line)[0] == 2
    assert command_line(line)[0] == 0
    assert size_of(place / "out/001.png") == (24, 16)
    assert len(list((place / "out").iterdir())) == 4, "four pictures and nothing else"


def test_one_clip_is_painted_by_one_process_at_a_time(command_line: Run, place: Path) -> None:
    line = f"video a.gif -o b.gif --style wave --steady 0 {BANK}"
    held = "import sys, time; from pathlib import Path; from stylebank.files import atomic\n"
    held += "with atomic.locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", held, "b.gif"], stdout=subprocess.PIPE, text=True)
    assert other.stdout
    assert other.stdout.readline() == "held\n"
    code, _, err = command_line(line)
    assert (code, "b.gif: another process is using it" in err) == (2, True)
    other.kill()
    other.communicate()
    assert command_line(line)[0] == 0
    assert sorted(each.name for each in place.iterdir() if "b.gif" in each.name) == ["b.gif"]


def test_folder_goes_on_though_it_was_stopped_as_a_clip_ended(
    command_line: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "in").mkdir()
    for name in ("x.gif", "y.gif"):
        moving(place / "in" / name)
    real = reels.one

    def ending(source: Path, *rest: Any) -> bool:
        found = real(source, *rest)
        rest[-1].signal = signal.SIGINT
        return found

    monkeypatch.setattr(reels, "one", ending)
    line = f"video in -o out --style wave --steady 0 {BANK}"
    assert command_line(line)[0] == 130
    assert [path.name for path in (place / "out").glob("*.gif")] == ["x.gif"]
    monkeypatch.setattr(reels, "one", real)
    code, out, err = command_line(line)
    assert (code, out.split(), "1 of 2 clips are done already" in err) == (0, ["out/y.gif"], True)

"""`stylize` as a user sees it: streams, lines of JSON, broken photos, processes that share a folder, interruptions."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.pixels import images

Run = Callable[[str], tuple[object, str, str]]
STYLIZE = "stylize album --style wave --bank bank --engine onnx"


@pytest.fixture(autouse=True)
def studio(tmp_path: Path, make_bank: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of six photos and a bank, as the current folder."""
    monkeypatch.chdir(tmp_path)
    bundle.write(Path("bank"), make_bank({"wave": 3, "night": 3}))
    for number, name in enumerate(("a", "b", "in/c", "in/d", "in/e", "f")):
        path = Path(f"album/{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((20 + number, 17), 60).convert("RGB").save(path)


def start(line: str) -> list[str]:
    return [sys.executable, "-m", "stylebank", *line.split()]


def pictures(folder: str = "out") -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def test_broken_photos_of_a_folder_are_skipped_and_counted() -> None:
    """In a process of its own: nothing but those lines comes out, no warning of a library either."""
    Path("album/in/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    Path("album/in/thesis.png").write_text("my thesis")
    done = subprocess.run(start(f"{STYLIZE} -o out"), capture_output=True, text=True, check=False)
    assert done.returncode == 3
    made = ["a", "b", "f", "in/c", "in/d", "in/e"]
    assert done.stdout.splitlines() == [f"out/{name}-wave.png" for name in made]
    *skipped, rate, last = done.stderr.splitlines()
    assert re.fullmatch(r"note: 6 pictures in [\d.]+ s, [\d.e+]+ a second", rate)
    assert [line.split(": ")[0] for line in skipped] == ["album/in/broken.png", "album/in/thesis.png"]
    assert all(line.endswith("; skipped") for line in skipped)
    assert last.startswith("stylebank: error: 2 of 8 photos")
    assert pictures() == {f"{name}-wave.png" for name in made}


def test_json_has_a_line_for_each_photo(command_line: Run) -> None:
    Path("album/in/broken.png").write_bytes(b"no image")
    code, out, _ = command_line(f"{STYLIZE} -o out --json --format jpg")
    rows = {row["photo"]: row for row in map(json.loads, out.splitlines())}
    assert (code, len(rows)) == (3, 7)
    assert rows["album/a.png"] == {
        "photo": "album/a.png",
        "picture": "out/a-wave.jpg",
        "width": 20,
        "height": 17,
    }
    assert set(rows["album/in/broken.png"]) == {"photo", "error"}


def test_a_large_photo_among_small_ones_is_skipped_if_not_even_tiles_fit(command_line: Run) -> None:
    Image.effect_noise((900, 900), 60).convert("RGB").save("album/big.png")
    code, _, err = command_line(f"{STYLIZE} -o out --max-memory 10MB")
    assert code == 2
    assert err.splitlines()[0].startswith("album/")
    assert "even in tiles" in err


def test_a_stream_goes_through() -> None:
    line = f"{STYLIZE.replace('album', '-')} --device cpu"
    photo = Path("album/a.png").read_bytes()
    done = subprocess.run(start(line), input=photo, capture_output=True, check=True)
    assert done.stderr == b""
    subprocess.run(start(f"{STYLIZE.replace('album', 'album/a.png')} -o a.png"), check=True)
    wanted = images.to_pixels(images.read(Path("a.png")))
    assert (images.to_pixels(images.read_bytes(done.stdout, "-")) == wanted).all()
    broken = subprocess.run(start(line), input=b"no image", capture_output=True, check=False)
    assert (broken.returncode, broken.stdout) == (2, b"")
    assert re.fullmatch(rb"stylebank: error: -: is no image.*\n", broken.stderr)


def test_processes_that_share_a_folder_make_each_picture_once(
    command_line: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    made = []
    for rank in range(4):
        monkeypatch.setenv("RANK", str(rank))
        code, out, _ = command_line(f"{STYLIZE} -o out")
        assert code == 0
        made += out.splitlines()
    assert len(made) == len(set(made)) == 6
    assert {f"out/{picture}" for picture in pictures()} == set(made)


@pytest.mark.posix
def test_a_killed_run_continues_where_it_stopped() -> None:
    """Killed in the middle, the same command makes the rest only; another style makes all."""
    for number in range(40):
        Image.effect_noise((300, 300), 60).convert("RGB").save(f"album/{number}.png")
    running = subprocess.Popen(start(f"{STYLIZE} -o out"), stdout=subprocess.PIPE, text=True)
    assert running.stdout
    for _ in range(3):
        running.stdout.readline()
    running.send_signal(signal.SIGKILL)
    running.wait()
    running.stdout.close()
    made = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.png") if path.name[0] != "."}
    assert 3 <= len(made) < 46
    time.sleep(0.01)
    done = subprocess.run(start(f"{STYLIZE} -o out"), capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 46 - len(made)
    assert f"note: {len(made)} of 46 pictures are done already" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert len(pictures()) == 46, "neither a marker nor half a picture is left"
    again = subprocess.run(start(f"{STYLIZE} -o out"), capture_output=True, text=True, check=True)
    assert len(again.stdout.splitlines()) == 46, "the control: a run that ended is not continued"


def test_tiles_show_in_nothing_but_memory(command_line: Run) -> None:
    line = f"{STYLIZE.replace('album', 'album/f.png')} --precision float32"
    assert command_line(f"{line} -o whole.png")[0] == 0
    assert command_line(f"{line} --tile 16 -o tiled.png")[0] == 0
    whole, tiled = (
        images.to_pixels(images.read(Path(f"{name}.png"))).astype(int) for name in ("whole", "tiled")
    )
    assert abs(whole - tiled).max() <= 1  # float32 sums in another order
    assert abs(whole - whole[::-1]).max() > 20, "the control: there is something to see"


@pytest.mark.linux
def test_a_closed_pipe_ends_without_a_trace() -> None:
    command = " ".join(start(f"{STYLIZE.replace('album', 'album/a.png')} -o -"))
    done = subprocess.run(["bash", "-c", f"{command} | true"], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    codes = subprocess.run(
        ["bash", "-c", f"{command} | true; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert codes.stdout in ("141\n", "0\n")  # 0 if it was all written before the reader was gone
    full = subprocess.run(
        ["bash", "-c", f"{command} > /dev/full"], capture_output=True, text=True, check=False
    )
    assert full.returncode == 2
    assert re.fullmatch(r"stylebank: error: -: cannot be written .*\n", full.stderr)

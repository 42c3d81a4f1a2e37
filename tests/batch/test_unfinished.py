"""What a killed batch had done, and what is left of it to do."""

import os
from pathlib import Path

import pytest
from PIL import Image

from stylebank.batch import running
from stylebank.batch.planning import Job
from stylebank.batch.unfinished import Unfinished


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a relative path starts."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def draw(name: str, colour: str = "red") -> Path:
    path = Path(name)
    Image.new("RGB", (4, 3), colour).save(path)
    return path


def make(jobs: list[Job], unfinished: Unfinished | None = None) -> None:
    """Make pictures, and if there is a record keep it."""

    def report(result: running.Result) -> None:
        if unfinished:
            unfinished.add(result.job)

    running.run(jobs, lambda photos, _: photos, workers=1, together=1, report=report)


def many() -> list[Job]:
    return [Job(draw(f"{name}.png"), Path(f"out/{name}.png")) for name in "abcd"]


def names(jobs: list[Job]) -> str:
    return "".join(job.photo.stem for job in jobs)


def record(unfinished: Unfinished, jobs: list[Job]) -> None:
    unfinished.begin()
    make(jobs, unfinished)


def test_what_was_interrupted_continues_where_it_stopped() -> None:
    jobs, settings = many(), {"style": "wave"}
    stopped = Unfinished(Path("out"), settings)
    assert names(stopped.remaining(jobs)) == "abcd"
    record(stopped, jobs[:2])
    again = Unfinished(Path("out"), settings)
    assert names(again.remaining(jobs)) == "cd"
    other = [
        Unfinished(Path("out"), {"style": "night"}),
        Unfinished(Path("out"), settings, process=(0, 2)),
        Unfinished(Path("elsewhere"), settings),
    ]
    assert {names(each.remaining(jobs)) for each in other} == {"abcd"}, (
        "the control: another run has done nothing"
    )
    record(again, jobs[2:3])
    last = Unfinished(Path("out"), settings)
    assert names(last.remaining(jobs)) == "d", "a second interruption loses nothing"
    record(last, jobs[3:])
    last.finish()
    assert names(Unfinished(Path("out"), settings).remaining(jobs)) == "abcd"
    assert {path.name for path in Path("out").iterdir()} == {f"{name}.png" for name in "abcd"}


def test_pictures_and_photos_that_are_others_by_now_are_done_again() -> None:
    jobs = many()
    record(Unfinished(Path("out"), {}), jobs)
    draw("old.png", "blue")
    os.utime("old.png", (0, 0))
    Path("old.png").rename(jobs[0].photo)  # older than its picture, and yet another photo
    make(jobs[1:2])  # somebody else paints it
    jobs[2].picture.unlink()
    assert names(Unfinished(Path("out"), {}).remaining(jobs)) == "abc"


@pytest.mark.parametrize("tail", [b'["out/b.p', b"\xff\n", b"3\n", b"[]\n", b"{}"])
def test_a_record_that_was_cut_short_loses_its_last_line_only(tail: bytes) -> None:
    jobs = many()
    record(Unfinished(Path("out"), {}), jobs[:1])
    (path,) = Path("out").glob(".stylebank*")
    path.write_bytes(path.read_bytes() + tail)
    assert names(Unfinished(Path("out"), {}).remaining(jobs)) == "bcd"

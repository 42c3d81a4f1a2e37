"""What a long job says of itself: a bar on a terminal, a line now and then elsewhere, names as they are."""

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from stylebank.console import Watch

LOSSES = {"total": 0.5, "content": 0.25, "tv": 9.0}


class Clock:
    """Time that passes only when told to, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("stylebank.console.time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing in the environment decides what a terminal is."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    assert before == {number: signal.getsignal(number) for number in before}, "handlers are put back"


def test_without_a_terminal_a_line_tells_the_pace_and_the_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Watch(1000, what="training") as watch:
        watch.progress(400, LOSSES)
        clock.now += 6
        watch.progress(402, LOSSES)
    output = capsys.readouterr()
    # 598 steps at 3 s are 29.9 min.
    assert output.err == "training 402/1000  total 0.5  content 0.25  3.000 s/step, 30 min left\n"
    assert output.out == ""


def test_without_a_terminal_lines_are_half_a_minute_apart(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Watch(1000, what="training") as watch:
        for step in range(1, 302):
            watch.progress(step, LOSSES)
            clock.now += 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == [f"{step}/1000" for step in range(2, 302, 30)]


def test_pace_counts_only_the_steps_of_this_session(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """A run continued at step 900 has not done 900 steps in its first second."""
    with Watch(1000, what="training") as watch:
        watch.progress(901, {})
        clock.now += 30
        watch.progress(902, {})
    assert "30.000 s/step, 49 min left" in capsys.readouterr().err


def test_a_terminal_gets_a_bar_and_no_lines(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with Watch(10, what="training") as watch:
        watch.progress(1, LOSSES)
        clock.now += 60
        watch.progress(3, LOSSES)
    output = capsys.readouterr()
    assert "3/10" in output.err
    assert "total 0.5" in output.err
    assert "\x1b[" in output.err
    assert "s/step" not in output.err
    assert output.out == ""


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    "line",
    [
        "photos/[bold]red[/bold].jpg: is damaged; skipped",
        "photos/[like] [/this].jpg",
        "photos/[link=file]x.jpg \\[a]",
        "photos/:smile:.jpg",
        "a" * 300 + " " + "b" * 300,
    ],
    ids=["style", "unopened", "link", "emoji", "long"],
)
def test_a_note_is_printed_as_it_is(
    line: str, terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    with Watch(10, what="training") as watch:
        watch.note(line)
    shown = capsys.readouterr().err
    assert line in shown if terminal else shown == f"{line}\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_watched_job_hears_a_request_to_stop(number: int, code: int) -> None:
    with Watch(10, what="training") as watch:
        assert not watch.stop()
        os.kill(os.getpid(), number)
        assert watch.stop()
        assert watch.stop.exit_code == code


def test_an_error_inside_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError), Watch(10, what="training"):
        raise ZeroDivisionError

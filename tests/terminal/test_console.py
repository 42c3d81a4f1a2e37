"""What a long job says of itself; and a real one by the command line: finished, repeated, stopped, continued."""

import hashlib
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import bundle
from stylebank.cli import app
from stylebank.persistence import checkpoint
from stylebank.terminal.console import Watch
from stylebank.training import report

if sys.platform != "win32":
    import resource

LOSSES = {"total": 0.5, "content": 0.25, "tv": 9.0}


class Clock:
    """Time that passes only when told to, in seconds."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("stylebank.terminal.console.time", SimpleNamespace(monotonic=clock))
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
    assert (line in shown) if terminal else (shown == f"{line}\n")


@pytest.mark.posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_watched_job_hears_a_request_to_stop(number: int, code: int) -> None:
    with Watch(10, what="training") as watch:
        watch.progress(1, {})
        assert not watch.stop()
        os.kill(os.getpid(), number)
        assert watch.stop()
        assert watch.stop.exit_code == code


@pytest.mark.posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_before_the_first_step_a_signal_leaves_at_once_and_says_what_is_kept(
    number: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving, Watch(10, what="training", kept="nothing is lost"):
        os.kill(os.getpid(), number)
    assert leaving.value.code == code
    assert capsys.readouterr().err == "nothing is lost\n"


def test_what_is_prepared_is_said_to_those_who_wait(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Watch(None, what="new") as watch:
        watch.stage("reading 5 photos", 1, 5)
        assert capsys.readouterr().err == "", "a refusal within the second is one line"
        for done in range(2, 5):
            clock.now += 2
            watch.stage("reading 5 photos", done, 5)
        watch.stage("mixing", 1, 30)
        clock.now += 30
        watch.stage("mixing", 7, 30)
        watch.expect(1000)
        watch.progress(1, LOSSES)
        clock.now += 3
        watch.progress(2, LOSSES)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == ["new: reading 5 photos ...", "new: mixing ...", "new: mixing 7/30 ..."]
    assert lines[3].startswith("new 2/1000  total 0.5")


CONFIG = """
[network]
width = 4
[training]
steps = 6
batch = 2
crop = 32
precision = "float32"
[report]
checkpoint_every = 100
held_back = 1
[[style]]
name = "wave"
image = "wave.png"
size = 32
"""
# A training whose own process is asked to stop in the middle: before its third step, say, of six.
ASKED = """
import os, sys, time
from stylebank.cli import app
from stylebank.training import algorithm, report
advance = algorithm.Trainer.advance
def asked(trainer):
    if trainer.step == 2:
        print(time.process_time(), flush=True)
        os.kill(os.getpid(), int(sys.argv[1]))
    advance(trainer)
algorithm.Trainer.advance = asked
report.PREVIEW_SIDE = 64
app.main(sys.argv[2:])
"""


class Training(NamedTuple):
    words: list[str]
    code: object
    out: str
    err: str


def train(home: Path, vgg: Path, name: str, config: str = "tiny.toml") -> Training:
    words = [
        "train",
        str(home / config),
        "--content",
        str(home / "photos"),
        "--vgg",
        str(vgg),
        "--device",
        "cpu",
    ]
    words += ["--style", f"night={home / 'wave.png'},blank,blank,{home / 'night.png'},{home / 'night.png'}"]
    words += ["--run", str(home / name), "--out", str(home / f"{name}.bank")]
    with (
        pytest.raises(SystemExit) as leaving,
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        app.main(words)
    return Training(words, leaving.value.code, out.getvalue(), err.getvalue())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photos, two style images, a config."""
    home = tmp_path_factory.mktemp("home")
    (home / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 40, 48, 3), np.uint8)
    for place, name in enumerate(["wave", "night", *(f"photos/{number}" for number in range(6))]):
        Image.fromarray(pixels[place]).save(home / f"{name}.png")
    (home / "tiny.toml").write_text(CONFIG)
    (home / "hotter.toml").write_text(CONFIG.replace("steps = 6", "steps = 6\nlearning_rate = 0.5"))
    return home


@pytest.fixture(autouse=True, scope="module")
def _small_previews() -> Iterator[None]:
    """What a run shows and measures takes longer than the run here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "PREVIEW_SIDE", 64)
        yield


@pytest.fixture(scope="module")
def whole(home: Path, vgg_file: Path) -> Training:
    """A training that nobody disturbed."""
    return train(home, vgg_file, "whole")


def test_a_training_leaves_a_bank_pictures_and_figures(home: Path, whole: Training) -> None:
    assert whole.code == 0
    assert list(bundle.read(home / "whole.bank").names) == ["wave", "night"]
    for name in ("preview.png", "curves.png"):
        with Image.open(home / "whole" / name) as picture:
            assert min(picture.size) > 100
    header, *rows = (home / "whole" / "losses.csv").read_text().splitlines()
    assert header.startswith("step,total,content,")
    assert rows[-1].startswith("6.0,")
    table = whole.out.splitlines()
    assert [line.split()[0] for line in table[:4]] == ["style", "wave", "night", "median"]
    assert all(len(re.findall(r"-?\d+\.\d{3}", line)) == 7 for line in table[1:3])
    assert re.search(r"auto-encoder: -?[\d.]+ dB PSNR, -?[\d.]+ SSIM", whole.out)
    assert f"{home / 'whole.bank'}: 2 styles, 6 steps" in whole.out
    assert all(re.match("training[ :]|warning: ", line) for line in whole.err.splitlines()), (
        "no library's warnings"
    )


def test_same_command_again_says_so_and_leaves_the_same_bank(
    home: Path, whole: Training, vgg_file: Path
) -> None:
    before = digest(home / "whole.bank")
    again = train(home, vgg_file, "whole")
    assert (again.words, again.code) == (whole.words, 0)
    assert (again.out, again.err) == (f"{home / 'whole.bank'}: done already (6 steps)\n", "")
    assert digest(home / "whole.bank") == before


def test_another_config_in_the_same_run_folder_is_refused(
    home: Path, whole: Training, vgg_file: Path
) -> None:
    assert whole.code == 0
    kept = [home / "whole.bank", *sorted((home / "whole").iterdir())]
    before = [digest(path) for path in kept]
    refused = train(home, vgg_file, "whole", "hotter.toml")
    assert (refused.code, refused.out) == (2, "")
    assert re.fullmatch(
        r"stylebank: error: .*/whole: its \[training\] learning_rate changed since \(0.001, now 0.5\); .*\n",
        refused.err,
    )
    assert [digest(path) for path in kept] == before


@pytest.mark.posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_training_asked_to_stop_saves_and_continues_to_the_same_bytes(
    number: signal.Signals, code: int, home: Path, whole: Training, vgg_file: Path
) -> None:
    name = f"stopped-{code}"
    words = [word.replace(str(home / "whole"), str(home / name)) for word in whole.words]
    program = [sys.executable, "-c", ASKED, str(int(number)), *words]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    stopped = subprocess.run(program, capture_output=True, text=True, check=False, timeout=100)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert stopped.returncode == code
    # Of the processor's time, not the clock's: a busy machine is no failure.
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent - float(stopped.stdout) < 5
    last = stopped.stderr.splitlines()[-1]
    assert last == f"stopped at step 3; {home / name}.bank is the bank so far; run again to continue"
    assert "Traceback" not in stopped.stderr
    assert checkpoint.read(home / name / "checkpoint.safetensors").step == 3, "the step was finished"
    assert bundle.read(home / f"{name}.bank").training["steps"] == 3
    assert digest(home / f"{name}.bank") != digest(home / "whole.bank"), "there is something left to do"
    continued = train(home, vgg_file, name)
    assert (continued.words, continued.code) == (words, 0)
    assert "continuing at step 3" in continued.err
    assert digest(home / f"{name}.bank") == digest(home / "whole.bank")


@pytest.mark.posix
def test_ctrl_c_ends_a_short_command_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stylebank.bank.bundle.read", lambda _: os.kill(os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    with pytest.raises(SystemExit) as leaving:
        app.main(["list"])
    signal.signal(signal.SIGINT, before)
    assert leaving.value.code == 130
    assert capsys.readouterr().err.strip() == ""


# Ctrl-C as the program loads the module of the first word; then the rest of the words are run.
LOADING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Interrupting:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
exec(sys.argv[2])
"""


@pytest.mark.posix
def test_ctrl_c_while_the_program_loads_ends_it_without_a_trace() -> None:
    def ended(start: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", LOADING, "typer", start]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=100)

    done = ended("from stylebank.__main__ import main; main()")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert "Traceback" in ended("from stylebank.cli.app import main; main()").stderr, "the control"


@pytest.mark.posix
def test_ctrl_c_that_a_library_turned_into_another_error_is_still_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Wrapping:
        def __set_name__(self, *_: object) -> None:  # Python 3.11 raises RuntimeError from it
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr("stylebank.bank.bundle.read", lambda _: type("Table", (), {"key": Wrapping()}))
    with pytest.raises(SystemExit) as leaving:
        app.main(["list"])
    with pytest.raises(SystemExit) as early, Watch(1, what="training", kept="all is kept"):
        type("Table", (), {"key": Wrapping()})
    signal.signal(signal.SIGINT, before)
    assert (leaving.value.code, early.value.code) == (130, 130)
    assert capsys.readouterr().err.strip() == "all is kept"

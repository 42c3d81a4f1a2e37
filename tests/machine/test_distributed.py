"""Two processes train as one does: same losses, same stop, one voice; and one process knows nothing of it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stylebank import config
from stylebank.errors import ConfigError
from stylebank.machine.distributed import ALONE, Group, joined, rank_and_world
from stylebank.persistence import checkpoint, curves
from stylebank.persistence.checkpoint import Checkpoint
from stylebank.persistence.session import Callbacks
from stylebank.training import report
from stylebank.training.data import ContentStream, draw_styles
from stylebank.training.joint import train

STEPS = 6  # two cycles of T = 2 stylizing steps and an auto-encoder step
STYLES = ("red", "navy", "green")  # a batch of two leaves one out: one process each has its own

CONFIG = f"""
[network]
width = 4
[training]
steps = {STEPS}
batch = 2
crop = 32
warmup = 2
precision = "float32"
[report]
checkpoint_every = 1
held_back = 1
"""

COMMAND = "from stylebank.cli import app; from stylebank.training import report; report.PREVIEW_SIDE = 64; app.main()"

SIGTERM_TO_RANK_1 = """
import os, signal
from stylebank.training.algorithm import Trainer
advance = Trainer.advance
def advance_and_signal(trainer):
    advance(trainer)
    if trainer.step == 3 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGTERM)
Trainer.advance = advance_and_signal
"""

SEVERAL_RUNS = """
import os, signal, sys
from pathlib import Path
from stylebank import config
from stylebank.errors import RunError
from stylebank.machine import distributed
from stylebank.persistence import curves
from stylebank.persistence.session import Callbacks
from stylebank.training import report
from stylebank.training.joint import train

report.PREVIEW_SIDE = 64
curves.draw_curves = lambda losses, path: None
home = Path(sys.argv[1])

def run(group, name, until):
    done = []
    train(
        config.read(home / "tiny.toml"), content=home / "photos", run=home / name, out=home / f"{name}.bank",
        callbacks=Callbacks(lambda line: None, lambda step, losses: done.append(step), lambda: until in done),
        device="cpu", vgg_weights=Path(sys.argv[2]), group=group,
    )

def run_all(group):
    run(group, "two", STEPS)
    for step in range(3):
        run(group, f"after{step}", step + 1)
    run(group, "resumed", STEPS)
    places = group.places
    group.places = lambda batch: range(batch // 2)
    run(group, "same_part", STEPS)
    group.places = places
    averaging = group.averaging
    group.averaging = lambda network: network
    run(group, "not_averaged", STEPS)
    group.averaging = averaging
    if group.rank == 1:
        report.emblem = lambda style: os.kill(os.getpid(), signal.SIGKILL)
    run(group, "killed", STEPS)

try:
    with distributed.joined() as group:
        run_all(group)
except RunError as error:
    print(error)
    sys.exit(2)
""".replace("STEPS", str(STEPS))


class Studio:
    """A folder with photos, one of them broken, a tiny experiment, and what trainings left in it."""

    def __init__(self, home: Path, vgg: Path) -> None:
        self.home, self.vgg = home, vgg
        self.ranks: list[subprocess.CompletedProcess[str]] = []

    @property
    def command(self) -> str:
        return f"train {self.home}/tiny.toml --content {self.home}/photos --vgg {self.vgg} --device cpu"

    def places(self, name: str) -> str:
        return f"--run {self.home / name} --out {self.home / name}.bank"

    def alone(self, name: str) -> None:
        """Train or continue in this process; keep a copy of each checkpoint as `NAME-STEP`."""

        def progress(step: int, _losses: Mapping[str, float]) -> None:
            if step > 1:
                self.copy(name, f"{name}-{step - 1}")

        train(
            config.read(self.home / "tiny.toml"),
            content=self.home / "photos",
            run=self.home / name,
            out=self.home / f"{name}.bank",
            callbacks=Callbacks(lambda _: None, progress, lambda: False),
            device="cpu",
            vgg_weights=self.vgg,
        )
        self.copy(name, f"{name}-{STEPS}")

    def copy(self, name: str, other: str) -> None:
        (self.home / other).mkdir(exist_ok=True)
        shutil.copy(self.home / name / "checkpoint.safetensors", self.home / other)

    def checkpoint(self, name: str) -> Checkpoint:
        return checkpoint.read(self.home / name / "checkpoint.safetensors")

    def losses(self, name: str) -> Tensor:
        """(steps, columns); a column has figures in one of the branches, and 0 in the other."""
        return self.checkpoint(name).history.nan_to_num()

    def loss_error(self, name: str) -> float:
        """The largest relative difference of a loss from what one process logged."""
        wanted = self.losses("one")
        return float(((self.losses(name) - wanted).abs() / wanted.abs().clamp_min(1e-6)).max())


@pytest.fixture(scope="module")
def studio(vgg_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Everything, and a training by one process in `one`."""
    home = tmp_path_factory.mktemp("studio")
    random = np.random.default_rng(0)
    (home / "photos").mkdir()
    (home / "photos" / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    text = CONFIG
    for place in range(8):
        photo = Image.fromarray(random.integers(0, 256, (40, 48, 3), dtype=np.uint8))
        photo.save(home / "photos" / f"{place}.png")
    for name in STYLES:
        noise = Image.effect_noise((48, 48), 60).convert("RGB")
        Image.blend(noise, Image.new("RGB", noise.size, name), 0.5).save(home / f"{name}.png")
        text += f'[[style]]\nname = "{name}"\nimage = "{name}.png"\nsize = 48\n'
    (home / "tiny.toml").write_text(text)
    studio = Studio(home, vgg_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "PREVIEW_SIDE", 64)
        patch.setattr(curves, "draw_curves", lambda *_: None)
        studio.alone("one")
    return studio


def two_processes(code: str, lines: Sequence[str]) -> list[subprocess.CompletedProcess[str]]:
    """Run code as rank 0 and 1 with the words of a line each, as torchrun would start them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, *line.split()],
            env=os.environ | group | {"RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, line in enumerate(lines)
    ]
    try:
        outputs = [process.communicate(timeout=60) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *output)
        for process, output in zip(processes, outputs, strict=True)
    ]


def complaints(ranks: Sequence[subprocess.CompletedProcess[str]]) -> list[str]:
    return re.findall("^stylebank: error: .*$", "".join(rank.stderr for rank in ranks), re.MULTILINE)


@pytest.fixture(scope="module")
def several(studio: Studio) -> Studio:
    """The studio after two processes trained in it: whole, from the checkpoints of one, with defects, and killed."""
    for step in (1, 2):
        studio.copy(f"one-{step}", f"after{step}")
    studio.copy("one-4", "resumed")
    studio.ranks = two_processes(SEVERAL_RUNS, [f"{studio.home} {studio.vgg}"] * 2)
    return studio


def test_two_processes_log_the_losses_of_one(several: Studio) -> None:
    # Sums of 1e3 to 1e5 terms in another order differ by 1e-6 or so in float32, and Adam, which divides each gradient
    # by its own size, moves weights whose gradient is nearly nothing by that much noise: 5e-5 after six steps.
    assert several.loss_error("two") < 1e-3
    for control in ("same_part", "not_averaged"):
        assert several.loss_error(control) > 1e-2


def test_two_processes_end_with_the_weights_of_one(several: Studio) -> None:
    """Measured as a share of the way that the weights went; for the noise see above."""
    begin, end = (several.checkpoint(name).model for name in ("one-1", "one"))
    way = distance(begin, end)
    assert distance(several.checkpoint("two").model, end) < 0.1 * way
    for control in ("same_part", "not_averaged"):
        assert distance(several.checkpoint(control).model, end) > 0.2 * way


def distance(some: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> float:
    return float(torch.stack([(some[name] - others[name]).square().sum() for name in some]).sum().sqrt())


@pytest.mark.parametrize("step", range(3))
def test_a_step_from_the_same_weights_has_the_same_gradient(step: int, several: Studio) -> None:
    """Both branches; Adam's first moment m' = 0.9 m + 0.1 g has the gradient in it."""
    before = several.checkpoint(f"one-{step}").adam if step else {}
    after, wanted = (several.checkpoint(name).adam for name in (f"after{step}", f"one-{step + 1}"))
    assert after.keys() == wanted.keys(), "what nobody used has no gradient, and no moments"
    gradients = [
        torch.cat(
            [
                (10 * adam[name] - 9 * before.get(name, torch.zeros_like(adam[name]))).flatten()
                for name in wanted
                if name.endswith("exp_avg")
            ]
        )
        for adam in (after, wanted)
    ]
    # Float rounding as above, without Adam's share in it: 1e-6 to 2e-6. Where rounding lets a ReLU or a maximum of VGG
    # fall to the other side a few values jump: 1.3e-3, once in four runs.
    assert (gradients[0] - gradients[1]).norm() < 1e-2 * gradients[1].norm() > 0


def test_a_style_moves_for_all_if_one_rank_used_it_and_for_none_if_none_did(several: Studio) -> None:
    first, second = draw_styles(len(STYLES), batch=2, seed=0, number=0)
    (unused,) = {0, 1, 2} - {first, second}
    after, wanted = several.checkpoint("after0"), several.checkpoint("one-1")
    assert f"filters.{unused}.step" not in after.adam
    for style in (first, second):
        assert after.adam[f"filters.{style}.step"] == 1
        assert torch.allclose(after.model[f"filters.{style}"], wanted.model[f"filters.{style}"], atol=1e-5)
    assert not torch.equal(after.model[f"filters.{second}"], after.model[f"filters.{unused}"])


def test_two_processes_continue_what_one_began(several: Studio) -> None:
    assert several.losses("resumed").shape == several.losses("one").shape
    assert several.loss_error("resumed") < 1e-3


def test_a_signal_to_one_rank_stops_both_at_one_step_and_one_process_continues(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"{studio.command} {studio.places('signalled')}"
    ranks = two_processes(SIGTERM_TO_RANK_1 + COMMAND, [line] * 2)
    assert [rank.returncode for rank in ranks] == [143, 143]
    assert studio.checkpoint("signalled").step == 3
    said = ranks[0].stderr + ranks[1].stderr
    assert said.count("stopped at step 3") == 1
    assert said.count("broken.jpg") == 1, "both met it"
    assert not ranks[1].stdout
    assert {path.name for path in (studio.home / "signalled").iterdir()} == {
        *("checkpoint.safetensors", "curves.png", "losses.csv", "banks.txt", ".run.lock")
    }
    monkeypatch.setattr(report, "PREVIEW_SIDE", 64)
    studio.alone("signalled")
    assert studio.loss_error("signalled") < 1e-3


def test_an_error_of_one_rank_ends_both_with_its_line(studio: Studio, tmp_path: Path) -> None:
    bad = tmp_path / "bad.vgg"
    bad.write_text("no weights")
    line = f"{studio.command} {studio.places('failed')}"
    ranks = two_processes(COMMAND, [line, line.replace(str(studio.vgg), str(bad))])
    assert [rank.returncode for rank in ranks] == [2, 2]
    (complaint,) = complaints(ranks)
    assert "bad.vgg" in complaint
    assert not (studio.home / "failed" / "checkpoint.safetensors").exists()


def test_a_rank_that_is_killed_ends_the_other_with_one_line(several: Studio) -> None:
    assert [rank.returncode for rank in several.ranks] == [2, -signal.SIGKILL]
    line = "rank 0: another process has ended; the same command continues at the last checkpoint"
    assert [rank.stdout + rank.stderr for rank in several.ranks] == [f"{line}\n", ""]


def test_an_error_of_all_ranks_is_one_line() -> None:
    ranks = two_processes(COMMAND, ["train"] * 2)
    assert [rank.returncode for rank in ranks] == [2, 2]
    (complaint,) = complaints(ranks)
    assert "Missing argument" in complaint


def test_add_style_refuses_to_be_done_by_several(
    command_line: Callable[[str], tuple[object, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stylebank.machine.distributed.joined", lambda: nullcontext(Group(0, 2)))
    code, _, complaint = command_line("add-style new painting.jpg")
    assert (code, complaint) == (
        2,
        "stylebank: error: add-style: is done by one process, and there are 2; start it without torchrun\n",
    )


def test_torchrun_starts_and_stops_a_training(studio: Studio) -> None:
    steps = (studio.home / "tiny.toml").read_text().replace(f"steps = {STEPS}", "steps = 100000")
    (studio.home / "long.toml").write_text(steps)
    line = f"{studio.command} {studio.places('torchrun')}".replace("tiny.toml", "long.toml")
    launcher = "torch.distributed.run --standalone --nproc-per-node 2 -m -- stylebank"
    started = subprocess.Popen(
        [sys.executable, "-m", *launcher.split(), *line.split()], stderr=subprocess.PIPE, text=True
    )
    said = []
    with started:
        assert started.stderr
        for text in started.stderr:
            said.append(text)
            if text.startswith("training "):  # a step has been done
                started.send_signal(signal.SIGINT)
    stopped = re.findall(r"^stopped at step (\d+)", "".join(said), re.MULTILINE)
    assert stopped == [str(studio.checkpoint("torchrun").step)]


@pytest.mark.parametrize(
    ("rank", "world_size", "wanted"),
    [(None, None, (0, 1)), ("0", "1", (0, 1)), ("1", "2", (1, 2)), ("7", "16", (7, 16))],
)
def test_rank_and_world_are_torchrun_s(
    rank: str | None, world_size: str | None, wanted: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, rank, world_size)
    assert rank_and_world() == wanted


@pytest.mark.parametrize(
    ("rank", "world_size"),
    [("2", "2"), ("-1", "2"), ("0", "0"), ("one", "2"), ("0", "2.0"), ("0", None), (None, "2"), ("²", "3")],
)
def test_an_environment_that_torchrun_does_not_make_is_refused(
    rank: str | None, world_size: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, rank, world_size)
    with pytest.raises(ConfigError, match="start with torchrun"), joined():
        pass


def set_environment(monkeypatch: pytest.MonkeyPatch, rank: str | None, world_size: str | None) -> None:
    for name, value in (("RANK", rank), ("WORLD_SIZE", world_size)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)


def test_the_parts_of_a_batch_are_the_batch() -> None:
    parts = [Group(rank, 4).places(8) for rank in range(4)]
    assert [list(part) for part in parts] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert ALONE.places(3) == range(3)


def test_the_parts_of_a_stream_are_the_stream(studio: Studio) -> None:
    training = config.read(studio.home / "tiny.toml").training
    photos = sorted((studio.home / "photos").glob("*.png"))
    whole, *parts = (
        ContentStream.of(training, photos, report=print, batch=4, places=places)
        for places in (None, range(2), range(2, 4))
    )
    for number in (0, 7):
        assert torch.equal(torch.cat([part.batch(number) for part in parts]), whole.batch(number))
    for stream in (whole, *parts):
        stream.close()


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch 4: is no multiple of 3 processes"):
        Group(0, 3).places(4)


def test_one_process_trains_the_network_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, None, None)
    network, figures = torch.nn.Linear(1, 1), torch.ones(2)
    with joined() as group:
        assert group is ALONE
        assert group.averaging(network) is network  # type: ignore[arg-type]
        assert group.mean(figures) is figures
        assert (group.largest(15), group.is_first("line"), group.is_first("line")) == (15, True, True)
    assert not torch.distributed.is_initialized()


def test_rank_and_world_need_no_torch() -> None:
    code = "import sys; from stylebank.machine.distributed import joined\nwith joined(): print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

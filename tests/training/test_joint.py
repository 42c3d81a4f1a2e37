"""A training run: what it leaves, how it continues, what it refuses before it begins."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank import config
from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Config, Loss, Network, Report, Style, Training
from stylebank.errors import ConfigError, ContentError, OutputError, RunError
from stylebank.files import tensorfile
from stylebank.files.atomic import locked
from stylebank.persistence import checkpoint
from stylebank.persistence.session import Callbacks
from stylebank.training.joint import Outcome, train

STEPS = 6


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photos of noise in three sizes, nested, and one that is broken."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for place in range(12):
        path = folder / f"{place % 3}" / f"photo{place}.png"
        path.parent.mkdir(exist_ok=True)
        size = (40 + 8 * (place % 3), 56, 3)
        Image.fromarray(random.integers(0, 256, size, dtype=np.uint8)).save(path)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    return folder


@pytest.fixture
def experiment(paintings: Path) -> Config:
    return Config(
        network=Network(width=4, blocks=1),
        training=Training(
            steps=STEPS, batch=2, crop=64, warmup=2, revisions=0.9, chained=0.5, precision="float32"
        ),
        loss=Loss(),
        report=Report(checkpoint_every=2, preview_every=100, held_back=2),
        styles=(
            Style(name="red", image="0.png", size=48, folder=str(paintings)),
            Style(
                name="navy",
                images=("0.png", "1.png", "blank", "1.png", "0.png"),
                size=48,
                folder=str(paintings),
            ),
        ),
    )


@pytest.fixture(autouse=True)
def _small_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run shows and measures takes longer than the run here."""
    monkeypatch.setattr("stylebank.training.report.PREVIEW_SIDE", 64)


class Bench:
    """Runs trainings in one folder and remembers what they said."""

    def __init__(self, photos: Path, vgg: Path, folder: Path) -> None:
        self.photos, self.vgg, self.folder = photos, vgg, folder
        self.notes: list[str] = []
        self.steps: list[int] = []

    def train(
        self,
        experiment: Config,
        *,
        stop_after: int = STEPS,
        run: str = "run",
        out: str = "bank",
        **options: Any,
    ) -> Outcome:
        self.steps = []

        def progress(step: int, _losses: Mapping[str, float]) -> None:
            self.steps.append(step)

        return train(
            experiment,
            content=self.photos,
            run=self.folder / run,
            out=self.folder / out,
            callbacks=Callbacks(self.notes.append, progress, lambda: len(self.steps) >= stop_after),
            device="cpu",
            vgg_weights=self.vgg,
            **options,
        )

    def digest(self, name: str) -> str:
        return hashlib.sha256((self.folder / name).read_bytes()).hexdigest()


@pytest.fixture
def bench(photos: Path, vgg_file: Path, tmp_path: Path) -> Bench:
    return Bench(photos, vgg_file, tmp_path)


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, str]:
    """The digest of the bank of a whole run, once one test has made it."""
    return {}


def whole_run(bench: Bench, experiment: Config, known: dict[str, str]) -> str:
    if "bank" not in known:
        bench.train(experiment, run="whole-run", out="whole")
        known["bank"] = bench.digest("whole")
    return known["bank"]


def test_a_run_leaves_a_bank_a_checkpoint_and_pictures(bench: Bench, experiment: Config) -> None:
    outcome = bench.train(experiment)
    assert outcome.step == STEPS
    assert outcome.figures
    assert len(outcome.figures.styles) == 2
    bank = bundle.read(bench.folder / "bank")
    assert bank.names == ("red", "navy")
    assert bank.training["steps"] == STEPS
    for entry in bank.entries:
        assert entry.revision is not None
        assert not np.array_equal(entry.revision, entry.filter), "R was trained"
        assert 1.0 not in (entry.gain, entry.revision_gain)
    assert checkpoint.read(bench.folder / "run" / "checkpoint.safetensors").step == STEPS
    for name in ("preview.png", "curves.png"):
        with Image.open(bench.folder / "run" / name) as picture:
            assert picture.size > (100, 100)
    table = (bench.folder / "run" / "losses.csv").read_text().splitlines()
    assert table[0].startswith("step,total,content,tv,revision,identity,learning_rate,relu1_1")
    assert table[-1].startswith(f"{float(STEPS)},")


def test_without_revisions_the_file_has_none(bench: Bench, experiment: Config) -> None:
    plain = dataclasses.replace(experiment, training=dataclasses.replace(experiment.training, revisions=0.0))
    bench.train(plain)
    tensors, manifest = tensorfile.read(bench.folder / "bank", kind="bank")
    assert {name for name in tensors if name.startswith("style.")} == {
        "style.red.filter",
        "style.navy.filter",
    }
    assert all("revision_gain" not in style for style in manifest["styles"])
    bank = bundle.read(bench.folder / "bank")
    assert all(entry.revision is None and entry.card for entry in bank.entries)
    saved = checkpoint.read(bench.folder / "run" / "checkpoint.safetensors")
    assert not [name for name in saved.model if "revision" in name]


@pytest.mark.parametrize("stop", [0, 2, 3])
def test_a_bank_of_a_run_that_stopped_before_r_began_paints_again_with_k(
    stop: int, bench: Bench, experiment: Config
) -> None:
    """R as it was made, the identity, would undo the first pass."""
    bench.train(experiment, stop_after=stop)
    for entry in bundle.read(bench.folder / "bank").entries:
        assert entry.revision is not None
        assert np.array_equal(entry.revision, entry.filter)
    bench.train(experiment)
    assert bench.steps[0] == stop + 1


@pytest.mark.parametrize("stop", range(STEPS))
def test_a_run_stopped_after_any_step_ends_in_the_same_bytes(
    stop: int, bench: Bench, experiment: Config, uninterrupted: dict[str, str]
) -> None:
    wanted = whole_run(bench, experiment, uninterrupted)
    stopped = bench.train(experiment, stop_after=stop)
    assert (stopped.step, stopped.figures) == (stop, None)
    assert bundle.read(bench.folder / "bank").training["steps"] == stop, "what there is so far"
    bench.train(experiment, resume=True)
    assert bench.steps == list(range(stop + 1, STEPS + 1)), "no step is done twice"
    assert bench.digest("bank") == wanted


def test_another_seed_ends_in_other_bytes(
    bench: Bench, experiment: Config, uninterrupted: dict[str, str]
) -> None:
    """The control of the test above."""
    other = dataclasses.replace(experiment, training=dataclasses.replace(experiment.training, seed=1))
    bench.train(other)
    assert bench.digest("bank") != whole_run(bench, experiment, uninterrupted)


def test_a_finished_run_done_again_changes_nothing(bench: Bench, experiment: Config) -> None:
    bench.train(experiment)
    before = bench.digest("bank")
    outcome = bench.train(experiment)
    assert bench.steps == []
    assert outcome.before == f"{bench.folder / 'bank'}: done already ({STEPS} steps)"
    assert bench.digest("bank") == before


def test_a_broken_photo_is_reported_once_and_the_run_goes_on(bench: Bench, experiment: Config) -> None:
    longer = dataclasses.replace(experiment, training=dataclasses.replace(experiment.training, steps=15))
    everything = dataclasses.replace(longer, report=dataclasses.replace(experiment.report, held_back=0))
    bench.train(everything, stop_after=15)
    assert len([note for note in bench.notes if "broken.jpg" in note]) == 1


def test_a_run_of_another_experiment_is_not_continued(bench: Bench, experiment: Config) -> None:
    bench.train(experiment, stop_after=1)
    hotter = dataclasses.replace(
        experiment, training=dataclasses.replace(experiment.training, learning_rate=0.5)
    )
    with pytest.raises(
        RunError, match=r"its \[training\] learning_rate changed since \(0\.001, now 0\.5\); restore"
    ):
        bench.train(hotter)


def test_a_repainted_style_image_is_noticed(bench: Bench, experiment: Config, tmp_path: Path) -> None:
    painting = tmp_path / "own.png"
    Image.effect_noise((64, 48), 60).convert("RGB").save(painting)
    style = Style(name="own", image="own.png", size=48, folder=str(tmp_path))
    alone = dataclasses.replace(experiment, styles=(style,))
    bench.train(alone, stop_after=1)
    Image.effect_noise((64, 48), 60).convert("RGB").save(painting)
    with pytest.raises(RunError, match=r"its style 'own' image at relu1_1 changed since \("):
        bench.train(alone)


def test_insisting_on_a_run_that_is_not_there_is_refused(bench: Bench, experiment: Config) -> None:
    with pytest.raises(RunError, match="no checkpoint to resume"):
        bench.train(experiment, resume=True)


def test_a_foreign_file_in_the_bank_s_place_is_kept(bench: Bench, experiment: Config) -> None:
    (bench.folder / "bank").write_text("my thesis")
    with pytest.raises(OutputError, match="--force"):
        bench.train(experiment)
    assert (bench.folder / "bank").read_text() == "my thesis"
    bench.train(experiment, stop_after=1, force=True)
    assert bundle.read(bench.folder / "bank").names


def test_the_run_folder_is_no_bank(bench: Bench, experiment: Config) -> None:
    with pytest.raises(OutputError, match="file name of its own"):
        bench.train(experiment, run="same", out="same")


def test_a_run_folder_in_use_is_refused(bench: Bench, experiment: Config) -> None:
    with locked(bench.folder / "run" / "run"), pytest.raises(OutputError, match="another process"):
        bench.train(experiment)


def test_other_vgg_weights_are_noticed(bench: Bench, experiment: Config, tmp_path: Path) -> None:
    bench.train(experiment, stop_after=1)
    tensors, _ = tensorfile.read(bench.vgg, kind="vgg")
    bench.vgg = tmp_path / "other.vgg"
    tensorfile.write(bench.vgg, kind="vgg", tensors=tensors, manifest={"other": 1})
    with pytest.raises(RunError, match=r"its VGG weights \(--vgg\) changed"):
        bench.train(experiment)


def test_a_checkpoint_of_another_network_is_refused(bench: Bench, experiment: Config) -> None:
    bench.train(experiment, stop_after=1)
    path = bench.folder / "run" / "checkpoint.safetensors"
    tensors, manifest = tensorfile.read(path, kind="checkpoint")
    del tensors["model.decoder.3.bias"]
    tensorfile.write(path, kind="checkpoint", tensors=tensors, manifest=manifest)
    with pytest.raises(RunError, match="of another network"):
        bench.train(experiment)


def test_an_empty_content_folder_is_refused(bench: Bench, experiment: Config, tmp_path: Path) -> None:
    bench.photos = tmp_path / "empty"
    bench.photos.mkdir()
    with pytest.raises(ContentError, match="no photos"):
        bench.train(experiment)


def test_an_unknown_layer_is_refused(bench: Bench, experiment: Config) -> None:
    wrong = dataclasses.replace(
        experiment, loss=dataclasses.replace(experiment.loss, content_layer="relu9_9")
    )
    with pytest.raises(ConfigError, match="relu9_9"):
        bench.train(wrong)


def test_a_learning_rate_that_explodes_is_stopped_before_it_is_saved(
    bench: Bench, experiment: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stylebank.training.algorithm.Trainer.is_finite", lambda _: False)
    longer = dataclasses.replace(experiment, training=dataclasses.replace(experiment.training, steps=20))
    never = dataclasses.replace(longer, report=dataclasses.replace(experiment.report, checkpoint_every=1000))
    with pytest.raises(RunError, match="lower learning_rate"):
        bench.train(never, stop_after=20)
    assert not (bench.folder / "run" / "checkpoint.safetensors").exists()


@pytest.fixture
def start(bench: Bench, experiment: Config) -> Bundle:
    """A trained bank to go on from."""
    bench.train(experiment, run="start-run", out="start")
    return bundle.read(bench.folder / "start")


def test_a_run_goes_on_from_a_bank_and_continues_to_the_same_bytes(
    bench: Bench, experiment: Config, start: Bundle
) -> None:
    bench.train(experiment, run="whole-run", out="whole", start=start)
    found = bundle.read(bench.folder / "whole")
    assert found.training["from"] == start.training
    assert "from" not in start.training
    assert bench.digest("whole") != bench.digest("start")
    bench.train(experiment, stop_after=4, start=start)
    bench.train(experiment, start=start)
    assert bench.steps == [5, 6]
    assert bench.digest("bank") == bench.digest("whole")


def test_a_run_is_not_continued_from_another_start_nor_with_and_without_one(
    bench: Bench, experiment: Config, start: Bundle
) -> None:
    bench.train(experiment, run="with", stop_after=1, start=start)
    bench.train(experiment, run="without", stop_after=1, out="other")
    first, *others = start.entries
    changed = dataclasses.replace(start, entries=(dataclasses.replace(first, gain=0.123), *others))
    for run, wrong in (("with", None), ("with", changed), ("without", start)):
        with pytest.raises(RunError, match=r"its bank to go on from \(--from\) changed since"):
            bench.train(experiment, run=run, start=wrong)
    bench.train(experiment, run="with", start=start)
    assert bench.steps[0] == 2, "the control"


def test_a_start_of_another_network_is_refused_before_anything_is_made(
    bench: Bench, experiment: Config, start: Bundle
) -> None:
    wider = dataclasses.replace(experiment, network=dataclasses.replace(experiment.network, width=8))
    with pytest.raises(ConfigError, match=r"^--from: its network is another"):
        bench.train(wider, run="wider", out="wider-bank", start=start)
    assert not (bench.folder / "wider").exists()


@pytest.mark.parametrize("name", ["smoke", "paper", "release", "joint"])
def test_the_configs_that_come_along_are_whole(name: str) -> None:
    path = Path(__file__).resolve().parents[2] / "configs" / f"{name}.toml"
    assert config.read(path).styles

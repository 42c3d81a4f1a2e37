"""A training replaces its own bank, and nothing that anybody added or made."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import bundle, editing, mixture
from stylebank.bank.bundle import Bundle
from stylebank.config import Config, Loss, Network, Report, Style, Training
from stylebank.errors import OutputError
from stylebank.persistence.session import Callbacks
from stylebank.training.joint import Outcome, train

STEPS = 4


@pytest.fixture(autouse=True)
def _small_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylebank.training.report.PREVIEW_SIDE", 64)


class Desk:
    """Runs trainings of one painting in one folder."""

    def __init__(self, folder: Path, vgg: Path) -> None:
        self.folder, self.vgg, self.out = folder, vgg, folder / "mine.bank"
        self.notes: list[str] = []
        (folder / "photos").mkdir()
        pixels = np.random.default_rng(0).integers(0, 256, (6, 40, 48, 3), np.uint8)
        for place, name in enumerate(["paint", *(f"photos/{number}" for number in range(5))]):
            Image.fromarray(pixels[place]).save(folder / f"{name}.png")

    def train(
        self,
        *,
        stop_after: int = 99,
        run: str = "run",
        during: Callable[[], object] = lambda: None,
        seed: int = 0,
        steps: int = STEPS,
        names: tuple[str, ...] = ("one", "two"),
        **how: Any,
    ) -> Outcome:
        done: list[int] = []
        self.notes.clear()

        def progress(step: int, _losses: Mapping[str, float]) -> None:
            done.append(step)
            during()

        styles = [Style(name, image="paint.png", size=48, folder=str(self.folder)) for name in names]
        training = Training(
            steps=steps, batch=2, crop=32, warmup=2, revisions=0.9, precision="float32", seed=seed
        )
        return train(
            Config(Network(width=4, blocks=1), training, Loss(), Report(held_back=1), tuple(styles)),
            content=self.folder / "photos",
            run=self.folder / run,
            callbacks=Callbacks(self.notes.append, progress, lambda: len(done) >= stop_after),
            device="cpu",
            vgg_weights=self.vgg,
            **({"out": self.out} | how),
        )

    def digest(self) -> str:
        return hashlib.sha256(self.out.read_bytes()).hexdigest()

    def bake(self, name: str = "added") -> None:
        editing.edit(self.out, editing.baking(name, mixture.of({"one": 1.0})))


@pytest.fixture
def desk(tmp_path: Path, vgg_file: Path) -> Desk:
    return Desk(tmp_path, vgg_file)


def grow(desk: Desk, how: str) -> None:
    if how == "bake":
        desk.bake()
    elif how == "rename":
        editing.edit(desk.out, editing.renaming("one", "added"))
    elif how == "import":
        file = desk.folder / "one.style"
        editing.export_style("one", bank=desk.out, out=file, force=False)
        editing.import_style(file, bank=desk.out, name="added")
    else:
        editing.edit(desk.out, editing.removing(["two"]))
        desk.bake("two")


@pytest.mark.parametrize("how", ["bake", "rename", "import", "replace"])
def test_a_finished_bank_that_grew_stays_as_it_is(how: str, desk: Desk) -> None:
    desk.train()
    grow(desk, how)
    before = desk.digest()
    assert desk.train().before.startswith(f"{desk.out}: done already ({STEPS} steps)")
    assert desk.digest() == before
    with pytest.raises(
        OutputError, match=r"mine\.bank: has styles added since \((added|two)\); give another --out"
    ):
        desk.train(steps=STEPS + 1)
    assert desk.digest() == before
    if how == "bake":
        assert desk.train(steps=STEPS + 1, force=True).step == STEPS + 1
        assert bundle.read(desk.out).names == ("one", "two")


def test_an_unfinished_bank_that_grew_is_not_trained_over(desk: Desk) -> None:
    desk.train(stop_after=2)
    desk.bake()
    before = desk.digest()
    with pytest.raises(
        OutputError, match=r"has styles added since \(added\); give another --out, or --force"
    ):
        desk.train()
    assert desk.digest() == before
    other = desk.folder / "other.bank"
    assert desk.train(out=other).out == other


def test_a_style_that_was_removed_stays_removed_once_the_run_is_done(desk: Desk) -> None:
    desk.train()
    editing.edit(desk.out, editing.removing(["two"]))
    assert "two removed or renamed since" in desk.train().before
    assert bundle.read(desk.out).names == ("one",)
    desk.out.unlink()
    assert desk.train().figures
    assert bundle.read(desk.out).names == ("one", "two")


@pytest.mark.parametrize("stop", [2, 99])
def test_a_style_added_while_it_trains_is_kept_and_the_run_s_bank_goes_beside(stop: int, desk: Desk) -> None:
    desk.train(stop_after=1)
    grown: list[str] = []

    def add_once() -> None:
        if not grown:
            desk.bake()
            grown.append(desk.digest())

    beside = desk.train(stop_after=stop, during=add_once).out
    assert beside == desk.folder / "mine-2.bank"
    assert bundle.read(beside).names == ("one", "two")
    assert desk.digest() == grown[0]
    assert "has styles added since (added), and is kept; this run's bank is" in desk.notes[-1]


@pytest.mark.parametrize("stop", [2, 99])
@pytest.mark.parametrize("facts", [{"seed": 1}, {}, {"names": ("two", "one")}])
def test_another_run_s_bank_is_not_replaced(facts: dict[str, Any], stop: int, desk: Desk) -> None:
    desk.train(stop_after=stop)
    before = desk.digest()
    with pytest.raises(
        OutputError, match=r"is another run's bank \(2 styles\); give another --out, or --force"
    ):
        desk.train(run="other", **facts)
    assert desk.digest() == before
    assert not (desk.folder / "other").exists()
    link = desk.folder / "link.bank"
    link.symlink_to(desk.out)
    with pytest.raises(OutputError, match="is another run's bank"):
        desk.train(run="other", out=link, **facts)


def test_two_runs_at_once_with_one_place_lose_nothing(desk: Desk) -> None:
    first: list[Path] = []

    def another() -> None:
        if not first:
            first.append(Path())
            first[0] = desk.train(run="other", seed=1).out

    second = desk.train(during=another).out
    assert [path.name for path in (*first, second)] == ["mine.bank", "mine-2.bank"]
    seeds = [bundle.read(path).training["config"]["training"]["seed"] for path in (*first, second)]
    assert seeds == [1, 0]


def test_force_covers_what_was_there_and_not_what_came_later(desk: Desk) -> None:
    desk.train(run="other", seed=1)
    assert desk.train(force=True, during=lambda: None).out == desk.out
    desk.train(run="third", seed=2, out=desk.folder / "third.bank")
    third = (desk.folder / "third.bank").read_bytes()
    kept = desk.train(
        run="other", seed=1, steps=STEPS + 1, force=True, during=lambda: desk.out.write_bytes(third)
    )
    assert kept.out.name == "mine-2.bank"
    assert desk.out.read_bytes() == third


def test_more_steps_continue_a_finished_run(desk: Desk) -> None:
    desk.train()
    first = bundle.read(desk.out)
    outcome = desk.train(steps=3 * STEPS)
    found = bundle.read(desk.out)
    assert (outcome.step, found.training["steps"]) == (3 * STEPS, 3 * STEPS)
    assert found.coder_digest() != first.coder_digest()
    assert any("12 steps now, 4 before" in note for note in desk.notes)


def test_second_filters_that_were_trained_go_on_with_more_steps(desk: Desk) -> None:
    """Their first value is a copy of the first filter's, at half of the run: which has moved by then."""
    desk.train(steps=12)
    trained = [entry.tensors["revision"] for entry in bundle.read(desk.out).entries]
    desk.train(steps=40, stop_after=1)
    for entry, before in zip(bundle.read(desk.out).entries, trained, strict=True):
        assert not np.array_equal(entry.tensors["revision"], entry.filter)
        # A step of Adam is about the learning rate of 1e-3; halves near 1 are rounded by 5e-4.
        assert np.abs(entry.tensors["revision"].astype(float) - before).max() < 2e-3


def test_a_bank_of_a_run_that_remembers_nothing_is_known_by_its_experiment(desk: Desk) -> None:
    desk.train(stop_after=2)
    (desk.folder / "run" / "banks.txt").unlink()
    assert desk.train().out == desk.out
    (desk.folder / "run" / "banks.txt").unlink()
    assert desk.train().before
    desk.bake()
    (desk.folder / "run" / "banks.txt").unlink(missing_ok=True)
    assert desk.train().before
    assert "added" in bundle.read(desk.out).names


def test_what_is_read_is_not_written_over_even_by_force(desk: Desk) -> None:
    for name in ("paint.png", "photos/0.png"):
        with pytest.raises(OutputError, match="is read by this training"):
            desk.train(out=desk.folder / name, force=True)
    with pytest.raises(OutputError, match="is the run's own file"):
        desk.train(out=desk.folder / "run" / "preview.png", force=True)


def test_a_damaged_bank_is_another_s(desk: Desk, make_bank: Callable[..., Bundle]) -> None:
    bundle.write(desk.out, make_bank({"night": 3}))
    desk.out.write_bytes(desk.out.read_bytes()[:-9])
    with pytest.raises(OutputError, match="is no bank that can be read; give another"):
        desk.train()


def test_photos_that_came_do_not_stop_a_run(desk: Desk) -> None:
    desk.train(stop_after=2)
    Image.effect_noise((50, 50), 50).convert("RGB").save(desk.folder / "photos" / "more.png")
    (desk.folder / "photos").rename(desk.folder / "moved")
    (desk.folder / "photos").symlink_to(desk.folder / "moved")
    assert desk.train().figures
    assert any("its photos changed since (5, now 6)" in note for note in desk.notes)
    assert desk.train().before

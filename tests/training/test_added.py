"""Adding a style: one entry more, of two filters, and nothing else changed; in any order, stopped or not."""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stylebank import StyleBank
from stylebank.bank import bundle, editing
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry, Origin
from stylebank.config import Network, Style
from stylebank.errors import OutputError, StyleSetError
from stylebank.files import tensorfile
from stylebank.network.model import StyleBankNetwork
from stylebank.network.tensors import primed
from stylebank.persistence.session import Callbacks
from stylebank.supervision.objective import Kept, Objective
from stylebank.training import added, report, revision
from stylebank.training.added import Outcome
from stylebank.training.incremental import FilterTrainer

STEPS = 3
"""Of each filter."""

ALL = 2 * STEPS


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for place in range(8):
        pixels = random.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")
    return folder


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that takes longer than the claims here need."""
    training = replace(added._TRAINING, crop=32, warmup=2, precision="float32")
    monkeypatch.setattr(added, "_TRAINING", training)
    monkeypatch.setattr(added, "_REPORT", replace(added._REPORT, held_back=2))
    monkeypatch.setattr(added, "POOL", 6)
    monkeypatch.setattr("stylebank.training.warm_start.STEPS", 1)
    monkeypatch.setattr("stylebank.training.incremental.EVALUATE_EVERY", 2)
    monkeypatch.setattr(report, "PREVIEW_SIDE", 64)


class Bench:
    """A bank, and additions to it with run folders of their own."""

    def __init__(self, photos: Path, paintings: Path, vgg: Path, folder: Path) -> None:
        self.photos, self.paintings, self.vgg, self.folder = photos, paintings, vgg, folder
        self.bank = folder / "bank"
        self.notes: list[str] = []
        self.steps: list[int] = []
        self.during: Callable[[], object] = lambda: None

    def add(
        self,
        name: str = "new",
        *,
        stop_after: int = 10**6,
        steps: int | None = STEPS,
        seed: int = 0,
        **how: Any,
    ) -> Outcome:
        self.steps = []
        asked: dict[str, Any] = {"size": 48, "image": "0.png"} | how

        def progress(step: int, _losses: Mapping[str, float]) -> None:
            self.steps.append(step)
            self.during()

        return added.add_style(
            replace(Style(name, folder=str(self.paintings)), **asked),
            bank=self.bank,
            content=self.photos,
            run=self.folder / f"run-{name}",
            callbacks=Callbacks(self.notes.append, progress, lambda: len(self.steps) >= stop_after),
            vgg_weights=self.vgg,
            steps=steps,
            seed=seed,
            device="cpu",
        )

    def entry(self, name: str = "new") -> Entry:
        return bundle.read(self.bank).find(name)

    def digest(self) -> str:
        return hashlib.sha256(self.bank.read_bytes()).hexdigest()


@pytest.fixture
def bench(
    photos: Path, paintings: Path, vgg_file: Path, tmp_path: Path, make_bank: Callable[..., Bundle]
) -> Bench:
    bench = Bench(photos, paintings, vgg_file, tmp_path)
    bundle.write(bench.bank, make_bank({"wave": 3, "night": 3}))
    return bench


def timeless(entry: Entry) -> Entry:
    """The entry without what no two runs have in common."""
    assert entry.card
    return replace(entry, card=replace(entry.card, seconds=0.0))


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Entry]:
    """The entry of a whole run, once one test has made it."""
    return {}


def whole(bench: Bench, known: dict[str, Entry]) -> Entry:
    if "new" not in known:
        before = bench.bank.read_bytes()
        bench.add()
        known["new"] = bench.entry()
        bench.bank.write_bytes(before)
        shutil.rmtree(bench.folder / "run-new")
    return known["new"]


def test_the_encoder_sees_photos_with_grain_and_pictures_are_compared_with_photos_without(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    pairs: list[tuple[Tensor, Tensor]] = []
    edges_of: list[Tensor | None] = []
    encode, kept = StyleBankNetwork.encode, Objective.kept

    def encoded(network: StyleBankNetwork, content: Tensor) -> Tensor:
        seen.append(content)
        return encode(network, content)

    def judged(objective: Objective, content: Tensor, photo: Tensor | None = None) -> Kept:
        if seen:
            pairs.append((seen[-1], content))
            edges_of.append(photo)
        return kept(objective, content, photo)

    monkeypatch.setattr(StyleBankNetwork, "encode", encoded)
    monkeypatch.setattr(Objective, "kept", judged)
    bench.add()
    first, *_ = pairs  # photos held back, for the first filter
    assert torch.equal(first[0], primed(first[1], 1.0))
    assert not torch.equal(*first), "the control: these photos are given some"
    again = [place for place, (over, judged) in enumerate(pairs) if over is judged]
    assert again, "and second filters keep what they paint over"
    assert all(edges_of[place] is not None and edges_of[place] is not pairs[place][1] for place in again)


def test_the_file_grows_by_one_entry_and_nothing_else_changes(bench: Bench) -> None:
    before, _ = tensorfile.read(bench.bank, kind="bank")
    old = bundle.read(bench.bank)
    photo = torch.rand(3, 40, 44, generator=torch.Generator().manual_seed(0))
    painted = [StyleBank.load(bench.bank).stylize(photo, name) for name in old.names]
    bench.add()
    after, _ = tensorfile.read(bench.bank, kind="bank")
    assert after.keys() - before.keys() == {"style.new.filter", "style.new.revision"}
    assert all(
        np.array_equal(after[name], before[name]) and after[name].dtype == before[name].dtype
        for name in before
    )
    new = bundle.read(bench.bank)
    assert (new.names, new.training) == ((*old.names, "new"), old.training)
    assert all(one.is_same(other) for one, other in zip(old.entries, new.entries[:-1], strict=True))
    grown = StyleBank.load(bench.bank)
    assert all(
        torch.equal(grown.stylize(photo, name), one) for name, one in zip(old.names, painted, strict=True)
    )
    assert not torch.equal(grown.stylize(photo, "new"), painted[0])


def test_an_entry_has_a_card_a_gain_and_its_recipe(bench: Bench) -> None:
    outcome = bench.add(seed=5)
    assert (outcome.step, bench.steps) == (ALL, list(range(1, ALL + 1)))
    entry = bench.entry()
    assert outcome.entry
    assert entry.is_same(outcome.entry)
    assert entry.card
    assert (entry.card.origin, entry.card.steps, entry.card.photos, entry.card.side) == (
        "added",
        ALL,
        2,
        64,
    )
    assert 0 < entry.card.seconds < outcome.seconds + 0.05, "rounded to tenths"
    assert len(entry.card.style_ratio) == 5
    assert [image.source for image in entry.style.layers] == ["0.png"] * 5
    assert (entry.recipe["training"]["seed"], entry.recipe["loss"]["content"]) == (5, 1.0)
    assert str(bench.folder) not in str(entry.to_manifest()), "no path of this machine"
    assert 1.0 not in (entry.gain, entry.revision_gain)
    assert entry.gain != entry.revision_gain


@pytest.mark.parametrize("stop", range(ALL))
def test_a_stopped_run_leaves_the_bank_and_continues_to_the_same_entry(
    stop: int, bench: Bench, undisturbed: dict[str, Entry]
) -> None:
    wanted, before = whole(bench, undisturbed), bench.digest()
    outcome = bench.add(stop_after=stop)
    assert (outcome.step, outcome.entry, bench.digest()) == (stop, None, before)
    bench.add()
    assert bench.steps == list(range(stop + 1, ALL + 1)), "no step is done twice"
    assert (bench.folder / "run-new" / "revision" / "checkpoint.safetensors").exists()
    assert timeless(bench.entry()).is_same(timeless(wanted))


def test_another_seed_gives_another_filter(bench: Bench, undisturbed: dict[str, Entry]) -> None:
    """The control of the test above."""
    wanted = whole(bench, undisturbed)
    bench.add(seed=1)
    assert not np.array_equal(bench.entry().filter, wanted.filter)
    assert not np.array_equal(bench.entry().tensors["revision"], wanted.tensors["revision"])


def test_the_second_filter_starts_where_the_first_one_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[bool, Tensor]] = []
    ended: list[Tensor] = []
    best: list[Tensor] = []

    def noted(trainer: FilterTrainer) -> None:
        again = trainer.trains(trainer.network.revisions[0])
        if again and trainer.step == 0:
            ended.append(trainer.network.filters[0].detach().clone())
        advance(trainer)
        if trainer.step == 1:
            begun.append((again, trainer.average.clone()))
        if trainer.step == STEPS and not again:
            trainer.best.mul_(1.5)  # as if an earlier average had been better than the last
            best.append(trainer.best.clone())

    advance = FilterTrainer.advance
    monkeypatch.setattr(FilterTrainer, "advance", noted)
    bench.add()
    entry = bench.entry()
    assert [again for again, _ in begun] == [False, True]
    (kept,) = ended
    assert torch.equal(kept, best[0])
    assert np.array_equal(entry.filter, bundle.stored(kept)), "K is kept as it was when R began"
    # One step of Adam at the first rate of the warm-up, a third of 6e-3, weighs 9 / 10 in the average.
    assert 0 < float((begun[1][1] - kept).abs().max()) < 2.1e-3
    assert not np.array_equal(entry.tensors["revision"], entry.filter), "and R was trained"


def test_the_second_filter_is_trained_over_paintings_by_the_loss_of_revisions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted, judged = [], []
    ground, judge = revision.ground, Objective.revision

    def painted_over(network: StyleBankNetwork, content: Tensor, styles: list[int], **how: Any) -> Tensor:
        assert torch.equal(network.filters[0], network.revisions[0]), "before R's first step"
        painted.append((len(content), how["key"], how["chained"]))
        return ground(network, content, styles, **how)

    def judged_by(goal: Objective, *what: Any) -> Any:
        judged.append(what[2])
        return judge(goal, *what)

    monkeypatch.setattr(revision, "ground", painted_over)
    monkeypatch.setattr(Objective, "revision", judged_by)
    assert bench.add(steps=1).step == 2
    photos, *crops = painted
    assert photos == (2, "0 ground 6", 0.3), "those held back, after the pool's crops"
    assert crops == [(1, "0 ground 0", 0.3), (1, "0 ground 1", 0.3)], "a batch of two"
    assert judged == [[0, 0], [0], [0]], "a step, and two photos held back"


def test_a_bank_of_the_first_edition_takes_a_style(bench: Bench, make_bank: Callable[..., Bundle]) -> None:
    shape = Network(width=4, blocks=0, outer_kernel=9)
    old = make_bank({"wave": 3}, shape=shape, revises=False)
    bundle.write(bench.bank, old)
    bench.add(steps=1)
    found = bundle.read(bench.bank)
    assert found.coder_digest() == old.coder_digest()
    assert [entry.revision is None for entry in found.entries] == [True, False]
    assert found.entries[0].is_same(old.entries[0])
    assert StyleBank.load(bench.bank).stylize(torch.rand(3, 32, 32), "new").isfinite().all()


def test_the_order_of_additions_makes_no_difference(bench: Bench) -> None:
    before = bench.bank.read_bytes()
    found = []
    for order in (["one", "other"], ["other", "one"]):
        bench.bank.write_bytes(before)
        for name in order:
            bench.add(name, steps=1, size=0, image="0.png" if name == "one" else "1.png")
            shutil.rmtree(bench.folder / f"run-{name}")
        assert bundle.read(bench.bank).names == ("wave", "night", *order)
        found.append([timeless(bench.entry(name)) for name in ("one", "other")])
    assert all(forth.is_same(back) for forth, back in zip(*found, strict=True))
    assert not np.array_equal(found[0][0].filter, found[0][1].filter)


def test_a_finished_run_is_committed_again_after_a_removal_without_a_step(
    bench: Bench, undisturbed: dict[str, Entry]
) -> None:
    wanted = whole(bench, undisturbed)
    bench.add()
    editing.edit(bench.bank, editing.removing(["new"]))
    assert bench.add().entry
    assert bench.steps == []
    assert timeless(bench.entry()).is_same(timeless(wanted))


def test_without_a_number_of_steps_it_ends_when_the_loss_is_flat(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stylebank.training.incremental.PATIENCE", 1)
    monkeypatch.setattr("stylebank.training.incremental.LEAST_GAIN", 1.0)
    assert bench.add(steps=None).step == 2 * 4, "two evaluations of each filter, two steps apart"


def test_layers_kernel_and_size_are_as_asked(bench: Bench) -> None:
    five = ("0.png", "1.png", "blank", "1.png", "0.png")
    entry = bench.add(image="", images=five, kernel=5, size=64, steps=1).entry
    assert entry
    assert tuple(image.source for image in bench.entry().style.layers) == five
    assert {max(image.size) for image in bench.entry().style.layers} == {64}
    assert bench.entry().style.kernel == 5
    assert {tensor.shape for tensor in bench.entry().tensors.values()} == {(16, 16, 5, 5)}


def test_an_empty_bank_takes_a_style(bench: Bench, make_bank: Callable[..., Bundle]) -> None:
    bundle.write(bench.bank, make_bank({}))
    bench.add(steps=1)
    assert bundle.read(bench.bank).names == ("new",)


def test_size_0_is_the_size_that_most_images_of_the_bank_have(make_bank: Callable[..., Bundle]) -> None:
    contents = make_bank({"wave": 3, "night": 3})  # of 64 x 48 px
    assert (default_size(contents), default_size(contents, own=100)) == (64, 100)
    assert default_size(replace(contents, entries=())) == Style("").size


def test_size_0_does_not_depend_on_what_was_added_before(make_bank: Callable[..., Bundle]) -> None:
    """Else the same style comes out otherwise in another order, and a stopped run cannot go on."""
    contents = make_bank({"wave": 3, "large": 3, "huge": 3})
    wave, *others = contents.entries
    grown = replace(contents, entries=(wave, *(resized(entry, 80, origin="added") for entry in others)))
    assert default_size(grown) == 64
    joint = replace(contents, entries=(wave, *(resized(entry, 80, origin="joint") for entry in others)))
    assert default_size(joint) == 80, "the control"


def default_size(contents: Bundle, own: int = 0) -> int:
    style = Style("new", image="0.png", size=own)
    return added.experiment_for(contents, style, steps=1, seed=0).styles[0].size


def resized(entry: Entry, side: int, *, origin: Origin) -> Entry:
    assert entry.card
    layers = tuple(replace(image, size=(side, side)) for image in entry.style.layers)
    return replace(entry, style=replace(entry.style, layers=layers), card=replace(entry.card, origin=origin))


def test_the_loss_is_the_one_that_the_bank_was_trained_with(
    bench: Bench, make_bank: Callable[..., Bundle]
) -> None:
    layers = ["relu1_2", "relu2_2", "relu3_3", "relu4_1"]
    loss = {"style": 3.0, "style_layers": layers, "layer_weights": [1.0] * 4}
    bundle.write(bench.bank, make_bank({"wave": 3}, training={"config": {"loss": loss}}))
    before = bench.digest()
    with pytest.raises(StyleSetError, match="layered sets need the five"):
        bench.add(image="", images=("0.png",) * 5)
    assert bench.digest() == before
    bench.add(steps=1)
    assert [image.layer for image in bench.entry().style.layers] == layers
    assert bench.entry().recipe["loss"]["style"] == 3.0


def test_a_name_taken_during_the_training_keeps_its_entry(bench: Bench) -> None:
    bench.during = lambda: bench.steps == [1] and editing.edit(bench.bank, editing.renaming("wave", "new"))
    with pytest.raises(OutputError, match="'new': is in the bank already"):
        bench.add()
    assert bundle.read(bench.bank).names == ("new", "night")
    assert bench.entry().card
    editing.edit(bench.bank, editing.renaming("new", "wave"))
    bench.during = lambda: None
    bench.add()
    assert (bench.steps, bundle.read(bench.bank).names) == ([], ("wave", "night", "new")), "nothing was lost"

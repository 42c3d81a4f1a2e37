"""A bank's figures are those of its styles' images on photos it has not seen, in the unit of per-image optimisation."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.config import Loss, Network, Style
from stylebank.errors import ConfigError, StyleSetError
from stylebank.network.model import StyleBankNetwork
from stylebank.pixels import folders
from stylebank.reference import evaluation, optimization
from stylebank.reference.evaluation import Evaluation
from stylebank.reference.perceptual import Perceptual
from stylebank.supervision import metrics, styleset, vgg
from stylebank.supervision.objective import Objective
from stylebank.terminal.tables import table
from stylebank.training import data

# Three convolutions of VGG instead of eleven: what is claimed here is claimed of any loss.
LOSS = {
    "style": 20.0,
    "content_layer": "relu2_1",
    "style_layers": ["relu1_1", "relu2_1"],
    "layer_weights": [1.0, 2.0],
}
OWN_LOSS = Loss(
    style=20.0,
    content_layer="relu2_1",
    style_layers=("relu1_1", "relu2_1"),
    layer_weights=(1.0, 2.0),
)
LAYERS = (OWN_LOSS.style_layers, OWN_LOSS.layer_weights)
SIDE = 32
NAMES = ("wave", "night")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine photos, and two paintings in folders of their own."""
    home = tmp_path_factory.mktemp("home")
    pixels = np.random.default_rng(0).integers(0, 256, (11, 40, 48, 3), np.uint8)
    pixels[9:, ..., 1:] //= 4
    names = [*(f"photos/{number}.png" for number in range(9)), "art/sea/wave.png", "art/night.png"]
    for name, picture in zip(names, pixels, strict=True):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(home / name)
    return home


@pytest.fixture
def bank(make_bank: Callable[..., Bundle], home: Path, tmp_path: Path) -> Bundle:
    """Two styles trained on seven of the photos, as read from its file."""
    made = make_bank({"wave": 3, "night": 3}, training=experiment(home / "photos", held_back=2))
    sets = [
        styleset.resolve(Style(name, image=path, size=SIDE, folder=str(home / "art")), *LAYERS)
        for name, path in zip(NAMES, ("sea/wave.png", "night.png"), strict=True)
    ]
    entries = [replace(entry, style=style) for entry, style in zip(made.entries, sets, strict=True)]
    bundle.write(tmp_path / "bank", replace(made, entries=tuple(entries)))
    return bundle.read(tmp_path / "bank")


def experiment(photos: Path, *, held_back: int) -> dict[str, Any]:
    trained, _ = data.hold_back(folders.find_photos(photos), photos, held_back)
    return {
        "config": {"loss": LOSS, "report": {"held_back": held_back}},
        "photos": data.digest(trained, photos),
    }


@pytest.fixture
def measure(home: Path, vgg_file: Path) -> Callable[..., tuple[Evaluation, list[str]]]:
    def measure(bank: Bundle, **options: Any) -> tuple[Evaluation, list[str]]:
        notes: list[str] = []
        asked: dict[str, Any] = {"content": home / "photos", "styles": home / "art", "side": SIDE} | options
        found = evaluation.evaluate(bank, device="cpu", vgg_weights=vgg_file, note=notes.append, **asked)
        return found, notes

    return measure


Measure = Callable[..., tuple[Evaluation, list[str]]]


def held_back(home: Path) -> Tensor:
    photos = folders.find_photos(home / "photos")
    return data.read_squares(data.hold_back(photos, home / "photos", 2)[1], SIDE, print)


def test_figures_are_those_of_metrics_on_the_photos_held_back(
    bank: Bundle, home: Path, vgg_file: Path, measure: Measure
) -> None:
    found, notes = measure(bank)
    assert notes == []
    assert (found.photos, found.side, found.layers) == (2, SIDE, ("relu1_1", "relu2_1"))
    photos, network = held_back(home), bank.build()
    sets = [entry.style.located(home / "art") for entry in bank.entries]
    goal = Objective(vgg.load(vgg_file), OWN_LOSS, sets, photos, precision=torch.float32)
    for place, row in enumerate(found.rows):
        wanted, other = (metrics.style_figures(network, goal, photos, style) for style in (place, 1 - place))
        # Another memory layout and batches of another size: float32 sums in another order.
        assert row.figures.style_ratio == pytest.approx(wanted.style_ratio, rel=1e-3)
        assert row.figures.tone == pytest.approx(wanted.tone)
        for figure in ("content", "ssim", "tv", "total"):
            assert getattr(row.figures, figure) == pytest.approx(getattr(wanted, figure), rel=1e-3, abs=1e-5)
        assert row.figures.total != pytest.approx(other.total, rel=1e-2), "the control"
        assert row.bytes == 2 * 2 * bank.entries[place].filter.size, "K and R, of one size"
    assert [row.name for row in found.rows] == list(NAMES)
    assert (found.psnr, found.ssim) == pytest.approx(
        metrics.reconstruction_figures(network, photos), rel=1e-4
    )
    middle = zip(*(row.figures.style_ratio for row in found.rows), strict=True)
    assert found.medians() == pytest.approx([sum(pair) / 2 for pair in middle])
    assert found.tone() == pytest.approx(sum(row.figures.tone for row in found.rows) / 2)


def test_of_another_folder_all_photos_are_taken_up_to_the_count(
    bank: Bundle, home: Path, tmp_path: Path, measure: Measure
) -> None:
    assert measure(bank)[0].photos == 2
    assert measure(bank, count=1)[0].photos == 1
    more = shutil.copytree(home / "photos", tmp_path / "more")
    shutil.copy(home / "art/night.png", more)
    assert measure(bank, content=more)[0].photos == evaluation.PHOTOS == 8
    assert measure(bank, content=more, count=100)[0].photos == 10


def test_of_an_added_style_s_photos_those_it_never_saw_are_used(bank: Bundle, home: Path) -> None:
    photos = folders.find_photos(home / "photos")
    other = replace(bank, training={**bank.training, "photos": "of another folder"})
    assert evaluation.unseen(other, home / "photos") == photos
    trained, unseen = data.hold_back(photos, home / "photos", evaluation.PHOTOS)
    recipe = {"photos": data.digest(trained, home / "photos")}
    added = replace(other, entries=(*other.entries[:-1], replace(other.entries[-1], recipe=recipe)))
    assert evaluation.unseen(added, home / "photos") == unseen
    assert 0 < len(unseen) < len(photos)


@pytest.mark.parametrize("count", [0, 8])
def test_where_no_photo_was_held_back_those_of_the_training_must_do(
    count: int, bank: Bundle, home: Path, tmp_path: Path, measure: Measure
) -> None:
    """As in the training itself: none was asked for, or there were too few."""
    few = tmp_path / "few"
    few.mkdir()
    for number in range(3):
        shutil.copy(home / f"photos/{number}.png", few)
    trained = replace(bank, training=experiment(few, held_back=count))
    assert measure(trained, content=few)[0].photos == 3


def test_a_style_image_counts_by_name_and_content(
    bank: Bundle, home: Path, tmp_path: Path, measure: Measure
) -> None:
    art = shutil.copytree(home / "art", tmp_path / "art")
    (art / "a").mkdir()
    shutil.copy(home / "photos/0.png", art / "a/wave.png")  # of the name, found first, another picture
    whole = measure(bank, styles=art)[0]
    assert whole.rows == measure(bank)[0].rows
    shutil.move(art / "night.png", art / "renamed.png")
    found, notes = measure(bank, styles=art)
    assert [row.name for row in found.rows] == ["wave"]
    (note,) = notes
    assert note.startswith("style 'night': its image night.png (sha256 ")
    assert note.endswith("; skipped")
    shutil.copy(home / "photos/0.png", art / "sea/wave.png")
    with pytest.raises(StyleSetError, match="has the images of none of the bank's styles"):
        measure(bank, styles=art)


def renamed(entry: Entry, source: str) -> Entry:
    images = (replace(image, source=source) for image in entry.style.layers)
    return replace(entry, style=replace(entry.style, layers=tuple(images)))


def test_an_image_whose_name_has_wildcards_is_found(
    bank: Bundle, home: Path, tmp_path: Path, measure: Measure
) -> None:
    shutil.copy(home / "art/night.png", tmp_path / "night[1].png")
    alone = replace(bank, entries=(renamed(bank.entries[1], "night[1].png"),))
    assert measure(alone, styles=tmp_path)[0].rows[0].name == "night"


@pytest.mark.parametrize("source", ["/etc/hostname", "", "sea", "**x", "x" * 300])
def test_a_name_that_is_no_name_is_skipped_as_missing(source: str, bank: Bundle, measure: Measure) -> None:
    odd = replace(bank, entries=(bank.entries[0], renamed(bank.entries[1], source)))
    found, notes = measure(odd)
    assert [row.name for row in found.rows] == ["wave"]
    assert len(notes) == 1


def test_mixtures_are_skipped(bank: Bundle, measure: Measure) -> None:
    empty = replace(bank.entries[0].style, name="mixed", layers=())
    mixed = replace(bank.entries[0], style=empty, recipe={"mixture": {"wave": 0.5, "night": 0.5}})
    found, notes = measure(replace(bank, entries=(mixed, *bank.entries)))
    assert [row.name for row in found.rows] == list(NAMES)
    assert notes == ["style 'mixed': is a mixture, which no image supervises; skipped"]
    assert found.rows == measure(bank)[0].rows


def goal_of(home: Path, vgg_file: Path, bank: Bundle) -> tuple[Objective, Tensor]:
    photo = held_back(home)[:1]
    sets = [entry.style.located(home / "art") for entry in bank.entries]
    return Objective(vgg.load(vgg_file), OWN_LOSS, sets, photo, precision=torch.float32), photo


def test_the_steps_are_those_to_the_loss_of_the_output(home: Path, vgg_file: Path, bank: Bundle) -> None:
    goal, photo = goal_of(home, vgg_file, bank)
    track: list[optimization.Progress] = []

    def keep(progress: optimization.Progress) -> bool:
        track.append(progress)
        return True

    best = optimization.optimize(goal, photo, optimization.Settings(steps=12), report=keep)
    totals = [progress.total for progress in track]
    for share, at_least in ((0.3, 2), (0.9, 4)):
        output = torch.lerp(photo, best, share)
        with torch.no_grad():
            wanted = float(goal(output, goal.kept(photo), [0]).total)
        # Far from every step's own loss: with and without a gradient torch may choose kernels of other rounding.
        assert min(abs(total / wanted - 1) for total in totals) > 1e-5
        first = 1 + next(place for place, total in enumerate(totals) if total <= wanted)
        assert first >= at_least
        assert evaluation.optimization_steps(goal, photo, output, 0, most=12) == first
        assert evaluation.optimization_steps(goal, photo, output, 0, most=first) == first
        assert evaluation.optimization_steps(goal, photo, output, 0, most=first - 1) == math.inf
    assert evaluation.optimization_steps(goal, photo, 1 - photo, 0, most=12) == 1, (
        "the photo is better already"
    )


def test_the_evaluation_has_the_median_over_photos_or_none(bank: Bundle, measure: Measure) -> None:
    assert [row.optimization for row in measure(bank)[0].rows] == [None, None], "not asked for"
    found = measure(bank, optimization=6)[0]
    assert found.optimization == 6
    for row in found.rows:
        # What random filters paint is no nearer to the style than the photo.
        assert row.optimization is not None
        assert 1 <= row.optimization <= 6


def test_what_optimisation_does_not_reach_is_null_in_json_and_over_in_the_table(
    bank: Bundle, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "optimization_steps", lambda *_, **__: math.inf)
    found = measure(bank, optimization=6)[0]
    text = json.dumps(found.to_json(), allow_nan=False)
    read = json.loads(text)
    assert set(read) == set(Evaluation.__dataclass_fields__)
    assert read["rows"][1]["figures"]["style_ratio"] == list(found.rows[1].figures.style_ratio)
    assert [row["optimization"] for row in read["rows"]] == [None, None]
    assert table(found).count("| over 6 |") == 2


class Fixed(Perceptual):
    """LPIPS and FID whose answers are known."""

    def __init__(self, fid: float | None) -> None:
        self._answer = fid

    def lpips(self, outputs: Tensor, photos: Tensor) -> float:
        assert outputs.shape == photos.shape
        return 0.5

    def fid(self, paintings: Any, outputs: Any) -> float | None:
        assert [image.shape[0] for image in paintings] == [1] * 4, "an image for each layer"
        assert [batch.shape[0] for batch in outputs] == [2, 2]
        return self._answer


@pytest.mark.parametrize("optimization", [0, 2])
@pytest.mark.parametrize("fid", [None, 9.0])
def test_every_row_of_the_table_has_as_many_columns(
    optimization: int, fid: float | None, bank: Bundle, measure: Measure
) -> None:
    plain = table(measure(bank)[0])
    found = measure(bank, perceptual=Fixed(fid), optimization=optimization)[0]
    assert found.artfid == (None if fid is None else 1.5 * 10)
    for text, extra in ((plain, 0), (table(found), 1 + bool(optimization))):
        *rows, empty, facts = text.splitlines()
        assert len(rows) == 2 + 2 + 1
        assert {row.count("|") for row in rows} == {2 + 2 + 5 + extra}
        assert all(row.startswith("|") and row.endswith("|") for row in rows)
        assert empty == ""
        assert facts.startswith("2 photos, 32 px; ")
        assert "dB PSNR" in facts
    assert ("ArtFID 15.0" in table(found)) is (fid is not None)


def test_a_johnson_network_has_no_auto_encoder_figures(bank: Bundle, measure: Measure) -> None:
    shape = Network(kind="johnson", width=4)
    network = StyleBankNetwork(shape, [1])
    styles = [replace(bank.entries[1].style, kernel=1)]
    found, _ = measure(bundle.from_network(network, shape, styles, bank.training))
    assert (found.psnr, found.ssim, len(found.rows)) == (None, None, 1)
    assert "PSNR" not in table(found)


def test_what_cannot_be_measured_is_refused(bank: Bundle, measure: Measure) -> None:
    for config, said in (
        ({"loss": {"content_layer": "relu9_9"}}, "relu9_9"),
        ({"report": 3}, "the bank's exp"),
    ):
        with pytest.raises(ConfigError, match=said):
            measure(replace(bank, training={"config": config}))


def test_a_bank_of_unknown_training_is_measured_by_the_usual_loss(bank: Bundle) -> None:
    for training in ({}, {"config": 3}):
        assert replace(bank, training=training).trained_with(Loss, "loss") == Loss()
    assert bank.trained_with(Loss, "loss") == OWN_LOSS

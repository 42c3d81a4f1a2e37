"""What an addition refuses: mistakes before any file is made, a spoilt encoder or decoder before anything is saved."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stylebank.bank import bundle, editing
from stylebank.bank.bundle import Bundle
from stylebank.config import Style
from stylebank.errors import ConfigError, ContentError, OutputError, RunError, StyleBankError, StyleSetError
from stylebank.files.atomic import locked
from stylebank.persistence import checkpoint
from stylebank.persistence.session import Callbacks
from stylebank.training import added, report
from stylebank.training.added import Outcome
from stylebank.training.incremental import FilterTrainer

STEPS = 3

Add = Callable[..., Outcome]
"""Adds style "new", or of another name; what is given replaces a default of `Style` or `add_style`."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that takes longer than the claims here need."""
    training = replace(added._TRAINING, crop=32, warmup=2, precision="float32")
    monkeypatch.setattr(added, "_TRAINING", training)
    monkeypatch.setattr(added, "_REPORT", replace(added._REPORT, checkpoint_every=1, held_back=1))
    monkeypatch.setattr(added, "POOL", 4)
    monkeypatch.setattr("stylebank.training.warm_start.STEPS", 1)
    monkeypatch.setattr(report, "PREVIEW_SIDE", 64)


@pytest.fixture(scope="module")
def art(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A painting, and four photos in a folder of their own."""
    art = tmp_path_factory.mktemp("art")
    (art / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 40, 48, 3), np.uint8)
    for place, name in enumerate(["paint", "other", *(f"photos/{number}" for number in range(4))]):
        Image.fromarray(pixels[place]).save(art / f"{name}.png")
    return art


@pytest.fixture
def bank(tmp_path: Path, make_bank: Callable[..., Bundle]) -> Path:
    bundle.write(tmp_path / "bank", make_bank({"wave": 3}))
    return tmp_path / "bank"


@pytest.fixture
def add(art: Path, vgg_file: Path, bank: Path) -> Add:
    def add(
        name: str = "new",
        *,
        content: Path = art / "photos",
        vgg: Path = vgg_file,
        seed: int = 0,
        progress: Callable[[int, Mapping[str, float]], None] = lambda *_: None,
        stop: Callable[[], bool] = lambda: False,
        **style: Any,
    ) -> Outcome:
        asked: dict[str, Any] = {"size": 48, "image": "paint.png", "folder": str(art)} | style
        return added.add_style(
            Style(name, **asked),
            bank=bank,
            content=content,
            run=bank.with_name("run"),
            callbacks=Callbacks(lambda _: None, progress, stop),
            vgg_weights=vgg,
            steps=STEPS,
            seed=seed,
            device="cpu",
        )

    return add


@pytest.mark.parametrize(
    ("name", "how", "kind", "message"),
    [
        ("wave", {}, OutputError, "'wave': is in the bank already"),
        ("new", {"image": "none.png"}, StyleBankError, "none.png"),
        ("new", {"images": ("paint.png",) * 5}, StyleSetError, "image and images"),
        ("new", {"content": Path("nowhere")}, ContentError, "nowhere: is not a folder"),
        ("Bad Name", {}, ConfigError, "no style name"),
        ("new", {"kernel": 4}, ConfigError, "kernel 4"),
        ("new", {"kernel": 9}, ConfigError, "kernel"),
    ],
)
def test_a_mistake_is_refused_before_any_file_is_made(
    name: str, how: dict[str, Any], kind: type[StyleBankError], message: str, add: Add, bank: Path
) -> None:
    before, files = bank.read_bytes(), sorted(bank.parent.rglob("*"))
    with pytest.raises(kind, match=message):
        add(name, **how)
    assert bank.read_bytes() == before
    assert sorted(bank.parent.rglob("*")) == files, "not even a lock"


def test_a_run_of_something_else_is_not_continued(add: Add, bank: Path) -> None:
    before = bank.read_bytes()
    add(stop=lambda: True)
    with pytest.raises(RunError, match="changed since"):
        add(image="other.png")
    with locked(bank.with_name("run") / "run"), pytest.raises(OutputError, match="another process"):
        add()
    assert bank.read_bytes() == before


def test_a_bank_replaced_during_the_training_is_left_alone(
    add: Add, bank: Path, make_bank: Callable[..., Bundle]
) -> None:
    other = make_bank({"wave": 3, "night": 3}, seed=1)
    with pytest.raises(OutputError, match="another encoder and decoder"):
        add(progress=lambda *_: bundle.write(bank, other))
    assert bundle.read(bank).names == ("wave", "night")
    with pytest.raises(RunError, match="encoder and decoder changed"):
        add()


# How a defect could reach encoder and decoder.
def _in_the_optimizer(trainer: FilterTrainer, part: str, **options: float) -> None:
    """Weights of E or D among what Adam steps, with a gradient as a forward pass through them would leave."""
    weights = [w for name, w in trainer.network.named_parameters() if name.startswith(part)]
    if len(trainer._adam.param_groups) == 1:
        trainer._adam.add_param_group({"params": weights, **options})
    for weight in weights:
        weight.grad = torch.zeros_like(weight) if options else torch.ones_like(weight)
    trainer._adam.step()


def _perturbed(trainer: FilterTrainer, name: str) -> None:
    tensor = trainer.network.state_dict()[name]
    tensor[(0,) * tensor.ndim] += 1e-3


SABOTAGE: dict[str, Callable[[FilterTrainer], None]] = {
    "encoder in the optimizer": lambda trainer: _in_the_optimizer(trainer, "encoder."),
    "decoder in the optimizer": lambda trainer: _in_the_optimizer(trainer, "decoder."),
    "weight decay on the encoder": lambda trainer: _in_the_optimizer(trainer, "encoder.", weight_decay=0.1),
    "weight decay on the decoder": lambda trainer: _in_the_optimizer(trainer, "decoder.", weight_decay=0.1),
    **{
        name: lambda trainer, name=name: _perturbed(trainer, name)  # type: ignore[misc]
        for name in (
            "encoder.0.conv.weight",
            "encoder.2.norm.weight",
            "encoder.2.norm.bias",
            "decoder.0.first.conv.weight",
            "decoder.1.second.weight",
            "decoder.2.norm.bias",
            "decoder.4.bias",
        )
    },
}


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("how", SABOTAGE)
def test_a_trainer_that_touches_encoder_or_decoder_is_stopped_before_it_saves(
    how: str, again: bool, add: Add, bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bank.read_bytes()
    sound = FilterTrainer.advance

    def sabotaged(trainer: FilterTrainer) -> None:
        sound(trainer)
        if trainer.step == 2 and trainer.trains(trainer.network.revisions[0]) == again:
            SABOTAGE[how](trainer)

    monkeypatch.setattr(FilterTrainer, "advance", sabotaged)
    with pytest.raises(RunError, match=r"^(encoder|decoder)\..*: changed while the new style was trained"):
        add()
    assert bank.read_bytes() == before
    folder = bank.with_name("run") / "revision" if again else bank.with_name("run")
    assert checkpoint.read(folder / "checkpoint.safetensors").step == 1, "saved when it was sound"
    monkeypatch.undo()


def test_a_trainer_that_touches_nothing_is_not_stopped(add: Add, bank: Path) -> None:
    """The control of the test above."""
    assert add().entry
    assert bundle.read(bank).names == ("wave", "new")


def test_a_full_disk_under_the_pool_is_said_in_one_line(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stylebank.training.feature_pool.MEMORY_BYTES", 0)
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(StyleBankError, match="No space left"):
        add()


def test_photos_that_are_the_style_already_leave_a_bank_that_can_be_read(
    add: Add, bank: Path, tmp_path: Path
) -> None:
    """A ratio to a style distance of 0 is no number that a manifest may hold."""
    (tmp_path / "white").mkdir()
    for place in range(4):
        Image.new("RGB", (64, 64), "white").save(tmp_path / "white" / f"{place}.png")
    add(image="blank", size=64, content=tmp_path / "white")
    assert bundle.read(bank).names == ("wave", "new")


def test_a_finished_style_that_the_bank_no_longer_takes_is_kept_as_a_file(
    add: Add, bank: Path, make_bank: Callable[..., Bundle]
) -> None:
    before = bundle.read(bank)
    other = make_bank({"wave": 3}, seed=1)
    with pytest.raises(
        OutputError, match=r"another encoder and decoder.*; the finished style is in .*new\.style"
    ):
        add(progress=lambda *_: bundle.write(bank, other))
    bundle.write(bank, before)
    editing.import_style(bank.with_name("run") / "new.style.safetensors", bank=bank)
    assert bundle.read(bank).names == ("wave", "new")


@pytest.mark.parametrize("wrong", ["full", "read-only", "another run", "no VGG", "teaches nothing"])
def test_what_can_be_refused_is_refused_before_vgg_looks_at_a_picture(
    wrong: str, add: Add, bank: Path, monkeypatch: pytest.MonkeyPatch, make_bank: Callable[..., Bundle]
) -> None:
    why = {
        "full": "has no room for another style",
        "read-only": "cannot be locked",
        "another run": r"its \[training\] seed changed since",
        "no VGG": "cannot be read",
        "teaches nothing": r"\[loss\] style: is 0",
    }[wrong]
    how: dict[str, Any] = {}
    if wrong == "another run":
        add(stop=lambda: True)
        how = {"seed": 1}
    elif wrong == "full":
        monkeypatch.setattr("stylebank.files.tensorfile.MAX_HEADER", 9000)
    elif wrong == "read-only":
        monkeypatch.setattr(
            "stylebank.files.atomic.FileLock",
            lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "no")),
        )
    elif wrong == "no VGG":
        how = {"vgg": bank.with_name("none")}
    else:
        bundle.write(bank, make_bank({"wave": 3}, training={"config": {"loss": {"style": 0.0}}}))
    monkeypatch.setattr("stylebank.supervision.vgg.VGG.forward", lambda *_: pytest.fail("VGG looked"))
    with pytest.raises(StyleBankError, match=why):
        add(**how)

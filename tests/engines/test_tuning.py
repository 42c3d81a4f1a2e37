"""The fastest engine is measured when that pays, remembered, and forgotten when the machine is another."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stylebank.bank import mixture
from stylebank.bank.bundle import Bundle
from stylebank.engines import choice, tuning
from stylebank.engines.choice import Engine, Work

SPEEDS = {"openvino": 0.03, "onnx": 0.01, "torch": 0.02}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def work(make_bank: Callable[..., Bundle]) -> Work:
    return Work(make_bank({"wave": 3}), mixture.parse("wave"), device="cpu")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Engine]:
    """Engines in the order in which they were measured; how fast each is is made up."""
    seen: list[Engine] = []

    def seconds(engine: Engine, _: Work) -> float:
        seen.append(engine)
        return SPEEDS[engine]

    monkeypatch.setattr(tuning, "_seconds", seconds)
    return seen


def fastest(work: Work, photos: int) -> Engine:
    return tuning.fastest(work, default="openvino", photos=photos, note=lambda _: None)


def test_for_few_photos_nothing_is_measured(work: Work, measured: list[Engine], home: Path) -> None:
    assert fastest(work, tuning.MANY - 1) == "openvino"
    assert (measured, list(home.iterdir())) == ([], [])


def test_for_many_photos_the_fastest_is_found_once_and_remembered(work: Work, measured: list[Engine]) -> None:
    assert fastest(work, tuning.MANY) == "onnx"
    assert measured == ["openvino", "onnx", "torch"]
    assert [fastest(work, count) for count in (1, 1000)] == ["onnx", "onnx"]
    assert len(measured) == 3
    assert fastest(replace(work, precision="float32"), 1) == "openvino", "the control: another precision"


def test_only_engines_that_know_the_precision_are_measured(work: Work, measured: list[Engine]) -> None:
    assert fastest(replace(work, precision="bfloat16"), 100) == "torch"
    assert measured == ["openvino", "torch"]


def test_another_machine_or_a_damaged_memory_is_measured_anew(
    work: Work, measured: list[Engine], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fastest(work, 100)
    monkeypatch.setattr(choice, "cores", lambda: 77)
    assert fastest(work, 1) == "openvino"
    assert fastest(work, 100) == "onnx"
    memory = home / "stylebank/engines.json"
    assert len(json.loads(memory.read_text())) == 2, "both machines share a home"
    for damaged in ("", "[]", "{", '{"x": 3}', "\udcff"):
        memory.write_bytes(damaged.encode(errors="surrogateescape"))
        measured.clear()
        assert fastest(work, 100) == "onnx"
        assert len(measured) == 3


def test_an_engine_that_is_gone_is_not_used(
    work: Work, measured: list[Engine], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fastest(work, 100)
    memory = home / "stylebank/engines.json"
    memory.write_text(memory.read_text().replace("onnx", "abacus"))
    assert fastest(work, 1) == "openvino"
    monkeypatch.setattr(choice, "able", lambda _: ("torch",))
    measured.clear()
    assert tuning.fastest(work, default="torch", photos=100, note=print) == "torch"
    assert measured == [], "there is nothing to choose"


def test_real_engines_are_measured_and_told(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_SIDE", 32)
    told: list[str] = []
    best = tuning.fastest(work, default="openvino", photos=100, note=told.append)
    assert best in choice.able("auto")
    assert told[0].startswith(f"{best} is the fastest engine on this machine (32 x 32 px: openvino ")


def test_a_home_that_cannot_be_written_is_no_mistake(
    work: Work, measured: list[Engine], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    assert [fastest(work, 100), fastest(work, 100)] == ["onnx", "onnx"]
    assert len(measured) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders for caches")
@pytest.mark.parametrize("unset", [None, ""])
def test_without_a_folder_for_caches_it_is_remembered_below_the_home(
    home: Path, unset: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tuning._memory() == home / "stylebank/engines.json"
    monkeypatch.setenv("HOME", str(home / "me"))
    monkeypatch.delenv("XDG_CACHE_HOME")
    if unset is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
    assert tuning._memory() == home / "me/.cache/stylebank/engines.json"

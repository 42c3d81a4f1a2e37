"""The fastest engine is measured when that pays, remembered, and forgotten when the machine is another."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stylebank.bank.bundle import Bundle
from stylebank.engines import choice, tuning
from stylebank.engines.choice import Computing
from stylebank.machine import devices

SPEEDS = {"openvino": 0.03, "onnx": 0.01, "torch": 0.02}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


AUTO = Computing(device="cpu")


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Engines in the order in which they were measured; how fast each is is made up."""
    seen: list[str] = []

    def seconds(computing: Computing, _: Bundle) -> float:
        seen.append(computing.engine)
        return SPEEDS[computing.engine]

    monkeypatch.setattr(tuning, "_seconds", seconds)
    return seen


@pytest.fixture
def fastest(bank: Bundle) -> Callable[..., str]:
    """Which engine is chosen for so many photos."""

    def chosen(photos: int, computing: Computing = AUTO) -> str:
        found = tuning.tuned(computing, bank, photos=photos, note=lambda _: None)
        assert replace(found, engine=computing.engine) == computing, "nothing else is changed"
        return found.engine

    return chosen


def test_for_few_photos_nothing_is_measured(
    fastest: Callable[..., str], measured: list[str], home: Path
) -> None:
    assert fastest(tuning.MANY - 1) == "auto"
    assert (measured, list(home.iterdir())) == ([], [])


def test_for_many_photos_the_fastest_is_found_once_and_remembered(
    fastest: Callable[..., str], measured: list[str]
) -> None:
    assert fastest(tuning.MANY) == "onnx"
    assert measured == ["openvino", "onnx", "torch"]
    assert [fastest(count) for count in (1, 1000)] == ["onnx", "onnx"]
    assert len(measured) == 3
    assert fastest(1, replace(AUTO, precision="float32")) == "auto", "the control: another precision"


def test_only_engines_that_know_the_precision_are_measured(
    fastest: Callable[..., str], measured: list[str]
) -> None:
    assert fastest(100, replace(AUTO, precision="bfloat16")) == "torch"
    assert measured == ["openvino", "torch"]


def test_what_is_asked_for_or_computes_on_a_gpu_is_not_measured(
    fastest: Callable[..., str], measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fastest(100, replace(AUTO, engine="openvino")) == "openvino"
    assert fastest(100, Computing(device="cuda")) == "auto"
    monkeypatch.setattr(choice, "on_gpu", lambda _: True)
    assert fastest(100, Computing()) == "auto"
    assert measured == []


def test_another_machine_or_a_damaged_memory_is_measured_anew(
    fastest: Callable[..., str], measured: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fastest(100)
    monkeypatch.setattr(devices, "cores", lambda: 77)
    assert fastest(1) == "auto"
    assert fastest(100) == "onnx"
    memory = home / "stylebank/engines.json"
    assert len(json.loads(memory.read_text())) == 2, "both machines share a home"
    for damaged in ("", "[]", "{", '{"x": 3}', "\udcff"):
        memory.write_bytes(damaged.encode(errors="surrogateescape"))
        measured.clear()
        assert fastest(100) == "onnx"
        assert len(measured) == 3


def test_an_engine_that_is_gone_is_not_used(
    fastest: Callable[..., str], measured: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fastest(100)
    memory = home / "stylebank/engines.json"
    memory.write_text(memory.read_text().replace("onnx", "abacus"))
    assert fastest(1) == "auto"
    monkeypatch.setattr(Computing, "able", lambda _: ("torch",))
    measured.clear()
    assert fastest(100) == "auto"
    assert measured == [], "there is nothing to choose"


def test_real_engines_are_measured_and_told(bank: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_SIDE", 32)
    told: list[str] = []
    best = tuning.tuned(AUTO, bank, photos=100, note=told.append).engine
    assert best in AUTO.able()
    assert told[0].startswith(f"{best} is the fastest engine on this machine (32 x 32 px: openvino ")


def test_a_home_that_cannot_be_written_is_no_mistake(
    fastest: Callable[..., str], measured: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    assert [fastest(100), fastest(100)] == ["onnx", "onnx"]
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

"""A wish that painting end: heard inside of engines, and what is painted after it is right."""

import time
from collections.abc import Callable
from functools import partial
from threading import Event, Thread, Timer

import numpy as np
import pytest
from PIL import Image

from stylebank.bank.bundle import Bundle
from stylebank.engines.choice import Computing
from stylebank.machine import halts
from stylebank.machine.halts import Halt
from stylebank.painting.painter import StyleBank


def test_only_the_thread_that_hears_it_ends() -> None:
    halt, other, heard = Halt(), Halt(), list[bool]()
    with halt.heard():
        assert halts.current() is halt
        with other.heard():
            halt.set()
            halts.check()
        with pytest.raises(InterruptedError):
            halts.check()
        thread = Thread(target=lambda: heard.append(halts.current().is_set))
        thread.start()
        thread.join()
    halts.check()
    assert heard == [False]


def test_what_lasts_long_is_ended_by_its_own_means_and_its_own_errors_stay() -> None:
    halt, ended = Halt(), Event()

    def lasting() -> None:
        if ended.wait(10):
            raise RuntimeError("cancelled")

    Timer(0.05, halt.set).start()
    with pytest.raises(InterruptedError), halt.by(ended.set):
        lasting()
    with pytest.raises(InterruptedError), halt.by(ended.set):  # wished before it began
        lasting()
    with pytest.raises(RuntimeError, match="another"), Halt().by(ended.set):
        raise RuntimeError("another")


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_a_halted_painting_ends_at_once_and_the_next_is_right(
    engine: str, make_bank: Callable[..., Bundle]
) -> None:
    bank = StyleBank(make_bank({"wave": 3}), computing=Computing(engine, "float32"))
    small = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    photo = Image.fromarray(small).resize((1500, 1000))
    expected, canvas = np.asarray(bank.stylize(photo, "wave")), bank.open(photo)
    for paint in (bank.stylize, lambda _, style: canvas.stylize(style)):
        halt = Halt()
        Timer(0.1, halt.set).start()
        with pytest.raises(InterruptedError), halt.heard():
            _again(partial(paint, photo, "wave"))
        assert halt.is_set
        assert (np.asarray(paint(photo, "wave")) == expected).all()


def _again(paint: Callable[[], object]) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < 60:
        paint()

"""The first Ctrl-C is a request, the second is not, and nothing is left of either afterwards."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from stylebank.machine.interrupts import StopRequest

pytestmark = pytest.mark.posix  # on Windows a process that signals itself is ended
SIGNALS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
codes = pytest.mark.parametrize(("number", "code"), [(number, 128 + number) for number in SIGNALS])


class UsualError(Exception):
    """What the handlers around a test raise."""


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """Handlers that can be told from Python's own, and that survive what a test does."""

    def act(_number: int, _frame: object) -> None:
        raise UsualError

    before = {number: signal.signal(number, act) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_nobody_has_asked_at_first() -> None:
    with StopRequest() as stop:
        assert not stop()
        assert stop.signal is None


@codes
def test_first_signal_is_remembered_with_the_exit_code_of_the_shell(
    number: signal.Signals, code: int
) -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), number)
        assert stop()
        assert (stop.signal, stop.exit_code) == (number, code)
    assert stop()


@codes
@pytest.mark.parametrize("second", SIGNALS)
def test_second_signal_acts_as_usual(number: signal.Signals, code: int, second: signal.Signals) -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), number)
        with pytest.raises(UsualError):
            os.kill(os.getpid(), second)
    assert stop.exit_code == code


def test_closed_terminal_is_no_request_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stop()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_handlers_are_those_of_before_afterwards_asked_or_not() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with StopRequest():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with StopRequest():
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with pytest.raises(ZeroDivisionError), StopRequest():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in SIGNALS] == before


@codes
def test_second_signal_kills_a_program(number: signal.Signals, code: int) -> None:
    lines = (
        "import os, signal, sys",
        "from stylebank.machine.interrupts import StopRequest",
        "with StopRequest() as stop:",
        f"    os.kill(os.getpid(), {int(number)})",
        "    print(stop.exit_code, flush=True)",
        f"    os.kill(os.getpid(), {int(number)})",
        "print('survived')",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{code}\n"
    assert done.returncode == -number  # as Python's own handlers leave: by the signal itself

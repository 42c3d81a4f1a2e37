"""SIGINT, SIGTERM and SIGHUP, a terminal that was closed, as a polite request: finish the step, save, leave.

On Windows SIGBREAK too: Ctrl-Break, and what a console sends to programs that were started in a group of their own.
There, SIGTERM comes from nobody but the program itself: who ends a process ends it at once.
"""

import errno
import os
import signal
from collections.abc import Callable
from threading import current_thread, main_thread
from types import FrameType, TracebackType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)
"""Those that ask to stop, on this system."""

_WINDOWS = os.name == "nt"


def _heard() -> list[int]:
    """The signals to listen to; under `nohup` a closed terminal is none."""
    if current_thread() is not main_thread():
        return []
    hangup = getattr(signal, "SIGHUP", None)
    return [each for each in SIGNALS if each != hangup or signal.getsignal(each) is not signal.SIG_IGN]


class StopRequest:
    """Context manager that remembers the first signal that asks to stop; a second one acts as usual.

    Outside the main thread, where Python hears no signals, nobody ever asks.

    Args:
        agree: makes one number of those of all processes that stop together: the largest. Alone, the process's own.
    """

    def __init__(self, agree: Callable[[int], int] = int) -> None:
        self._agree = agree
        self.signal: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        for number in _heard():
            self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def __call__(self) -> bool:
        """Whether somebody asked to stop; processes that stop together all ask it, and get one answer."""
        self.signal = self._agree(self.signal or 0) or None
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, the shell's convention: 130, 143, 129 for SIGHUP, or 149 for SIGBREAK."""
        return 128 + (self.signal or 0)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous.clear()


def is_broken_pipe(error: BaseException | None) -> bool:
    """Whether an error says that nobody reads the output any more; on Windows that is an invalid argument."""
    return isinstance(error, BrokenPipeError) or (
        _WINDOWS and isinstance(error, OSError) and error.errno == errno.EINVAL
    )


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C, or what somebody's code made of it: imports wrap what is raised inside of them."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


class LeaveAtOnce:
    """Context manager in which signals that ask to stop raise KeyboardInterrupt; `signal` is the one that came."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "LeaveAtOnce":
        for number in _heard():
            self._previous[number] = signal.signal(number, self._leave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous.clear()

    def _leave(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        raise KeyboardInterrupt

"""SIGINT and SIGTERM as a polite request: finish the step, save, leave."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType


class StopRequest:
    """Context manager that remembers the first SIGINT or SIGTERM; a second one acts as usual.

    Args:
        agree: makes one number of those of all processes that stop together: the largest. Alone, the process's own.
    """

    def __init__(self, agree: Callable[[int], int] = int) -> None:
        self._agree = agree
        self.signal: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGINT, signal.SIGTERM):
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
        """128 plus the signal's number, the shell's convention: 130 or 143."""
        return 128 + (self.signal or 0)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous.clear()


class LeaveAtOnce:
    """Context manager in which SIGINT and SIGTERM raise KeyboardInterrupt; `signal` is the one that came."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "LeaveAtOnce":
        for number in (signal.SIGINT, signal.SIGTERM):
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

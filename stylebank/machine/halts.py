"""A wish that what is being computed end, heard between two passes and inside of engines, whichever code computes it.

It belongs to the thread that computes, as `decimal`'s contexts do: nothing in between has to hand it on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import RLock


class Halt:
    """The wish, and what hears it; any thread may utter it."""

    def __init__(self) -> None:
        self._lock, self._acts = RLock(), list[Callable[[], object]]()
        self.is_set = False

    def set(self) -> None:
        """Wish it; what is being computed under it ends by InterruptedError."""
        with self._lock:
            self.is_set = True
            for act in self._acts:
                self._now(act)

    def check(self) -> None:
        """Heed it here.

        Raises:
            InterruptedError: it was wished.
        """
        if self.is_set:
            raise InterruptedError("halted")

    @contextmanager
    def by(self, act: Callable[[], object]) -> Iterator[None]:
        """What inside lasts long is ended by a function, which is called where and when it is wished.

        Raises:
            InterruptedError: it was wished, and the inside has ended by an error.
        """
        with self._lock:
            self._acts.append(act)
            if self.is_set:
                self._now(act)
        try:
            yield
        except RuntimeError as error:
            if self.is_set:
                raise InterruptedError("halted") from error
            raise
        finally:
            with self._lock:
                self._acts.remove(act)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """What this thread computes inside hears it."""
        token = _HEARD.set(self)
        try:
            yield
        finally:
            _HEARD.reset(token)

    def _now(self, act: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # it has ended by itself
            act()


_HEARD: ContextVar[Halt] = ContextVar("halt")


def current() -> Halt:
    """The one that this thread hears, or one that nobody else has."""
    return _HEARD.get(None) or Halt()


def check() -> None:
    """Heed it between two steps.

    Raises:
        InterruptedError: it was wished.
    """
    current().check()

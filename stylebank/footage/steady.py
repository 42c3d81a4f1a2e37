"""Times of a stream that only grow: a file whose clock begins anew on its way goes on where it was.

Recorders and `cat` join files whose clocks have nothing to do with each other (MPEG-TS, DVDs).
"""

from fractions import Fraction

_LEAST = 1
"""Seconds that a clock falls back by where it begins anew; less is disorder."""


class Steady:
    """Follows the times of one stream.

    Args:
        base: seconds of a tick.

    Attributes:
        shift: ticks to be added to the times that the file has, from the last one on.
    """

    def __init__(self, base: Fraction) -> None:
        self._base = base
        self._end: int | None = None
        self.shift = 0

    def follow(self, time: int, length: int) -> int:
        """The steady time, in ticks, of what the file has at `time` for `length` ticks."""
        if self._end is not None and (self._end - time - self.shift) * self._base > _LEAST:
            self.shift = self._end - time
        steady = time + self.shift
        self._end = steady + max(length, 0) if self._end is None else max(self._end, steady + max(length, 0))
        return steady

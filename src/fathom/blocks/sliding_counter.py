"""A rate limiter that counts in two windows and weighs the older one: three numbers, and nearly right."""

from __future__ import annotations

import math

from fathom.blocks.rates import CLOSE, Rate, Taken

__all__ = ["SlidingCounter"]


class SlidingCounter:
    """About a burst in every stretch of one window: as if those of the window before had come evenly.

    Where they had not, it errs both ways. What came at the end of the window before weighs less and less while it is
    still within reach, so a stretch may hold nearly twice the burst, though never at once; and what came at its
    beginning still weighs when it is long gone.

    >>> counter = SlidingCounter(Rate(per_s=1, burst=4))               # four in about four seconds
    >>> [counter.take(3.9).ok for _ in range(5)]
    [True, True, True, True, False]
    >>> [counter.take(now_s).ok for now_s in (4.0, 5.0, 5.0, 6.0)]     # a quarter of the four is forgotten at 5
    [False, True, False, True]
    """

    __slots__ = ("_before", "_number", "_taken", "_window_s", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate.checked()
        self._window_s = rate.window_s
        self._number: float = -math.inf  # of the window that is counted in
        self._before, self._taken = 0, 0

    @property
    def kept(self) -> int:
        """How many numbers it holds: two counts, and whose they are."""
        return 3

    def take(self, now_s: float, tokens: int = 1) -> Taken:
        """Take `tokens`; `remaining` are those that the weighted count leaves."""
        burst, window_s = self.rate.burst, self._window_s
        number = math.floor(now_s / window_s + CLOSE)
        if number > self._number:
            self._before = self._taken if number == self._number + 1 else 0
            self._number, self._taken = number, 0
        start_s = self._number * window_s
        gone = max(0.0, (now_s - start_s) / window_s)
        weighed = self._before * max(0.0, 1 - gone) + self._taken
        if weighed + tokens > burst + burst * CLOSE:
            back_s = self._back_s(tokens) - now_s
            left = max(0, int(burst - weighed + 1e-6))  # where the clock stepped back, the window before weighs again
            return Taken(False, left, back_s, self._full_s(now_s))
        self._taken += tokens
        return Taken(True, int(burst - weighed - tokens + 1e-6), 0.0, self._full_s(now_s))

    def _back_s(self, tokens: int) -> float:
        """Return from when on so many tokens are there, if nobody asks until then."""
        burst, start_s = self.rate.burst, self._number * self._window_s
        if tokens > burst:
            return math.inf
        older = self._before
        if self._taken + tokens > burst:  # not in this window
            older, start_s = self._taken, start_s + self._window_s
            free = burst - tokens
        else:
            free = burst - self._taken - tokens
        return start_s + (1 - free / older) * self._window_s if older > free else start_s

    def _full_s(self, now_s: float) -> float:
        windows = 2 if self._taken else 1 if self._before else 0
        return max(0.0, (self._number + windows) * self._window_s - now_s) if windows else 0.0

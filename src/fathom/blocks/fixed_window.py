"""A rate limiter that counts in windows which stand still: two numbers, and twice the rate across a boundary."""

from __future__ import annotations

import math

from fathom.blocks.rates import CLOSE, Rate, Taken

__all__ = ["FixedWindow"]


class FixedWindow:
    """At most a burst between one multiple of the window and the next.

    Nothing is known of when in the window they came: a burst at its end and a burst at the beginning of the next are
    both let in. That is twice the burst at once, and why the other four limiters exist.

    >>> window = FixedWindow(Rate(per_s=1, burst=3))                   # three in every three seconds
    >>> [window.take(2.9).ok for _ in range(4)], [window.take(3.0).ok for _ in range(4)]
    ([True, True, True, False], [True, True, True, False])
    """

    __slots__ = ("_end_s", "_taken", "_window_s", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate.checked()
        self._window_s = rate.window_s
        self._end_s, self._taken = -math.inf, 0

    @property
    def kept(self) -> int:
        """How many numbers it holds: the count, and whose it is."""
        return 2

    def take(self, now_s: float, tokens: int = 1) -> Taken:
        """Take `tokens` of the window that `now_s` lies in; of a later one, if one was asked for before."""
        if now_s >= self._end_s - CLOSE * self._window_s:
            self._end_s = (math.floor(now_s / self._window_s + CLOSE) + 1) * self._window_s
            self._taken = 0
        left, rest_s = self.rate.burst - self._taken, self._end_s - now_s
        if tokens > left:
            return Taken(False, left, rest_s if tokens <= self.rate.burst else math.inf, rest_s if self._taken else 0.0)
        self._taken += tokens
        return Taken(True, left - tokens, 0.0, rest_s)

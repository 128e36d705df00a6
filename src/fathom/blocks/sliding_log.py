"""A rate limiter that remembers when each request was let in: exact, and as large as the burst."""

from __future__ import annotations

import math
from collections import deque

from fathom.blocks.rates import CLOSE, Rate, Taken

__all__ = ["SlidingLog"]


class SlidingLog:
    """At most a burst in every stretch of one window, wherever it begins.

    What was refused is not remembered: else whoever keeps asking would be locked out for good.

    >>> log = SlidingLog(Rate(per_s=1, burst=3))                       # three in any three seconds
    >>> [log.take(now_s).ok for now_s in (2.0, 2.5, 2.9, 3.0, 4.9, 5.0)]
    [True, True, True, False, False, True]
    """

    __slots__ = ("_log", "_window_s", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate.checked()
        self._window_s = rate.window_s
        self._log: deque[float] = deque()

    @property
    def kept(self) -> int:
        """How many numbers it holds: one for each request that was let in within the window, at most a burst."""
        return len(self._log)

    def take(self, now_s: float, tokens: int = 1) -> Taken:
        """Take `tokens`; `remaining` are those that nobody let in within the last window has."""
        log, window_s = self._log, self._window_s
        last_s = max(now_s, log[-1]) if log else now_s  # a clock that went back makes nothing younger
        while log and log[0] <= last_s - window_s * (1 - CLOSE):
            log.popleft()
        left = self.rate.burst - len(log)
        if tokens > left:
            retry_s = log[tokens - left - 1] + window_s - now_s if tokens <= self.rate.burst else math.inf
            return Taken(False, left, retry_s, log[-1] + window_s - now_s if log else 0.0)
        log.extend([last_s] * tokens)
        return Taken(True, left - tokens, 0.0, last_s + window_s - now_s)

"""A rate limiter that saves tokens up: a burst may spend what was saved, then the rate is all there is."""

from __future__ import annotations

import math

from fathom.blocks.rates import CLOSE, Rate, Taken

__all__ = ["TokenBucket"]


class TokenBucket:
    """Holds at most a burst of tokens, full at first; they come back one by one, at the rate.

    Nothing fills it but being asked: what has come back since the last time is worked out then. `limiter.Limiter` is
    this bucket for many callers, kept as one number each.

    >>> bucket = TokenBucket(Rate(per_s=1, burst=3))
    >>> [bucket.take(now_s).ok for now_s in (0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 2.0)]
    [True, True, True, False, True, False, True]
    """

    __slots__ = ("_at_s", "_tokens", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate.checked()
        self._tokens = float(rate.burst)
        self._at_s = -math.inf

    @property
    def kept(self) -> int:
        """How many numbers it holds: the tokens, and when there were so many."""
        return 2

    def level(self, now_s: float) -> float:
        """Return how many tokens there are."""
        since_s = max(0.0, now_s - self._at_s)
        return min(float(self.rate.burst), self._tokens + since_s * self.rate.per_s)

    def take(self, now_s: float, tokens: int = 1) -> Taken:
        """Take `tokens`, if there are so many whole ones."""
        burst, per_s = self.rate.burst, self.rate.per_s
        self._tokens = self.level(now_s)
        behind_s = max(0.0, self._at_s - now_s)  # a clock that stepped back brings nothing, and nothing twice
        self._at_s = max(self._at_s, now_s)
        ok = tokens <= self._tokens + burst * CLOSE
        if ok:
            self._tokens = max(0.0, self._tokens - tokens)
        retry_s = 0.0 if ok else math.inf if tokens > burst else (tokens - self._tokens) / per_s + behind_s
        return Taken(ok, int(self._tokens + 1e-6), retry_s, (burst - self._tokens) / per_s + behind_s)

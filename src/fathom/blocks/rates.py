"""What a rate limiter is asked and what it answers, whichever way it counts."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self

__all__ = ["CLOSE", "Rate", "RateLimit", "Taken", "most_within"]

CLOSE = 1e-9  # of a window or a token: a wait of exactly `retry_s` must do, whatever the last bit of a float says


class Rate(NamedTuple):
    """`per_s` tokens come back every second; `burst` of them may be spent at once."""

    per_s: float
    burst: int

    @property
    def window_s(self) -> float:
        """How long a whole burst takes to come back: the window of the limiters that count in windows.

        >>> Rate(per_s=10, burst=50).window_s
        5.0
        """
        return self.burst / self.per_s

    def checked(self) -> Self:
        """Return the rate, or raise ValueError where it means nothing."""
        if not (self.per_s > 0 and math.isfinite(self.per_s) and self.burst >= 1):
            raise ValueError(f"a limiter needs a positive rate and a burst, not {self}")
        return self


class Taken(NamedTuple):
    """What became of one request for a token."""

    ok: bool
    remaining: int  # tokens left for this key now
    retry_s: float  # 0.0 when ok; otherwise the wait after which the same request succeeds, if nobody else asks
    full_s: float  # until all tokens are back
    wait_s: float = 0.0  # how long what was let in is held back before it may go: only a leaky bucket does that


class RateLimit(Protocol):
    """Limits one caller. Times are seconds of one clock; one that steps back lets no more in than if it stood still."""

    def take(self, now_s: float, tokens: int = 1) -> Taken:
        """Take `tokens`, or nothing when they are not all there. More than a burst never are: `retry_s` is infinite."""
        ...

    @property
    def kept(self) -> int:
        """How many numbers it holds for its caller now: what a store would have to keep of it."""
        ...


def most_within(granted_s: Sequence[float], span_s: float) -> int:
    """Return how many of these times, given in order, lie in the fullest stretch of `span_s`, its end left out.

    >>> most_within([0.0, 0.9, 1.0, 1.1, 5.0], 1.0)
    3
    """
    return max((bisect_left(granted_s, begin + span_s) - at for at, begin in enumerate(granted_s)), default=0)

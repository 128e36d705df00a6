"""A rate limiter that makes requests wait in a queue which drains at the rate: what comes out is even.

It lets in exactly those that a token bucket lets in. A token bucket sends them on at once, in bursts; this one says to
each how long to wait, so that what lies behind it never sees two closer than the rate. Its one number, the time at
which the queue is empty, is what telephone networks call the theoretical arrival time (the generic cell rate algorithm,
ITU-T I.371), and small enough to be compared and set.
"""

from __future__ import annotations

import math

from fathom.blocks.rates import CLOSE, Rate, Taken

__all__ = ["LeakyBucket", "poured"]


def poured(empty_s: float, now_s: float, rate: Rate, tokens: int = 1) -> tuple[Taken, float]:
    """Return what becomes of a request, and when the queue is empty then: all that is kept goes in and comes out.

    Where several share the number in a store, they read it, work this out, and write it only if it is still what they
    had read (compare and set), else again: two that read the same and both write let both in and count one.

    >>> poured(0.0, 10.0, Rate(per_s=2, burst=1))
    (Taken(ok=True, remaining=0, retry_s=0.0, full_s=0.5, wait_s=0.0), 10.5)
    >>> poured(10.5, 10.1, Rate(per_s=2, burst=1))[0].ok
    False
    """
    per_s, burst = rate
    since_s = max(empty_s, now_s)
    level = (since_s - now_s) * per_s
    if level + tokens > burst + burst * CLOSE:
        retry_s = (level + tokens - burst) / per_s if tokens <= burst else math.inf
        return Taken(False, max(0, int(burst - level + 1e-6)), retry_s, since_s - now_s), empty_s
    after_s = since_s + tokens / per_s
    left = max(0, int(burst - level - tokens + 1e-6))
    return Taken(True, left, 0.0, after_s - now_s, since_s - now_s), after_s


class LeakyBucket:
    """Holds at most a burst of requests that wait; one may go on at once, the next when it is its turn.

    >>> bucket = LeakyBucket(Rate(per_s=2, burst=3))
    >>> [(taken.ok, taken.wait_s) for taken in (bucket.take(0.0) for _ in range(4))]
    [(True, 0.0), (True, 0.5), (True, 1.0), (False, 0.0)]
    """

    __slots__ = ("_empty_s", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate.checked()
        self._empty_s = -math.inf

    @property
    def kept(self) -> int:
        """How many numbers it holds: when the queue is empty."""
        return 1

    def take(self, now_s: float, tokens: int = 1) -> Taken:
        """Let a request of so many tokens into the queue; `wait_s` is how long until it may go."""
        taken, self._empty_s = poured(self._empty_s, now_s, self.rate, tokens)
        return taken

"""How often may one caller come: a token bucket per key, in bounded memory, with the time as an argument."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable

from fathom.blocks.rates import Rate, Taken

__all__ = ["Limiter", "Rate", "Taken"]


_taken = tuple.__new__  # past the named tuple's own way of being made, which costs as much as all the rest


class Limiter:
    """Token buckets by key, each kept as one number: the time at which it will be full again (GCRA).

    A bucket that is full says nothing, so it can be forgotten; the longest untouched one is the likeliest. When
    `keys_max` buckets are held and not even that one is full, further keys share one bucket: whoever floods the
    table with new keys gets no more from it than a single caller, and nobody's bucket is refilled by forgetting it.

    >>> limiter = Limiter(Rate(per_s=1, burst=2))
    >>> [limiter.take("ann", 0.0).ok for _ in range(3)]
    [True, True, False]
    >>> limiter.take("ann", 1.0).ok
    True
    """

    def __init__(self, rate: Rate, *, keys_max: int = 100_000) -> None:
        if not (rate.per_s > 0 and math.isfinite(rate.per_s) and rate.burst >= 1 and keys_max >= 1):
            raise ValueError(f"a limiter needs a positive rate, a burst and room for a key, not {rate}, {keys_max}")
        self.rate = rate
        self._per_s, self._step_s = rate.per_s, 1 / rate.per_s
        self._depth_s = rate.burst / rate.per_s
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()
        self._keys_max = keys_max
        self._shared_full_at = -math.inf

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: Hashable, now_s: float, tokens: int = 1) -> Taken:
        """Take `tokens` from the bucket of `key`, or nothing when they are not all there."""
        buckets = self._full_at
        full_at = buckets.get(key)
        if full_at is None:
            if not self._room(now_s):
                taken, self._shared_full_at = self._spend(self._shared_full_at, now_s, tokens)
                return taken
            full_at = now_s
        else:
            buckets.move_to_end(key)
            # Written out for who is known and has tokens left: nearly everybody, and each request pays for it.
            after = (full_at if full_at > now_s else now_s) + tokens * self._step_s
            left = (self._depth_s - after + now_s) * self._per_s
            if left >= 0.0:
                buckets[key] = after
                return _taken(Taken, (True, int(left + 1e-6), 0.0, after - now_s, 0.0))
        taken, buckets[key] = self._spend(full_at, now_s, tokens)
        return taken

    def back(self, key: Hashable, tokens: int = 1) -> None:
        """Give back what was taken and came to nothing. What the shared bucket gave is gone."""
        full_at = self._full_at.get(key)
        if full_at is not None:
            self._full_at[key] = full_at - tokens * self._step_s

    def _spend(self, full_at: float, now_s: float, tokens: int) -> tuple[Taken, float]:
        since = full_at if full_at > now_s else now_s
        after = since + tokens * self._step_s
        over_s = after - now_s - self._depth_s
        if over_s > 1e-9 * self._depth_s:  # a wait of exactly retry_s must do, whatever the last bit says
            return Taken(False, self._left(since - now_s), over_s, since - now_s), since
        return Taken(True, self._left(after - now_s), 0.0, after - now_s), after

    def _left(self, missing_s: float) -> int:
        left = int((self._depth_s - missing_s) * self._per_s + 1e-6)  # towards 0, as below 0 there is nothing
        return left if left > 0 else 0

    def _room(self, now_s: float) -> bool:
        buckets = self._full_at
        if len(buckets) < self._keys_max:
            return True
        oldest = next(iter(buckets))
        if buckets[oldest] > now_s:
            return False
        del buckets[oldest]
        return True

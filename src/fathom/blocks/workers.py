"""Who is which worker: numbers that are lent for stretches of time which never overlap, whatever anybody's clock says.

Ids that have a worker's number in them are unique as long as no two workers have the same one. Written into a file by
hand, two have it after the first copied machine. Lent for a time and judged by clocks, two have it as long as the
clocks disagree. Here the stretch is one of the ids' own times: whoever borrows a number for a stretch may use an id if
its time lies in it, and the next one's stretch begins where this one ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Lent", "Workers"]


class Lent(NamedTuple):
    """A worker's number, for ids whose time is from `from_ms` until just before `until_ms`."""

    worker: int
    from_ms: int
    until_ms: int

    def covers(self, at_ms: int) -> bool:
        """Whether an id of this time may be used."""
        return self.from_ms <= at_ms < self.until_ms


class Workers:
    """Lends numbers from 0 on, `count` of them, each for `lasts_ms`. Its own clock decides only who waits how long.

    What it has lent it knows from `until_ms` alone: write that down after each `lend` and `renew`, before the borrower
    is told, and give it to the one that takes over. One that begins anew lends stretches that are still held.

    >>> workers = Workers(1, lasts_ms=60_000)
    >>> ann = workers.lend(1_000)
    >>> ann, workers.lend(2_000)
    (Lent(worker=0, from_ms=1000, until_ms=61000), None)
    >>> workers.renew(ann, 31_000)
    Lent(worker=0, from_ms=1000, until_ms=91000)
    >>> workers.renew(ann, 32_000) is None            # that is not what it has now
    True
    >>> workers.lend(91_000)
    Lent(worker=0, from_ms=91000, until_ms=151000)
    >>> Workers(1, lasts_ms=60_000, until_ms=workers.until_ms).lend(150_000) is None
    True
    """

    __slots__ = ("_until_ms", "count", "lasts_ms")

    def __init__(self, count: int, *, lasts_ms: int, until_ms: Sequence[int] = ()) -> None:
        if not (count >= 1 and lasts_ms >= 1 and len(until_ms) in (0, count)):
            ends = f", with {len(until_ms)} ends" if until_ms else ""
            raise ValueError(f"there is a number to lend, for a time: not {count}, {lasts_ms} ms{ends}")
        self.count, self.lasts_ms = count, lasts_ms
        self._until_ms = list(until_ms) or [0] * count

    @property
    def until_ms(self) -> tuple[int, ...]:
        """Until when each number is lent, or was lent last: all that has to outlive the lender."""
        return tuple(self._until_ms)

    def lend(self, now_ms: int) -> Lent | None:
        """Lend the number that was given back longest ago; None: all of them are lent."""
        worker = min(range(self.count), key=self._until_ms.__getitem__)
        if self._until_ms[worker] > now_ms:
            return None
        self._until_ms[worker] = now_ms + self.lasts_ms
        return Lent(worker, now_ms, now_ms + self.lasts_ms)

    def renew(self, lent: Lent, now_ms: int) -> Lent | None:
        """Lend the same number for longer; None: it is somebody else's by now, or the stretch is an old one."""
        if self._until_ms[lent.worker] != lent.until_ms:
            return None
        until_ms = self._until_ms[lent.worker] = max(lent.until_ms, now_ms + self.lasts_ms)
        return Lent(lent.worker, lent.from_ms, until_ms)

"""A bulkhead: so many calls of one kind at once, so many that wait and for so long, and the rest are told no.

One for each dependency, so that those who wait for a slow one do not take the places of those who want another. A pool
that has no bound on its queue, and none on how long one waits in it, only moves the place where everybody stands.
"""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["Bulkhead", "Entry"]


class Entry(enum.StrEnum):
    """What became of one who wanted in."""

    IN = "in"
    WAITS = "waits"
    REFUSED = "refused"


class Bulkhead:
    """`places` for those that are in, `queue_max` for those that wait, none of them for longer than `wait_s_max`.

    Callers are told apart by `who`; each that is in or waits says `leave` once. Whoever waits is let in, first come,
    by the `leave` of another, and turned out by `overdue`.

    >>> bulkhead = Bulkhead(1, queue_max=1, wait_s_max=5)
    >>> [bulkhead.enter(who, 0.0).value for who in ("ann", "bob", "cid")]
    ['in', 'waits', 'refused']
    >>> bulkhead.leave("ann", 1.0)
    ['bob']
    """

    __slots__ = ("_in", "_late", "_waiting", "places", "queue_max", "wait_s_max")

    def __init__(self, places: int, *, queue_max: int = 0, wait_s_max: float = math.inf) -> None:
        if not (places >= 1 and queue_max >= 0 and wait_s_max > 0):
            raise ValueError(f"a bulkhead has a place at least: not {places}, {queue_max} to wait, {wait_s_max} s")
        self.places, self.queue_max, self.wait_s_max = places, queue_max, wait_s_max
        self._in: set[Hashable] = set()
        self._waiting: OrderedDict[Hashable, float] = OrderedDict()  # since when, the longest first
        self._late: dict[Hashable, None] = {}  # they are out and were not told, in the order in which they came

    @property
    def inside(self) -> int:
        """How many are in."""
        return len(self._in)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def enter(self, who: Hashable, now_s: float, *, spare: int = 0) -> Entry:
        """Let somebody in, let them wait, or refuse them.

        `spare`: how many places have to stay free for others; whoever matters less leaves more, and does not wait
        (load shedding). It raises ValueError for one who is there already, or waited for too long and was not told so.
        """
        self._look(now_s)
        if who in self._in or who in self._waiting or who in self._late:  # else one `leave` would stand for two
            raise ValueError(f"{who!r} is there already")
        if len(self._in) + spare < self.places:  # so nobody waits: a place that gets free is taken at once
            self._in.add(who)
            return Entry.IN
        if spare or len(self._waiting) >= self.queue_max:
            return Entry.REFUSED
        self._waiting[who] = now_s
        return Entry.WAITS

    def leave(self, who: Hashable, now_s: float) -> list[Hashable]:
        """Let somebody go, who was in or waited, and return who is in for that: nobody, or the next in turn.

        It raises KeyError for one who is neither: a place that is given back twice would be taken by two.
        """
        self._look(now_s)
        if who in self._waiting:
            del self._waiting[who]
            return []
        if who in self._late:
            del self._late[who]
            return []
        self._in.remove(who)
        if not self._waiting:
            return []
        following, _ = self._waiting.popitem(last=False)
        self._in.add(following)
        return [following]

    def overdue(self, now_s: float) -> list[Hashable]:
        """Return those that have waited for too long since this was asked last; they are out, and need not leave."""
        self._look(now_s)
        late, self._late = self._late, {}
        return list(late)

    def due_s(self) -> float:
        """Return when the next one will have waited for too long; infinite where nobody will."""
        return next(iter(self._waiting.values()), math.inf) + self.wait_s_max

    def _look(self, now_s: float) -> None:
        while self._waiting and now_s - next(iter(self._waiting.values())) >= self.wait_s_max:
            self._late[self._waiting.popitem(last=False)[0]] = None

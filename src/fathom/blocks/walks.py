"""A list that grows at its head, read downwards page by page: what a walk met twice, and what it passed over."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

__all__ = ["Again", "There", "Walk", "met_again"]

Key = Any  # whatever the list goes by: comparable, the newest highest


class Walk(NamedTuple):
    """Pages that were each asked for from where the one before had ended."""

    began_s: float
    pages: Sequence[Sequence[Key]]  # highest first
    whole: bool  # it came to the end


class Again(NamedTuple):
    """One thing that was met again: on which pages, by their numbers."""

    thing: Key
    first: int
    again: int


def met_again(walk: Walk) -> Iterator[Again]:
    """Yield what a walk met again, as often as it did.

    >>> list(met_again(Walk(0.0, [[4, 3], [3, 2]], whole=False)))
    [Again(thing=3, first=0, again=1)]
    """
    met: dict[Key, int] = {}
    for number, page in enumerate(walk.pages):
        for thing in page:
            if thing in met:
                yield Again(thing, met[thing], number)
            met.setdefault(thing, number)


class There:
    """What is surely in the list, and from when on.

    >>> there = There([(0.0, 1), (0.0, 2), (5.0, 3), (0.0, 4)])
    >>> list(there.passed_over(Walk(1.0, [[4], [1]], whole=True)))
    [2]
    """

    def __init__(self, things: Iterable[tuple[float, Key]]) -> None:
        by_time = sorted(things)
        self._times = [from_s for from_s, _ in by_time]
        self._highest = list(accumulate((key for _, key in by_time), max))  # of all that were there by then
        by_key = sorted((key, from_s) for from_s, key in by_time)
        self._keys = [key for key, _ in by_key]
        self._from_s = [from_s for _, from_s in by_key]

    def passed_over(self, walk: Walk) -> Iterator[Key]:
        """Yield what was there before the walk began and lies where it went, and that it did not meet."""
        before = bisect_left(self._times, walk.began_s)
        if not before:
            return
        met = {key for page in walk.pages for key in page}
        if not walk.whole and not met:
            return
        at = 0 if walk.whole else bisect_left(self._keys, min(met))
        while at < len(self._keys) and self._keys[at] <= self._highest[before - 1]:
            if self._from_s[at] < walk.began_s and self._keys[at] not in met:
                yield self._keys[at]
            at += 1

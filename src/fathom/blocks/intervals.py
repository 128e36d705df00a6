"""Which of many intervals hold a place, for many places in one pass over both."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

__all__ = ["Held", "holders"]


class Held(NamedTuple):
    """How many intervals hold a place, and the numbers of the first of them."""

    many: int
    first: tuple[int, ...]


def holders(places: Iterable[float], intervals: Sequence[tuple[float, float]], most: int) -> dict[float, Held]:
    """Return for each place that any interval holds how many do, and the numbers of the first `most`, as they lie.

    An interval holds its low end and all up to its high end, which it does not hold. The places are met in ascending
    order, so what has been left behind never comes back: n places and m intervals take about (n + m) log m steps.

    >>> holders([1, 5, 9], [(0, 6), (5, 8), (5, 6)], most=2)
    {1: Held(many=1, first=(0,)), 5: Held(many=3, first=(0, 1))}
    """
    begins = sorted((low, number) for number, (low, high) in enumerate(intervals) if low < high)
    ends = sorted(high for low, high in intervals if low < high)
    found: dict[float, Held] = {}
    begun: list[int] = []  # a heap of those that have begun, some of which may have ended
    at = 0
    for place in sorted(set(places)):
        while at < len(begins) and begins[at][0] <= place:
            heappush(begun, begins[at][1])
            at += 1
        many = at - bisect_right(ends, place)
        first: list[int] = []
        while len(first) < min(most, many):
            number = heappop(begun)
            if intervals[number][1] > place:
                first.append(number)
        for number in first:
            heappush(begun, number)
        if many:
            found[place] = Held(many, tuple(first))
    return found

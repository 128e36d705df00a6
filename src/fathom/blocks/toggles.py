"""How many may be on: bounds from switchings on and off that took time, some of whose answers were lost."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict

__all__ = ["Toggles"]


class Toggles:
    """Many who are each on or off, off at first, and calls that switched them as their callers saw it.

    Ann switched on from second 1 to 2; Bob began to at 3 and never heard what became of it:

    >>> toggles = Toggles([("ann", 1.0, 2.0, True), ("bob", 3.0, None, True)])
    >>> [toggles.bounds(at, at) for at in (0.5, 1.5, 2.5, 3.5)]
    [(0, 0), (0, 1), (1, 1), (1, 2)]

    An answer that may be one second late need not have Ann yet:

    >>> toggles.bounds(2.5, 2.6, late_s=1.0)
    (0, 1)
    """

    def __init__(self, turns: list[tuple[object, float, float | None, bool]]) -> None:
        """Each turn is who, when it was begun, when it was acknowledged (None: nobody knows), and on or off."""
        self._who: defaultdict[object, list[tuple[float, float | None, bool]]] = defaultdict(list)
        for who, start_s, end_s, on in turns:
            self._who[who].append((start_s, end_s, on))
        self._since: dict[bool, list[float]] = {True: [], False: []}  # from when somebody surely was so …
        self._until: dict[bool, list[float]] = {True: [], False: []}  # … and until when
        for mine in self._who.values():
            self._know(sorted(mine, key=lambda turn: turn[0]))
        for ends in (*self._since.values(), *self._until.values()):
            ends.sort()

    def _know(self, turns: list[tuple[float, float | None, bool]]) -> None:
        """Note when one of them was surely on, or surely off: between two calls that did not overlap."""
        self._surely(False, float("-inf"), turns[0][0])
        ended_s = float("-inf")
        for place, (start_s, end_s, on) in enumerate(turns):
            if end_s is None:
                return  # it may take effect at any later time
            following_s = turns[place + 1][0] if place + 1 < len(turns) else float("inf")
            if ended_s < start_s:
                self._surely(on, end_s, following_s)
            ended_s = max(ended_s, end_s)

    def _surely(self, on: bool, since_s: float, until_s: float) -> None:
        if since_s < until_s:
            self._since[on].append(since_s)
            self._until[on].append(until_s)

    def bounds(self, start_s: float, end_s: float, *, late_s: float = 0.0) -> tuple[int, int]:
        """Return how many a look from `start_s` to `end_s` has to see on, at least and at most.

        What had been acknowledged `late_s` before the look began must be in it; what came later may be.
        """
        on, off = self._sure(True, start_s - late_s, end_s), self._sure(False, start_s - late_s, end_s)
        return on, len(self._who) - off

    def _sure(self, on: bool, since_s: float, until_s: float) -> int:
        return max(0, bisect_left(self._since[on], since_s) - bisect_right(self._until[on], until_s))

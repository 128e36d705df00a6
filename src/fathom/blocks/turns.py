"""What is turned on and off by several at once: what may hold while somebody looks, and which calls decide it."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate

from fathom.history import Op, Outcome

__all__ = ["Turns"]


class Turns:
    """The calls that turned one thing on or off, given in the order of their starts.

    A call that failed turned nothing. One whose outcome is unknown may have, at any time after it began. Each question
    takes a few steps more for twice as many calls: all are put in order once.

    >>> on = Op(index=0, caller="ann", call="follow", start_s=0, end_s=1)
    >>> off = Op(index=1, caller="ann", call="unfollow", start_s=2, end_s=3)
    >>> turns = Turns([(on, True), (off, False)])
    >>> read = Op(index=2, caller="bob", call="read", start_s=2.5, end_s=4)
    >>> turns.latest(read) == [(on, True)], turns.maybe(read)
    (True, {False})
    """

    def __init__(self, turns: Iterable[tuple[Op, bool]]) -> None:
        self._turns = [(op, on) for op, on in turns if op.outcome is not Outcome.FAILED]
        ended = sorted(
            (op.end_s, at) for at, (op, _) in enumerate(self._turns) if op.acknowledged and op.end_s is not None
        )
        self._ends = [end_s for end_s, _ in ended]
        self._places = [at for _, at in ended]
        self._begun_s = list(accumulate((self._turns[at][0].start_s for at in self._places), max))
        self._ways = [(on, _Way(op for op, to in self._turns if to is on)) for on in (True, False)]

    def latest(self, read: Op) -> list[tuple[Op, bool]]:
        """Return the calls that had ended before a read began and that no other such call came after, in order."""
        past = bisect_left(self._ends, read.start_s)
        if not past:
            return []
        last = bisect_left(self._ends, self._begun_s[past - 1], 0, past)  # what ended earlier was turned again
        return [self._turns[at] for at in sorted(self._places[last:past])]

    def maybe(self, read: Op) -> set[bool]:
        """Return what the calls make it that may take effect while a read is answered."""
        return {on for on, way in self._ways if way.may_happen_in(read)}


class _Way:
    """The calls that turn it one way: when they began, and until when any that had begun may still take effect."""

    def __init__(self, ops: Iterable[Op]) -> None:
        calls = list(ops)
        self._starts = [op.start_s for op in calls]
        ends = (op.end_s if op.acknowledged and op.end_s is not None else math.inf for op in calls)
        self._until_s = list(accumulate(ends, max))

    def may_happen_in(self, read: Op) -> bool:
        begun = bisect_right(self._starts, read.end_s) if read.end_s is not None else len(self._starts)
        return begun > 0 and self._until_s[begun - 1] >= read.start_s

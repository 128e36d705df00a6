"""The fewest of many that still fail: a failure with everything taken out of it that does not matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["fewest"]

T = TypeVar("T")


def fewest(fails: Callable[[Sequence[T]], bool], of: Sequence[T]) -> list[T]:
    """Return a part of `of` that fails while no smaller part of it does, in the order of `of`.

    `of` fails, and whatever contains a failing part fails. So the last one without which the rest does not fail
    belongs to every failing part of the rest: it is found by halving, kept, and the next is looked for after it
    (delta debugging, Zeller and Hildebrandt 2002, for what only grows: Junker's QuickXplain, 2004). It asks about
    k log n times for k kept, and looks at the end of `of` first: that is where a history breaks.

    >>> fewest(lambda kept: {3, 8} <= set(kept), range(10))
    [3, 8]
    """
    kept: list[T] = []
    rest = list(of)
    while rest and not fails(kept):
        size = 1
        while size < len(rest) and not fails(kept + rest[-size:]):
            size *= 2
        fails_from, passes_from = max(0, len(rest) - size), len(rest) - size // 2
        while passes_from - fails_from > 1:
            middle = (fails_from + passes_from) // 2
            if fails(kept + rest[middle:]):
                fails_from = middle
            else:
                passes_from = middle
        kept.append(rest[fails_from])
        rest = rest[fails_from + 1 :]
    return kept

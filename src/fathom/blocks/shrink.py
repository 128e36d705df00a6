"""The part of a list that still fails and of which nothing can be left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["shrink"]

T = TypeVar("T")


def shrink(fails: Callable[[list[T]], bool], of: Sequence[T], *, tries: int = 1_000) -> list[T]:
    """Return a part of `of` that fails, in its order, and that passes without any single one of it.

    `of` must fail. This is ddmin (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002):
    try each of n pieces, then all without it, then more and smaller pieces. It does not need that more faults fail
    wherever fewer do (as `blocks.fewest` does, which asks less): a fault may well hide what another one shows. After
    so many tries the smallest part found so far is returned.

    >>> shrink(lambda kept: {3, 8} <= set(kept) and (5 not in kept or 6 in kept), range(10))
    [3, 8]
    """
    if fails([]):
        return []
    kept, pieces = list(of), 2
    while len(kept) > 1:
        size = -(-len(kept) // pieces)
        starts = range(0, len(kept), size)
        parts = [kept[start : start + size] for start in starts]
        without = [kept[:start] + kept[start + size :] for start in starts]
        smaller = None
        for part in [*parts, *without] if pieces > 2 else parts:
            tries -= 1
            if tries < 0:
                return kept
            if fails(part):
                smaller = part
                break
        if smaller is not None:
            pieces = 2 if len(smaller) <= size else max(2, pieces - 1)
            kept = smaller
        elif size == 1:
            break
        else:
            pieces = min(len(kept), 2 * pieces)
    return kept

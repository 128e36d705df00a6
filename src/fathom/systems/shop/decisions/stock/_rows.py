"""In which order the rows of a basket are locked, for the approaches that lock them one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from ...api import Wanted

__all__ = ["in_order"]


def in_order(wanted: Sequence[Wanted], *, sorts: bool) -> Sequence[Wanted]:
    """Return what is wanted in the order of its items, the same for every basket; or as the basket has it.

    >>> [want.item for want in in_order([Wanted(2, 1), Wanted(1, 1)], sorts=True)]
    [1, 2]
    """
    return sorted(wanted, key=lambda want: want.item) if sorts else wanted

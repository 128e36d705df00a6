"""Changes as they are numbered, so that what was read before one of them is told from what was read after it."""

from __future__ import annotations

from collections.abc import Hashable

__all__ = ["Changes"]


class Changes:
    """The number of the last change of each key, as far as they are remembered; of the forgotten, an upper bound.

    Who keeps something takes `now` before they read it, and keeps that with it. A change is marked after it has taken
    effect. So whatever was read with a number no lower than the key's last change has that change in it, however slow
    the reading was, and whatever was kept in between.

    >>> changes = Changes()
    >>> before = changes.now
    >>> changes.mark("ann")
    >>> changes.since("ann", before), changes.since("bob", before), changes.since("ann", changes.now)
    (True, False, False)
    >>> changes.mark_all()
    >>> changes.since("bob", before)
    True
    """

    def __init__(self, most: int = 200_000) -> None:
        self._most = most
        self._last: dict[Hashable, int] = {}  # by the number, the lowest first
        self._all = 0  # whatever is not in there changed no later than that
        self.now = 0

    def mark(self, key: Hashable) -> None:
        """Number a change that has taken effect. Of too many, the oldest quarter is taken for changes of everything."""
        self.now += 1
        self._last.pop(key, None)
        if len(self._last) >= self._most:
            for old in list(self._last)[: max(1, self._most // 4)]:
                self._all = self._last.pop(old)
        self._last[key] = self.now

    def mark_all(self) -> None:
        """Number a change of everything."""
        self.now += 1
        self._last.clear()
        self._all = self.now

    def since(self, key: Hashable, stamp: int) -> bool:
        """Whether a key may have changed after `now` was so."""
        return max(self._last.get(key, 0), self._all) > stamp

    def all_since(self, stamp: int) -> bool:
        """Whether everything may have changed after `now` was so."""
        return self._all > stamp

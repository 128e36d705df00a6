"""Who does not know the newest version is refused, and keeps what they have as a copy beside it."""

from __future__ import annotations

from . import Conflict


class Versions(Conflict):
    """A compare-and-set on the version."""

    def admits(self, now: int, known: int) -> bool:
        return now == known

"""The last writer wins: nobody is ever refused, and whoever wrote before is never told that it is gone.

A control: it is how shared folders without versions have always been, and the guides' first answer.
"""

from __future__ import annotations

from ... import laws
from . import Conflict


class LastWriter(Conflict):
    """No check."""

    breaks = laws.nothing_is_overwritten_unseen

    def admits(self, now: int, known: int) -> bool:
        return True

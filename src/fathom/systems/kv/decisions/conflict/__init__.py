"""Two clients write one key at the same time, or on two sides of a cut: what is there afterwards?"""

from __future__ import annotations

from .. import Shaping

__all__ = ["Conflict"]


class Conflict(Shaping):
    """What a key of the weak bucket holds when nobody can say which write came first."""

    default = "siblings"

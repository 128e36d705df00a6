"""What does it take so that a key has one value on which all agree?"""

from __future__ import annotations

from .. import Shaping

__all__ = ["Strong"]


class Strong(Shaping):
    """How the bucket without a prefix keeps its promise."""

    default = "caspaxos"

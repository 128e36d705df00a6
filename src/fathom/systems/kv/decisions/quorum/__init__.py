"""How many replicas of a key must have a write, and how many are asked by a read?"""

from __future__ import annotations

from .. import Shaping

__all__ = ["Quorum"]


class Quorum(Shaping):
    """N, R and W of the weak bucket: with R + W > N a read and a write meet in one replica at least."""

    default = "majority"

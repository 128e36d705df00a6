"""Agree by Paxos on each key: increments and compare-and-set hold, and a change goes by way of its proposer."""

from __future__ import annotations

from .. import Founding
from . import Strong


class Caspaxos(Strong):
    """Single-key Paxos (CASPaxos)."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_strong(semantics="cas")

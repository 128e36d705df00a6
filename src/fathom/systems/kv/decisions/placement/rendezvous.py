"""Each node draws a number for each slot, the lowest keep it: even, the least moves, and all nodes are asked."""

from __future__ import annotations

from .. import Founding
from . import Placement


class Rendezvous(Placement):
    """Highest random weight: the cost is a table for all slots, made anew with each topology."""

    def shape(self, founding: Founding) -> Founding:
        return founding.placed("rendezvous")

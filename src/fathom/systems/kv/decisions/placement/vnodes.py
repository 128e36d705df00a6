"""Many places on the ring for each node: nearly even, little moves, and everybody shares the moving."""

from __future__ import annotations

from fathom.design import knob

from .. import Founding
from . import Placement


class Vnodes(Placement):
    """Dynamo's ring."""

    vnodes: int = knob(64, "places of each node on the ring")

    def shape(self, founding: Founding) -> Founding:
        return founding.placed("vnodes", self.vnodes)

"""The slot's number modulo the number of nodes: perfectly even, and nearly all of it moves with every change."""

from __future__ import annotations

from .. import Founding
from . import Placement


class Modulo(Placement):
    """The first thing everybody writes."""

    def shape(self, founding: Founding) -> Founding:
        return founding.placed("modulo")

"""One place on a ring for each node: little moves, and by bad luck one node keeps several times its share."""

from __future__ import annotations

from .. import Founding
from . import Placement


class Ring(Placement):
    """Consistent hashing as it was first drawn."""

    def shape(self, founding: Founding) -> Founding:
        return founding.placed("ring")

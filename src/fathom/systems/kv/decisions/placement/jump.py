"""A formula without a table: even and little moves, as long as only the last node comes or goes."""

from __future__ import annotations

from .. import Founding
from . import Placement


class Jump(Placement):
    """Jump consistent hash; nodes have numbers, so who leaves in the middle renumbers all behind it."""

    def shape(self, founding: Founding) -> Founding:
        return founding.placed("jump")

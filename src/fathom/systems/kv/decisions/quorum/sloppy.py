"""Two of whoever is there: writes go on while owners are dead, and reads may not meet them."""

from __future__ import annotations

from .. import Founding
from . import Quorum


class Sloppy(Quorum):
    """3, 2, 2, where the next nodes on the walk stand in for owners that are down."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_weak(n=3, r=2, w=2, pr=0, pw=0, sloppy=True)

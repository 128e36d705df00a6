"""Two of three, both ways: reads meet writes, and one node may be dead."""

from __future__ import annotations

from .. import Founding
from . import Quorum


class Majority(Quorum):
    """3, 2, 2."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_weak(n=3, r=2, w=2, pr=0, pw=0, sloppy=False)

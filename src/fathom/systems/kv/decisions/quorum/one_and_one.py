"""One of three, both ways: quick, there while any owner is, and reads may miss what was just written."""

from __future__ import annotations

from .. import Founding
from . import Quorum


class OneAndOne(Quorum):
    """3, 1, 1."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_weak(n=3, r=1, w=1, pr=0, pw=0, sloppy=False)

"""All of three for a write, any for a read: reads are cheap, and one dead node ends all writing."""

from __future__ import annotations

from .. import Founding
from . import Quorum


class WriteAll(Quorum):
    """3, 1, 3."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_weak(n=3, r=1, w=3, pr=0, pw=0, sloppy=False)

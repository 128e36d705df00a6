"""Skip as many as were seen: every post written meanwhile repeats one, every deletion loses one, deep pages read all.

A control: it is what most tutorials show. A page at depth n reads n posts to throw them away.
"""

from __future__ import annotations

from fathom.blocks.places import Place

from ... import laws
from ...api import Post, UserId
from . import Paging


class Offset(Paging):
    """`OFFSET n`."""

    breaks = laws.a_walk_meets_once_what_was_there

    async def below(self, viewer: UserId, place: Place, limit: int) -> list[Post]:
        return await self.latest.skipping(viewer, place.seen, limit)

"""Begin before the last post's time: as cheap as it gets, and at a page's edge others of that millisecond are lost.

A control: it is right as long as no two posts share a time, so it passes every test with few posts.
"""

from __future__ import annotations

from fathom.blocks.places import Place

from ... import laws
from ...api import Post, UserId
from . import Paging


class TimeCursor(Paging):
    """`WHERE at_ms < …`."""

    breaks = laws.a_walk_meets_once_what_was_there

    async def below(self, viewer: UserId, place: Place, limit: int) -> list[Post]:
        return await self.latest.before(viewer, place.at_ms, limit)

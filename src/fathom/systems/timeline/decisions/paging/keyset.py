"""Begin below the last post seen, by (time, number): exact whatever is written meanwhile, and as cheap at any depth.

The pair is unique, so no two posts share a place in the list, and an index in that order is entered right there. What
it cannot do is to begin at page 500 without having been there.
"""

from __future__ import annotations

from fathom.blocks.places import Place

from ...api import Post, UserId
from . import Paging


class Keyset(Paging):
    """`WHERE (at_ms, id) < (…, …)`."""

    async def below(self, viewer: UserId, place: Place, limit: int) -> list[Post]:
        return await self.latest.below(viewer, place.at_ms, place.id, limit)

"""Where does the next page begin, when what it is a page of moves down all the time?"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from fathom.blocks.places import Place
from fathom.design import Decision

from ...api import Post, UserId
from ...stores.latest import Latest

__all__ = ["Paging"]


class Paging(Decision):
    """How a walk down everybody's posts goes on. Nothing is kept for it: all that is known is the place it brings."""

    default = "keyset"

    latest: Latest

    @abstractmethod
    async def below(self, viewer: UserId, place: Place, limit: int) -> list[Post]:
        """Return the posts that come after a place, newest first: `limit`, if there are so many."""

    async def page(self, viewer: UserId, place: Place | None, limit: int) -> list[Post]:
        """Return the posts at the top, or those that come after a place."""
        return await (self.latest.top(viewer, limit) if place is None else self.below(viewer, place, limit))

    async def adopt(self, previous: Any) -> None:
        """Take over: a place says where it is in every approach's terms, so walks under way just go on."""

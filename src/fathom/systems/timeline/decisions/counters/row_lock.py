"""Keep the number on the post's own row: exact and cheap to read, and all who like the post wait in one line."""

from __future__ import annotations

from typing import ClassVar

from ...api import PostId, UserId
from ...stores.likes import Liked, Reading
from . import Counters


class RowLock(Counters):
    """The like and the number change in one transaction, which holds the post's row until it is on the disk."""

    shows: ClassVar[Reading] = "kept"

    async def change(self, user: UserId, post: PostId, now_ms: int, *, take_back: bool) -> Liked:
        liked = await self.likes.change(user, post, now_ms, "row", take_back=take_back)
        return await self.told(liked, user, post)

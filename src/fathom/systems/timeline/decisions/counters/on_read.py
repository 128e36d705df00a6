"""Keep no number and count the likes whenever somebody looks: nothing can drift, and the famous are dear to read."""

from __future__ import annotations

from typing import ClassVar

from ...api import PostId, UserId
from ...stores.likes import Liked, Reading
from . import Counters


class OnRead(Counters):
    """A like is one row and Redis does not hear of it: copies of posts are shown with numbers that are asked for."""

    shows: ClassVar[Reading] = "counted"
    keeps: ClassVar[bool] = False

    async def change(self, user: UserId, post: PostId, now_ms: int, *, take_back: bool) -> Liked:
        return await self.likes.change(user, post, now_ms, "nowhere", take_back=take_back)

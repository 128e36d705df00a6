"""Read the number, add one, write it back: a control, because two at once both write the same."""

from __future__ import annotations

from typing import ClassVar

from msgspec.structs import replace

from ... import laws
from ...api import PostId, UserId
from ...stores.likes import Liked, Reading
from . import Counters


class ReadThenWrite(Counters):
    """What an object-relational mapper does with `post.likes += 1`, and what Mastodon's counters did (#12045)."""

    breaks = laws.likes_equal_the_likers
    shows: ClassVar[Reading] = "kept"
    keeps: ClassVar[bool] = False

    async def change(self, user: UserId, post: PostId, now_ms: int, *, take_back: bool) -> Liked:
        liked = await self.likes.change(user, post, now_ms, "nowhere", take_back=take_back)
        if not liked.changed:
            return await self.told(liked, user, post)
        known = (await self.likes.of([post])).get(post, 0)
        likes = max(0, known - 1 if take_back else known + 1)
        return replace(liked, likes=likes, entry=await self.likes.overwrite(user, post, now_ms, likes))

"""Keep the number in several rows: likes at once seldom wait for each other, and every read adds them up."""

from __future__ import annotations

from typing import ClassVar

from fathom.design import knob
from fathom.errors import FathomError

from ...api import PostId, UserId
from ...stores.likes import Liked, Reading
from . import Counters

SHARDS_MAX = 32_767  # that a row's number has room for


class Sharded(Counters):
    """A user's likes go to the same row of a post's each time. One row alone may be below none, where likes from before
    this way are taken back; their sum, with the post's own number, is not.
    """

    shows: ClassVar[Reading] = "summed"

    shards: int = knob(8, "rows that a post's number is spread over")

    def __post_init__(self) -> None:
        if not 1 <= self.shards <= SHARDS_MAX:
            raise FathomError(
                f"a number cannot be spread over {self.shards} rows",
                why=f"there are 1 to {SHARDS_MAX:,} for each post",
                fix="leave it out, or say for example shards=8",
            )

    async def change(self, user: UserId, post: PostId, now_ms: int, *, take_back: bool) -> Liked:
        shard = (user * 2_654_435_761 >> 16) % self.shards  # neighbours by number go to different rows
        liked = await self.likes.change(user, post, now_ms, "shard", take_back=take_back, shard=shard)
        return await self.told(liked, user, post)

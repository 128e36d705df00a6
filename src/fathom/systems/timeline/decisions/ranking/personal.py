"""Show first what is by those this reader reacts to: what others did counts, times how often the reader did it lately.

Its bet is that who liked or answered somebody lately wants to read them next. Its price is a statement for every first
page, and a home that shows more and more of the same few: whom nobody ever reacted to stays where engagement puts them,
and so does everybody for a reader who is new.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fathom.design import knob

from ...api import Post, UserId
from .engagement import Engagement, by_score

DAY_MS = 86_400_000


class Personal(Engagement):
    """Engagement, weighted by one plus the logarithm of how often this reader liked or answered the author."""

    lately_d: float = knob(30.0, "days that posts go back whose likes and answers say whom a reader reads")

    async def order(self, reader: UserId, posts: Sequence[Post], now_ms: int) -> list[Post]:
        return by_score(posts, await self.scores(reader, posts, now_ms))

    async def scores(self, reader: UserId, posts: Sequence[Post], now_ms: int) -> dict[int, float]:
        """Return what each of these posts is worth to a reader."""
        near = await self.orders.nearness(reader, now_ms - int(self.lately_d * DAY_MS))
        return {post.id: self.score(post, now_ms) * weight(post, near) for post in posts}


def weight(post: Post, near: Mapping[UserId, int]) -> float:
    """Return by how much more a post counts for a reader who reacted so often to its author, or to who boosted it."""
    did = near.get(post.author, 0) + (near.get(post.boosted.author, 0) if post.boosted is not None else 0)
    return 1.0 + math.log2(1.0 + did)

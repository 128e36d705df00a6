"""Push to all but those who follow more than they can read: these are told of a sample, and their feeds cost no more.

Whoever follows twice `limit` gets every second post, and so on: what their feed takes per day is bounded. It is the
reader's own doing that decides, not the author's fame, so nobody else loses anything. Only what is pushed is sampled:
their own posts are all there, and below the feed, without a feed, or in the author's list they find every post. Whether
a reader is told of a post is drawn from both their numbers, so a delivery that is repeated says the same.
"""

from __future__ import annotations

from fathom.design import knob

from ...api import PostId, UserId
from .on_write import OnWrite


class Lossy(OnWrite):
    """Bluesky's way with readers who follow everybody."""

    limit: int = knob(2_000, "follows from which on a reader is pushed only a share of the posts: limit / follows")

    async def deliver(self, author: UserId, post: PostId, after: UserId) -> UserId | None:
        generation = self.generation
        fans = await self.graph.sampled_fans(author, after, self.chunk + 1, post, self.limit)
        return await self._push(generation, fans, post)

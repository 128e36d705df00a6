"""Push to every follower, one post to its end before the next one begins: while a star's is under way nobody's comes.

A control: it is what one queue with whole posts in it does. It does not lose anything; it is only unfair.
"""

from __future__ import annotations

import asyncio

from ... import laws
from ...api import PostId, UserId
from .on_write import OnWrite


class Fifo(OnWrite):
    """First in, first out."""

    breaks = laws.no_post_waits_for_the_rest_of_others

    def __post_init__(self) -> None:
        super().__post_init__()
        self._line = asyncio.Lock()  # it lets in whoever has waited longest

    async def deliver(self, author: UserId, post: PostId, after: UserId) -> UserId | None:
        async with self._line:
            rest: UserId | None = after
            while rest is not None:
                rest = await super().deliver(author, post, rest)
        return None

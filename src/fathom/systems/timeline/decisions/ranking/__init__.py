"""In which order does a home show its posts: as they were written, or what is likely to matter first?

The default knows nothing about anybody and needs nothing: where a page ends is a post's number. Every other order
changes while somebody goes down it, because likes do. So the newest posts of a home are put in order once, when its
first page is read, and that order is kept for whoever goes on below it: no post is met twice and none is passed over,
at the price that an order is as old as the walk. What is shown of it is looked at again on every page: nothing that was
deleted, blocked, muted or unfollowed since. Below the newest posts a home goes on by time.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from fathom.design import Decision

from ...api import Post, UserId
from ...stores.orders import Orders

__all__ = ["Ranking"]


class Ranking(Decision):
    """An order for some of a home's newest posts: the same posts, each once. It adds none and leaves none out."""

    default = "chronological"

    orders: Orders

    @property
    def depth(self) -> int:
        """How many of a home's newest posts are put in order; 0: none, they lie as they were written."""
        return 0

    @property
    def lasts_s(self) -> float:
        """For how long an order is kept for who goes on down it."""
        return 0.0

    @abstractmethod
    async def order(self, reader: UserId, posts: Sequence[Post], now_ms: int) -> list[Post]:
        """Return these posts, which come newest first, in the order in which the reader is to see them."""

    async def adopt(self, previous: Any) -> None:
        """Take over from another approach under load: an order that is kept says itself what it is, and is kept on."""

"""A home in another order than it was written: put in order once, kept for who goes on, looked at on every page."""

from __future__ import annotations

from abc import ABC, abstractmethod

from msgspec.structs import replace

from fathom.blocks.spots import Spot
from fathom.engines.engine import EngineError
from fathom.errors import Refusal

from ..api import PAGE_POSTS_MAX, Page, Post, PostId, Slice, UserId
from ..decisions.ranking import Ranking
from ..stores.memory import MemoryShut
from ..stores.orders import Order
from ..stores.posts import posts_of
from .base import Base
from .housekeeping import unavailable

__all__ = ["Ranked"]


class Ranked(Base, ABC):
    """The home's first page in the order that `choices.ranking` gives it, and the pages below in that same order.

    An order is of the newest posts of a home as it is by time, so it has the very posts that lie there, each once. It
    is an answer, not a promise about Redis: while Redis cannot be used homes are as they were written.
    """

    @abstractmethod
    async def _home_by_time(self, reader: UserId, page: Page) -> Slice:
        """Return a page of a home as it was written."""

    @abstractmethod
    async def _at_home(self, reader: UserId, posts: list[Post]) -> list[Post]:
        """Return those of these posts that are to be shown in a home, with what the boosts among them show."""

    async def _ranked(self, ranking: Ranking, reader: UserId, page: Page) -> Slice | None:
        """Return a page of a home that has an order of its own; None: it is to be shown as it was written."""
        if page.min_id is not None or page.since_id is not None:
            return None  # who asks for what is newer wants to know what came, not what is best
        if page.max_id is None:
            return await self._first(ranking, reader, page) if self._memory.readable else None
        spot = Spot.read(page.max_id)
        return None if spot is None else await self._below(ranking, reader, page, spot)

    async def _first(self, ranking: Ranking, reader: UserId, page: Page) -> Slice | None:
        found = await self._home_by_time(reader, Page(limit=max(ranking.depth, page.limit)))
        if found.source == "fallback":  # Redis was lost meanwhile: an order could not be kept
            return _cut(found, page.limit)
        now_ms = self._clock()
        with self._house:
            order = await ranking.order(reader, found.posts, now_ms)
        shown, older = order[: page.limit], found.older
        if len(order) > page.limit:
            try:
                number = await self._stores.orders.keep(
                    reader,
                    [post.id for post in order],
                    newest=found.newer,
                    below=found.older,
                    now_ms=now_ms,
                    lasts_s=ranking.lasts_s,
                )
            except MemoryShut:
                return _cut(found, page.limit)
            older = PostId(Spot(number, page.limit).number())
        return Slice(posts=shown, older=older, newer=found.newer, source=found.source, ranked=True)

    async def _below(self, ranking: Ranking, reader: UserId, page: Page, spot: Spot) -> Slice | None:
        """Return what comes next in an order that was kept, without what is not to be shown any more."""
        try:
            order = await self._stores.orders.kept(reader, spot.order, self._clock())
            if order is None:
                if not ranking.depth:
                    return None  # a number above all posts, and nobody's order: what is below it is the whole home
                raise Refusal("not-found", "this order is no longer kept: begin again at the top")
            posts, at = await self._on(reader, order, spot.at, page.limit)
        except MemoryShut:
            raise Refusal("unavailable", "the order of this home cannot be read now, try again", retry_s=1.0) from None
        except EngineError as failure:
            raise unavailable(failure) from failure
        older = PostId(Spot(order.number, at).number()) if at < len(order.ids) else order.below
        source = self._choices.fanout.source
        return Slice(posts=posts, older=older, newer=order.newest, source=source, ranked=True)

    async def _on(self, reader: UserId, order: Order, at: int, limit: int) -> tuple[list[Post], int]:
        """Return the next posts of an order, and how many of it have been looked at then."""
        posts: list[Post] = []
        many = limit
        while len(posts) < limit and at < len(order.ids):
            some = order.ids[at : at + many]
            there = await self._still(reader, some)
            for id in some:
                at += 1
                if id in there:
                    posts.append(there[id])
                    if len(posts) == limit:
                        break
            many = PAGE_POSTS_MAX
        return posts, at

    async def _still(self, reader: UserId, ids: list[PostId]) -> dict[PostId, Post]:
        """Return those of these posts that are in the reader's home now: the truth says so, in one statement."""
        with self._house:
            there = await self._graph.still_at_home(reader, ids)
        known = await self._posts.json([id for id in ids if id in there])
        return {post.id: post for post in await self._at_home(reader, posts_of(known.json))}


def _cut(found: Slice, limit: int) -> Slice:
    """Return the first posts of a page that was asked for with more."""
    if len(found.posts) <= limit:
        return found
    return replace(found, posts=found.posts[:limit], older=found.posts[limit - 1].id)

"""Everybody's posts, newest first: a list that grows at its head as often as anybody writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres

from ..api import Post, UserId
from .likes import Likes
from .rows import post_of

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Latest"]

# Whom a block parts from the viewer is looked up once, not for each post. A boost is not among everybody's posts: what
# it shows is there itself, at its own place. Whom the viewer mutes is: here nothing is brought, somebody goes to look.
_LATEST = """
    SELECT {columns} FROM posts p JOIN users u ON u.id = p.author
    WHERE p.deleted_ms IS NULL AND p.boost_of IS NULL AND p.listed AND p.author <> ALL (ARRAY(
        SELECT blocked FROM blocks WHERE blocker = $1 UNION ALL SELECT blocker FROM blocks WHERE blocked = $1))
"""
_NEWEST_FIRST = "ORDER BY p.at_ms DESC, p.id DESC LIMIT $2"
_TOP = f"{_LATEST} {_NEWEST_FIRST}"
_BELOW = f"{_LATEST} AND (p.at_ms, p.id) < ($3, $4) {_NEWEST_FIRST}"
_BEFORE = f"{_LATEST} AND p.at_ms < $3 {_NEWEST_FIRST}"
_ABOVE = f"{_LATEST} AND p.id > $3 AND p.id < $4 ORDER BY p.id LIMIT $2"
_SKIPPING = f"{_LATEST} {_NEWEST_FIRST} OFFSET $3"


class Latest:
    """The truth about everybody's posts, in the order of (time, number)."""

    def __init__(self, truth: Postgres, likes: Likes) -> None:
        self._truth, self._likes = truth, likes

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def top(self, viewer: UserId, limit: int) -> list[Post]:
        """Return the newest."""
        return await self._posts(_TOP, viewer, limit)

    async def below(self, viewer: UserId, at_ms: int, id: int, limit: int) -> list[Post]:
        """Return the newest below one post: an index is entered at its place."""
        return await self._posts(_BELOW, viewer, limit, at_ms, id)

    async def before(self, viewer: UserId, at_ms: int, limit: int) -> list[Post]:
        """Return the newest that are older than a time."""
        return await self._posts(_BEFORE, viewer, limit, at_ms)

    async def above(self, viewer: UserId, id: int, horizon: int, limit: int) -> list[Post]:
        """Return the oldest above a number, oldest first, up to another number."""
        return await self._posts(_ABOVE, viewer, limit, id, horizon)

    async def skipping(self, viewer: UserId, count: int, limit: int) -> list[Post]:
        """Return the newest but so many: these are read too, and thrown away."""
        return await self._posts(_SKIPPING, viewer, limit, count)

    async def _posts(self, query: str, *args: int) -> list[Post]:
        return [post_of(row) for row in await self._db.fetch(query.format(columns=self._likes.columns), *args)]

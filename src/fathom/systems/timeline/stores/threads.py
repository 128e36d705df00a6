"""Posts as they hang together: what answers what, whom they name, and what one viewer did with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import Mark, Mention, Page, Post, PostId, Thread, UserId
from .likes import Likes
from .rows import VISIBLE, between, paged, post_of

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Threads"]

ABOVE_MAX, BELOW_MAX = 40, 400

_POSTS = "SELECT {columns} FROM posts p JOIN users u ON u.id = p.author"
_UNMUTED = f"{VISIBLE} AND NOT EXISTS (SELECT FROM mutes WHERE muter = $1 AND muted = p.author)"
_THREAD = f"""
    WITH RECURSIVE asked AS (
        SELECT p.id, p.reply_to FROM posts p WHERE p.id = $2 AND p.boost_of IS NULL AND {VISIBLE}
    ), up AS (
        SELECT id, reply_to, 0 AS step FROM asked
        UNION ALL SELECT q.id, q.reply_to, step + 1 FROM up JOIN posts q ON q.id = up.reply_to
            WHERE q.deleted_ms IS NULL AND step < $3
    ), down AS (
        SELECT id, 0 AS step FROM asked
        UNION ALL SELECT q.id, step + 1 FROM down JOIN posts q ON q.reply_to = down.id WHERE q.deleted_ms IS NULL
    ), found AS (
        SELECT id, -1 AS side FROM up WHERE step > 0
        UNION ALL SELECT id, 0 FROM asked
        UNION ALL (SELECT id, 1 FROM down WHERE step > 0 LIMIT $4)
    )
    SELECT {{columns}}, side FROM found JOIN posts p USING (id) JOIN users u ON u.id = p.author
    WHERE {VISIBLE} ORDER BY p.id
"""
_MARKS = """
    SELECT p.id, EXISTS (SELECT FROM likes WHERE post = p.id AND user_id = $1) AS liked,
        EXISTS (SELECT FROM posts b WHERE b.boost_of = p.id AND b.author = $1 AND b.deleted_ms IS NULL) AS boosted,
        (SELECT author FROM posts q WHERE q.id = p.reply_to) AS answers,
        ARRAY(SELECT u.id FROM mentions m JOIN users u ON u.id = m.user_id WHERE m.post = p.id ORDER BY u.id) AS ids,
        ARRAY(SELECT u.name FROM mentions m JOIN users u ON u.id = m.user_id WHERE m.post = p.id ORDER BY u.id) AS names
    FROM posts p WHERE p.id = ANY($2::bigint[])
"""


class Threads:
    """Ways through the posts in the truth, beside those of homes."""

    def __init__(self, truth: Postgres, likes: Likes) -> None:
        self._truth, self._likes = truth, likes

    @property
    def _db(self) -> Database:
        return self._truth.client

    @property
    def _posts(self) -> str:
        return _POSTS.format(columns=self._likes.columns)

    async def thread(self, viewer: UserId, post: PostId) -> Thread:
        """Return what a post answers and what answers it."""
        rows = await self._db.fetch(_THREAD.format(columns=self._likes.columns), viewer, post, ABOVE_MAX, BELOW_MAX)
        if not any(row["side"] == 0 for row in rows):
            raise Refusal("not-found", "there is no such post")
        above, below = ([post_of(row) for row in rows if row["side"] == side] for side in (-1, 1))
        return Thread(above=above, below=below)

    async def marks(self, viewer: UserId, posts: Sequence[PostId]) -> list[Mark]:
        """Return what is to be said of these posts to a viewer, in their order."""
        found = {
            row["id"]: Mark(
                post=row["id"],
                liked=row["liked"],
                boosted=row["boosted"],
                mentions=[Mention(id=id, name=name) for id, name in zip(row["ids"], row["names"], strict=True)],
                answers=row["answers"],
            )
            for row in await self._db.fetch(_MARKS, viewer, posts)
        }
        return [found[id] for id in posts if id in found]

    async def public(self, viewer: UserId, page: Page) -> list[Post]:
        """Return everybody's listed posts that answer nothing, newest first."""
        found = f"{self._posts} WHERE {_UNMUTED} AND p.listed AND p.boost_of IS NULL AND p.reply_to IS NULL"
        rows = await self._db.fetch(paged(found, "p.id", page), viewer, *between(page), page.limit)
        return [post_of(row) for row in rows]

    async def tagged(self, viewer: UserId, tag: str, page: Page) -> list[Post]:
        """Return everybody's listed posts with a tag, newest first."""
        found = f"{self._posts} JOIN tags t ON t.post = p.id WHERE t.tag = $5 AND {_UNMUTED} AND p.listed"
        rows = await self._db.fetch(paged(found, "t.post", page), viewer, *between(page), page.limit, tag)
        return [post_of(row) for row in rows]

    async def liked(self, user: UserId, page: Page) -> list[Post]:
        """Return the posts that somebody likes, the newest post first."""
        found = f"{self._posts} JOIN likes l ON l.post = p.id WHERE l.user_id = $1 AND {VISIBLE}"
        rows = await self._db.fetch(paged(found, "l.post", page), user, *between(page), page.limit)
        return [post_of(row) for row in rows]

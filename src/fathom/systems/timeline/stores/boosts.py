"""Boosts: posts without a body that show another one to the followers of whoever boosts it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import Post, PostId, UserId
from .likes import Likes
from .numbers import MINT_TRIES
from .outbox import Entry
from .rows import VISIBLE, post_of

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Boosted", "Boosts"]

# Its row is locked first: whoever boosts it at the same time, or deletes it, waits here.
_ORIGINAL = f"""
    original AS MATERIALIZED (
        SELECT p.id, p.author FROM posts p WHERE p.id = $2 AND p.boost_of IS NULL AND {VISIBLE}
        FOR NO KEY UPDATE OF p
    )
"""
_BOOST = f"""
    WITH {_ORIGINAL}, already AS (
        SELECT id FROM posts WHERE boost_of = $2 AND author = $1 AND deleted_ms IS NULL
    ), turn AS (
        UPDATE counts SET last_post = $3 WHERE user_id = $1 AND last_post < $3
            AND EXISTS (SELECT FROM original) AND NOT EXISTS (SELECT FROM already) RETURNING user_id
    ), boost AS (
        INSERT INTO posts (id, author, body, at_ms, boost_of) SELECT $3, user_id, '', $4, $2 FROM turn RETURNING id
    ), counted AS (
        UPDATE posts p SET boosts = boosts + 1, version = version + 1 FROM boost WHERE p.id = $2 RETURNING p.id
    ), noticed AS (
        INSERT INTO notices (user_id, id, kind, who, post, at_ms)
        SELECT author, $3, 'boost', $1, $2, $4 FROM original, boost WHERE author <> $1
        ON CONFLICT (user_id, kind, who, post) DO NOTHING RETURNING user_id
    ), boxed AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'post', $1, id, $4 FROM boost RETURNING seq
    ), tallied AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'tally', $1, id, $4 FROM counted RETURNING seq
    )
    SELECT name, last_post, (SELECT id FROM already) AS already, EXISTS (SELECT FROM original) AS found,
        (SELECT seq FROM boxed) AS seq, (SELECT seq FROM tallied) AS tally, (SELECT user_id FROM noticed) AS noticed
    FROM users JOIN counts ON user_id = id WHERE id = $1
"""
_UNBOOST = f"""
    WITH {_ORIGINAL}, gone AS (
        UPDATE posts b SET deleted_ms = $3, version = version + 1 FROM original
        WHERE b.boost_of = original.id AND b.author = $1 AND b.deleted_ms IS NULL RETURNING b.id
    ), counted AS (
        UPDATE posts p SET boosts = boosts - 1, version = version + 1 FROM gone WHERE p.id = $2 RETURNING p.id
    ), boxed AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'delete', $1, id, $3 FROM gone RETURNING seq
    ), tallied AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'tally', $1, id, $3 FROM counted RETURNING seq
    )
    SELECT EXISTS (SELECT FROM original) AS found, (SELECT id FROM gone) AS gone,
        (SELECT seq FROM boxed) AS seq, (SELECT seq FROM tallied) AS tally
"""
_SHOWN = f"""
    SELECT {{columns}}, b.id AS boost
    FROM posts b JOIN posts p ON p.id = b.boost_of JOIN users u ON u.id = p.author
    WHERE b.id = ANY($2::bigint[]) AND b.deleted_ms IS NULL AND {VISIBLE}
"""
# A home shows each post once: as itself where its author is followed, else as the first boost by somebody who is.
_AT_HOME = f"""
    {_SHOWN} AND p.author <> $1
        AND NOT EXISTS (SELECT FROM mutes WHERE muter = $1 AND muted = p.author)
        AND NOT EXISTS (SELECT FROM follows WHERE follower = $1 AND followee = p.author AND ended_ms IS NULL)
        AND NOT EXISTS (
            SELECT FROM posts e WHERE e.boost_of = p.id AND e.author = $1 AND e.deleted_ms IS NULL AND e.id < b.id)
        AND NOT EXISTS (
            SELECT FROM follows f JOIN posts e ON e.boost_of = p.id AND e.author = f.followee
            WHERE f.follower = $1 AND f.ended_ms IS NULL AND e.deleted_ms IS NULL AND e.id < b.id
                AND NOT EXISTS (SELECT FROM mutes WHERE muter = $1 AND muted = e.author))
"""
_BOOSTERS = f"""
    SELECT p.id AS post, b.author FROM posts p
    LEFT JOIN posts b ON b.boost_of = p.id AND b.deleted_ms IS NULL
    WHERE p.id = $2 AND p.boost_of IS NULL AND {VISIBLE} ORDER BY b.id DESC LIMIT $3
"""


class Boosted(NamedTuple):
    """A boost, and what has to be told: its rows, and whose post it shows; no rows: it was there already."""

    id: PostId
    post: Post | None = None
    entry: Entry | None = None
    tally: Entry | None = None
    noticed: UserId | None = None


class Boosts:
    """Boosts in the truth."""

    def __init__(self, truth: Postgres, likes: Likes) -> None:
        self._truth, self._likes = truth, likes

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def boost(self, user: UserId, post: PostId, now_ms: int, mint: Callable[[int], Awaitable[int]]) -> Boosted:
        """Boost a post, once."""
        from asyncpg import UniqueViolationError

        last = 0
        for _ in range(MINT_TRIES):
            minted = await mint(last)
            try:
                row = await self._db.fetchrow(_BOOST, user, post, minted, now_ms)
            except UniqueViolationError:  # the number is another's, or this user just did the same somewhere else
                last = minted
                continue
            if row is None or not row["found"]:
                raise Refusal("not-found", "there is no such post")
            if row["already"] is not None:
                return Boosted(row["already"])
            if row["seq"] is None:
                last = max(row["last_post"], minted)
                continue
            boost = Post(id=PostId(minted), author=user, name=row["name"], body="", at_ms=now_ms, boost_of=post)
            return Boosted(
                boost.id,
                boost,
                Entry(row["seq"], "post", user, minted, now_ms),
                Entry(row["tally"], "tally", user, post, now_ms),
                row["noticed"],
            )
        raise Refusal("unavailable", "no number for this boost could be found, try again", retry_s=1.0)

    async def unboost(self, user: UserId, post: PostId, now_ms: int) -> list[Entry]:
        """Take a boost back; no rows: there was none."""
        row = await self._db.fetchrow(_UNBOOST, user, post, now_ms)
        if row is None or not row["found"]:
            raise Refusal("not-found", "there is no such post")
        if row["gone"] is None:
            return []
        return [
            Entry(row["seq"], "delete", user, row["gone"], now_ms),
            Entry(row["tally"], "tally", user, post, now_ms),
        ]

    async def boosters(self, viewer: UserId, post: PostId, most: int = 1_000) -> list[UserId]:
        """Return who boosts a post, newest first."""
        rows = await self._db.fetch(_BOOSTERS, viewer, post, most)
        if not rows:
            raise Refusal("not-found", "there is no such post")
        return [row["author"] for row in rows if row["author"] is not None]

    async def shown(self, viewer: UserId, boosts: Sequence[PostId]) -> dict[PostId, Post]:
        """Return what these boosts show, without what the viewer may not see."""
        return await self._of(_SHOWN, viewer, boosts)

    async def at_home(self, reader: UserId, boosts: Sequence[PostId]) -> dict[PostId, Post]:
        """Return what those of these boosts show that are in a reader's home."""
        return await self._of(_AT_HOME, reader, boosts)

    async def _of(self, query: str, viewer: UserId, boosts: Sequence[PostId]) -> dict[PostId, Post]:
        rows = await self._db.fetch(query.format(columns=self._likes.columns), viewer, boosts)
        return {row["boost"]: post_of(row) for row in rows}

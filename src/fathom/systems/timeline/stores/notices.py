"""Notices: rows that were given with what they tell of, read for as long as it still holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres

from ..api import Notice, NoticeId, NoticeKind, Page, UserId
from .rows import between

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Told"]

_HOLDS = """
    CASE kind
        WHEN 'follow' THEN EXISTS (SELECT FROM follows WHERE follower = who AND followee = $1 AND ended_ms IS NULL)
        WHEN 'like' THEN EXISTS (SELECT FROM likes l WHERE l.post = n.post AND l.user_id = who)
        WHEN 'boost' THEN EXISTS (
            SELECT FROM posts b WHERE b.boost_of = n.post AND b.author = who AND b.deleted_ms IS NULL)
        ELSE true
    END
"""
_NOTICES = f"""
    SELECT id, kind, who, post, at_ms FROM notices n
    WHERE user_id = $1 AND id < $2 AND id > $3 AND kind = ANY($5::text[]) AND NOT dismissed
        AND NOT EXISTS (SELECT FROM blocks WHERE (blocker, blocked) IN ((who, $1), ($1, who)))
        AND NOT EXISTS (SELECT FROM mutes WHERE muter = $1 AND muted = who)
        AND (post = 0 OR EXISTS (SELECT FROM posts p WHERE p.id = n.post AND p.deleted_ms IS NULL))
        AND {_HOLDS}
"""


class Told:
    """What people were told of each other's doings."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def page(self, reader: UserId, page: Page, kinds: Sequence[NoticeKind]) -> list[Notice]:
        """Return a page of notices, newest first."""
        order = "DESC" if page.min_id is None else "ASC"
        rows = await self._db.fetch(
            f"SELECT * FROM ({_NOTICES} ORDER BY id {order} LIMIT $4) page ORDER BY id DESC",
            reader,
            *between(page),
            page.limit,
            kinds,
        )
        return [
            Notice(id=row["id"], kind=row["kind"], who=row["who"], at_ms=row["at_ms"], post=row["post"] or None)
            for row in rows
        ]

    async def dismiss(self, reader: UserId, notice: NoticeId | None) -> None:
        """Put one away, or all."""
        await self._db.execute(
            "UPDATE notices SET dismissed = true"
            " WHERE user_id = $1 AND NOT dismissed AND ($2::bigint IS NULL OR id = $2)",
            reader,
            notice,
        )

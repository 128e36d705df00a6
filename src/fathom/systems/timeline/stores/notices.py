"""Notices: rows that were given with what they tell of, read for as long as it still holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from fathom.blocks.ids import Ids
from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import Notice, NoticeId, NoticeKind, Page, UserId
from .numbers import MINT_TRIES
from .rows import apart, between, paged

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Told"]

T = TypeVar("T")

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
    WHERE user_id = $1 AND kind = ANY($5::text[]) AND NOT dismissed
        AND NOT {apart("who", "$1")}
        AND NOT EXISTS (SELECT FROM mutes WHERE muter = $1 AND muted = who)
        AND (post = 0 OR EXISTS (SELECT FROM posts p WHERE p.id = n.post AND p.deleted_ms IS NULL))
        AND {_HOLDS}
"""


class Told:
    """What people were told of each other's doings."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth
        self.mint: Callable[[], int] | None = None  # their numbers; None: this store's own
        self._ids = Ids(worker=14)

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def numbered(self, now_ms: int, give: Callable[[int], Awaitable[T]]) -> T:
        """Do what may give a notice, with a number for it that no other has."""
        from asyncpg import UniqueViolationError

        for _ in range(MINT_TRIES):
            with suppress(UniqueViolationError):  # another notice has this number
                return await give(self._ids.mint(now_ms) if self.mint is None else self.mint())
        raise Refusal("unavailable", "no number for this notice could be found, try again", retry_s=1.0)

    async def page(self, reader: UserId, page: Page, kinds: Sequence[NoticeKind]) -> list[Notice]:
        """Return a page of notices, newest first."""
        rows = await self._db.fetch(paged(_NOTICES, "id", page), reader, *between(page), page.limit, kinds)
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

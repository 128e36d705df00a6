"""Lists of people: who follows, blocks and mutes whom, what is between two, and whose name begins how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import Page, Relation, User, UserId
from .rows import USER_COLUMNS, between, order, user_of

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Side", "Those"]

Side = Literal["followers", "following", "muted", "blocked"]

_HIDDEN = "EXISTS (SELECT FROM blocks WHERE blocker = u.id AND blocked = $1)"
_SIDES: dict[Side, str] = {
    "followers": "SELECT follower AS id FROM follows WHERE followee = $2 AND ended_ms IS NULL",
    "following": "SELECT followee AS id FROM follows WHERE follower = $2 AND ended_ms IS NULL",
    "muted": "SELECT muted AS id FROM mutes WHERE muter = $2",
    "blocked": "SELECT blocked AS id FROM blocks WHERE blocker = $2",
}
_RELATIONS = f"""
    SELECT u.id, EXISTS (SELECT FROM follows WHERE follower = $1 AND followee = u.id AND ended_ms IS NULL) AS following,
        EXISTS (SELECT FROM follows WHERE follower = u.id AND followee = $1 AND ended_ms IS NULL) AS followed_by,
        EXISTS (SELECT FROM blocks WHERE blocker = $1 AND blocked = u.id) AS blocking,
        EXISTS (SELECT FROM mutes WHERE muter = $1 AND muted = u.id AND coalesce(until_ms > $3, true)) AS muting
    FROM users u WHERE u.id = ANY($2::bigint[]) AND NOT {_HIDDEN}
"""
_SEARCH = f"""
    SELECT {USER_COLUMNS} FROM users u JOIN counts c ON c.user_id = u.id
    WHERE (u.name LIKE $2 OR lower(u.display) LIKE $2) AND NOT {_HIDDEN}
        AND (NOT $5 OR EXISTS (SELECT FROM follows WHERE follower = $1 AND followee = u.id AND ended_ms IS NULL))
    ORDER BY u.name <> $3, c.followers DESC, u.name LIMIT $4
"""


class Those:
    """People, as somebody may see them."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def page(self, side: Side, viewer: UserId, user: UserId, page: Page) -> list[User]:
        """Return a page of somebody's followers, or of whom they follow, mute or block; the highest id first."""
        rows = await self._db.fetch(
            f"SELECT those.* FROM users w LEFT JOIN LATERAL (SELECT {USER_COLUMNS} FROM ({_SIDES[side]}) those"
            f" JOIN users u USING (id) JOIN counts c ON c.user_id = u.id WHERE NOT {_HIDDEN}"
            f" AND u.id < $3 AND u.id > $4 ORDER BY u.id {order(page)} LIMIT $5) those ON true"
            " WHERE w.id = $2 AND NOT EXISTS (SELECT FROM blocks WHERE blocker = w.id AND blocked = $1)"
            " ORDER BY those.id DESC",
            viewer,
            user,
            *between(page),
            page.limit,
        )
        if not rows:
            raise Refusal("not-found", "there is no such account")
        return [user_of(row) for row in rows if row["id"] is not None]

    async def relations(self, viewer: UserId, users: Sequence[UserId], now_ms: int) -> list[Relation]:
        """Return what is between the viewer and these accounts, in their order."""
        found = {row["id"]: Relation(**dict(row)) for row in await self._db.fetch(_RELATIONS, viewer, users, now_ms)}
        return [found[id] for id in users if id in found]

    async def search(self, viewer: UserId, wanted: str, limit: int, followed: bool) -> list[User]:
        """Return accounts whose name, or the name shown, begins so."""
        prefix = wanted.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
        return [user_of(row) for row in await self._db.fetch(_SEARCH, viewer, prefix, wanted, limit, followed)]

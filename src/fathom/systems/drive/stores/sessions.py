"""Upload sessions: which chunks somebody is about to use, and how much room is kept for those that are to come."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fathom.errors import Refusal

from ..api import Digest, Memory, SessionId, SpaceId, UserId
from .accounts import hashed
from .rows import known_id
from .shards import Shards

if TYPE_CHECKING:
    from fathom.engines.database import Database
    from fathom.engines.database import Session as Tx

__all__ = ["Lease", "Opened", "Sessions", "no_such_session"]

ID_BYTES = 24

# Whoever's row was locked by another meanwhile is looked at again: a session is renewed or removed, never both.
_NEEDED = """
    SELECT l.digest FROM leases l LEFT JOIN chunks c ON c.space = l.space AND c.digest = l.digest
    WHERE l.session = $1 AND c.state IS DISTINCT FROM 'live' ORDER BY l.position
"""
_CAME = """
    WITH came AS (
        UPDATE leases SET reserved = false WHERE space = $1 AND digest = ANY($2::bytea[]) AND reserved
        RETURNING session, size
    )
    UPDATE sessions s SET reserved = s.reserved - sums.size
    FROM (SELECT session, sum(size) AS size FROM came GROUP BY session) AS sums WHERE s.id = sums.session
"""
_END = "WITH ended AS (DELETE FROM leases WHERE session = $1) DELETE FROM sessions WHERE id = $1"
_EXPIRE = """
    WITH ended AS (DELETE FROM sessions WHERE space = $1 AND expires_ms <= $2 RETURNING id)
    DELETE FROM leases WHERE session IN (SELECT id FROM ended)
"""


class Opened(NamedTuple):
    """A session that lasts."""

    id: int
    space: SpaceId
    expires_ms: int


class Lease(NamedTuple):
    """A chunk that a session is about to use, and whether room is kept for it."""

    digest: bytes
    size: int
    reserved: bool


def no_such_session() -> Refusal:
    return Refusal("not-found", "there is no such session, or no longer: begin anew")


class Sessions:
    """Sessions and what they lease. Only a hash of a session's id is kept, as of a token."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def totals(self, tx: Tx, space: SpaceId, user: UserId, now_ms: int) -> tuple[int, int]:
        """Return how many sessions of somebody last in a space, and how much room is kept for everybody's."""
        row = await tx.fetchrow(
            "SELECT count(*) FILTER (WHERE user_id = $3) AS mine, coalesce(sum(reserved), 0)::bigint AS reserved"
            " FROM sessions WHERE space = $1 AND expires_ms > $2",
            space,
            now_ms,
            user,
        )
        assert row is not None
        return row["mine"], row["reserved"]

    async def add(self, tx: Tx, space: SpaceId, user: UserId, leases: Sequence[Lease], expires_ms: int) -> SessionId:
        """Begin a session that leases these chunks."""
        id = SessionId(f"{space}-{secrets.token_urlsafe(ID_BYTES)}")
        number = await tx.fetchval(
            "INSERT INTO sessions (hash, space, user_id, expires_ms, reserved) VALUES ($1, $2, $3, $4, $5)"
            " RETURNING id",
            hashed(id),
            space,
            user,
            expires_ms,
            sum(it.size for it in leases if it.reserved),
        )
        await tx.copy(
            "leases",
            ("session", "digest", "position", "space", "size", "reserved"),
            [(number, it.digest, position, space, it.size, it.reserved) for position, it in enumerate(leases)],
        )
        return id

    async def of(self, user: UserId, id: SessionId, now_ms: int, tx: Tx | None = None) -> Opened:
        """Return a session of somebody that lasts."""
        db = tx or await self._where(user, id)
        row = db and await db.fetchrow(
            "SELECT id, space, expires_ms FROM sessions WHERE hash = $1 AND user_id = $2 AND expires_ms > $3",
            hashed(id),
            user,
            now_ms,
        )
        if row is None:
            raise no_such_session()
        return Opened(*row)

    async def renew(self, user: UserId, id: SessionId, now_ms: int, expires_ms: int) -> Opened:
        """Let a session that lasts last longer."""
        db = await self._where(user, id)
        row = db and await db.fetchrow(
            "UPDATE sessions SET expires_ms = greatest(expires_ms, $4)"
            " WHERE hash = $1 AND user_id = $2 AND expires_ms > $3 RETURNING id, space, expires_ms",
            hashed(id),
            user,
            now_ms,
            expires_ms,
        )
        if row is None:
            raise no_such_session()
        return Opened(*row)

    async def memory(self, user: UserId, id: SessionId, now_ms: int) -> Memory | None:
        """Return what is remembered in a session of somebody that lasts."""
        db = await self._where(user, id)
        row = db and await db.fetchrow(
            "SELECT remembered, state, expires_ms FROM sessions"
            " WHERE hash = $1 AND user_id = $2 AND expires_ms > $3 AND remembered IS NOT NULL",
            hashed(id),
            user,
            now_ms,
        )
        return Memory(offset=row["remembered"], state=row["state"], expires_ms=row["expires_ms"]) if row else None

    async def offset(self, session: Opened, tx: Tx | None = None) -> int | None:
        """Return how far it is remembered that something has come; None: nothing is."""
        db = tx or await self._shards.of(session.space)
        return await db.fetchval("SELECT remembered FROM sessions WHERE id = $1", session.id)

    async def memories(self, tx: Tx, space: SpaceId, user: UserId, now_ms: int) -> int:
        """Return in how many sessions of somebody, that last in a space, something is remembered."""
        return await tx.fetchval(
            "SELECT count(*) FROM sessions"
            " WHERE space = $1 AND expires_ms > $2 AND user_id = $3 AND remembered IS NOT NULL",
            space,
            now_ms,
            user,
        )

    async def remember(
        self, session: Opened, before: int | None, after: int, state: bytes, now_ms: int, until_ms: int, tx: Tx | None
    ) -> int | None:
        """Remember something, if it is still `before` that is remembered; return until when the session lasts then.

        One row is all that this hangs on, so that it decides who of two is first: no lock of the space is held while
        so much is written.
        """
        return await (tx or await self._shards.of(session.space)).fetchval(
            "UPDATE sessions SET remembered = $3, state = $4, expires_ms = greatest(expires_ms, $6)"
            " WHERE id = $1 AND remembered IS NOT DISTINCT FROM $2 AND expires_ms > $5 RETURNING expires_ms",
            session.id,
            before,
            after,
            state,
            now_ms,
            until_ms,
        )

    async def needed(self, session: Opened, tx: Tx | None = None) -> list[Digest]:
        """Return which of its chunks are not there, in the order in which they were asked for."""
        rows = await (tx or await self._shards.of(session.space)).fetch(_NEEDED, session.id)
        return [Digest(row["digest"].hex()) for row in rows]

    async def leased(self, session: Opened, digests: Sequence[bytes]) -> dict[bytes, int]:
        """Return which of these chunks it leases, and how large they are said to be."""
        rows = await (await self._shards.of(session.space)).fetch(
            "SELECT digest, size FROM leases WHERE session = $1 AND digest = ANY($2::bytea[])", session.id, digests
        )
        return {row["digest"]: row["size"] for row in rows}

    async def leases(self, tx: Tx, session: Opened) -> dict[bytes, int]:
        """Return all that it leases."""
        rows = await tx.fetch("SELECT digest, size FROM leases WHERE session = $1", session.id)
        return {row["digest"]: row["size"] for row in rows}

    async def grow(self, tx: Tx, session: Opened, leases: Sequence[Lease], after: int, expires_ms: int) -> int:
        """Let a session lease more, behind the `after` chunks that it leases, and last longer; return until when."""
        until_ms = await tx.fetchval(
            "UPDATE sessions SET expires_ms = greatest(expires_ms, $2), reserved = reserved + $3 WHERE id = $1"
            " RETURNING expires_ms",
            session.id,
            expires_ms,
            sum(it.size for it in leases if it.reserved),
        )
        await tx.copy(
            "leases",
            ("session", "digest", "position", "space", "size", "reserved"),
            [(session.id, it.digest, at, session.space, it.size, it.reserved) for at, it in enumerate(leases, after)],
        )
        return until_ms

    async def came(self, tx: Tx, space: SpaceId, digests: Sequence[bytes]) -> None:
        """Keep no more room for chunks that are there now, whichever session asked for them."""
        await tx.execute(_CAME, space, digests)

    async def end(self, tx: Tx, session: Opened) -> None:
        await tx.execute(_END, session.id)

    async def expire(self, tx: Tx, space: SpaceId, now_ms: int) -> None:
        """Remove the sessions of a space that last no longer."""
        await tx.execute(_EXPIRE, space, now_ms)

    async def _where(self, user: UserId, id: SessionId) -> Database | None:
        """Return the database of a session's space, which its id begins with; None: it cannot be one of ours."""
        space, _, _ = id.partition("-")
        if not (space.isascii() and space.isdigit() and len(space) < 19 and known_id(user)):
            return None
        return await self._shards.of(SpaceId(int(space)))

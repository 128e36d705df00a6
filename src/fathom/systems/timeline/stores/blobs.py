"""Bytes under their digest: equal ones are kept once, and go when nothing refers to them any more."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres

if TYPE_CHECKING:
    from fathom.engines.bucket import Bucket
    from fathom.engines.database import Database

__all__ = ["DOOMED", "HELD", "SWEPT_MAX", "Blobs", "Object", "digest_of", "referred"]

SWEPT_MAX = 100  # objects at a time

# Whoever changes several rows locks them first, in the order of their digests: then no two wait for each other.
HELD = "held AS MATERIALIZED (SELECT hash FROM blobs WHERE hash = ANY({hashes}) ORDER BY hash FOR NO KEY UPDATE)"
# Also what is doomed already: who is about to pardon it, having seen a reference, then sees that it has changed.
DOOMED = "UPDATE blobs SET doomed_ms = {now} FROM held WHERE blobs.hash = held.hash"
_CLAIM = """
    INSERT INTO blobs (hash, key, bytes, doomed_ms) VALUES ($1, $2, $3, $4)
    ON CONFLICT (hash) DO UPDATE
        SET doomed_ms = CASE WHEN blobs.doomed_ms IS NOT NULL THEN greatest(blobs.doomed_ms, $4) END
    RETURNING key
"""
_REFERRED = "EXISTS (SELECT FROM media WHERE original = b.hash) OR EXISTS (SELECT FROM media WHERE small = b.hash)"
# Two statements: whoever drops a reference holds the row meanwhile, so only what begins after the lock sees it gone.
_SUSPECT = "SELECT hash FROM blobs WHERE doomed_ms < $1 ORDER BY hash LIMIT $2 FOR NO KEY UPDATE"
_PARDON = f"UPDATE blobs b SET doomed_ms = NULL WHERE hash = ANY($1::bytea[]) AND ({_REFERRED})"
# A foreign key stands behind this: if an upload comes to refer to one of these in this very moment, none is condemned.
_CONDEMN = f"""
    WITH gone AS (
        DELETE FROM blobs WHERE hash IN (
            SELECT hash FROM blobs b WHERE doomed_ms < $1 AND NOT ({_REFERRED}) ORDER BY hash LIMIT $2 FOR UPDATE)
        RETURNING key
    )
    INSERT INTO condemned (key) SELECT key FROM gone
"""


class Object(NamedTuple):
    """An object that the truth speaks of: where it lies, and the SHA-256 of its bytes."""

    key: str
    digest: bytes


async def referred(tx: Any) -> list[Object]:
    """Return the objects that something refers to, as a transaction sees them."""
    if not await tx.fetchval("SELECT to_regclass('blobs') IS NOT NULL"):  # data of before know no pictures
        return []
    rows = await tx.fetch(f"SELECT key, hash FROM blobs b WHERE {_REFERRED} ORDER BY key")
    return [Object(row["key"], row["hash"]) for row in rows]


def digest_of(key: str) -> str:
    """Return the digest of the bytes that lie under a key, in hex.

    >>> digest_of("ab/abcdef.0123")
    'abcdef'
    """
    return key.partition("/")[2].partition(".")[0]


class Blobs:
    """Objects, and what the truth says of them.

    A row is written before its object and removed before it, and a key is never used again. So bytes that come again
    while old ones are being deleted lie elsewhere, and a deletion whose answer was lost may be carried out whenever it
    likes.
    """

    def __init__(self, truth: Postgres, files: Objects) -> None:
        self._truth, self._files = truth, files

    @property
    def _db(self) -> Database:
        return self._truth.client

    @property
    def _bucket(self) -> Bucket:
        return self._files.client

    async def keep(self, digest: bytes, body: bytes, now_ms: int) -> None:
        """Have these bytes on disk when this returns. They go again unless something comes to refer to them."""
        fresh = f"{digest.hex()[:2]}/{digest.hex()}.{secrets.token_hex(4)}"
        key = await self._db.fetchval(_CLAIM, digest, fresh, len(body), now_ms)
        await self._bucket.ensure(key, body)

    async def content(self, key: str, first: int, length: int) -> bytes | None:
        """Return a part of what lies under a key; None: it is not there."""
        return await self._bucket.get_range(key, first, length)

    async def sweep(self, now_ms: int, grace_ms: int, most: int = SWEPT_MAX) -> int:
        """Delete what nothing has referred to for the grace; return how many objects."""
        from asyncpg import ForeignKeyViolationError

        before_ms = now_ms - grace_ms
        async with self._db.transaction() as tx:
            await tx.execute(_PARDON, [row["hash"] for row in await tx.fetch(_SUSPECT, before_ms, most)])
        try:
            await self._db.execute(_CONDEMN, before_ms, most)
        except ForeignKeyViolationError:  # the next round finds it referred to
            return 0
        keys: Sequence[str] = [
            row["key"] for row in await self._db.fetch("SELECT key FROM condemned ORDER BY key LIMIT $1", most)
        ]
        for key in keys:
            await self._bucket.delete(key)
        if keys:
            await self._db.execute("DELETE FROM condemned WHERE key = ANY($1::text[])", keys)
        return len(keys)

"""Packs: objects in which chunks lie together, and a row for each that says whether it is there for good.

A row is written before its object and removed after it, and no id is used twice. So an object that has a row which says
`writing` is either being written or was left behind by a crash; who was too slow to be told from the dead finds their
row taken (`keep` says so) and commits nothing. An object without a row is one that nobody will ever ask for. Rows that
say `writing` need not be on disk before the object: losing one in a crash makes of its object one without a row.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from fathom.engines.objects import Objects

from ..api import SpaceId
from .shards import Shards

if TYPE_CHECKING:
    from fathom.engines.bucket import Bucket
    from fathom.engines.database import Session

__all__ = ["Pack", "Packs"]

ID_BYTES = 16
LISTED_MAX = 10_000_000

# The setting is that of the statement's own transaction, and ends with it.
_INTENT = """
    WITH quick AS (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO packs (id, space, state, size, held, at_ms, scrubbed_ms)
    SELECT $1, $2, 'writing', $3, $4, $5, $5 FROM quick
"""
# What is left of a pack is what chunks still lie in it.
_SPARSE = """
    SELECT p.id, p.size, coalesce(sum(c.size), 0)::bigint AS left FROM packs p LEFT JOIN chunks c ON c.pack = p.id
    WHERE p.space = $1 AND p.state = 'kept' GROUP BY p.id, p.size, p.held
    HAVING count(c.size) = 0 OR sum(c.size) < p.held * $2::float8
    ORDER BY p.id LIMIT $3
"""
_UNSCRUBBED = """
    SELECT id, space, size FROM packs WHERE state = 'kept' AND space = $1 AND scrubbed_ms <= $2
    ORDER BY scrubbed_ms, id LIMIT $3
"""


class Pack(NamedTuple):
    """A pack, how many bytes its object has, and how many of them are of chunks that are still known to lie in it."""

    id: str
    size: int
    left: int = 0


class Packs:
    """The packs of spaces: their rows in the truth, their bytes in the object store."""

    def __init__(self, shards: Shards, files: Objects) -> None:
        self._shards, self._files = shards, files

    @property
    def _bucket(self) -> Bucket:
        return self._files.client

    @staticmethod
    def key(space: SpaceId, id: str) -> str:
        return f"spaces/{space}/packs/{id}"

    async def write(self, space: SpaceId, body: bytes | bytearray | memoryview, held: int, now_ms: int) -> str:
        """Have a pack that holds so many bytes of chunks on disk; return its id. It goes again unless it is kept."""
        id = secrets.token_hex(ID_BYTES)
        await (await self._shards.of(space)).execute(_INTENT, id, space, len(body), held, now_ms)
        await self._bucket.put(self.key(space, id), body)
        return id

    async def keep(self, tx: Session, id: str) -> bool:
        """Have a pack that was written for good; False: it was taken for left behind."""
        return bool(await tx.execute("UPDATE packs SET state = 'kept' WHERE id = $1 AND state = 'writing'", id))

    async def part(self, space: SpaceId, id: str, start: int, length: int) -> bytes | None:
        """Return some bytes of a pack; None: it is not there."""
        return await self._bucket.get_range(self.key(space, id), start, length)

    async def whole(self, space: SpaceId, id: str) -> bytes | None:
        return await self._bucket.get(self.key(space, id))

    # What the collector asks

    async def sparse(self, space: SpaceId, share: float, most: int) -> list[Pack]:
        """Return packs of which less is left than such a share."""
        rows = await (await self._shards.of(space)).fetch(_SPARSE, space, share, most)
        return [Pack(row["id"], row["size"], row["left"]) for row in rows]

    async def empty(self, tx: Session, ids: Iterable[str]) -> int:
        """Give up those of these packs in which no chunk lies; return how many."""
        return await tx.execute(
            "UPDATE packs p SET state = 'gone' WHERE p.id = ANY($1::text[]) AND p.state = 'kept'"
            " AND NOT EXISTS (SELECT FROM chunks c WHERE c.pack = p.id)",
            list(ids),
        )

    async def give_up(self, tx: Session, space: SpaceId, before_ms: int) -> int:
        """Give up packs that somebody began to write so long ago and never kept; return how many."""
        return await tx.execute(
            "UPDATE packs SET state = 'gone' WHERE space = $1 AND state = 'writing' AND at_ms <= $2", space, before_ms
        )

    async def remove_gone(self, space: SpaceId, most: int) -> int:
        """Delete the objects of packs that were given up, then their rows; return how many."""
        db = await self._shards.of(space)
        rows = await db.fetch("SELECT id FROM packs WHERE space = $1 AND state = 'gone' LIMIT $2", space, most)
        for row in rows:
            await self._bucket.delete(self.key(space, row["id"]))
            await db.execute("DELETE FROM packs WHERE id = $1 AND state = 'gone'", row["id"])
        return len(rows)

    async def strays(self) -> list[str]:
        """Return the keys of objects that have no row."""
        keys = await self._bucket.list("spaces", at_most=LISTED_MAX)  # before the rows: those are there earlier
        known: set[str] = set()
        for db in self._shards.all():
            known.update(self.key(row["space"], row["id"]) for row in await db.fetch("SELECT space, id FROM packs"))
        return [key for key in keys if key not in known]

    async def delete_stray(self, key: str) -> None:
        await self._bucket.delete(key)

    async def unscrubbed(self, space: SpaceId, before_ms: int, most: int) -> list[Pack]:
        """Return packs that were not read since, the longest unread first."""
        rows = await (await self._shards.of(space)).fetch(_UNSCRUBBED, space, before_ms, most)
        return [Pack(row["id"], row["size"]) for row in rows]

    async def scrubbed(self, tx: Any, id: str, now_ms: int) -> None:
        await tx.execute("UPDATE packs SET scrubbed_ms = $2 WHERE id = $1", id, now_ms)

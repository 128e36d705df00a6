"""Chunks that nothing needs: no version of a file has them, and no session leases them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..api import SpaceId
from .shards import Shards

if TYPE_CHECKING:
    from fathom.engines.database import Session

__all__ = ["Swept", "Unused"]

# Leases of sessions that have expired are no longer there: they are removed before anybody asks.
_NEEDED = (
    "EXISTS (SELECT FROM parts p WHERE p.space = c.space AND p.digest = c.digest)"
    " OR EXISTS (SELECT FROM leases l WHERE l.space = c.space AND l.digest = c.digest)"
)
_SUSPECTS = f"""
    SELECT c.digest FROM chunks c WHERE c.space = $1 AND c.digest > $2 AND c.condemned_ms IS NULL AND NOT ({_NEEDED})
    ORDER BY c.digest LIMIT $3
"""
_CONDEMN = f"""
    UPDATE chunks c SET state = CASE c.state WHEN 'live' THEN 'condemned' ELSE c.state END, condemned_ms = $3
    WHERE c.space = $1 AND c.digest = ANY($2::bytea[]) AND c.condemned_ms IS NULL AND NOT ({_NEEDED})
"""
_PARDON = f"""
    UPDATE chunks c SET state = CASE c.state WHEN 'condemned' THEN 'live' ELSE c.state END, condemned_ms = NULL
    WHERE c.space = $1 AND c.digest = ANY($2::bytea[]) AND c.condemned_ms IS NOT NULL AND ({_NEEDED})
"""
_SWEEP = f"""
    WITH swept AS (
        DELETE FROM chunks c WHERE c.space = $1 AND c.digest = ANY($2::bytea[]) AND c.condemned_ms <= $3
            AND NOT ({_NEEDED})
        RETURNING c.size, c.pack
    )
    SELECT count(*) AS chunks, coalesce(sum(size), 0)::bigint AS bytes,
        coalesce(array_agg(DISTINCT pack), ARRAY[]::text[]) AS packs FROM swept
"""


class Swept(NamedTuple):
    """What went: how many chunks, how many bytes they had, and in which packs they lay."""

    chunks: int
    bytes: int
    packs: list[str]


class Unused:
    """Chunks on their way out: condemned, and after the grace swept, if still nothing needs them."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def suspects(self, space: SpaceId, after: bytes, most: int) -> list[bytes]:
        """Return chunks that nothing seems to need, by digest."""
        rows = await (await self._shards.of(space)).fetch(_SUSPECTS, space, after, most)
        return [row["digest"] for row in rows]

    async def condemn(self, tx: Session, space: SpaceId, digests: Sequence[bytes], now_ms: int) -> int:
        """Condemn those of these chunks that nothing needs now; return how many."""
        return await tx.execute(_CONDEMN, space, digests, now_ms)

    async def ripe(self, space: SpaceId, before_ms: int, after: bytes, most: int) -> list[bytes]:
        """Return chunks that were condemned so long ago, by digest."""
        rows = await (await self._shards.of(space)).fetch(
            "SELECT digest FROM chunks WHERE space = $1 AND condemned_ms <= $2 AND digest > $3"
            " ORDER BY digest LIMIT $4",
            space,
            before_ms,
            after,
            most,
        )
        return [row["digest"] for row in rows]

    async def pardon(self, tx: Session, space: SpaceId, digests: Sequence[bytes]) -> int:
        """Have those of these chunks live on that something has come to need; return how many."""
        return await tx.execute(_PARDON, space, digests)

    async def sweep(self, tx: Session, space: SpaceId, digests: Sequence[bytes], before_ms: int) -> Swept:
        """Forget those of these chunks that were condemned so long ago and that nothing needs now."""
        row = await tx.fetchrow(_SWEEP, space, digests, before_ms)
        assert row is not None
        return Swept(row["chunks"], row["bytes"], row["packs"])

"""What the collector has once found to be needed by nobody it deletes, without asking again under the lock."""

from __future__ import annotations

from typing import Any

from fathom.systems.drive.stores.unused import Swept

from ...stories import a_chunk_comes_to_be_needed_while_it_is_swept as story

__all__ = ["seed", "story"]


def seed(stores: Any) -> None:
    async def sweep(tx: Any, space: int, digests: Any, before_ms: int) -> Swept:
        rows = await tx.fetch(
            "DELETE FROM chunks WHERE space = $1 AND digest = ANY($2::bytea[]) RETURNING size, pack", space, digests
        )
        return Swept(len(rows), sum(row["size"] for row in rows), [row["pack"] for row in rows])

    stores.unused.sweep = sweep

"""Who is told that a chunk is there is not noted down: the collector does not know that somebody counts on it."""

from __future__ import annotations

from typing import Any

from ...stories import a_chunk_that_was_promised_stays as story

__all__ = ["seed", "story"]


def seed(stores: Any) -> None:
    add = stores.sessions.add

    async def add_what_is_needed(tx: Any, space: int, user: int, leases: Any, expires_ms: int) -> Any:
        return await add(tx, space, user, [it for it in leases if it.reserved], expires_ms)

    stores.sessions.add = add_what_is_needed

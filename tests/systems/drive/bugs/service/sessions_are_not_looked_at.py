"""The collector asks which files have a chunk, and not which sessions are about to."""

from __future__ import annotations

from typing import Any

from ...stories import a_chunk_that_was_promised_stays as story

__all__ = ["seed", "story"]

LEASED = " OR EXISTS (SELECT FROM leases l WHERE l.space = c.space AND l.digest = c.digest)"


class Blind:
    """A transaction that does not ask about leases."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx

    async def execute(self, query: str, *given: Any) -> Any:
        assert LEASED in query
        return await self._tx.execute(query.replace(LEASED, ""), *given)

    async def fetchrow(self, query: str, *given: Any) -> Any:
        assert LEASED in query
        return await self._tx.fetchrow(query.replace(LEASED, ""), *given)


def seed(stores: Any) -> None:
    unused = stores.unused
    condemn, pardon, sweep = unused.condemn, unused.pardon, unused.sweep

    async def suspects(space: int, after: bytes, most: int) -> Any:
        rows = await stores.truth.client.fetch("SELECT digest FROM chunks WHERE digest > $1 ORDER BY 1", after)
        return [row["digest"] for row in rows]

    unused.suspects = suspects
    unused.condemn = lambda tx, *more: condemn(Blind(tx), *more)
    unused.pardon = lambda tx, *more: pardon(Blind(tx), *more)
    unused.sweep = lambda tx, *more: sweep(Blind(tx), *more)

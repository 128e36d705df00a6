"""Events beside the changes that they tell of, and the log that they are passed on to in commit order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from fathom.engines.postgres import Postgres

from ..api import Event, Order, OrderId, Sold

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.database import Database, Session

__all__ = ["Outbox"]

# Only what is older than every transaction that still runs: nothing can come to light behind it.
_PASS_ON = """
    WITH ready AS (
        DELETE FROM outbox WHERE seq IN (
            SELECT seq FROM outbox WHERE tx < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY tx, seq LIMIT $1)
        RETURNING *
    ), numbered AS (
        SELECT row_number() OVER (ORDER BY tx, seq) + (SELECT coalesce(max(seq), 0) FROM events) AS at, * FROM ready
    )
    INSERT INTO events (seq, order_id, version, kind, at_ms, body)
    SELECT at, order_id, version, kind, at_ms, body FROM numbered
"""
_ENCODE = msgspec.json.Encoder().encode
_ORDER = msgspec.json.Decoder(Order)


class Outbox:
    """Events that wait, the log, and what has been read from it."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def add(self, orders: Sequence[Order], tx: Session) -> None:
        """Write down what became of orders, in the transaction that changes them."""
        await tx.execute(
            "INSERT INTO outbox (order_id, version, kind, at_ms, body) SELECT e.order_id, e.version, e.kind,"
            " (extract(epoch FROM clock_timestamp()) * 1000)::bigint, e.body"
            " FROM unnest($1::bigint[], $2::int[], $3::text[], $4::jsonb[]) AS e (order_id, version, kind, body)",
            [it.id for it in orders],
            [it.version for it in orders],
            [f"order-{it.status}" for it in orders],
            [_ENCODE(it).decode() for it in orders],
        )

    async def pass_on(self, most: int = 500) -> int:
        """Bring what is ready to the log, in commit order; return how many events. One at a time may do this."""
        return await self._db.execute(_PASS_ON, most)

    async def waiting(self) -> int:
        """Return how many events are not in the log yet."""
        return await self._db.fetchval("SELECT count(*) FROM outbox")

    async def log(self, after: int, limit: int) -> list[Event]:
        """Return events after one, in order."""
        rows = await self._db.fetch(
            "SELECT seq, order_id, version, kind, at_ms, body::text AS body FROM events WHERE seq > $1"
            " ORDER BY seq LIMIT $2",
            after,
            limit,
        )
        return [event_of(row) for row in rows]

    async def sales(self) -> list[Sold]:
        """Return the read model of sales."""
        return [Sold(**row) for row in await self._db.fetch("SELECT item, quantity, amount FROM sales ORDER BY item")]


def event_of(row: asyncpg.Record) -> Event:
    """Return the event in a row."""
    return Event(
        seq=row["seq"],
        order=OrderId(row["order_id"]),
        version=row["version"],
        kind=row["kind"],
        at_ms=row["at_ms"],
        body=_ORDER.decode(row["body"]),
    )

"""Events beside the changes that they tell of, and the log that they are passed on to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from fathom.engines.postgres import Postgres

from ..api import Event, Order, OrderId

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.database import Database, Session

__all__ = ["Outbox", "Telling", "telling"]

RELAYING = 7_407_002  # an advisory lock: of all services one passes on at a time
CURSOR = "relay"

# Only what is older than every transaction that still runs: nothing can come to light behind it. Among that, by number
# and not by transaction: an order's numbers are drawn while its row is locked, so they rise with its versions; numbers
# of transactions are drawn when they begin to write, and one that began earlier may lock the row later. What the log
# has by now was passed on by somebody who leaves it here: it goes, and no number is drawn for it.
_BY_COMMIT = """
    WITH ready AS (
        DELETE FROM outbox WHERE seq IN (
            SELECT seq FROM outbox WHERE tx < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY seq LIMIT $1)
        RETURNING *
    ), numbered AS (
        SELECT row_number() OVER (ORDER BY seq) + (SELECT coalesce(max(seq), 0) FROM events) AS at, * FROM ready
        WHERE NOT EXISTS (SELECT FROM events e WHERE e.order_id = ready.order_id AND e.version = ready.version)
    ), passed AS (
        INSERT INTO events (seq, order_id, version, kind, at_ms, body)
        SELECT at, order_id, version, kind, at_ms, body FROM numbered
    )
    SELECT FROM ready
"""
_BY_ID = """
    WITH fresh AS (
        SELECT * FROM outbox WHERE seq > (SELECT seq FROM readers WHERE name = $2) ORDER BY seq LIMIT $1
    ), passed AS (
        INSERT INTO events (seq, order_id, version, kind, at_ms, body)
        SELECT row_number() OVER (ORDER BY seq) + (SELECT coalesce(max(seq), 0) FROM events),
            order_id, version, kind, at_ms, body FROM fresh
        RETURNING seq
    )
    UPDATE readers SET seq = (SELECT max(seq) FROM fresh) WHERE name = $2 AND EXISTS (SELECT FROM fresh)
    RETURNING (SELECT count(*) FROM passed)
"""
# What was told twice is recognised: its number is not drawn for nothing, so that the log has no gap.
_APPEND = """
    WITH told AS (
        SELECT DISTINCT ON (t.order_id, t.version) t.* FROM
            unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[], $5::jsonb[])
            WITH ORDINALITY AS t (order_id, version, kind, at_ms, body, place)
        WHERE NOT EXISTS (SELECT FROM events e WHERE e.order_id = t.order_id AND e.version = t.version)
        ORDER BY t.order_id, t.version, t.place
    )
    INSERT INTO events (seq, order_id, version, kind, at_ms, body)
    SELECT row_number() OVER (ORDER BY place) + (SELECT coalesce(max(seq), 0) FROM events),
        order_id, version, kind, at_ms, body FROM told
"""
_ENCODE = msgspec.json.Encoder().encode
_ORDER = msgspec.json.Decoder(Order)


class Telling(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An event before it has a place in the log; `body` is the order as JSON."""

    order: OrderId
    version: int
    kind: str
    at_ms: int
    body: str


def telling(order: Order, at_ms: int) -> Telling:
    """Return what is told of an order as it is now."""
    return Telling(
        order=order.id, version=order.version, kind=f"order-{order.status}", at_ms=at_ms, body=_ENCODE(order).decode()
    )


class Outbox:
    """Events that wait, and the log. `news` is set when there may be something to pass on."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth
        self.news = asyncio.Event()

    @property
    def db(self) -> Database:
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
        """Bring what is ready to the log, in commit order; return how many events."""
        async with self.db.transaction() as tx:
            return await self.drain(tx, most) if await self.alone(tx) else 0

    async def drain(self, tx: Session, most: int = 500) -> int:
        """Bring what is ready to the log within `tx`, which is the relay's; return how many events were taken out."""
        return await tx.execute(_BY_COMMIT, most)

    async def pass_on_by_id(self, most: int = 500) -> int:
        """Bring what has a higher number than the last to the log; return how many events."""
        async with self.db.transaction() as tx:
            if not await self.alone(tx):
                return 0
            await tx.execute("INSERT INTO readers VALUES ($1, 0) ON CONFLICT DO NOTHING", CURSOR)
            return await tx.fetchval(_BY_ID, most, CURSOR) or 0

    async def append(self, told: Sequence[Telling], tx: Session) -> int:
        """Add events to the log in this order, but for those that it has; return how many."""
        return await tx.execute(
            _APPEND,
            [it.order for it in told],
            [it.version for it in told],
            [it.kind for it in told],
            [it.at_ms for it in told],
            [it.body for it in told],
        )

    async def alone(self, tx: Session) -> bool:
        """Be the one relay until `tx` ends, if nobody is."""
        return await tx.fetchval("SELECT pg_try_advisory_xact_lock($1)", RELAYING)

    async def line_up(self, tx: Session) -> None:
        """Be the one relay until `tx` ends, when it is our turn."""
        await tx.execute("SELECT pg_advisory_xact_lock($1)", RELAYING)

    async def waiting(self, tx: Session | None = None) -> int:
        """Return how many events are not in the log yet."""
        return await (tx or self.db).fetchval(
            "SELECT count(*) FROM outbox WHERE seq > coalesce((SELECT seq FROM readers WHERE name = $1), 0)", CURSOR
        )

    async def log(self, after: int, limit: int, tx: Session | None = None) -> list[Event]:
        """Return events after one, in order."""
        rows = await (tx or self.db).fetch(
            "SELECT seq, order_id, version, kind, at_ms, body::text AS body FROM events WHERE seq > $1"
            " ORDER BY seq LIMIT $2",
            after,
            limit,
        )
        return [event_of(row) for row in rows]


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

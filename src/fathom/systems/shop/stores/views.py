"""Read models: tables that are made of the log alone, can be thrown away, and made of it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres

from ..api import Money, OrderId, Sold, Summaries, Summary, Tally, UserId
from ..model.views import Change, fold
from .outbox import Outbox

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.database import Database, Session

__all__ = ["Views"]

READER = "views"
BATCH = 500
_SUMMARY = "order_id, user_id, status, version, quantity, amount, currency, created_ms, changed_ms"


class Views:
    """Orders in short, what was sold, and how many orders stand where.

    How far the log was read is kept in the transaction that changes them: whatever is killed when, each event has
    counted once.
    """

    def __init__(self, truth: Postgres, outbox: Outbox) -> None:
        self._truth, self._outbox = truth, outbox

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def read_on(self) -> int:
        """Read some more of the log; return how many events."""
        async with self._db.transaction() as tx:
            return await self._read(tx)

    async def rebuild(self) -> int:
        """Throw everything away and read the log from its beginning, in one transaction; return how many events."""
        async with self._db.transaction(within_s=60.0) as tx:
            await tx.execute("INSERT INTO readers VALUES ($1, 0) ON CONFLICT DO NOTHING", READER)
            await tx.execute("UPDATE readers SET seq = 0 WHERE name = $1", READER)
            await tx.execute("DELETE FROM summaries; DELETE FROM sales; DELETE FROM tallies")
            total = 0
            while read := await self._read(tx):
                total += read
            return total

    async def _read(self, tx: Session) -> int:
        seq = await tx.fetchval("SELECT seq FROM readers WHERE name = $1 FOR UPDATE", READER)
        if seq is None:
            await tx.execute("INSERT INTO readers VALUES ($1, 0) ON CONFLICT DO NOTHING", READER)
            seq = await tx.fetchval("SELECT seq FROM readers WHERE name = $1 FOR UPDATE", READER)
        events = await self._outbox.log(seq, BATCH, tx)
        if events:
            known = await self._known([event.order for event in events], tx)
            await self._change(fold(events, known), tx)
            await tx.execute("UPDATE readers SET seq = $2 WHERE name = $1", READER, events[-1].seq)
        return len(events)

    async def _known(self, orders: list[OrderId], tx: Session) -> dict[OrderId, Summary]:
        rows = await tx.fetch(f"SELECT {_SUMMARY} FROM summaries WHERE order_id = ANY($1::bigint[])", orders)
        return {OrderId(row["order_id"]): _summary(row) for row in rows}

    async def _change(self, change: Change, tx: Session) -> None:
        them = list(change.summaries.values())
        await tx.execute(
            "INSERT INTO summaries SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::int[],"
            " $5::bigint[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[]) ON CONFLICT (order_id) DO UPDATE SET"
            " status = excluded.status, version = excluded.version, changed_ms = excluded.changed_ms",
            [it.order for it in them], [it.user for it in them], [it.status for it in them],
            [it.version for it in them], [it.quantity for it in them], [it.total.amount for it in them],
            [it.total.currency for it in them], [it.created_ms for it in them], [it.changed_ms for it in them],
        )  # fmt: skip
        if change.sales:
            await tx.execute(
                "INSERT INTO sales AS s SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])"
                " ON CONFLICT (item) DO UPDATE SET quantity = s.quantity + excluded.quantity,"
                " amount = s.amount + excluded.amount",
                list(change.sales),
                [quantity for quantity, _ in change.sales.values()],
                [amount for _, amount in change.sales.values()],
            )
        await tx.execute(
            "INSERT INTO tallies AS t SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])"
            " ON CONFLICT (status, currency) DO UPDATE SET orders = t.orders + excluded.orders,"
            " amount = t.amount + excluded.amount",
            [status for status, _ in change.tallies],
            [currency for _, currency in change.tallies],
            [orders for orders, _ in change.tallies.values()],
            [amount for _, amount in change.tallies.values()],
        )

    async def behind(self) -> int:
        """Return how many events of the log were not read yet."""
        return await self._db.fetchval(
            "SELECT coalesce((SELECT max(seq) FROM events), 0)"
            " - coalesce((SELECT seq FROM readers WHERE name = $1), 0)",
            READER,
        )

    async def summaries(self, user: UserId, below: int, limit: int) -> Summaries:
        """Return somebody's newest orders in short, with ids below this."""
        rows = await self._db.fetch(
            f"SELECT {_SUMMARY} FROM summaries WHERE user_id = $1 AND order_id < $2 ORDER BY order_id DESC LIMIT $3",
            user,
            below,
            limit + 1,
        )
        found = [_summary(row) for row in rows[:limit]]
        return Summaries(summaries=found, after=str(found[-1].order) if len(rows) > limit else "")

    async def sales(self) -> list[Sold]:
        """Return what was sold, by item."""
        return [Sold(**row) for row in await self._db.fetch("SELECT item, quantity, amount FROM sales ORDER BY item")]

    async def tallies(self) -> list[Tally]:
        """Return how many orders stand where, and what they are worth."""
        rows = await self._db.fetch(
            "SELECT status, orders, amount, currency FROM tallies WHERE orders <> 0 ORDER BY status, currency"
        )
        return [
            Tally(status=row["status"], orders=row["orders"], total=Money(row["amount"], row["currency"]))
            for row in rows
        ]


def _summary(row: asyncpg.Record) -> Summary:
    return Summary(
        order=OrderId(row["order_id"]),
        user=UserId(row["user_id"]),
        status=row["status"],
        version=row["version"],
        quantity=row["quantity"],
        total=Money(row["amount"], row["currency"]),
        created_ms=row["created_ms"],
        changed_ms=row["changed_ms"],
    )

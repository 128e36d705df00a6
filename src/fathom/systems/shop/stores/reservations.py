"""Reservations: what is held for which order until when, whatever counts what is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from fathom.engines.postgres import Postgres

from ..api import ItemId, Level, OrderId, Wanted

if TYPE_CHECKING:
    from fathom.engines.database import Database, Session

__all__ = ["SELL_FROM", "Reservations"]

# Each lasts from when its transaction began: all that one order has ends at one moment, however long the statement for
# each item waited for others, and is sold or lapses together. Whatever takes stock writes it so.
_NOTE = """
    INSERT INTO reservations (order_id, item, quantity, until)
    SELECT $1, w.item, w.quantity, now() + $4 * interval '1 second'
    FROM unnest($2::bigint[], $3::int[]) AS w (item, quantity)
    ON CONFLICT DO NOTHING
"""
_RENEW = """
    UPDATE reservations SET until = greatest(until, statement_timestamp() + $2 * interval '1 second')
    WHERE order_id = $1 AND state = 'held' AND until > statement_timestamp()
"""
_EXPIRED = """
    SELECT DISTINCT order_id FROM (
        SELECT order_id FROM reservations WHERE state = 'held' AND until <= statement_timestamp()
        ORDER BY until LIMIT $1
    ) AS over
"""
_COUNTED = """
    SELECT s.item, s.received,
        coalesce(sum(r.quantity) FILTER (WHERE r.state = 'held'), 0)::bigint AS held,
        coalesce(sum(r.quantity) FILTER (WHERE r.state = 'sold'), 0)::bigint AS sold
    FROM stock s LEFT JOIN reservations r ON r.item = s.item AND r.state <> 'released'
    WHERE s.item = $1 GROUP BY s.item
"""
# Reservations first and then rows of stock in the order of their items: as everything here takes them.
SELL_FROM = """
    WITH mine AS (
        UPDATE reservations SET state = 'sold' WHERE order_id = $1 AND state = 'held' AND until > statement_timestamp()
        RETURNING item, quantity
    ), locked AS MATERIALIZED (
        SELECT s.item, m.quantity FROM stock s JOIN mine m USING (item) ORDER BY s.item FOR UPDATE OF s
    )
    UPDATE stock s SET {0} = {0} - l.quantity, sold = sold + l.quantity, version = version + 1
    FROM locked l WHERE s.item = l.item
"""
# Of those that nobody counts before they are sold, the row of the stock changes only now, and refuses to go below zero.
_SELL_NOTED = SELL_FROM.format("available")
_RELEASE_NOTED = """
    WITH mine AS MATERIALIZED (
        SELECT item, quantity, state FROM reservations
        WHERE order_id = $1 AND state <> 'released' AND (NOT $2 OR state = 'held' AND until <= statement_timestamp())
        FOR UPDATE
    ), released AS (
        UPDATE reservations r SET state = 'released' FROM mine WHERE r.order_id = $1 AND r.item = mine.item
    ), locked AS MATERIALIZED (
        SELECT s.item, m.quantity FROM stock s JOIN mine m USING (item) WHERE m.state = 'sold'
        ORDER BY s.item FOR UPDATE OF s
    ), put_back AS (
        UPDATE stock s SET available = available + l.quantity, sold = sold - l.quantity, version = version + 1
        FROM locked l WHERE s.item = l.item
    )
    SELECT item, quantity FROM mine
"""
# A row that somebody's look had overwritten may hold anything: it is kept within what a row may be.
_MARK = """
    WITH mine AS MATERIALIZED (
        SELECT item, quantity, state FROM reservations
        WHERE order_id = $1 AND (state = 'held' AND ($2 = 'released' OR until > statement_timestamp())
            OR state = 'sold' AND $2 = 'released')
            AND (NOT $4 OR state = 'held' AND until <= statement_timestamp()) FOR UPDATE
    ), marked AS (
        UPDATE reservations r SET state = $2 FROM mine WHERE r.order_id = $1 AND r.item = mine.item
    ), locked AS MATERIALIZED (
        SELECT s.item, CASE $2 WHEN 'sold' THEN 0 ELSE m.quantity END AS back,
            CASE WHEN $2 = 'sold' THEN m.quantity WHEN m.state = 'sold' THEN -m.quantity ELSE 0 END AS sold
        FROM stock s JOIN mine m USING (item) WHERE $3 ORDER BY s.item FOR UPDATE OF s
    ), kept AS (
        UPDATE stock s SET version = version + 1,
            sold = least(greatest(s.sold + l.sold, 0), received),
            available = least(available + l.back, received - least(greatest(s.sold + l.sold, 0), received)),
            held = received - least(greatest(s.sold + l.sold, 0), received)
                - least(available + l.back, received - least(greatest(s.sold + l.sold, 0), received))
        FROM locked l WHERE s.item = l.item
    )
    SELECT count(*) FROM mine
"""


class Reservations:
    """Rows by order and item. Where a statement locks several, it locks reservations first and then rows of stock."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def db(self) -> Database:
        return self._truth.client

    async def has(self, order: OrderId, item: ItemId, tx: Session | None = None) -> bool:
        """Tell whether something is, or was, set aside for an order."""
        return await (tx or self.db).fetchval(
            "SELECT EXISTS (SELECT FROM reservations WHERE order_id = $1 AND item = $2)", order, item
        )

    async def note(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float, tx: Session | None = None) -> None:
        """Write down what is held; what is written down already stays as it is."""
        items, quantities = [want.item for want in wanted], [want.quantity for want in wanted]
        await (tx or self.db).execute(_NOTE, order, items, quantities, hold_s)

    async def renew(self, order: OrderId, hold_s: float, tx: Session | None = None) -> bool:
        """Hold it for so long from now on, if its time is not over; say whether it is held."""
        return await (tx or self.db).execute(_RENEW, order, hold_s) > 0

    async def expired(self, most: int) -> list[OrderId]:
        """Return orders whose reservations' time is over."""
        return [OrderId(row["order_id"]) for row in await self.db.fetch(_EXPIRED, most)]

    async def counted(self, item: ItemId, tx: Session | None = None) -> Level | None:
        """Return how many there are as the reservations have it."""
        row = await (tx or self.db).fetchrow(_COUNTED, item)
        if row is None:
            return None
        return Level(available=row["received"] - row["held"] - row["sold"], **row)

    async def sold(self, order: OrderId, tx: Session | None = None) -> bool:
        """Tell whether what an order wanted is sold to it."""
        return await (tx or self.db).fetchval(
            "SELECT EXISTS (SELECT FROM reservations WHERE order_id = $1 AND state = 'sold')", order
        )

    async def sell_noted(self, order: OrderId, tx: Session | None = None) -> bool:
        """Let what is held be sold where only what is sold is counted; say whether it is."""
        from asyncpg import CheckViolationError

        try:
            if tx is None:
                return await self.db.execute(_SELL_NOTED, order) > 0 or await self.sold(order)
            await tx.execute("SAVEPOINT selling")
            return await tx.execute(_SELL_NOTED, order) > 0 or await self.sold(order, tx)
        except CheckViolationError:  # there was less than Redis believed
            if tx is not None:
                await tx.execute("ROLLBACK TO SAVEPOINT selling")
            return False

    async def release_noted(self, order: OrderId, tx: Session | None = None, *, lapsed: bool = False) -> list[Wanted]:
        """Release what an order holds or was sold, or holds for too long; return what that was."""
        rows = await (tx or self.db).fetch(_RELEASE_NOTED, order, lapsed)
        return [Wanted(ItemId(row["item"]), row["quantity"]) for row in rows]

    async def mark(
        self,
        order: OrderId,
        state: Literal["sold", "released"],
        tx: Session | None = None,
        *,
        counters: bool = True,
        lapsed: bool = False,
    ) -> bool:
        """Let reservations be this, all or (`lapsed`) those held for too long; say whether they are.

        With `counters` the rows of stock follow if they can.
        """
        if await (tx or self.db).fetchval(_MARK, order, state, counters, lapsed):
            return True
        return state == "sold" and await self.sold(order, tx)

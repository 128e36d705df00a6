"""How many there are of each item, as counters on its row, and the reservations that say for which orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import ItemId, Level, OrderId, Wanted

if TYPE_CHECKING:
    from fathom.engines.database import Database, Session

__all__ = ["Shelves", "not_enough"]

_TAKE = """
    WITH taken AS (
        UPDATE stock SET available = available - $3, held = held + $3, version = version + 1
        WHERE item = $2 AND available >= $3
            AND NOT EXISTS (SELECT FROM reservations WHERE order_id = $1 AND item = $2)
        RETURNING item
    )
    INSERT INTO reservations (order_id, item, quantity, until)
    SELECT $1, item, $3, statement_timestamp() + $4 * interval '1 second' FROM taken
"""
# Reservations first and then rows of stock in the order of their items: as everything here takes them.
_SELL = """
    WITH mine AS (
        UPDATE reservations SET state = 'sold' WHERE order_id = $1 AND state = 'held' AND until > statement_timestamp()
        RETURNING item, quantity
    ), locked AS MATERIALIZED (
        SELECT s.item, m.quantity FROM stock s JOIN mine m USING (item) ORDER BY s.item FOR UPDATE OF s
    )
    UPDATE stock s SET held = held - l.quantity, sold = sold + l.quantity, version = version + 1
    FROM locked l WHERE s.item = l.item
"""
_RELEASE = """
    WITH mine AS MATERIALIZED (
        SELECT item, quantity, state FROM reservations
        WHERE order_id = $1 AND state <> 'released' AND (NOT $2 OR state = 'held' AND until <= statement_timestamp())
        FOR UPDATE
    ), released AS (
        UPDATE reservations r SET state = 'released' FROM mine WHERE r.order_id = $1 AND r.item = mine.item
    ), locked AS MATERIALIZED (
        SELECT s.item, m.quantity, m.state FROM stock s JOIN mine m USING (item) ORDER BY s.item FOR UPDATE OF s
    )
    UPDATE stock s SET available = available + l.quantity, version = version + 1,
        held = held - CASE l.state WHEN 'held' THEN l.quantity ELSE 0 END,
        sold = sold - CASE l.state WHEN 'sold' THEN l.quantity ELSE 0 END
    FROM locked l WHERE s.item = l.item
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


class Shelves:
    """Counters and reservations. A database that finds a counter below zero refuses, whoever wrote it."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def db(self) -> Database:
        return self._truth.client

    async def receive(self, item: ItemId, quantity: int, tx: Session) -> None:
        """Put what has come on the shelf."""
        await tx.execute(
            "UPDATE stock SET received = received + $2, available = available + $2, version = version + 1"
            " WHERE item = $1",
            item,
            quantity,
        )

    async def level(self, item: ItemId, tx: Session | None = None) -> Level | None:
        row = await (tx or self.db).fetchrow(
            "SELECT item, available, held, sold, received FROM stock WHERE item = $1", item
        )
        return None if row is None else Level(**row)

    async def take(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float, tx: Session | None = None) -> None:
        """Set aside all of this or refuse, comparing and subtracting in one statement for each item."""
        if tx is None and len(wanted) > 1:
            async with self.db.transaction() as own:
                await self.take(order, wanted, hold_s, own)
            return
        on = tx or self.db
        for want in wanted:
            if not await on.execute(_TAKE, order, want.item, want.quantity, hold_s) and not await self.has(
                order, want.item, tx
            ):
                raise not_enough(want.item)

    async def has(self, order: OrderId, item: ItemId, tx: Session | None = None) -> bool:
        """Tell whether something is, or was, set aside for an order."""
        return await (tx or self.db).fetchval(
            "SELECT EXISTS (SELECT FROM reservations WHERE order_id = $1 AND item = $2)", order, item
        )

    async def sell(self, order: OrderId, tx: Session | None = None) -> bool:
        """Let what is held be sold; say whether it is."""
        on = tx or self.db
        if await on.execute(_SELL, order):
            return True
        return await on.fetchval(
            "SELECT EXISTS (SELECT FROM reservations WHERE order_id = $1 AND state = 'sold')", order
        )

    async def release(self, order: OrderId, tx: Session | None = None, *, lapsed: bool = False) -> bool:
        """Put back what an order holds or was sold, or (`lapsed`) holds for too long; say whether it had any."""
        return await (tx or self.db).execute(_RELEASE, order, lapsed) > 0

    async def renew(self, order: OrderId, hold_s: float, tx: Session | None = None) -> bool:
        """Hold it for so long from now on, if its time is not over; say whether it is held."""
        return await (tx or self.db).execute(_RENEW, order, hold_s) > 0

    async def expired(self, most: int) -> list[OrderId]:
        """Return orders whose reservations' time is over."""
        return [OrderId(row["order_id"]) for row in await self.db.fetch(_EXPIRED, most)]

    async def bulk(self, items: Iterable[tuple[ItemId, int]]) -> None:
        """Put many items on empty shelves."""
        await self.db.copy("stock", ("item", "received", "available"), [(item, n, n) for item, n in items])


def not_enough(item: ItemId) -> Refusal:
    """There is less of an item than was wanted."""
    return Refusal("conflict", f"there is not enough of item {item}")

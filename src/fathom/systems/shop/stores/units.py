"""A row for each thing on the shelf, and which order has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres

from ..api import ItemId, OrderId, Wanted

if TYPE_CHECKING:
    from fathom.engines.database import Database, Session

__all__ = ["Units"]

_TAKE = """
    WITH free AS MATERIALIZED (
        SELECT item, unit FROM units WHERE item = $2 AND order_id IS NULL
            AND NOT EXISTS (SELECT FROM reservations WHERE order_id = $1 AND item = $2)
        LIMIT $3 FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE units u SET order_id = $1 FROM free
        WHERE u.item = free.item AND u.unit = free.unit AND (SELECT count(*) FROM free) = $3
    )
    INSERT INTO reservations (order_id, item, quantity, until)
    SELECT $1, $2, $3, now() + $4 * interval '1 second' WHERE (SELECT count(*) FROM free) = $3
"""
_GIVE_BACK = """
    WITH mine AS (
        UPDATE reservations SET state = 'released'
        WHERE order_id = $1 AND state <> 'released' AND (NOT $2 OR state = 'held' AND until <= statement_timestamp())
        RETURNING item
    )
    UPDATE units u SET order_id = NULL FROM mine WHERE u.order_id = $1 AND u.item = mine.item
"""
_COUNT_ANEW = """
    WITH taken AS (
        SELECT item, order_id, row_number() OVER (PARTITION BY item ORDER BY order_id) AS unit
        FROM reservations, generate_series(1, quantity) WHERE state <> 'released'
    )
    INSERT INTO units (item, unit, order_id)
    SELECT s.item, n, taken.order_id FROM stock s CROSS JOIN generate_series(1, s.received) AS n
    LEFT JOIN taken ON taken.item = s.item AND taken.unit = n
    ON CONFLICT DO NOTHING
"""


class Units:
    """Rows by item and number. A row has one order or none, so a thing is nobody's or somebody's."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def take(self, order: OrderId, want: Wanted, hold_s: float, tx: Session | None = None) -> bool:
        """Give an order as many free things as it wants, or none; say whether it has them."""
        return await (tx or self._db).execute(_TAKE, order, want.item, want.quantity, hold_s) == 1

    async def give_back(self, order: OrderId, tx: Session | None = None, *, lapsed: bool = False) -> bool:
        """Let things be free that an order has, or (`lapsed`) holds for too long; say whether there were any."""
        return await (tx or self._db).execute(_GIVE_BACK, order, lapsed) > 0

    async def add(self, item: ItemId, tx: Session) -> None:
        """Add rows for what has come since the last time."""
        await tx.execute(
            "INSERT INTO units (item, unit) SELECT s.item, n FROM stock s, generate_series("
            "(SELECT coalesce(max(unit), 0) + 1 FROM units WHERE item = $1), s.received) AS n WHERE s.item = $1",
            item,
        )

    async def count_anew(self, tx: Session) -> None:
        """Make a row for everything that was received, with the orders that the reservations tell of."""
        await tx.execute("DELETE FROM units")
        await tx.execute(_COUNT_ANEW)

"""How many there are of each item, as counters on its row, and the reservations that say for which orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from fathom.errors import Refusal

from ..api import ItemId, Level, OrderId, Wanted
from .reservations import SELL_FROM, Reservations
from .units import Units

if TYPE_CHECKING:
    from fathom.engines.database import Session

__all__ = ["Basketful", "Look", "Shelves", "not_enough"]

_LOOK = "SELECT item, available, held, sold, received, version FROM stock WHERE item = $1"
_TAKE = """
    WITH taken AS (
        UPDATE stock SET available = available - $3, held = held + $3, version = version + 1
        WHERE item = $2 AND available >= $3
            AND NOT EXISTS (SELECT FROM reservations WHERE order_id = $1 AND item = $2)
        RETURNING item
    )
    INSERT INTO reservations (order_id, item, quantity, until)
    SELECT $1, item, $3, now() + $4 * interval '1 second' FROM taken
"""
_PUT_ASIDE = _TAKE.replace("available >= $3", "($5::bigint IS NULL OR version = $5)")
_SELL = SELL_FROM.format("held")
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
_LOCK_MANY = "SELECT item, available FROM stock WHERE item = ANY($1::bigint[]) ORDER BY item FOR UPDATE"
_TAKE_MANY = """
    WITH taken AS (
        UPDATE stock s SET available = available - t.quantity, held = held + t.quantity, version = version + 1
        FROM (SELECT item, sum(quantity) AS quantity FROM unnest($2::bigint[], $3::int[]) AS w (item, quantity)
              GROUP BY item) AS t
        WHERE s.item = t.item
    )
    INSERT INTO reservations (order_id, item, quantity, until)
    SELECT w.order_id, w.item, w.quantity, now() + w.hold_s * interval '1 second'
    FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::float8[]) AS w (order_id, item, quantity, hold_s)
"""
_SAVE = """
    UPDATE stock SET available = $2, held = $3, sold = $4, received = $5, version = $6 WHERE item = $1
"""
_RECOUNT = """
    WITH sums AS (
        SELECT s.item, least(coalesce(sum(r.quantity) FILTER (WHERE r.state = 'sold'), 0), s.received) AS sold,
            coalesce(sum(r.quantity) FILTER (WHERE r.state = 'held'), 0) AS held
        FROM stock s LEFT JOIN reservations r ON r.item = s.item AND r.state <> 'released' GROUP BY s.item
    ), kept AS (
        SELECT sums.item, sums.sold, CASE WHEN $1 THEN least(sums.held, s.received - sums.sold) ELSE 0 END AS held
        FROM sums JOIN stock s USING (item)
    )
    UPDATE stock s SET sold = k.sold, held = k.held, available = s.received - k.sold - k.held, version = version + 1
    FROM kept k WHERE s.item = k.item
"""


class Look(NamedTuple):
    """A row of the stock as it was when somebody looked."""

    item: ItemId
    available: int
    held: int
    sold: int
    received: int
    version: int


class Basketful(NamedTuple):
    """What one order wants, for how long."""

    order: OrderId
    wanted: tuple[Wanted, ...]
    hold_s: float


class Shelves(Reservations):
    """Counters and reservations. A database that finds a counter below zero refuses, whoever wrote it."""

    @cached_property
    def units(self) -> Units:
        """The same shelves with a row for each thing on them."""
        return Units(self._truth)

    async def begin(self, kept_in: str) -> None:
        """Let what is left be counted there from now on: if it was elsewhere, it is counted anew from reservations."""
        async with self.db.transaction() as tx:
            before = await tx.fetchval("SELECT kept_in FROM stock_kept FOR UPDATE")
            if before == kept_in:
                return
            await tx.execute(_RECOUNT, kept_in == "counters")
            if kept_in == "units":
                await self.units.count_anew(tx)
            await tx.execute("UPDATE stock_kept SET kept_in = $1", kept_in)

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

    async def look(self, item: ItemId, tx: Session | None = None, *, lock: bool = False) -> Look | None:
        """Look at a row; `lock`: nobody else changes it before the transaction has ended."""
        row = await (tx or self.db).fetchrow(f"{_LOOK} FOR UPDATE" if lock else _LOOK, item)
        return None if row is None else Look(*row)

    async def take(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float, tx: Session | None = None) -> None:
        """Set aside all of this or refuse, comparing and subtracting in one statement for each item, in this order."""
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

    async def put_aside(
        self, order: OrderId, want: Wanted, hold_s: float, tx: Session | None = None, *, version: int | None = None
    ) -> bool:
        """Set aside one item for somebody who has looked; say whether it is: not if the row's version is another."""
        on = tx or self.db
        return await on.execute(_PUT_ASIDE, order, want.item, want.quantity, hold_s, version) == 1

    async def save(self, look: Look, *, held: int, tx: Session) -> None:
        """Write a whole row as somebody's look and what they held make it, whatever it is by now."""
        await tx.execute(
            _SAVE, look.item, look.available - held, look.held + held, look.sold, look.received, look.version + 1
        )

    async def take_batch(self, batch: Sequence[Basketful]) -> list[ItemId | None]:
        """Set aside what several orders want, first come first served; return what each lacks: None, it has it all."""
        items = sorted({want.item for basket in batch for want in basket.wanted})
        lacks: list[ItemId | None] = []
        rows: list[tuple[OrderId, ItemId, int, float]] = []
        async with self.db.transaction() as tx:
            left = {ItemId(row["item"]): row["available"] for row in await tx.fetch(_LOCK_MANY, items)}
            known = await tx.fetch(
                "SELECT DISTINCT order_id FROM reservations WHERE order_id = ANY($1::bigint[])",
                [basket.order for basket in batch],
            )
            done = {row["order_id"] for row in known}
            for basket in batch:
                lack = next((want.item for want in basket.wanted if left.get(want.item, 0) < want.quantity), None)
                if basket.order in done:
                    lack = None
                elif lack is None:
                    done.add(basket.order)
                    for want in basket.wanted:
                        left[want.item] -= want.quantity
                        rows.append((basket.order, want.item, want.quantity, basket.hold_s))
                lacks.append(lack)
            if rows:
                await tx.execute(_TAKE_MANY, *map(list, zip(*rows, strict=True)))
        return lacks

    async def sell(self, order: OrderId, tx: Session | None = None) -> bool:
        """Let what is held be sold; say whether it is."""
        return await (tx or self.db).execute(_SELL, order) > 0 or await self.sold(order, tx)

    async def release(self, order: OrderId, tx: Session | None = None, *, lapsed: bool = False) -> bool:
        """Put back what an order holds or was sold, or (`lapsed`) holds for too long; say whether it had any."""
        return await (tx or self.db).execute(_RELEASE, order, lapsed) > 0

    async def bulk(self, items: Iterable[tuple[ItemId, int]]) -> None:
        """Put many items on empty shelves."""
        await self.db.copy("stock", ("item", "received", "available"), [(item, n, n) for item, n in items])
        async with self.db.transaction() as tx:
            if await tx.fetchval("SELECT kept_in FROM stock_kept FOR SHARE") == "units":
                await self.units.count_anew(tx)


def not_enough(item: int) -> Refusal:
    """There is less of an item than was wanted."""
    return Refusal("conflict", f"there is not enough of item {item}")

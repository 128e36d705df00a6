"""Orders with their lines, in shards by who ordered; the database keeps them on the paths that an order may go."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import msgspec

from fathom.engines.postgres import Postgres

from ..api import Address, Change, HoldId, ItemId, Line, Money, Order, OrderId, Orders, Status, UserId
from ..model.numbers import SHARDS, shard_of_user

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.database import Database, Session

__all__ = ["OrderRows", "shard_of"]

_MS = "(extract(epoch FROM {}) * 1000)::bigint"
_COLUMNS = f"""
    o.id, o.user_id, o.status, o.total, o.currency, o.address::text AS address, o.version, o.hold, o.created_ms,
    {_MS.format("o.until")} AS until_ms, o.charged, o.because,
    (SELECT json_agg(json_build_array(l.item, l.name, l.quantity, l.price, l.seats) ORDER BY l.item)::text
     FROM order_lines l WHERE l.shard = o.shard AND l.order_id = o.id) AS lines
"""
_ADD = f"""
    WITH gone AS (DELETE FROM carts WHERE user_id = $3 AND item = ANY($10::bigint[])),
    lined AS (
        INSERT INTO order_lines (shard, order_id, item, name, quantity, price, seats)
        SELECT $1, $2, l.item, l.name, l.quantity, l.price, ARRAY(SELECT json_array_elements_text(l.seats::json))
        FROM unnest($10::bigint[], $11::text[], $12::int[], $13::bigint[], $14::text[])
            AS l (item, name, quantity, price, seats)
    )
    INSERT INTO orders AS o (shard, id, user_id, total, currency, address, hold, created_ms, until)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9 * interval '1 second')
    RETURNING {_MS.format("until")}
"""
_LINES = msgspec.json.Decoder(list[tuple[int, str, int, int, list[str]]])
_ADDRESS = msgspec.json.Decoder(Address)
_ENCODE = msgspec.json.Encoder().encode


def shard_of(order: int) -> int:
    """Return the shard that an order lies in: its id says so."""
    return order >> 8 & 15


class OrderRows:
    """Orders. Every change of a status is a row of `order_changes`, which the database writes."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    def changing(self) -> AbstractAsyncContextManager[Session]:
        """Run a block in a transaction of the database that has the orders."""
        return self._db.transaction()

    async def add(self, order: Order, hold_s: float, tx: Session) -> Order:
        """Add an order, pending for so long; return it with the time until when. Its items leave the user's cart."""
        lines = order.lines
        until_ms = await tx.fetchval(
            _ADD,
            shard_of(order.id), order.id, order.user, order.total.amount, order.total.currency,
            _ENCODE(order.address).decode(), order.hold, order.created_ms, hold_s,
            [line.item for line in lines], [line.name for line in lines], [line.quantity for line in lines],
            [line.price.amount for line in lines], [_ENCODE(line.seats).decode() for line in lines],
        )  # fmt: skip
        return msgspec.structs.replace(order, status="pending", version=1, until_ms=until_ms)

    async def of(self, order: OrderId, tx: Session | None = None, *, lock: bool = False) -> Order | None:
        """Return an order; `lock`: nobody else changes it before the transaction has ended."""
        row = await (tx or self._db).fetchrow(
            f"SELECT {_COLUMNS} FROM orders o WHERE o.shard = $1 AND o.id = $2 {'FOR UPDATE' if lock else ''}",
            shard_of(order),
            order,
        )
        return None if row is None else order_of(row)

    async def change(
        self, order: Order, status: Status, tx: Session, *, charged: int | None = None, because: str = ""
    ) -> Order:
        """Let an order that `tx` has locked be something else; the database refuses what does not follow."""
        charged = order.charged if charged is None else charged
        await tx.execute(
            "UPDATE orders SET status = $3, charged = $4, because = $5 WHERE shard = $1 AND id = $2",
            shard_of(order.id), order.id, status, charged, because,
        )  # fmt: skip
        version = order.version + (status != order.status)
        return msgspec.structs.replace(order, status=status, version=version, charged=charged, because=because)

    async def renew(self, order: OrderId, hold_s: float, tx: Session) -> None:
        """Let an order wait for its payment for so long from now on."""
        await tx.execute(
            "UPDATE orders SET until = greatest(until, statement_timestamp() + $3 * interval '1 second')"
            " WHERE shard = $1 AND id = $2",
            shard_of(order),
            order,
            hold_s,
        )

    async def page_of(self, user: UserId, below: int, limit: int) -> Orders:
        """Return somebody's newest orders with ids below this."""
        return await self._page(f"o.shard = {shard_of_user(user)} AND o.user_id = $1", user, below, limit)

    async def page_with(self, status: Status, below: int, limit: int) -> Orders:
        """Return the newest orders with a status, with ids below this."""
        return await self._page("o.status = $1", status, below, limit)

    async def _page(self, where: str, value: object, below: int, limit: int) -> Orders:
        rows = await self._db.fetch(
            f"SELECT {_COLUMNS} FROM orders o WHERE {where} AND o.id < $2 ORDER BY o.id DESC LIMIT $3",
            value, below, limit + 1,
        )  # fmt: skip
        orders = [order_of(row) for row in rows[:limit]]
        return Orders(orders=orders, after=str(orders[-1].id) if len(rows) > limit else "")

    async def history(self, order: OrderId) -> list[Change]:
        """Return an order's changes of status, the oldest first."""
        rows = await self._db.fetch(
            "SELECT version, status, at_ms FROM order_changes WHERE shard = $1 AND order_id = $2 ORDER BY version",
            shard_of(order),
            order,
        )
        return [Change(**row) for row in rows]

    async def overdue(self, most: int = 100) -> list[OrderId]:
        """Return orders that are pending for longer than they may be."""
        rows = await self._db.fetch(
            "SELECT id FROM orders WHERE status = 'pending' AND until <= statement_timestamp() LIMIT $1", most
        )
        return [OrderId(row["id"]) for row in rows]

    async def last_id(self) -> int:
        """Return the highest number that any order has."""
        return await self._db.fetchval(
            "SELECT coalesce(max((SELECT max(o.id) FROM orders o WHERE o.shard = s)), 0)"
            " FROM generate_series(0, $1 - 1) AS s",
            SHARDS,
        )

    async def all(self) -> Sequence[Order]:
        """Return every order, the oldest first: for audits of what is small."""
        return [order_of(row) for row in await self._db.fetch(f"SELECT {_COLUMNS} FROM orders o ORDER BY o.id")]


def order_of(row: asyncpg.Record) -> Order:
    """Return the order in a row."""
    currency = row["currency"]
    return Order(
        id=OrderId(row["id"]),
        user=UserId(row["user_id"]),
        status=row["status"],
        lines=[
            Line(item=ItemId(item), name=name, quantity=quantity, price=Money(price, currency), seats=seats)
            for item, name, quantity, price, seats in _LINES.decode(row["lines"] or "[]")
        ],
        total=Money(row["total"], currency),
        address=_ADDRESS.decode(row["address"]),
        version=row["version"],
        hold=HoldId(row["hold"]),
        created_ms=row["created_ms"],
        until_ms=row["until_ms"],
        charged=row["charged"],
        because=row["because"],
    )

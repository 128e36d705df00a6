"""Attempts to take an order's money, and to give it back: written down before the provider is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fathom.engines.postgres import Postgres

from ..api import Attempt, Money, OrderId
from .orders import shard_of

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.database import Database, Session

__all__ = ["Attempts"]

_COLUMNS = "reference, order_id, amount, currency, state, (extract(epoch FROM at) * 1000)::bigint AS at_ms"


class Attempts:
    """A row by reference; of one order at most one is asked or charged at a time."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def begin(self, reference: str, order: OrderId, amount: Money, method: str, tx: Session) -> None:
        """Write down what the provider is going to be asked."""
        await tx.execute(
            "INSERT INTO attempts (reference, order_id, shard, amount, currency, method)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            reference, order, shard_of(order), amount.amount, amount.currency, method,
        )  # fmt: skip

    async def of(self, order: OrderId, tx: Session | None = None) -> list[Attempt]:
        """Return the attempts of an order, the oldest first."""
        rows = await (tx or self._db).fetch(
            f"SELECT {_COLUMNS} FROM attempts WHERE order_id = $1 ORDER BY at, reference", order
        )
        return [attempt_of(row) for row in rows]

    async def one(self, reference: str, tx: Session | None = None, *, lock: bool = False) -> Attempt | None:
        row = await (tx or self._db).fetchrow(
            f"SELECT {_COLUMNS} FROM attempts WHERE reference = $1 {'FOR UPDATE' if lock else ''}", reference
        )
        return None if row is None else attempt_of(row)

    async def change(
        self, reference: str, state: Literal["charged", "declined", "refunding", "refunded"], tx: Session
    ) -> None:
        """Let an attempt be something else; the database refuses what does not follow."""
        await tx.execute("UPDATE attempts SET state = $2 WHERE reference = $1", reference, state)

    async def gave_back(self, reference: str, tx: Session) -> None:
        """Write down that the money of an attempt is back."""
        row = await tx.fetchrow(
            "UPDATE attempts SET state = 'refunded' WHERE reference = $1 AND state = 'refunding' RETURNING order_id",
            reference,
        )
        if row is not None:
            await tx.execute(
                "UPDATE orders SET charged = 0 WHERE shard = $1 AND id = $2 AND status = 'cancelled'",
                shard_of(row["order_id"]),
                row["order_id"],
            )

    async def unanswered(self, verb: str, older_s: float, most: int = 100) -> list[tuple[int, str, bytes, OrderId]]:
        """Return who asked under which key, and what, of orders that are not being paid, and was never answered."""
        rows = await self._db.fetch(
            "SELECT k.user_id, k.key, k.asked, k.effect FROM keys k WHERE k.verb = $1 AND k.answer IS NULL"
            " AND k.at <= now() - $2 * interval '1 second' AND EXISTS (SELECT FROM orders o WHERE o.shard ="
            " ((k.effect >> 8) & 15)::smallint AND o.id = k.effect AND o.status <> 'payment-processing') LIMIT $3",
            verb,
            older_s,
            most,
        )
        return [(row["user_id"], row["key"], row["asked"], OrderId(row["effect"])) for row in rows]

    async def open(self, older_s: float, most: int = 100) -> list[Attempt]:
        """Return attempts that are asked, or to be given back, for longer than this."""
        rows = await self._db.fetch(
            f"SELECT {_COLUMNS} FROM attempts WHERE state IN ('asked', 'refunding')"
            " AND at <= clock_timestamp() - $1 * interval '1 second' ORDER BY at LIMIT $2",
            older_s,
            most,
        )
        return [attempt_of(row) for row in rows]


def attempt_of(row: asyncpg.Record) -> Attempt:
    """Return the attempt in a row."""
    return Attempt(
        reference=row["reference"],
        order=OrderId(row["order_id"]),
        amount=Money(row["amount"], row["currency"]),
        state=row["state"],
        at_ms=row["at_ms"],
    )

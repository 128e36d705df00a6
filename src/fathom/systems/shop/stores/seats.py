"""Seats of concerts, who holds them, and the highest token that each has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import ConcertId, Hold, HoldId, OrderId, Seat, Token, UserId

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.database import Database, Session

__all__ = ["Seats"]

_LOCK = """
    SELECT seat, state, token, hold, until > clock_timestamp() AS lasts FROM seats
    WHERE concert = $1 AND seat = ANY($2::text[]) ORDER BY seat FOR UPDATE
"""
_MS = "(extract(epoch FROM until) * 1000)::bigint AS until_ms"


class Seats:
    """Seats, and the holds of them. Rows are locked in the order of their seats."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def of(self, concert: ConcertId) -> list[Seat]:
        """Return all seats of a concert; one whose hold is over is free."""
        rows = await self._db.fetch(
            "SELECT seat, CASE WHEN state = 'held' AND until <= clock_timestamp() THEN 'free' ELSE state END AS state,"
            " token FROM seats WHERE concert = $1 ORDER BY row, number",
            concert,
        )
        return [Seat(row["seat"], row["state"], Token(row["token"])) for row in rows]

    async def hold(self, id: HoldId, user: UserId, concert: ConcertId, seats: Sequence[str], hold_s: float) -> Hold:
        """Keep seats for somebody: all, or none."""
        async with self._db.transaction() as tx:
            rows = await tx.fetch(_LOCK, concert, seats)
            if len(rows) < len(seats):
                raise Refusal("not-found", "there is no such seat")
            if any(row["state"] == "sold" or (row["state"] == "held" and row["lasts"]) for row in rows):
                raise Refusal("conflict", "one of these seats is taken")
            hold = await tx.fetchrow(
                "INSERT INTO holds (id, user_id, concert, seats, token, until) VALUES ($1, $2, $3, $4,"
                f" nextval('seat_tokens'), clock_timestamp() + $5 * interval '1 second') RETURNING *, {_MS}",
                id, user, concert, seats, hold_s,
            )  # fmt: skip
            assert hold is not None
            await tx.execute(
                "UPDATE seats SET state = 'held', hold = $3, token = $4, until = $5, order_id = NULL"
                " WHERE concert = $1 AND seat = ANY($2::text[])",
                concert, seats, id, hold["token"], hold["until"],
            )  # fmt: skip
            return hold_of(hold)

    async def held(self, id: HoldId) -> Hold | None:
        """Return a hold, whether it lasts or not."""
        row = await self._db.fetchrow(f"SELECT *, {_MS} FROM holds WHERE id = $1", id)
        return None if row is None else hold_of(row)

    async def renew(self, hold: Hold, hold_s: float) -> Hold:
        """Keep seats longer, if they are still held with this token."""
        async with self._db.transaction() as tx:
            return await self._prolong(hold, hold_s, tx)

    async def bind(self, hold: Hold, order: OrderId, hold_s: float, tx: Session) -> None:
        """Keep the seats of a hold for an order."""
        await self._prolong(hold, hold_s, tx)
        if not await tx.execute("UPDATE holds SET order_id = $2 WHERE id = $1 AND order_id IS NULL", hold.id, order):
            raise Refusal("conflict", "these seats are being ordered already")

    async def free(self, hold: Hold, tx: Session | None = None) -> None:
        """Let go of seats that are still held, or were sold, with this token."""
        await (tx or self._db).execute(
            "UPDATE seats SET state = 'free', hold = NULL, until = NULL, order_id = NULL"
            " WHERE concert = $1 AND seat = ANY($2::text[]) AND token = $3 AND hold = $4",
            hold.concert, hold.seats, hold.token, hold.id,
        )  # fmt: skip

    async def sell(self, hold: Hold, order: OrderId, tx: Session) -> bool:
        """Let seats be sold that are still held with this token; say whether all are."""
        rows = await tx.fetch(_LOCK, hold.concert, hold.seats)
        if not all(row["token"] == hold.token and row["hold"] == hold.id for row in rows):
            return False
        if all(row["state"] == "sold" for row in rows):
            return True
        if not all(row["state"] == "held" and row["lasts"] for row in rows):
            return False
        await tx.execute(
            "UPDATE seats SET state = 'sold', order_id = $3 WHERE concert = $1 AND seat = ANY($2::text[])",
            hold.concert, hold.seats, order,
        )  # fmt: skip
        return True

    async def _prolong(self, hold: Hold, hold_s: float, tx: Session) -> Hold:
        rows = await tx.fetch(_LOCK, hold.concert, hold.seats)
        if not all(
            row["state"] == "held" and row["hold"] == hold.id and row["token"] == hold.token and row["lasts"]
            for row in rows
        ):
            raise Refusal("conflict", "these seats are no longer held for you")
        row = await tx.fetchrow(
            "WITH kept AS (UPDATE seats SET until = clock_timestamp() + $4 * interval '1 second'"
            " WHERE concert = $1 AND seat = ANY($2::text[]))"
            f" UPDATE holds SET until = clock_timestamp() + $4 * interval '1 second' WHERE id = $3 RETURNING *, {_MS}",
            hold.concert, hold.seats, hold.id, hold_s,
        )  # fmt: skip
        assert row is not None
        return hold_of(row)


def hold_of(row: asyncpg.Record) -> Hold:
    """Return the hold in a row."""
    return Hold(
        id=HoldId(row["id"]),
        user=UserId(row["user_id"]),
        concert=ConcertId(row["concert"]),
        seats=list(row["seats"]),
        token=Token(row["token"]),
        until_ms=row["until_ms"],
    )

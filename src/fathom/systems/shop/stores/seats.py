"""Seats of concerts, who holds them, and the highest token that each has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import Concert, ConcertId, Concerts, Hold, HoldId, Money, OrderId, Seat, Token, UserId

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.database import Database, Session

__all__ = ["Seats"]

_LOCK = """
    SELECT seat, state, token, hold, until > clock_timestamp() AS lasts FROM seats
    WHERE concert = $1 AND seat = ANY($2::text[]) ORDER BY seat FOR UPDATE
"""
_CONCERTS = "SELECT c.id, name, price, currency, seats, starts_ms FROM concerts AS c JOIN items AS i ON i.id = c.id"
_LOOK = _LOCK.replace(" FOR UPDATE", "")
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

    async def hold(
        self, id: HoldId, user: UserId, concert: ConcertId, seats: Sequence[str], hold_s: float, tx: Session
    ) -> Hold:
        """Keep seats for somebody: all, or none."""
        _check_free(await tx.fetch(_LOCK, concert, seats), len(seats))
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

    async def look(self, concert: ConcertId, seats: Sequence[str], tx: Session | None = None) -> int:
        """Return the highest token that these seats have seen; refuse if one is not there, sold, or kept for an order.

        For locks that lie elsewhere: by the time that one is taken, a seat may have been sold.
        """
        rows = await (tx or self._db).fetch(_LOOK, concert, seats)
        _check_free(rows, len(seats))
        return max(row["token"] for row in rows)

    async def claim(self, hold: Hold, order: OrderId, hold_s: float, tx: Session) -> None:
        """Keep seats for an order by a lock that lies elsewhere, unless a higher token, or this one, was seen.

        The lock may be another's by now, and nobody can know: only the token tells who came later.
        """
        rows = await tx.fetch(_LOCK, hold.concert, hold.seats)
        _check_free([row for row in rows if row["hold"] != hold.id], len(hold.seats), seen=len(rows))
        if not all(
            row["token"] < hold.token or (row["token"] == hold.token and row["hold"] == hold.id) for row in rows
        ):
            raise Refusal("conflict", "these seats were held by somebody else since")
        await tx.execute(
            "UPDATE seats SET state = 'held', hold = $3, token = $4, order_id = NULL,"
            " until = clock_timestamp() + $5 * interval '1 second' WHERE concert = $1 AND seat = ANY($2::text[])",
            hold.concert, hold.seats, hold.id, hold.token, hold_s,
        )  # fmt: skip
        await self.note(hold, order, hold_s, tx)

    async def note(self, hold: Hold, order: OrderId, hold_s: float, tx: Session) -> None:
        """Write down the order that a hold is for; refuse if it is for another one."""
        noted = await tx.execute(
            "INSERT INTO holds (id, user_id, concert, seats, token, until, order_id)"
            " VALUES ($1, $2, $3, $4, $5, clock_timestamp() + $6 * interval '1 second', $7)"
            " ON CONFLICT (id) DO UPDATE SET order_id = $7 WHERE holds.order_id IS NULL",
            hold.id, hold.user, hold.concert, hold.seats, hold.token, hold_s, order,
        )  # fmt: skip
        if not noted:
            raise Refusal("conflict", "these seats are being ordered already")

    async def overwrite(self, hold: Hold, order: OrderId, tx: Session) -> None:
        """Let seats be sold to an order, whatever they were: for whoever believes that a lock is enough."""
        await tx.execute(
            "UPDATE seats SET state = 'sold', hold = $3, until = NULL, order_id = $4"
            " WHERE concert = $1 AND seat = ANY($2::text[])",
            hold.concert, hold.seats, hold.id, order,
        )  # fmt: skip

    async def ordered(self, hold: HoldId, tx: Session | None = None) -> bool:
        """Whether somebody has checked out with a hold."""
        order = await (tx or self._db).fetchval("SELECT order_id FROM holds WHERE id = $1", hold)
        return order is not None

    async def add(self, concert: Concert, names: Sequence[str], tx: Session) -> None:
        """Put the seats of a concert on sale, whose item is there: as many in each of the rows with these names."""
        number = concert.seats // len(names)
        await tx.execute(
            "INSERT INTO concerts (id, seats, starts_ms) VALUES ($1, $2, $3)",
            concert.id, concert.seats, concert.starts_ms,
        )  # fmt: skip
        await tx.execute(
            "INSERT INTO seats (concert, row, number, seat) SELECT $1, row, number, names[row] || number"
            " FROM (SELECT $2::text[] AS names) AS n, generate_series(1, $3::int) AS row,"
            " generate_series(1, $4::int) AS number",
            concert.id, names, len(names), number,
        )  # fmt: skip

    async def concert(self, concert: ConcertId) -> Concert | None:
        row = await self._db.fetchrow(f"{_CONCERTS} WHERE c.id = $1", concert)
        return None if row is None else concert_of(row)

    async def concerts(self, below: int, limit: int) -> Concerts:
        """Return the newest concerts with ids below this."""
        rows = await self._db.fetch(f"{_CONCERTS} WHERE c.id < $1 ORDER BY c.id DESC LIMIT $2", below, limit + 1)
        concerts = [concert_of(row) for row in rows[:limit]]
        return Concerts(concerts=concerts, after=str(concerts[-1].id) if len(rows) > limit else "")

    async def held(self, id: HoldId, tx: Session | None = None) -> Hold | None:
        """Return a hold, whether it lasts or not."""
        row = await (tx or self._db).fetchrow(f"SELECT *, {_MS} FROM holds WHERE id = $1", id)
        return None if row is None else hold_of(row)

    async def renew(self, hold: Hold, hold_s: float) -> Hold:
        """Keep seats longer, if they are still held with this token and nobody has checked out with them.

        The seats are locked first: whoever checks out with them does the same, and has noted it when it is asked for.
        """
        async with self._db.transaction() as tx:
            await tx.fetch(_LOCK, hold.concert, hold.seats)
            if await self.ordered(hold.id, tx):
                raise Refusal("conflict", "these seats are being ordered already")
            return await self._prolong(hold, hold_s, tx)

    async def release(self, hold: Hold) -> None:
        """Let go of seats that are still held with this token, unless they were ordered: then the order is cancelled.

        The seats are locked first: whoever checks out with them does the same, and one of the two sees the other.
        """
        async with self._db.transaction() as tx:
            await tx.fetch(_LOCK, hold.concert, hold.seats)
            if not await self.ordered(hold.id, tx):
                await self.free(hold, tx)

    async def bind(self, hold: Hold, order: OrderId, hold_s: float, tx: Session) -> None:
        """Keep the seats of a hold for an order."""
        await self._prolong(hold, hold_s, tx)
        if not await tx.execute("UPDATE holds SET order_id = $2 WHERE id = $1 AND order_id IS NULL", hold.id, order):
            raise Refusal("conflict", "these seats are being ordered already")

    async def prolong(self, hold: Hold, hold_s: float, tx: Session) -> bool:
        """Keep ordered seats for at least so long, if all are still held with this token; say whether they are."""
        await tx.fetch(_LOCK, hold.concert, hold.seats)
        return await tx.execute(
            "WITH kept AS (UPDATE seats SET until = greatest(until, statement_timestamp() + $5 * interval '1 second')"
            " WHERE concert = $1 AND seat = ANY($2::text[]) AND state = 'held' AND token = $3 AND hold = $4"
            " AND until > statement_timestamp() RETURNING seat)"
            " UPDATE holds SET until = greatest(until, statement_timestamp() + $5 * interval '1 second')"
            " WHERE id = $4 AND (SELECT count(*) FROM kept) = cardinality($2::text[])",
            hold.concert, hold.seats, hold.token, hold.id, hold_s,
        ) == 1  # fmt: skip

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


def _check_free(rows: Sequence[asyncpg.Record], wanted: int, seen: int | None = None) -> None:
    """Refuse seats that are not there, sold, or still held."""
    if (len(rows) if seen is None else seen) < wanted:
        raise Refusal("not-found", "there is no such seat")
    if any(row["state"] == "sold" or (row["state"] == "held" and row["lasts"]) for row in rows):
        raise Refusal("conflict", "one of these seats is taken")


def concert_of(row: asyncpg.Record) -> Concert:
    """Return the concert in a row."""
    return Concert(
        id=ConcertId(row["id"]),
        name=row["name"],
        price=Money(row["price"], row["currency"]),
        seats=row["seats"],
        starts_ms=row["starts_ms"],
    )


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

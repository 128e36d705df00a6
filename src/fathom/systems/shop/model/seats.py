"""Concerts and their seats where nothing fails: a seat is free, held until a time, or sold."""

from __future__ import annotations

from msgspec.structs import replace

from fathom.errors import Refusal

from ..api import (
    Concert,
    ConcertId,
    Concerts,
    Hold,
    HoldId,
    Item,
    ItemId,
    Level,
    NewConcert,
    OrderId,
    Seat,
    Token,
    UserId,
)
from .base import Base
from .checks import CONCERTS, checked_id, checked_key, checked_new_concert, checked_seats, page_below, page_limit

__all__ = ["Seats", "row_name"]


def row_name(row: int) -> str:
    """Return what a row is called.

    >>> [row_name(row) for row in (0, 25, 26, 199)]
    ['A', 'Z', 'AA', 'GR']
    """
    before, last = divmod(row, 26)
    return (row_name(before - 1) if before else "") + chr(ord("A") + last)


class Seats(Base):
    """Concerts, seats, holds."""

    seats_ms = 120_000

    def __init__(self, *given: object, **named: object) -> None:
        super().__init__(*given, **named)  # pyright: ignore[reportArgumentType]
        self.on_sale: dict[ConcertId, Concert] = {}
        self.seating: dict[ConcertId, dict[str, tuple[Token, HoldId]]] = {}  # who held each last
        self.bound: dict[HoldId, OrderId] = {}
        self.over: set[HoldId] = set()  # let go of
        self.sold_to: dict[HoldId, OrderId] = {}

    async def add_concert(self, user: UserId, new: NewConcert, key: str = "") -> Concert:
        checked_key(key)
        checked_new_concert(new)
        self._staff(user)
        id = self.numbers.next()

        def do() -> Concert:
            item = Item(id=ItemId(id), name=new.name, price=new.price, category=CONCERTS)
            self.catalogue[item.id] = item
            self.stock[item.id] = Level(item=item.id, available=0, held=0, sold=0, received=0)
            concert = Concert(
                id=ConcertId(id), name=new.name, price=new.price, seats=new.rows * new.seats, starts_ms=new.starts_ms
            )
            self.on_sale[concert.id] = concert
            self.seating[concert.id] = {
                f"{row_name(row)}{number}": (Token(0), HoldId(0))
                for row in range(new.rows)
                for number in range(1, new.seats + 1)
            }
            return concert

        return self._once(user, "add_concert", key, (new,), Concert, do)

    async def concerts(self, after: str = "", limit: int = 20) -> Concerts:
        below, most = page_below(after), page_limit(limit)
        found = [self._concert(id) for id in sorted(self.on_sale, reverse=True) if id < below]
        return Concerts(concerts=found[:most], after=str(found[most - 1].id) if len(found) > most else "")

    async def concert(self, concert: ConcertId) -> Concert:
        checked_id(concert, "concert")
        if concert not in self.on_sale:
            raise Refusal("not-found", "there is no such concert")
        return self._concert(concert)

    def _concert(self, id: ConcertId) -> Concert:
        """Return a concert as its item is called, and at what it costs, by now."""
        item = self.catalogue[ItemId(id)]
        return replace(self.on_sale[id], name=item.name, price=item.price)

    async def seats(self, concert: ConcertId) -> list[Seat]:
        await self.concert(concert)
        return [
            Seat(seat, "sold" if hold in self.sold_to else "held" if self._lasts(hold) else "free", token)
            for seat, (token, hold) in self.seating[concert].items()
        ]

    async def hold(self, user: UserId, concert: ConcertId, seats: list[str], key: str = "") -> Hold:
        checked_key(key)
        checked_id(concert, "concert")
        wanted = checked_seats(seats)
        id = HoldId(self.numbers.next())

        def do() -> Hold:
            there = self.seating.get(concert, {})
            if not set(wanted) <= set(there):
                raise Refusal("not-found", "there is no such seat")
            if any(there[seat][1] in self.sold_to or self._lasts(there[seat][1]) for seat in wanted):
                raise Refusal("conflict", "one of these seats is taken")
            token = Token(1 + max((hold.token for hold in self.holds.values()), default=0))
            until_ms = self.clock() + self.seats_ms
            hold = Hold(id=id, user=user, concert=concert, seats=wanted, token=token, until_ms=until_ms)
            self.holds[id] = hold
            there.update(dict.fromkeys(wanted, (token, id)))
            return hold

        return self._once(user, "hold", key, (concert, seats), Hold, do)

    async def renew(self, user: UserId, hold: HoldId) -> Hold:
        it = self._mine(user, hold)
        if hold in self.bound or not self._lasts(hold):
            raise Refusal("conflict", "these seats are no longer held for you, or are ordered")
        self.holds[hold] = replace(it, until_ms=self.clock() + self.seats_ms)
        return self.holds[hold]

    async def release(self, user: UserId, hold: HoldId) -> None:
        self._mine(user, hold)
        if hold in self.bound:
            raise Refusal("conflict", "these seats are ordered: cancel the order instead")
        self.over.add(hold)

    def _mine(self, user: UserId, hold: HoldId) -> Hold:
        checked_id(hold, "hold")
        if hold not in self.holds or self.holds[hold].user != user:
            raise Refusal("not-found", "there is no such hold of yours")
        return self.holds[hold]

    def _lasts(self, hold: HoldId) -> bool:
        return hold in self.holds and hold not in self.over and self.holds[hold].until_ms > self.clock()

    def _keep_for(self, hold: Hold, order: OrderId) -> None:
        if not self._lasts(hold.id):
            raise Refusal("conflict", "these seats are no longer held for you")
        if hold.id in self.bound:
            raise Refusal("conflict", "these seats are being ordered already")
        self.bound[hold.id] = order
        self.holds[hold.id] = replace(hold, until_ms=self.clock() + self.hold_ms)

    def _sell_seats(self, hold: Hold, order: OrderId) -> bool:
        if not self._lasts(hold.id):
            return False
        self.sold_to[hold.id] = order
        return True

    def _free_seats(self, hold: Hold) -> None:
        self.over.add(hold.id)
        self.sold_to.pop(hold.id, None)

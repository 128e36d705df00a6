"""Concerts and their seats: held for a while, renewed, let go of."""

from __future__ import annotations

from fathom.engines.database import Session
from fathom.errors import Refusal

from ..api import Concert, ConcertId, Concerts, Hold, HoldId, Item, ItemId, NewConcert, Seat, UserId
from ..model.checks import CONCERTS, checked_id, checked_new_concert, checked_seats, page_below, page_limit
from ..model.seats import row_name
from .base import asking, changing
from .goods import Goods, asked_for

__all__ = ["Seats"]


class Seats(Goods):
    """Seats of concerts. A concert is an item as well, of which nothing is on the shelf: its seats are the stock."""

    async def add_concert(self, user: UserId, new: NewConcert, key: str = "") -> Concert:
        asked = asked_for(user, "add_concert", key, new)
        checked_new_concert(new)
        await self._staff(user)
        id = self._numbers.next()

        async def do(tx: Session) -> Concert:
            item = Item(id=ItemId(id), name=new.name, price=new.price, category=CONCERTS)
            await self._stores.catalogue.add(item, tx)
            concert = Concert(
                id=ConcertId(id),
                name=new.name,
                price=new.price,
                seats=new.rows * new.seats,
                starts_ms=new.starts_ms,
            )
            await self._stores.seats.add(concert, [row_name(row) for row in range(new.rows)], tx)
            return concert

        return await self._once(asked, Concert, do)

    async def concerts(self, after: str = "", limit: int = 20) -> Concerts:
        with asking():
            return await self._stores.seats.concerts(page_below(after), page_limit(limit))

    async def concert(self, concert: ConcertId) -> Concert:
        checked_id(concert, "concert")
        with asking():
            found = await self._stores.seats.concert(concert)
        if found is None:
            raise Refusal("not-found", "there is no such concert")
        return found

    async def seats(self, concert: ConcertId) -> list[Seat]:
        checked_id(concert, "concert")
        with asking():
            found = await self._parts.lock.shown(concert)
        if not found:
            raise Refusal("not-found", "there is no such concert")
        return found

    async def hold(self, user: UserId, concert: ConcertId, seats: list[str], key: str = "") -> Hold:
        asked = asked_for(user, "hold", key, concert, seats)
        checked_id(concert, "concert")
        wanted = checked_seats(seats)
        id, lock = HoldId(self._numbers.next()), self._parts.lock

        async def do(tx: Session) -> Hold:
            return await lock.hold(id, user, concert, wanted, self._rules.seats_s, tx)

        return await self._once(asked, Hold, do)

    async def renew(self, user: UserId, hold: HoldId) -> Hold:
        with changing():
            return await self._parts.lock.renew(await self._mine(user, hold), self._rules.seats_s)

    async def release(self, user: UserId, hold: HoldId) -> None:
        with changing():
            it = await self._mine(user, hold)
            await self._parts.lock.release(it)
            if await self._stores.seats.ordered(hold):
                raise Refusal("conflict", "these seats are ordered: cancel the order instead")

    async def _mine(self, user: UserId, hold: HoldId) -> Hold:
        checked_id(hold, "hold")
        found = await self._parts.lock.held(hold)
        if found is None or found.user != user:
            raise Refusal("not-found", "there is no such hold of yours")
        return found

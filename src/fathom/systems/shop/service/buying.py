"""Ordering, and what becomes of an order besides its payment."""

from __future__ import annotations

import msgspec

from fathom.engines.engine import EngineBusy, EngineDown
from fathom.errors import Refusal

from ..api import Basket, Change, Hold, Line, Money, Order, OrderId, Orders, Status, UserId, Wanted
from ..decisions.idempotency import Asked
from ..decisions.transaction import Parts, wanted_by
from ..model.checks import (
    checked_basket,
    checked_id,
    checked_status,
    page_below,
    page_limit,
    priced,
    summed,
)
from .base import asking, changing
from .goods import Goods, asked_for

__all__ = ["Buying"]


class Buying(Goods):
    """Checkout, and orders."""

    async def checkout(self, user: UserId, basket: Basket, key: str = "") -> Order:
        asked = asked_for(user, "checkout", key, basket)
        checked_basket(basket)
        parts = self._parts
        with changing():
            answer = await parts.idempotency.find(asked)
            if answer is None:
                lines, total, hold = await self._priced(user, basket)
                order = Order(
                    id=self._numbers.order(user),
                    user=user,
                    status="pending",
                    lines=lines,
                    total=total,
                    address=basket.address,
                    hold=basket.hold,
                    created_ms=self._clock(),
                )
                try:
                    answer = await self._place(parts, order, hold, asked)
                except Refusal:
                    await parts.idempotency.drop(asked)
                    raise
        return msgspec.json.decode(answer, type=Order)

    async def _place(self, parts: Parts, order: Order, hold: Hold | None, asked: Asked) -> bytes:
        """Make an order; what was set aside ahead of it and is not needed is released."""
        hold_s, ahead = self._rules.hold_s, False
        if hold is None:
            ahead = await parts.stock.ahead(order.id, wanted_by(order), hold_s)
        try:
            answer = await self._choices.transaction.place(parts, order, hold, hold_s, asked)
        except (Refusal, EngineDown, EngineBusy):  # surely nothing was done
            if ahead:
                await parts.stock.release(order.id)
            raise
        if ahead and msgspec.json.decode(answer, type=Order).id != order.id:  # another one was quicker with this key
            await parts.stock.release(order.id)
        return answer

    async def _priced(self, user: UserId, basket: Basket) -> tuple[list[Line], Money, Hold | None]:
        """Return the lines of an order at today's prices, and the hold that it is for."""
        hold = None
        wanted = summed(basket.lines)
        if basket.hold:
            hold = await self._parts.lock.held(basket.hold)
            if hold is None or hold.user != user:
                raise Refusal("not-found", "there is no such hold of yours")
            wanted = [Wanted(hold.concert, len(hold.seats))]  # pyright: ignore[reportArgumentType]
        items = await self._stores.catalogue.some([want.item for want in wanted])
        lines, total = priced(wanted, items, basket.total, hold.seats if hold else [])
        return lines, total, hold

    async def cancel(self, user: UserId, order: OrderId) -> Order:
        if (await self.order(user, order)).user != user:
            raise Refusal("forbidden", "an order is cancelled by its buyer")
        with changing():
            return await self._choices.transaction.cancel(self._parts, order, "it was cancelled by its buyer")

    async def order(self, user: UserId, order: OrderId) -> Order:
        checked_id(order, "order")
        with asking():
            found = await self._stores.orders.of(order)
            if found is None or found.user != user:
                who = await self._stores.accounts.user(user)
                if found is None or who is None or not who.staff:
                    raise Refusal("not-found", "there is no such order of yours")
        return found

    async def history(self, user: UserId, order: OrderId) -> list[Change]:
        await self.order(user, order)
        with asking():
            return await self._stores.orders.history(order)

    async def orders(self, user: UserId, after: str = "", limit: int = 20) -> Orders:
        with asking():
            return await self._stores.orders.page_of(user, page_below(after), page_limit(limit))

    async def all_orders(self, user: UserId, status: Status, after: str = "", limit: int = 20) -> Orders:
        checked_status(status)
        await self._staff(user)
        with asking():
            return await self._stores.orders.page_with(status, page_below(after), page_limit(limit))

    async def ship(self, user: UserId, order: OrderId) -> Order:
        return await self._went_on(user, order, "confirmed", "shipped")

    async def deliver(self, user: UserId, order: OrderId) -> Order:
        return await self._went_on(user, order, "shipped", "delivered")

    async def _went_on(self, user: UserId, order: OrderId, before: Status, after: Status) -> Order:
        checked_id(order, "order")
        await self._staff(user)
        delivery = self._parts.delivery
        with changing():
            async with self._stores.orders.changing() as tx:
                it = await self._stores.orders.of(order, tx, lock=True)
                if it is None:
                    raise Refusal("not-found", "there is no such order")
                if it.status == after:
                    return it
                if it.status != before:
                    raise Refusal("conflict", f"an order that is {it.status} cannot be {after}")
                changed = await self._stores.orders.change(it, after, tx)
                await delivery.tell([changed], tx)
            await delivery.told([changed])
        return changed

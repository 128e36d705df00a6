"""Ordering, paying, and what becomes of an order."""

from __future__ import annotations

from msgspec.structs import replace

from fathom.errors import Refusal

from ..api import (
    PAGE_MAX,
    Attempt,
    Basket,
    Callback,
    Change,
    Event,
    Events,
    Order,
    OrderId,
    Orders,
    Status,
    UserId,
    Wanted,
)
from .checks import (
    ID_MAX,
    checked_basket,
    checked_id,
    checked_key,
    checked_method,
    checked_status,
    page_below,
    page_limit,
    priced,
    summed,
)
from .goods import Goods

__all__ = ["CARD_DECLINED", "Buying"]

CARD_DECLINED = "card-declined"  # as the provider's


class Buying(Goods):
    """Orders. The provider is infinitely fast as well: what it says of a payment comes with the call."""

    async def checkout(self, user: UserId, basket: Basket, key: str = "") -> Order:
        checked_key(key)
        checked_basket(basket)

        def do() -> Order:
            hold = self.holds.get(basket.hold)
            if basket.hold and (hold is None or hold.user != user):
                raise Refusal("not-found", "there is no such hold of yours")
            wanted = summed(basket.lines)
            if hold is not None:
                wanted = [Wanted(hold.concert, len(hold.seats))]  # pyright: ignore[reportArgumentType]
            lines, total = priced(wanted, self.catalogue, basket.total, hold.seats if hold else [])
            now_ms = self.clock()
            order = Order(
                id=self.numbers.order(user), user=user, status="pending", lines=lines, total=total,
                address=basket.address, hold=basket.hold, created_ms=now_ms, until_ms=now_ms + self.hold_ms,
            )  # fmt: skip
            if hold is not None:
                self._keep_for(hold, order.id)
            else:
                for want in wanted:
                    if self.stock[want.item].available < want.quantity:
                        raise Refusal("conflict", f"there is not enough of item {want.item}")
                for want in wanted:
                    self._move(want.item, available=-want.quantity, held=want.quantity)
            for want in wanted:
                self.carts[user].pop(want.item, None)
            self._be(order)
            return order

        return self._once(user, "checkout", key, (basket,), Order, do)

    async def pay(self, user: UserId, order: OrderId, method: str, key: str = "") -> Order:
        checked_key(key)
        checked_method(method)
        self._seen(user, order)

        def do() -> Order:
            it = self.placed[order]
            if it.user != user:
                raise Refusal("not-found", "there is no such order of yours")
            if it.status != "pending":
                raise Refusal("conflict", f"an order that is {it.status} cannot be paid")
            if it.total.amount:
                if self._is_over(it):
                    raise Refusal("conflict", "what was set aside for this order is not any more: order again")
                reference = f"{order}-{len(self.tried[order]) + 1}"
                it = self._be(replace(it, status="payment-processing", because=""))
                declined = method == CARD_DECLINED
                self.tried[order].append(
                    Attempt(reference=reference, order=order, amount=it.total,
                            state="declined" if declined else "charged")
                )  # fmt: skip
                if declined:
                    return self._be(replace(it, status="pending", because="the payment was declined"))
            return self._paid(it)

        return self._once(user, "pay", key, (order, method), Order, do)

    async def called_back(self, callback: Callback) -> None:
        if not any(it.reference == callback.reference for tried in self.tried.values() for it in tried):
            raise Refusal("not-found", "nobody here has asked for this money")

    async def cancel(self, user: UserId, order: OrderId) -> Order:
        it = self._seen(user, order)
        if it.user != user:
            raise Refusal("forbidden", "an order is cancelled by its buyer")
        if it.status == "cancelled":
            return it
        if it.status not in ("pending", "payment-processing", "confirmed"):
            raise Refusal("conflict", f"an order that is {it.status} cannot be cancelled")
        return self._give_up(it, "it was cancelled by its buyer")

    async def settled(self) -> None:
        """Return when everything has taken effect: at once, and what nobody paid in time is given up."""
        for it in [it for it in self.placed.values() if it.status == "pending" and self._is_over(it)]:
            self._give_up(it, "it was not paid in time")

    async def order(self, user: UserId, order: OrderId) -> Order:
        return self._seen(user, order)

    async def history(self, user: UserId, order: OrderId) -> list[Change]:
        self._seen(user, order)
        return list(self.changes[order])

    async def attempts(self, user: UserId, order: OrderId) -> list[Attempt]:
        self._seen(user, order)
        return list(self.tried[order])

    async def orders(self, user: UserId, after: str = "", limit: int = 20) -> Orders:
        return self._page([it for it in self.placed.values() if it.user == user], after, limit)

    async def all_orders(self, user: UserId, status: Status, after: str = "", limit: int = 20) -> Orders:
        checked_status(status)
        self._staff(user)
        return self._page([it for it in self.placed.values() if it.status == status], after, limit)

    async def ship(self, user: UserId, order: OrderId) -> Order:
        return self._went_on(user, order, "confirmed", "shipped")

    async def deliver(self, user: UserId, order: OrderId) -> Order:
        return self._went_on(user, order, "shipped", "delivered")

    async def events(self, user: UserId, after: int = 0, limit: int = PAGE_MAX) -> Events:
        if not 0 <= after <= ID_MAX:
            raise Refusal("invalid", "`after` is that of the page before, or 0")
        most = page_limit(limit)
        self._staff(user)
        found = self.log[after : after + most]
        return Events(events=found, after=found[-1].seq if found else after)

    def _paid(self, it: Order) -> Order:
        there = self._sell_seats(self.holds[it.hold], it.id) if it.hold else not self._is_over(it)
        if not there:
            return self._give_up(it, "it was paid when nothing was left for it")
        if not it.hold:
            for line in it.lines:
                self._move(line.item, held=-line.quantity, sold=line.quantity)
        return self._be(replace(it, status="confirmed", charged=it.total.amount, because=""))

    def _give_up(self, it: Order, because: str) -> Order:
        """Cancel an order: what it has goes back, and what was taken for it does."""
        sold = it.status == "confirmed"
        if it.hold:
            self._free_seats(self.holds[it.hold])
        else:
            for line in it.lines:
                n = line.quantity
                self._move(line.item, available=n, held=0 if sold else -n, sold=-n if sold else 0)
        self.tried[it.id] = [
            replace(attempt, state="refunded") if attempt.state == "charged" else attempt
            for attempt in self.tried[it.id]
        ]
        return self._be(replace(it, status="cancelled", charged=0, because=because))

    def _is_over(self, it: Order) -> bool:
        """Whether what an order wants is set aside for it no longer."""
        return not self._lasts(it.hold) if it.hold else it.until_ms <= self.clock()

    def _went_on(self, user: UserId, order: OrderId, before: Status, after: Status) -> Order:
        checked_id(order, "order")
        self._staff(user)
        if order not in self.placed:
            raise Refusal("not-found", "there is no such order")
        it = self.placed[order]
        if it.status == after:
            return it
        if it.status != before:
            raise Refusal("conflict", f"an order that is {it.status} cannot be {after}")
        return self._be(replace(it, status=after, because=""))

    def _be(self, order: Order) -> Order:
        """Let an order be this, one version on from what it was."""
        if order.id in self.placed:
            order = replace(order, version=self.placed[order.id].version + 1)
        self.placed[order.id] = order
        at_ms = self.clock()
        self.changes[order.id].append(Change(version=order.version, status=order.status, at_ms=at_ms))
        self.log.append(
            Event(seq=len(self.log) + 1, order=order.id, version=order.version, kind=f"order-{order.status}",
                  at_ms=at_ms, body=order)
        )  # fmt: skip
        return order

    def _seen(self, user: UserId, order: OrderId) -> Order:
        """Return an order for its buyer and for staff."""
        checked_id(order, "order")
        it = self.placed.get(order)
        known = self.accounts.get(user)
        if it is None or (it.user != user and (known is None or not known.staff)):
            raise Refusal("not-found", "there is no such order of yours")
        return it

    def _page(self, orders: list[Order], after: str, limit: int) -> Orders:
        below, most = page_below(after), page_limit(limit)
        found = sorted((it for it in orders if it.id < below), key=lambda it: -it.id)
        return Orders(orders=found[:most], after=str(found[most - 1].id) if len(found) > most else "")

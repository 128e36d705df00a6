"""Keep orders and stock in one database, which does both or neither: nothing lies between them to be left over."""

from __future__ import annotations

from typing import Literal

from fathom.engines.database import Session
from fathom.errors import Refusal

from ...api import Attempt, Hold, Order, OrderId, Wanted
from ..idempotency import Asked
from . import ENCODE, Parts, Transaction


class OneDatabase(Transaction):
    """One transaction for each verb. What others wait for, the rows of the stock, is locked last."""

    async def place(self, parts: Parts, order: Order, hold: Hold | None, hold_s: float, asked: Asked) -> bytes:
        async with self.orders.changing() as tx:
            answered = await parts.idempotency.claim(asked, tx, order.id)
            if answered is not None:
                return answered
            placed = await self.orders.add(order, hold_s, tx)
            await parts.delivery.tell([placed], tx)
            answer = ENCODE(placed)
            await parts.idempotency.keep(asked, answer, tx)
            if hold is None:
                wanted = [Wanted(line.item, line.quantity) for line in order.lines]
                await parts.stock.reserve(order.id, wanted, hold_s, tx)
            else:
                await parts.lock.bind(hold, order.id, hold_s, tx)
        await parts.delivery.told([placed])
        return answer

    async def settle(self, parts: Parts, order: OrderId, reference: str, said: Literal["charged", "declined"]) -> Order:
        async with self.orders.changing() as tx:
            it = await self.orders.of(order, tx, lock=True)
            attempt = await self.attempts.one(reference, tx, lock=True)
            if it is None or attempt is None or attempt.order != order:
                raise Refusal("not-found", "there is no such attempt")
            if attempt.state != "asked":  # it was said before
                return it
            changed = await self._settled(parts, it, attempt, said, tx)
            if changed.version != it.version:
                await parts.delivery.tell([changed], tx)
        if changed.version != it.version:
            await parts.delivery.told([changed])
        return changed

    async def _settled(self, parts: Parts, it: Order, attempt: Attempt, said: str, tx: Session) -> Order:
        if said == "declined":
            await self.attempts.change(attempt.reference, "declined", tx)
            if it.status != "payment-processing":
                return it
            return await self.orders.change(it, "pending", tx, because="the payment was declined")
        if it.status == "payment-processing":
            hold = await parts.lock.held(it.hold) if it.hold else None
            sold = await (parts.lock.sell(hold, it.id, tx) if hold else parts.stock.sell(it.id, tx))
            if sold:
                await self.attempts.change(attempt.reference, "charged", tx)
                return await self.orders.change(it, "confirmed", tx, charged=it.total.amount)
            it = await self.orders.change(it, "cancelled", tx, because="it was paid when nothing was left for it")
        await self.attempts.change(attempt.reference, "refunding", tx)
        return it

    async def cancel(self, parts: Parts, order: OrderId, because: str) -> Order:
        async with self.orders.changing() as tx:
            it = await self.orders.of(order, tx, lock=True)
            if it is None:
                raise Refusal("not-found", "there is no such order")
            if it.status == "cancelled":
                return it
            if it.status not in ("pending", "payment-processing", "confirmed"):
                raise Refusal("conflict", f"an order that is {it.status} cannot be cancelled")
            for attempt in await self.attempts.of(order, tx):
                if attempt.state == "charged":
                    await self.attempts.change(attempt.reference, "refunding", tx)
            hold = await parts.lock.held(it.hold) if it.hold else None
            if hold is not None:
                await parts.lock.free(hold, tx)
            else:
                await parts.stock.release(order, tx)
            changed = await self.orders.change(it, "cancelled", tx, because=because)
            await parts.delivery.tell([changed], tx)
        await parts.delivery.told([changed])
        return changed

    async def recover(self, parts: Parts) -> int:
        return 0  # a transaction that a crash ended was never there

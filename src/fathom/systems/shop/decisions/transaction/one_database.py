"""Keep orders and stock in one database and let it do both or neither: nothing is left over between them."""

from __future__ import annotations

from ...api import Hold, Order, OrderId
from ..idempotency import Asked
from . import ENCODE, Parts, Said, Transaction, wanted_by


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
                await parts.stock.reserve(order.id, wanted_by(order), hold_s, tx)
            else:
                await parts.lock.bind(hold, order.id, hold_s, tx)
        await self._placed(parts, asked, answer, placed)
        return answer

    async def settle(self, parts: Parts, order: OrderId, reference: str, said: Said) -> Order:
        async with self.orders.changing() as tx:
            it, attempt = await self._open(order, reference, tx)
            if said == "declined" and attempt is not None:
                changed = await self._decline(it, attempt, tx)
            elif self._pays(it, attempt) and await self._sell(parts, it, tx):
                changed = await self._confirm(it, attempt, tx)
            else:
                changed = await self._too_late(it, attempt, tx)
            if changed.version != it.version:
                await parts.delivery.tell([changed], tx)
        if changed.version != it.version:
            await parts.delivery.told([changed])
        return changed

    async def cancel(self, parts: Parts, order: OrderId, because: str) -> Order:
        async with self.orders.changing() as tx:
            it, _ = await self._open(order, "", tx)
            if it.status == "cancelled":
                return it
            changed = await self._cancel(it, because, tx)
            await parts.delivery.tell([changed], tx)
            await self._release(parts, it, tx)
        await parts.stock.released(order)
        await parts.delivery.told([changed])
        return changed

    async def recover(self, parts: Parts, older_s: float) -> int:
        return 0  # a transaction that a crash ended was never there

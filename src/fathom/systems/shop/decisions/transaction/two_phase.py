"""Prepare both, decide once, commit both: all or nothing over two databases, with locks that outlive who took them."""

from __future__ import annotations

from ...api import Hold, Order, OrderId
from ...stores.phases import Phases
from ..idempotency import Asked
from . import ENCODE, Parts, Said, Transaction, wanted_by


class TwoPhase(Transaction):
    """Two-phase commit over prepared transactions, one of the orders and one of the stock.

    What is decided is written down in between; nothing written means: it does not commit (presumed abort). Who dies
    between the phases leaves both transactions in doubt, with every lock that they have, until `recover` reads the
    verdict: whoever wants the same item waits for that.
    """

    phases: Phases

    async def begin(self) -> None:
        await self.phases.check()

    async def place(self, parts: Parts, order: Order, hold: Hold | None, hold_s: float, asked: Asked) -> bytes:
        async with self.phases.pair() as pair:
            answered = await parts.idempotency.claim(asked, pair.orders, order.id)
            if answered is not None:
                return answered
            placed = await self.orders.add(order, hold_s, pair.orders)
            await parts.delivery.tell([placed], pair.orders)
            answer = ENCODE(placed)
            await parts.idempotency.keep(asked, answer, pair.orders)
            if hold is None:
                await parts.stock.reserve(order.id, wanted_by(order), hold_s, pair.stock)
            else:
                await parts.lock.bind(hold, order.id, hold_s, pair.stock)
            await pair.commit(order.id)
        await self._placed(parts, asked, answer, placed)
        return answer

    async def settle(self, parts: Parts, order: OrderId, reference: str, said: Said) -> Order:
        async with self.phases.pair() as pair:
            sold = False
            it, attempt = await self._open(order, reference, pair.orders)
            if said == "declined" and attempt is not None:
                changed = await self._decline(it, attempt, pair.orders)
            elif self._pays(it, attempt) and (sold := await self._sell(parts, it, pair.stock)):
                changed = await self._confirm(it, attempt, pair.orders)
            else:
                changed = await self._too_late(it, attempt, pair.orders)
            if changed.version != it.version:
                await parts.delivery.tell([changed], pair.orders)
            await (pair.commit(order) if sold else pair.only_orders())
        if changed.version != it.version:
            await parts.delivery.told([changed])
        return changed

    async def cancel(self, parts: Parts, order: OrderId, because: str) -> Order:
        async with self.phases.pair() as pair:
            it, _ = await self._open(order, "", pair.orders)
            if it.status == "cancelled":
                return it
            changed = await self._cancel(it, because, pair.orders)
            await parts.delivery.tell([changed], pair.orders)
            await self._release(parts, it, pair.stock)
            await pair.commit(order)
        await parts.stock.released(order)
        await parts.delivery.told([changed])
        return changed

    async def recover(self, parts: Parts, older_s: float) -> int:
        return await self.phases.recover(older_s)

    async def unfinished(self) -> int:
        return len(await self.phases.in_doubt(0.0))

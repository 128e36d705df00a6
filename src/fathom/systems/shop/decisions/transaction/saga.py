"""Do one thing after another and write down how far it came: what cannot go on is taken back, the last thing first."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from fathom.blocks.sagas import following
from fathom.errors import Refusal

from ...api import Hold, Order, OrderId
from ...stores.keys import Keys
from ...stores.sagas import Saga, Sagas
from ..idempotency import Asked
from . import ENCODE, Parts, Said, Transaction, wanted_by

PLACE, SETTLE, CANCEL = ["reserve", "order"], ["sell", "confirm"], ["cancel", "release"]


class Placing(msgspec.Struct, frozen=True, kw_only=True):
    """What placing an order needs to know, should somebody else have to go on with it."""

    order: Order
    hold: Hold | None
    hold_s: float
    asked: Asked


_PLACING = msgspec.json.Decoder(Placing)


class OrderSaga(Transaction):
    """Orders and stock each in transactions of their own, as if they lay in services of their own.

    Placing: reserve, then order; settling: sell, then confirm; cancelling: cancel, then release. What was begun is
    written down with the first thing that is done, and each thing after it was done. A crash leaves a reservation
    without an order, or goods sold to an order that is not confirmed yet, until `recover` has found it: placing is
    taken back, and what follows a payment or a cancellation is gone on with.
    """

    sagas: Sagas
    keys: Keys

    # Placing ----------------------------------------------------------------------------------------------------------

    async def place(self, parts: Parts, order: Order, hold: Hold | None, hold_s: float, asked: Asked) -> bytes:
        wish = Placing(order=order, hold=hold, hold_s=hold_s, asked=asked)
        async with self.orders.changing() as tx:
            answered = await parts.idempotency.claim(asked, tx, order.id)
            if answered is not None:
                return answered
            saga = await self.sagas.begin("place", order.id, ENCODE(wish), tx)
        assert saga is not None  # an order's id is drawn once
        try:
            await self._set_aside(parts, wish)
            await self.sagas.note(saga, ("did", "reserve"))
            placed, answer = await self._ordered(parts, wish, saga)
        except Refusal:
            try:
                await self._take_back(parts, wish, saga)
            except Refusal:  # somebody took us for dead and took it back, perhaps before it was set aside
                await self._let_go(parts, wish)
            raise
        await self._placed(parts, asked, answer, placed)
        return answer

    async def _set_aside(self, parts: Parts, wish: Placing) -> None:
        if wish.hold is None:
            await parts.stock.reserve(wish.order.id, wanted_by(wish.order), wish.hold_s)
        else:
            async with self.orders.changing() as tx:
                await parts.lock.bind(wish.hold, wish.order.id, wish.hold_s, tx)

    async def _ordered(self, parts: Parts, wish: Placing, saga: Saga) -> tuple[Order, bytes]:
        async with self.orders.changing() as tx:
            placed = await self.orders.add(wish.order, wish.hold_s, tx)
            await parts.delivery.tell([placed], tx)
            answer = ENCODE(placed)
            await parts.idempotency.keep(wish.asked, answer, tx)
            await self.sagas.note(saga, ("did", "order"), tx, ended="done")
        return placed, answer

    async def _take_back(self, parts: Parts, wish: Placing, saga: Saga) -> None:
        """Undo what was done of placing, the last thing first; also what may have been done without being noted."""
        following_one = following(PLACE, saga.log)
        if following_one.what == "do":
            await self.sagas.note(saga, ("failed", following_one.step))
        while (following_one := following(PLACE, saga.log)).what == "undo":
            last = following_one.step == "reserve"
            if last:
                await self._let_go(parts, wish)
            async with self.orders.changing() as tx:
                if last:
                    await self.keys.drop(wish.order.id, tx)  # asked again, it may succeed
                await self.sagas.note(saga, ("undid", following_one.step), tx, ended="undone" if last else None)

    async def _let_go(self, parts: Parts, wish: Placing) -> None:
        if wish.hold is None:
            await parts.stock.release(wish.order.id)
        else:
            await parts.lock.free(wish.hold)

    # Settling ---------------------------------------------------------------------------------------------------------

    async def settle(self, parts: Parts, order: OrderId, reference: str, said: Said) -> Order:
        saga: Saga | None = None
        async with self.orders.changing() as tx:
            it, attempt = await self._open(order, reference, tx)
            if said == "declined" and attempt is not None:
                changed = await self._decline(it, attempt, tx)
            elif not self._pays(it, attempt):
                changed = await self._too_late(it, attempt, tx)
            else:
                changed = it
                saga = await self.sagas.begin("settle", order, b"", tx, reference)
            if changed.version != it.version:
                await parts.delivery.tell([changed], tx)
        if saga is not None:
            return await self._confirmed(parts, saga)
        if changed.version != it.version:
            await parts.delivery.told([changed])
        return changed

    async def _confirmed(self, parts: Parts, saga: Saga) -> Order:
        """Sell what is set aside, then confirm the order; or, if one cannot be, take back the other and the money."""
        if not saga.log:
            sold = await self._sold(parts, saga.order)
            await self.sagas.note(saga, ("did", "sell") if sold else ("failed", "sell"))
        if ("failed", "sell") not in saga.log:
            confirmed: Order | None = None
            async with self.orders.changing() as tx:
                it, attempt = await self._open(saga.order, saga.reference, tx)
                if self._pays(it, attempt):
                    confirmed = await self._confirm(it, attempt, tx)
                    await parts.delivery.tell([confirmed], tx)
                    await self.sagas.note(saga, ("did", "confirm"), tx, ended="done")
            if confirmed is not None:
                await parts.delivery.told([confirmed])
                return confirmed
            await self.sagas.note(saga, ("failed", "confirm"))  # it was cancelled while it was being paid
        return await self._sold_back(parts, saga)

    async def _sold_back(self, parts: Parts, saga: Saga) -> Order:
        while (following_one := following(SETTLE, saga.log)).what == "undo" and following_one.step == "confirm":
            await self.sagas.note(saga, ("undid", "confirm"))
        it = await self.orders.of(saga.order)
        assert it is not None
        async with self.orders.changing() as tx:
            await self._release(parts, it, tx)
        await parts.stock.released(saga.order)
        async with self.orders.changing() as tx:
            it, attempt = await self._open(saga.order, saga.reference, tx)
            changed = await self._too_late(it, attempt, tx)
            if changed.version != it.version:
                await parts.delivery.tell([changed], tx)
            await self.sagas.note(saga, ("undid", "sell"), tx, ended="undone")
        if changed.version != it.version:
            await parts.delivery.told([changed])
        return changed

    async def _sold(self, parts: Parts, order: OrderId) -> bool:
        it = await self.orders.of(order)
        assert it is not None
        async with self.orders.changing() as tx:
            return await self._sell(parts, it, tx)

    # Cancelling -------------------------------------------------------------------------------------------------------

    async def cancel(self, parts: Parts, order: OrderId, because: str) -> Order:
        async with self.orders.changing() as tx:
            it, _ = await self._open(order, "", tx)
            if it.status == "cancelled":
                return it
            changed = await self._cancel(it, because, tx)
            await parts.delivery.tell([changed], tx)
            saga = await self.sagas.begin("cancel", order, b"", tx, log=[("did", "cancel")])
        await parts.delivery.told([changed])
        if saga is not None:
            await self._released(parts, changed, saga)
        return changed

    async def _released(self, parts: Parts, it: Order, saga: Saga) -> None:
        async with self.orders.changing() as tx:
            await self._release(parts, it, tx)
        await parts.stock.released(it.id)
        await self.sagas.note(saga, ("did", "release"), ended="done")

    # After a crash ----------------------------------------------------------------------------------------------------

    async def recover(self, parts: Parts, older_s: float) -> int:
        left = await self.sagas.left(older_s)
        for saga in left:
            with suppress(Refusal):  # its own caller has gone on with it
                if saga.kind == "place":
                    await self._take_back(parts, _PLACING.decode(saga.body), saga)
                elif saga.kind == "settle":
                    undoing = any(word != "did" for word, _ in saga.log)
                    await (self._sold_back(parts, saga) if undoing else self._confirmed(parts, saga))
                elif (it := await self.orders.of(saga.order)) is not None:
                    await self._released(parts, it, saga)
        return len(left)

    async def unfinished(self) -> int:
        return await self.sagas.unfinished()

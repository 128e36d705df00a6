"""An order is a row here, a stock there and money elsewhere: what makes all three happen, or none of them?

Money is always elsewhere: it is taken after an attempt was written down and before what it paid for is sold. What
differs is how the order and what is set aside for it come about together, and what a crash leaves between them.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal, NamedTuple

import msgspec

from fathom.design import Decision
from fathom.engines.database import Session
from fathom.engines.engine import EngineError, EngineUnknown
from fathom.errors import Refusal

from ...api import Attempt, Hold, Order, OrderId, Wanted
from ...stores.attempts import Attempts
from ...stores.orders import OrderRows
from ..delivery import Delivery
from ..idempotency import Asked, Idempotency
from ..lock import Lock
from ..stock import Stock

__all__ = ["ENCODE", "Parts", "Said", "Transaction", "wanted_by"]

ENCODE = msgspec.json.Encoder().encode
Said = Literal["charged", "declined"]
OPEN = ("pending", "payment-processing", "confirmed")  # what may be cancelled


class Parts(NamedTuple):
    """The approaches that serve at this moment: what a call has begun with, it ends with."""

    stock: Stock
    lock: Lock
    delivery: Delivery
    idempotency: Idempotency


class Transaction(Decision):
    """How an order, its stock and its events change together. Each verb can be asked again after a crash."""

    default = "one-database"

    orders: OrderRows
    attempts: Attempts

    @abstractmethod
    async def place(self, parts: Parts, order: Order, hold: Hold | None, hold_s: float, asked: Asked) -> bytes:
        """Make an order (pending) and set aside what it wants for so long, or refuse; return it encoded, as answered.

        Of an order for seats, `hold` sets them aside already. If `asked` was answered meanwhile, return that answer.
        """

    @abstractmethod
    async def settle(self, parts: Parts, order: OrderId, reference: str, said: Said) -> Order:
        """Let an order be what the provider's word about an attempt makes of it; return it as it is then.

        Charged: what was set aside is sold and the order confirmed; or, if that was gone by then, the order is
        cancelled and the attempt left `refunding`. Declined: it is pending again. Said twice or too late, nothing more
        happens. Of an order that costs nothing there is no attempt: the reference is empty.
        """

    @abstractmethod
    async def cancel(self, parts: Parts, order: OrderId, because: str) -> Order:
        """Cancel an order that is not shipped: release what it has, and leave its charge `refunding`."""

    @abstractmethod
    async def recover(self, parts: Parts, older_s: float) -> int:
        """Finish, or take back, what was begun so long ago and left half done; return how many orders that were."""

    async def unfinished(self) -> int:
        """Return how many orders are half done at this moment, whoever is at it."""
        return 0

    async def begin(self) -> None:
        """Get ready to serve; refuse where the engines cannot do what this needs."""

    async def adopt(self, previous: Any) -> None:
        """Take over under load: what the one before began is finished by its own `recover`, or by ours."""
        await self.begin()

    # What all of them write about an order whose row `tx` has locked ----------------------------------------------

    async def _open(self, order: OrderId, reference: str, tx: Session) -> tuple[Order, Attempt | None]:
        """Lock an order and the attempt that something was said of."""
        it = await self.orders.of(order, tx, lock=True)
        attempt = await self.attempts.one(reference, tx, lock=True) if reference else None
        if it is None or (reference and (attempt is None or attempt.order != order)):
            raise Refusal("not-found", "there is no such attempt")
        return it, attempt

    def _pays(self, it: Order, attempt: Attempt | None) -> bool:
        """Whether an order waits for just this."""
        if attempt is None:
            return it.status == "pending" and it.total.amount == 0
        return it.status == "payment-processing" and attempt.state == "asked"

    async def _confirm(self, it: Order, attempt: Attempt | None, tx: Session) -> Order:
        """It is paid, and what it wants is sold."""
        if attempt is not None:
            await self.attempts.change(attempt.reference, "charged", tx)
        return await self.orders.change(it, "confirmed", tx, charged=it.total.amount)

    async def _decline(self, it: Order, attempt: Attempt, tx: Session) -> Order:
        """It is not paid, and may be."""
        if attempt.state != "asked":
            return it  # it was said before, or the opposite was: then only the provider's first word counts
        await self.attempts.change(attempt.reference, "declined", tx)
        if it.status != "payment-processing":
            return it
        return await self.orders.change(it, "pending", tx, because="the payment was declined")

    async def _too_late(self, it: Order, attempt: Attempt | None, tx: Session) -> Order:
        """Money was taken and there is nothing to give for it: it goes back."""
        waits = attempt is None or attempt.state == "asked"
        if attempt is not None and attempt.state in ("asked", "declined"):
            await self.attempts.change(attempt.reference, "refunding", tx)
        if not waits or it.status not in ("pending", "payment-processing"):
            return it
        taken = it.total.amount if attempt is not None else 0
        because = "it was paid when nothing was left for it"
        return await self.orders.change(it, "cancelled", tx, charged=taken, because=because)

    async def _cancel(self, it: Order, because: str, tx: Session) -> Order:
        """Cancel it, and have given back what was taken. Raises Refusal for one that is on its way."""
        if it.status not in OPEN:
            raise Refusal("conflict", f"an order that is {it.status} cannot be cancelled")
        for attempt in await self.attempts.of(it.id, tx):
            if attempt.state == "charged":
                await self.attempts.change(attempt.reference, "refunding", tx)
        return await self.orders.change(it, "cancelled", tx, because=because)

    async def _hold_of(self, parts: Parts, it: Order, tx: Session) -> Hold | None:
        """Return the hold of the seats that an order is for."""
        return await parts.lock.held(it.hold, tx) if it.hold else None

    async def _sell(self, parts: Parts, it: Order, tx: Session) -> bool:
        """Sell what is set aside for an order; False: that was over."""
        hold = await self._hold_of(parts, it, tx)
        return await (parts.lock.sell(hold, it.id, tx) if hold else parts.stock.sell(it.id, tx))

    async def _placed(self, parts: Parts, asked: Asked, answer: bytes, placed: Order) -> None:
        """Tell of an order that is committed. Where that fails it is there all the same, and keeps what it has."""
        try:
            await parts.idempotency.kept(asked, answer)
            await parts.delivery.told([placed])
        except EngineError as failure:
            raise EngineUnknown(
                "an order was made, and not everybody could be told", why=failure.why, fix="look at the order"
            ) from failure

    async def _release(self, parts: Parts, it: Order, tx: Session) -> None:
        """Let go of what an order has; once `tx` has committed, the stock is to be told that it is released."""
        hold = await self._hold_of(parts, it, tx)
        if hold is not None:
            await parts.lock.free(hold, tx)
        else:
            await parts.stock.release(it.id, tx)


def wanted_by(order: Order) -> list[Wanted]:
    """Return what an order wants, each item once and in the order of their ids."""
    return sorted((Wanted(line.item, line.quantity) for line in order.lines), key=lambda want: want.item)

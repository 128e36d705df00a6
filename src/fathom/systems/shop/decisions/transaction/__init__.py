"""An order is a row here, a stock there and money elsewhere: what makes all three happen, or none of them?

Money is always elsewhere: it is taken after an attempt was written down and before what it paid for is sold. What
differs is how the order and what is set aside for it come about together, and what a crash leaves between them.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal, NamedTuple

import msgspec

from fathom.design import Decision

from ...api import Hold, Order, OrderId
from ...stores.attempts import Attempts
from ...stores.orders import OrderRows
from ..delivery import Delivery
from ..idempotency import Asked, Idempotency
from ..lock import Lock
from ..stock import Stock

__all__ = ["ENCODE", "Parts", "Transaction"]

ENCODE = msgspec.json.Encoder().encode


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
    async def settle(self, parts: Parts, order: OrderId, reference: str, said: Literal["charged", "declined"]) -> Order:
        """Let an order be what the provider's word about an attempt makes of it; return it as it is then.

        Charged: what was set aside is sold and the order confirmed; or, if that was gone by then, the order is
        cancelled and the attempt left `refunding`. Declined: it is pending again. Said twice or too late, nothing more
        happens.
        """

    @abstractmethod
    async def cancel(self, parts: Parts, order: OrderId, because: str) -> Order:
        """Cancel an order that is not shipped: release what it has, and leave its charge `refunding`."""

    @abstractmethod
    async def recover(self, parts: Parts) -> int:
        """Finish, or take back, what a crash left half done; return how many orders that were."""

    async def adopt(self, previous: Any) -> None:
        """Take over under load: what the one before began is finished by its own `recover`, or by ours."""

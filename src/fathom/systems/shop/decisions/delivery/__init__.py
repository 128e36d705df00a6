"""An order changed and others have to hear of it: how does that leave the database without being lost or repeated?"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from fathom.design import Decision
from fathom.engines.database import Session

from ...api import Order
from ...stores.outbox import Outbox

__all__ = ["Delivery"]


class Delivery(Decision):
    """How changes of orders come into the log that everybody reads. Order and version tell an event from others."""

    default = "outbox"

    outbox: Outbox

    @abstractmethod
    async def tell(self, orders: Sequence[Order], tx: Session) -> None:
        """Tell of orders as they are after their change, within the transaction that changes them."""

    async def told(self, orders: Sequence[Order]) -> None:
        """Hear that the transaction has committed: for an approach that tells others only now."""

    @abstractmethod
    async def pass_on(self) -> int:
        """Bring what was told to the log; return how many events. Only one relay asks this at a time."""

    async def adopt(self, previous: Any) -> None:
        """Take over under load, once the one before has passed on what it was told."""
        while await previous.pass_on():
            pass

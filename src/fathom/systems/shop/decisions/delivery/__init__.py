"""An order changed and others have to hear of it: how does that leave the database without being lost or repeated?

An event that is passed on twice is recognised by its order's version, in the transaction that gives it its place in
the log; what was never passed on is missed by nobody until the books are compared.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from fathom.design import Decision
from fathom.engines.database import Session

from ...api import Order
from ...stores.changes import Changes
from ...stores.outbox import Outbox

__all__ = ["Delivery"]


class Delivery(Decision):
    """How changes of orders come into the log that everybody reads."""

    default = "outbox"

    outbox: Outbox
    changes: Changes

    @abstractmethod
    async def tell(self, orders: Sequence[Order], tx: Session) -> None:
        """Tell of orders as they are after their change, within the transaction that changes them."""

    async def told(self, orders: Sequence[Order]) -> None:
        """Hear that the transaction has committed: there is something to pass on."""
        self.outbox.news.set()

    async def pass_on(self) -> int:
        """Bring what was told to the log; return how many events. One relay of all services does this at a time.

        What is still told as before, by calls that began before this approach took over, is brought there, too.
        """
        return await self._take() if self._captured else await self.outbox.pass_on()

    async def waiting(self) -> int:
        """Return how many events are told and not in the log, or may be because somebody is passing them on."""
        if not self._captured:
            return await self.outbox.waiting()
        async with self.outbox.db.transaction() as tx:
            if not await self.outbox.alone(tx):
                return 1
            return await self.outbox.waiting(tx) + len((await self.changes.peek())[0])

    _captured = False  # whether the log of changes may have something for us

    async def begin(self) -> None:
        """Get ready to be told; refuse where the engines cannot do what this needs."""
        if await self.changes.there():  # left by an approach before this one, in a process that has ended
            while await self._take():
                pass
            await self.changes.end()

    async def adopt(self, previous: Any) -> None:
        """Take over under load: what the one before was told is passed on by this one."""
        self._captured = await self.changes.there()
        self.outbox.news.set()

    async def _take(self) -> int:
        """Bring what is in the log of changes to our own, with what is in the outbox; return how many events."""
        async with self.outbox.db.transaction() as tx:
            if not await self.outbox.alone(tx):
                return 0
            told, behind = await self.changes.peek()
            passed = await self.outbox.drain(tx)
            if await self.outbox.waiting(tx):
                return passed  # of the same orders earlier versions may wait there
            await self.outbox.append(told, tx)
        if behind:  # should it end here, all of it comes once more and is recognised
            async with self.outbox.db.transaction() as tx:
                await self.outbox.line_up(tx)  # a slot has one reader at a time
                await self.changes.took(behind)
        return passed + len(told)

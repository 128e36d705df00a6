"""Let one writer take for everybody who came meanwhile: a hundred buyers wait for one lock and one commit.

Baskets queue up in this process. While one batch is on its way to the disk the next one gathers, so nobody waits for a
timer, and the more want the same row the larger the batches and the less each costs. Who came first is served first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fathom.design import knob
from fathom.engines.database import Session

from ...api import OrderId, Wanted
from ...stores.shelves import Basketful, not_enough
from . import Stock


class Batching(Stock):
    """Five statements for a batch of any size, BEGIN and COMMIT among them."""

    most: int = knob(200, "baskets that are taken for at once")

    def __post_init__(self) -> None:
        self._waiting: list[tuple[Basketful, asyncio.Future[int | None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def reserve(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float, tx: Session | None = None) -> None:
        if tx is not None:
            return  # it was done ahead: who waits for the writer with a transaction open keeps others waiting
        done: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((Basketful(order, tuple(wanted), hold_s), done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="stock writer")
        missing = await done
        if missing is not None:
            raise not_enough(missing)

    async def ahead(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float) -> bool:
        await self.reserve(order, wanted, hold_s)
        return True

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self.most], self._waiting[self.most :]
                try:
                    missing = await self.shelves.take_batch([basket for basket, _ in batch])
                except Exception as failure:
                    for _, done in batch:
                        if not done.done():
                            done.set_exception(failure)
                    continue
                for (_, done), lacks in zip(batch, missing, strict=True):
                    if not done.done():
                        done.set_result(lacks)
        finally:
            self._writing = None

"""Work that nobody waits for: each piece once at a time, only so many at once, never lost in silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager

from fathom.engines.engine import EngineError
from fathom.engines.ledger import RESIDUAL, charging

from .memory import Memory

__all__ = ["Chores"]

log = logging.getLogger("fathom.timeline.chores")

AT_ONCE = 4  # of work that readers' own requests compete with
RETRY_S = 0.2
WAITING_MAX = 50_000  # pieces that may wait; who asks for another is asked to come again


class Chores:
    """Background work by name. A name that waits or runs is not taken again; a failure is only logged.

    Nothing may depend on a chore being done: it makes cheaper or tidier what is right without it. What must be done
    lies in the outbox.
    """

    def __init__(self, memory: Memory, at_once: int = AT_ONCE) -> None:
        self._memory, self._at_once = memory, at_once
        self._later: set[asyncio.Task[None]] = set()
        self._named: dict[Hashable, asyncio.Future[None]] = {}
        self._waiting: asyncio.Queue[tuple[Hashable, Callable[[], Awaitable[object]], bool]] = asyncio.Queue()
        self._open = False

    def once(self, name: Hashable, work: Callable[[], Awaitable[object]], *, again: bool = False) -> bool:
        """Have some work done soon; return False if the same waits or runs already, or cannot be taken now.

        Work that fails because an engine does is left undone, or tried `again` when Redis is back.
        """
        if not self._open or name in self._named or len(self._named) >= WAITING_MAX:
            return False
        self._named[name] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((name, work, again))
        return True

    async def settled(self) -> None:
        """Return when all that was asked for before this call is done, or has failed."""
        for future in list(self._named.values()):
            await asyncio.wait([future])

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Work for the length of a block; what is not done when it ends is left undone."""
        self._open = True
        workers = [asyncio.create_task(self._work(), name=f"chores {n}") for n in range(self._at_once)]
        try:
            yield
        finally:
            self._open = False
            tasks = [*workers, *self._later]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for future in self._named.values():
                future.cancel()
            self._named.clear()

    async def _work(self) -> None:
        while True:
            name, work, again = await self._waiting.get()
            try:
                with charging(RESIDUAL):
                    await work()
            except EngineError as failure:
                log.info("%s was left undone: %s", name, failure)
                if again:
                    task = asyncio.create_task(self._retry(name, work))
                    self._later.add(task)
                    task.add_done_callback(self._later.discard)
                    continue
            except Exception:
                log.exception("%s failed", name)
            future = self._named.pop(name, None)
            if future is not None and not future.done():
                future.set_result(None)

    async def _retry(self, name: Hashable, work: Callable[[], Awaitable[object]]) -> None:
        await asyncio.sleep(RETRY_S)  # it may have been the truth, and that gives no sign when it is back
        await self._memory.opened()
        self._waiting.put_nowait((name, work, True))

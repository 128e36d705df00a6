"""One sync in a thread of its own covers every write that was made before it began."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

__all__ = ["GroupCommit"]


class GroupCommit:
    """Counts writes with tickets from 1, and says up to which of them all is durable.

    `sync` is called in a thread and must let go of the interpreter's lock while it waits. One is under way at a time:
    it begins when the event loop has no more that is ready, so that it covers what came together, and the next begins
    as soon as it has ended. `sync=None` takes every write for durable a turn of the loop later.

    After a sync that failed nobody knows what is on the disk, and a second one may say that all is well when it is not
    (Rebello et al., "Can applications recover from fsync failures?", 2020): none is tried, `failed` is called once,
    and nothing becomes durable any more.
    """

    def __init__(
        self,
        sync: Callable[[], None] | None,
        *,
        synced: Callable[[int], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sync, self._synced, self._failed = sync, synced, failed
        self._busy = False  # a sync is under way, or will begin in this turn of the loop
        self._fault: Exception | None = None
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._asked: SimpleQueue[int | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="group-commit", daemon=True) if sync else None
        self.made = self.durable = 0
        if self._thread:
            self._thread.start()

    def write(self) -> int:
        """Count a write that has been made, and see that it becomes durable; return its ticket."""
        self.made += 1
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._begin)
        return self.made

    async def wait(self, ticket: int) -> None:
        """Return once all writes up to this ticket are durable; raise what the sync raised if they never will be."""
        if ticket > self.made:
            raise ValueError(f"ticket {ticket} is not made yet, the last is {self.made}: it would wait forever")
        if ticket <= self.durable:
            return
        if self._fault:
            raise self._fault
        future = self._loop.create_future()
        self._waiting.append((ticket, future))
        await future

    async def close(self) -> None:
        """Make durable what is not yet, and end the thread: that is waited for also by who is cancelled, once."""
        try:
            await self.wait(self.made)
        finally:
            self._asked.put(None)
            if self._thread:
                await asyncio.shield(asyncio.to_thread(self._thread.join))

    # ------------------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._thread:
            self._asked.put(self.made)
        else:
            self._finish(self.made)

    def _work(self) -> None:
        assert self._sync
        while (ticket := self._asked.get()) is not None:
            try:
                self._sync()
            except Exception as fault:
                self._tell(self._fail, fault)
                return
            self._tell(self._finish, ticket)

    def _tell(self, what: Callable[..., None], about: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody is left who would hear it
            self._loop.call_soon_threadsafe(what, about)

    def _finish(self, ticket: int) -> None:
        self.durable = ticket
        if self.made > ticket:
            self._begin()  # first, so that the disk works while those are told who have waited
        else:
            self._busy = False
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if one[0] > ticket:
                self._waiting.append(one)
            elif not one[1].done():
                one[1].set_result(None)
        self._synced(ticket)

    def _fail(self, fault: Exception) -> None:
        self._fault = fault
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_exception(fault)
        self._failed(fault)

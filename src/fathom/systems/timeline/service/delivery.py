"""From an acknowledged post to its followers: into the queue, out of it piece by piece, and done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from fathom.engines.engine import EngineBusy, EngineDown, EngineError
from fathom.engines.ledger import RESIDUAL, charging, operation

from ..api import PostId
from ..stores import Stores
from ..stores.deliveries import Delivery
from ..stores.outbox import Entry

__all__ = ["Courier"]

log = logging.getLogger("fathom.timeline.delivery")

RELAYS = 32  # publications that await their acknowledgement
RELAY_WAITING_MAX = 20_000  # beyond, a post waits in the outbox alone, until the second look
RETRY_S = (0.02, 1.0)
LOOK_S = 1.0  # how often posts that should long be delivered are looked for
OVERDUE_S = 3.0
PATIENCE_LOOKS = (10, 300)  # that a line which is never empty is waited for, before the oldest in it are put there anew
ANEW_MAX = 100  # then: the line is long already
WORKING_S = 10.0  # well below the queue's own patience


class Courier:
    """Delivers posts of the outbox, each to every approach that is to hear of it.

    The queue decides who does what next; the outbox decides what is done. If the queue loses a message, or was lost
    itself, the second look finds a row that is still pending while nothing is in line, and starts it again. To deliver
    anything twice changes nothing.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._outbox, self._deliveries, self._memory = stores.outbox, stores.deliveries, stores.memory
        self._left: dict[int, set[int]] = {}  # row → generations that it is still to be delivered to
        self._since: dict[int, float] = {}  # row → when it was last put in line
        self._relaying: asyncio.Queue[tuple[Delivery, str, int]] = asyncio.Queue(RELAY_WAITING_MAX)
        self._relayed = 0  # taken from it and not yet published
        self._unheard: set[int] = set()  # rows that nobody had taken up at the last look
        self._again = 0
        self._resuming = False
        self._lines = AsyncExitStack()
        self._waited, self._patience = 0, PATIENCE_LOOKS[0]  # looks at a line that was not empty, of how many

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Deliver for the length of a block."""
        self._tasks = tasks = [asyncio.create_task(self._relay(), name=f"relay {n}") for n in range(RELAYS)]
        try:
            async with self._lines:
                await self._lines.enter_async_context(self._deliveries.consumed(self._deliver))
                tasks.append(asyncio.create_task(self._look_again(), name="second look"))
                try:
                    yield
                finally:
                    tasks[-1].cancel()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def end(self) -> None:
        """Take nothing more out of the line, and put nothing into it: another delivers."""
        for task in self._tasks:
            task.cancel()
        await self._lines.aclose()

    # Into the queue

    def take(self, entry: Entry) -> None:
        """Have a post delivered to whoever is to hear of it now. It is committed: who comes later finds it there."""
        targets = [target for target in self._stores.generations.targets if target.delivers]
        self._stores.progress.accepted(PostId(entry.what))
        if not targets:
            self._stores.progress.ended(PostId(entry.what))
            self._outbox.delivered(entry.seq)
            return
        self._left[entry.seq] = {target.generation for target in targets}
        self._since[entry.seq] = _now()
        op = operation.get()
        for target in targets:
            self._put(Delivery(entry.seq, target.generation, entry.who, entry.what), op)

    def knows(self, entry: Entry) -> bool:
        """Tell whether it is being delivered."""
        return entry.seq in self._left

    def _put(self, delivery: Delivery, op: str) -> None:
        if not self._relaying.full():
            self._relaying.put_nowait((delivery, op, self._again))

    async def _relay(self) -> None:
        while True:
            delivery, op, again = await self._relaying.get()
            self._relayed += 1
            try:
                with charging(op):
                    await self._publish(delivery, again)
            except Exception:  # the second look finds it
                log.exception("%s could not be put in line", delivery)
            finally:
                self._relayed -= 1

    async def _publish(self, delivery: Delivery, again: int) -> None:
        pause_s = RETRY_S[0]
        while delivery.seq in self._left:
            try:
                await self._deliveries.publish(delivery, again=again)
                return
            except EngineDown:
                await self._deliveries.broker.wait_up()
            except EngineBusy:
                pass
            except EngineError:  # unknown: the queue takes the same id only once
                pass
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_S[1])

    # Out of the queue

    async def _deliver(self, delivery: Delivery, working: Callable[[], Awaitable[None]]) -> None:
        left, entry = self._left.get(delivery.seq), self._outbox.pending.get(delivery.seq)
        if left is None or delivery.generation not in left or entry is None or entry.what != delivery.post:
            return  # it is done and this is a repetition, or it is from another life of these data
        target = self._target(delivery.generation)
        if target is not None:
            # It need not be believed, only be there: a push is right in any feed, whatever else that may lack.
            while not self._memory.client.up:
                with suppress(EngineDown):
                    await self._memory.client.wait_up(WORKING_S)
                await working()
            after = await target.deliver(delivery.author, delivery.post, delivery.after)
            self._since[delivery.seq] = _now()
            if after is not None:
                # The rest is in line before this piece is acknowledged: if we die in between, this one comes again.
                rest = Delivery(delivery.seq, delivery.generation, delivery.author, delivery.post, after)
                await self._deliveries.publish(rest, again=self._again)
                return
        left.discard(delivery.generation)
        if not left and self._left.pop(delivery.seq, None) is not None:
            self._since.pop(delivery.seq, None)
            self._stores.progress.ended(PostId(delivery.post))
            self._outbox.delivered(delivery.seq)

    def _target(self, generation: int) -> Any:
        for target in self._stores.generations.targets:
            if target.generation == generation:
                return target
        return None

    # The second look

    async def _look_again(self) -> None:
        with charging(RESIDUAL):
            while True:
                try:
                    await self._look()
                except EngineError as failure:
                    log.info("no second look now: %s", failure)
                except Exception:
                    log.exception("the second look failed")
                await asyncio.sleep(LOOK_S / 20 if self._resuming else LOOK_S)

    async def _look(self, overdue_s: float = OVERDUE_S) -> None:
        now = _now()
        overdue = [seq for seq, since in self._since.items() if now - since > overdue_s]
        # A call that was given up between its commit and `take` leaves a row that nobody took up. One that is under
        # way looks the same, but not for two looks.
        untaken = set(self._outbox.undelivered()) - self._left.keys()
        unheard, self._unheard = untaken & self._unheard, untaken
        if not overdue and not unheard:
            self._resuming = False
            self._waited, self._patience = 0, PATIENCE_LOOKS[0]
            return
        # While anything is in line it may be just that. (A piece's rest is put in line before it is acknowledged.) But
        # a line may never be empty: then the oldest are put there again, which is harmless, and less often each time.
        if self._relayed or not self._relaying.empty() or await self._deliveries.left():
            self._waited += 1
            if self._waited < self._patience:
                return
            self._patience = min(2 * self._patience, PATIENCE_LOOKS[1])
            overdue = sorted(overdue, key=lambda seq: self._since.get(seq, now))[:ANEW_MAX]
        self._waited = 0
        self._again += 1  # other ids, which the queue has not seen yet
        self._resuming = False
        for seq in overdue:
            entry, left = self._outbox.pending.get(seq), self._left.get(seq)
            if entry is not None and left is not None and now - self._since.get(seq, now) > overdue_s:
                self.take(entry)
        for seq in unheard:
            entry = self._outbox.pending.get(seq)
            if entry is not None and seq not in self._left:
                self.take(entry)

    def resume(self) -> None:
        """Take up the posts that an earlier process left: first what is still in line, then what is not."""
        generations = {target.generation for target in self._stores.generations.targets if target.delivers}
        for entry in self._outbox.pending.values():
            if entry.kind == "post":
                self._stores.progress.accepted(PostId(entry.what))
                self._left[entry.seq] = set(generations)
                self._since[entry.seq] = float("-inf")
                self._resuming = True


def _now() -> float:
    return asyncio.get_running_loop().time()

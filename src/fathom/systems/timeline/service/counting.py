"""Likes are added up for who leaves that for later, and their numbers moved to where the one who serves looks."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fathom.engines.engine import EngineError, EngineUnknown
from fathom.engines.ledger import RESIDUAL, charging, operation

from ..api import PostId
from ..decisions.counters import Counters
from ..stores import Stores
from ..stores.outbox import STRAY_S, Entry
from .mending import Mender

__all__ = ["Counting"]

log = logging.getLogger("fathom.timeline.counting")

SHARE = 0.25  # of the promised time: then adding up may take as long again, and fail once
RETRY_S = 0.1
AGAIN_S = 1.0  # after what nobody expected
AT_ONCE = 1_000  # changes that are added up in one transaction
SHOWN_AT_ONCE = 8  # posts whose copies are made anew together


class Counting:
    """Keeps the numbers of likes where `choices.counters` looks for them."""

    def __init__(self, stores: Stores, choices: Any, mender: Mender, clock: Callable[[], int]) -> None:
        self._stores, self._choices, self._mender, self._clock = stores, choices, mender, clock
        self._likes, self._outbox = stores.likes, stores.outbox
        self._alarm: asyncio.TimerHandle | None = None
        self._asked_by = RESIDUAL  # what left something first: adding up is charged to that, whoever has it done
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls: Counter[Counters] = Counter()  # under way
        self._unsure: dict[Counters, float] = {}  # until when a statement may go on whose caller has gone
        self._ended = asyncio.Event()  # one of them just did
        self._one = asyncio.Lock()  # two transactions that change many posts each could wait for each other
        self._arranging: asyncio.Task[None] | None = None
        self._looked_at: PostId | None = None  # posts up to this one, since the first
        self._arranged = (-1, "")  # the turn whose numbers are where they belong

    @property
    def counters(self) -> Counters:
        return self._choices.counters

    @contextmanager
    def call(self) -> Iterator[Counters]:
        """Let a call use the approach that serves now, to its end."""
        counters = self.counters
        self._calls[counters] += 1
        try:
            yield counters
        except (EngineUnknown, asyncio.CancelledError):
            self._unsure[counters] = asyncio.get_running_loop().time() + STRAY_S
            raise
        finally:
            self._calls[counters] -= 1
            if not self._calls[counters]:
                del self._calls[counters]
                self._ended.set()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Add up for the length of a block; what is left then is added up by the next service."""
        self._likes.on_left = self._left
        with charging(RESIDUAL):
            self._likes.on_left(0.0)  # what the last one left
            self.look()
        try:
            yield
        finally:
            self._likes.on_left = lambda within_s: None
            if self._alarm is not None:
                self._alarm.cancel()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    async def settled(self) -> None:
        """Return when all that was liked before this call is in the numbers, and these are where they belong."""
        while True:
            try:
                await self._add_up()  # also what nobody here knows of: its answer was lost
                while self._arranged != self._now():  # another may take over while numbers are moved
                    await self._arrange()
            except EngineError as failure:
                log.info("numbers of likes are not where they belong yet: %s", failure)
                await asyncio.sleep(RETRY_S)  # nobody tells when it can be done
            else:
                return

    # Adding up

    def _left(self, within_s: float) -> None:
        if self._alarm is None:
            self._asked_by = operation.get()
            self._alarm = asyncio.get_running_loop().call_later(SHARE * within_s, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._begin(self._add_up_again())

    async def _add_up_again(self) -> None:
        try:
            await self._add_up()
        except Exception as failure:
            expected = isinstance(failure, EngineError)
            log.log(logging.INFO if expected else logging.ERROR, "not added up now", exc_info=failure)
            if self._alarm is None:  # nobody tells when it can be done
                self._alarm = asyncio.get_running_loop().call_later(RETRY_S if expected else AGAIN_S, self._ring)

    async def _add_up(self) -> None:
        with charging(self._asked_by):
            while True:
                async with self._one:
                    added = await self._likes.add_up(self._clock(), AT_ONCE)
                await self._show(added.entries)
                if added.taken < AT_ONCE:
                    return

    async def _show(self, entries: Sequence[Entry]) -> None:
        self._outbox.took(entries)
        for first in range(0, len(entries), SHOWN_AT_ONCE):  # requests need connections as well
            await asyncio.gather(*map(self._mender.show, entries[first : first + SHOWN_AT_ONCE]))

    # Moving what another approach left elsewhere

    def look(self) -> None:
        """Begin to move what lies elsewhere, if something may."""
        if self._arranged != self._now() and (self._arranging is None or self._arranging.done()):
            self._arranging = self._begin(self._arrange_quietly())

    def _now(self) -> tuple[int, str]:
        return self._likes.turn, type(self.counters).__name__

    async def _arrange_quietly(self) -> None:
        try:
            await self._arrange()
        except EngineError as failure:
            log.info("numbers of likes stay where they are for now: %s", failure)

    async def _arrange(self) -> None:
        """Move all numbers to where the approach that serves looks, piece by piece, then let it look there alone."""
        if self._arranged != self._now():
            with charging(RESIDUAL):
                await self._move(self.counters, self._now())

    async def _move(self, counters: Counters, now: tuple[int, str]) -> None:
        likes = self._likes
        await self._alone(counters)
        await self._add_up()
        anew = counters.keeps and not await likes.kept()
        after: PostId | None = PostId(0)
        while anew and after is not None and now == self._now():
            async with self._one:
                after, entries = await likes.recount(after, self._clock())
            await self._show(entries)
        while counters.shows == "kept" and now == self._now():
            async with self._one:
                if not await likes.fold():
                    break
        if now == self._now():
            await likes.settle(now[0], counters.shows, counted_anew=anew)
            self._arranged = now

    async def _alone(self, counters: Counters) -> None:
        """Wait until nobody else's calls are under way: what they change may still go elsewhere."""
        while any(other is not counters for other in self._calls):
            self._ended.clear()
            await self._ended.wait()
        loop = asyncio.get_running_loop()
        for other, until_s in list(self._unsure.items()):
            if other is not counters:
                await asyncio.sleep(max(0.0, until_s - loop.time()))  # PostgreSQL tells nobody when it is done
                self._unsure.pop(other, None)

    # Keeping it right

    async def tidy(self) -> None:
        """Look at some more posts, and count anew where a number is not that of the likes: that ought not to be."""
        if self._arranged != self._now() or not self.counters.keeps:
            return
        async with self._one:
            self._looked_at, entries = await self._likes.recount(self._looked_at or PostId(0), self._clock())
        if entries:
            log.warning("the numbers of likes of %d posts were wrong, and are counted anew", len(entries))
            await self._show(entries)

    def _begin(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="counting likes")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

"""The relay: what journals say is told to the stream of events, after it was committed and in their order.

A journal is the outbox: each change is written to it in its own transaction, without a gap, and kept for as long as is
promised to devices. Each space has a mark that says how far the stream was told, and the mark moves when JetStream has
acknowledged what is before it. So who dies at any moment goes on from the mark: some of it is told twice, under the
same ids, and nothing is left out.

No commit waits for this. It leaves a word, which space has changed; words are few and may be lost, for now and then,
and after every failure, all marks are looked at. A journal does not wait either: it forgets after thirty days, told or
not, for a NATS that nobody mends is not to fill the database of a drive. What it forgot before it was told is one event
that says so: read the whole tree. So does a journal that was set back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice

from fathom.engines.engine import EngineError
from fathom.engines.ledger import RESIDUAL, charging

from ..api import SpaceId
from ..stores import Stores
from ..stores.events import Event
from ..stores.journal import Change
from ..stores.marks import FIRST, Mark

__all__ = ["Relay"]

log = logging.getLogger("fathom.drive.relay")

SPACES = 8  # that are told at once, and each of them in its order
BATCH = 100  # changes of one space, before others have their turn: at most so many are told twice after a crash
WORDS_MAX = 1_000  # of which space has changed; where there are more, all are looked at
LOOK_S = 60.0  # between two looks at all: what another process has committed, or left, leaves no word
RETRY_S = (0.1, 10.0)  # the first pause after a failure, and the longest


class Relay:
    """Tells what there is to tell whenever something has changed. `counts`: events that were `told`, and `resyncs`."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._words: dict[SpaceId, None] = {}  # spaces that have changed, in the order of their turns
        self._look_s = 0.0  # when all marks are to be looked at again: at once, where words may have been lost
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._declared = False
        self.counts: Counter[str] = Counter()

    def changed(self, space: SpaceId) -> None:
        """Leave word that something was committed in a space."""
        if len(self._words) < WORDS_MAX:
            self._words[space] = None
        else:
            self._look_s = 0.0
        self._news.set()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Tell what is committed for the length of a block."""
        with charging(RESIDUAL):
            task = asyncio.create_task(self._work(), name="relay")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def round(self) -> None:
        """Look at all marks, and tell all that is committed."""
        self._look_s = 0.0
        await self._go_on()

    async def _work(self) -> None:
        pause_s = RETRY_S[0]
        while True:
            self._news.clear()
            try:
                await self._go_on()
                pause_s = RETRY_S[0]
            except EngineError as failure:
                log.info("events wait: %s", failure)
                await self._stores.events.broker.wait_up()
                await asyncio.sleep(pause_s)  # a stream that is full, or a truth that is gone, gives no sign
                pause_s = min(2 * pause_s, RETRY_S[1])
                continue
            except Exception:
                log.exception("the relay failed")
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._look_s):
                    await self._news.wait()

    async def _go_on(self) -> None:
        """Tell what is left, where it is known, or else by looking at all marks."""
        now = asyncio.get_running_loop().time
        async with self._turn:
            try:
                if not self._declared:
                    await self._stores.events.declare()
                    self._declared = True
                while (due := now() >= self._look_s) or self._words:
                    await (self._look() if due else self._follow())
            except EngineError:
                self._look_s = 0.0
                self._declared = False  # NATS may be there again without its stream
                raise

    async def _look(self) -> None:
        """Give a turn to each space that has something to tell."""
        self._look_s = asyncio.get_running_loop().time() + LOOK_S
        self._words.clear()
        after = FIRST
        while marks := await self._stores.marks.all_behind(after, SPACES):
            await self._tell(marks)
            if len(marks) < SPACES:
                break
            after = marks[-1].space

    async def _follow(self) -> None:
        """Give a turn to those spaces of which there has been word for longest."""
        turn = list(islice(self._words, SPACES))
        for space in turn:
            del self._words[space]
        await self._tell(await self._stores.marks.behind(turn))

    async def _tell(self, marks: Sequence[Mark]) -> None:
        """Tell something of each of some spaces; those of which there is more wait for another turn."""
        ends = await asyncio.gather(*(self._tell_one(mark) for mark in marks), return_exceptions=True)
        for mark, end in zip(marks, ends, strict=True):
            if end is True:
                self.changed(mark.space)
            elif isinstance(end, BaseException) and not isinstance(end, EngineError):
                log.error("space %s is not told of: it is no harm to the others", mark.space, exc_info=end)
        for end in ends:
            if isinstance(end, EngineError):  # and that is the same for all of them
                raise end

    async def _tell_one(self, mark: Mark) -> bool:
        """Tell some of what is after a mark, and move it; return whether there is more."""
        stores, told = self._stores, mark.told
        changes = await stores.journal.changes(mark.space, told, mark.head, BATCH)
        if not changes or changes[0].node.seq != told + 1:  # it was set back, or has forgotten
            await stores.events.publish(_resync(mark))
            self.counts["resyncs"] += 1
            await stores.marks.move(mark, mark.head)
            return False
        failed: EngineError | None = None
        try:
            for change in changes:
                await stores.events.publish(_event(mark, change))
                told = change.node.seq
                self.counts["told"] += 1
        except EngineError as failure:
            failed = failure
        if told > mark.told:
            await stores.marks.move(mark, told)
        if failed is not None:
            raise failed
        return told < mark.head


def _event(mark: Mark, change: Change) -> Event:
    node = change.node
    return Event(
        kind=change.kind,
        space=mark.space,
        owner=mark.owner,
        epoch=mark.epoch,
        seq=node.seq,
        node=node.id,
        parent=node.parent,
        version=node.version,
        size=None if node.content is None else node.content.size,
        device=node.device,
        at_ms=node.at_ms,
    )


def _resync(mark: Mark) -> Event:
    return Event(kind="space.resync", space=mark.space, owner=mark.owner, epoch=mark.epoch, seq=mark.head)

"""What nobody asks for and somebody has to do: strays taken up, old feeds put away, what expired forgotten."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fathom.engines.engine import EngineError, EngineUnknown
from fathom.engines.ledger import RESIDUAL, charging
from fathom.errors import FathomError, Refusal

from ..api import PostId, UserId
from ..model.media import Rules
from ..stores import Stores
from ..stores.blobs import SWEPT_MAX
from ..stores.outbox import STRAY_S, Entry
from ..stores.uploads import LET_GO_MAX
from .counting import Counting
from .delivery import Courier
from .herald import Herald
from .mending import Mender

__all__ = ["Housekeeper", "unavailable"]

log = logging.getLogger("fathom.timeline.housekeeping")

LOOK_S = 1.0
TIDY_S = 30.0
SEAT_S = 1.0  # that a change waits, when PostgreSQL has just come back
RETRY_S = 0.05
DAY_MS = 86_400_000


class Housekeeper:
    """Looks around every second, and tidies up now and then.

    `with housekeeper:` goes around what asks the truth, `async with` around what changes it: an engine's failure
    becomes an answer that the caller can act on, and if nobody knows whether something was committed, it is looked for
    a little later. `afterwards` goes around what asks the truth when a change is already committed.
    """

    def __init__(
        self,
        stores: Stores,
        choices: Any,
        mender: Mender,
        courier: Courier,
        counting: Counting,
        herald: Herald,
        rules: Rules,
        clock: Callable[[], int],
    ) -> None:
        self._stores, self._choices, self._mender, self._courier, self._clock = stores, choices, mender, courier, clock
        self._counting, self._herald, self._rules = counting, herald, rules
        self._suspected = float("-inf")  # when an answer was last lost
        self._stuck: set[int] = set()  # rows that were not shown at the last look
        self._replaced = False  # another service serves these data
        self._mutes_end_ms = 0.0  # when the next of them does; 0: nobody has looked yet

    def __enter__(self) -> None:
        if self._replaced:
            raise Refusal("unavailable", "another service has taken over, ask that one")

    async def __aenter__(self) -> None:
        """Wait, should PostgreSQL have been away, until we are surely the one service again."""
        held = self._stores.seat.held
        if not held.is_set() and not self._replaced:
            try:
                async with asyncio.timeout(SEAT_S):
                    await held.wait()
            except TimeoutError:
                raise Refusal("unavailable", "a store is down, try again", retry_s=1.0) from None
        self.__enter__()

    async def __aexit__(self, kind: Any, failure: BaseException | None, trace: Any) -> None:
        self.__exit__(kind, failure, trace)

    def __exit__(self, kind: Any, failure: BaseException | None, trace: Any) -> None:
        if failure is None or isinstance(failure, Refusal):
            return
        if isinstance(failure, (EngineUnknown, asyncio.CancelledError)):
            self._suspected = asyncio.get_running_loop().time()
        if isinstance(failure, EngineUnknown):
            log.warning("%s (%s)", failure.what, failure.why)
            raise TimeoutError("no answer in time: it is unknown whether this was done") from failure
        if isinstance(failure, EngineError):
            raise unavailable(failure) from failure

    @contextmanager
    def afterwards(self) -> Iterator[None]:
        """Around what asks the truth once something is committed: a failure then no longer says that nothing was."""
        try:
            with self:
                yield
        except Refusal as refusal:
            if refusal.code != "unavailable":
                raise
            raise TimeoutError("it may have been done, and a store cannot be reached that would tell") from refusal

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Keep house for the length of a block."""
        with charging(RESIDUAL):
            tasks = [
                asyncio.create_task(self._stores.outbox.remove_done(), name="outbox"),
                asyncio.create_task(self._look_around(), name="housekeeping"),
                asyncio.create_task(self._keep_the_seat(), name="seat"),
            ]
        self._retire(self._stores.generations.targets[-1].generation)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            with charging(RESIDUAL):
                try:
                    await self._stores.outbox.flush()
                except Exception as failure:  # the next process repeats what is still there
                    log.info("the outbox was left as it is: %s", failure)

    def prune(self) -> None:
        """After a switch, let approaches that no longer serve hear no more, and remove their feeds."""
        targets = self._stores.generations.targets
        if len(targets) > 1 and targets[-1] is self._choices.fanout:
            self._stores.generations.targets = targets[-1:]
            self._retire(targets[-1].generation)

    def _retire(self, current: int) -> None:
        async def retire() -> None:
            generations = self._stores.generations
            for generation in await generations.old(current):
                await self._stores.feeds.remove(generation, list(await generations.stars(generation)))
                await generations.retire(generation)

        self._stores.chores.once(("retire", current), retire, again=True)

    async def _look_around(self) -> None:
        loop = asyncio.get_running_loop()
        tidied = loop.time()
        with charging(RESIDUAL):
            while True:
                await asyncio.sleep(LOOK_S)
                if self._replaced:
                    return
                if not self._stores.seat.held.is_set():
                    continue  # what lies in the outbox may be another's
                try:
                    self.prune()
                    self._counting.look()
                    await self._show_stuck()
                    if self._clock() >= self._mutes_end_ms:
                        await self._lift_mutes()
                    if self._suspected > float("-inf") and loop.time() - self._suspected > STRAY_S + LOOK_S:
                        self._suspected = float("-inf")
                        await self._take_strays()
                    if loop.time() - tidied > TIDY_S:
                        tidied = loop.time()
                        await self._tidy()
                except EngineError as failure:
                    log.info("not tidied now: %s", failure)
                except Exception:
                    log.exception("housekeeping failed")

    async def _keep_the_seat(self) -> None:
        """Sit down again whenever our connection is lost; if another service was quicker, end all that we do."""
        seat = self._stores.seat
        with charging(RESIDUAL):
            while True:
                await seat.lost.wait()
                try:
                    await seat.retake()
                except EngineError as failure:
                    log.info("these data may be another's until PostgreSQL is back: %s", failure)
                except FathomError as replaced:
                    log.critical("this service answers no more: %s", replaced)
                    self._replaced = True
                    self._mender.give_up()
                    await self._courier.end()
                    return
                except Exception:
                    log.exception("the lock could not be taken again")
                else:
                    log.warning("PostgreSQL was away; no other service has these data")
                    continue
                await asyncio.sleep(RETRY_S)  # nobody tells when it is back

    async def _show_stuck(self) -> None:
        """Show Redis what was committed by calls that were given up before they had done so."""
        unshown = self._stores.outbox.unshown
        stuck, self._stuck = self._stuck & unshown.keys(), set(unshown)
        for seq in stuck:
            if (entry := unshown.get(seq)) is not None:
                await self._mender.show(entry)

    async def _take_strays(self) -> None:
        outbox = self._stores.outbox
        now = self._clock()
        strays = await outbox.load((now - int(1000 * STRAY_S), now))
        outbox.took(strays)
        if any(entry.kind == "edge" for entry in strays):
            self.mute_ends(0)  # it may be that of a mute: look when it ends
        for entry in strays:  # all of them before anything that may fail: they are not found a second time
            await self._mender.show(entry)
            if entry.kind == "post":
                self._courier.take(entry)
        for entry in strays:
            await self._tell(entry)

    async def _tell(self, entry: Entry) -> None:
        """Let those who listen hear of a change that nobody has told them of."""
        match entry.kind:
            case "post":
                for post, _ in (await self._stores.posts.true([PostId(entry.what)])).values():
                    self._herald.wrote(post)
            case "delete":
                self._herald.deleted(PostId(entry.what), UserId(entry.who))
            case "edge":
                self._herald.changed(UserId(entry.who))
            case "tally":
                pass

    async def _tidy(self) -> None:
        stores = self._stores
        await stores.seat.check()
        await self._take_strays()
        for target in stores.generations.targets:
            await stores.feeds.put_to_sleep(target.generation)
        await stores.accounts.forget_expired(self._clock())
        await stores.posts.forget_keys(self._clock() - DAY_MS)
        await stores.graph.forget_ended()
        await stores.grants.forget_unused(self._clock())
        await self._counting.tidy()
        while await stores.uploads.let_go(self._clock(), self._rules.unused_ms) == LET_GO_MAX:
            pass
        while await stores.blobs.sweep(self._clock(), self._rules.grace_ms) == SWEPT_MAX:
            pass

    def mute_ends(self, at_ms: float) -> None:
        """Keep in mind that a mute is to be lifted then."""
        self._mutes_end_ms = min(self._mutes_end_ms, at_ms)

    async def _lift_mutes(self) -> None:
        """Lift the mutes that were to last until now."""
        graph = self._stores.graph
        self._mutes_end_ms, before = float("inf"), self._mutes_end_ms
        try:
            for muter, muted in await graph.mutes_over(self._clock()):
                entry = await graph.unmute(muter, muted, self._clock(), if_over=True)
                if entry is not None:
                    self._stores.outbox.took([entry])
                    await self._mender.show(entry)
                    await self._tell(entry)
            self.mute_ends(await graph.next_mute_end())
        except BaseException:
            self.mute_ends(before)
            raise


def unavailable(failure: EngineError) -> Refusal:
    """Return what a caller is told when an engine fails and nothing was done: not where it lies. The log knows that."""
    log.warning("%s (%s)", failure.what, failure.why)
    return Refusal("unavailable", "a store cannot be reached, try again", retry_s=1.0)

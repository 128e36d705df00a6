"""What the shop does beside the requests: passes events on, and looks after what is overdue or was left half done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from fathom.engines.engine import EngineError
from fathom.engines.ledger import RESIDUAL, charging
from fathom.errors import Refusal

from ..decisions.transaction import Transaction
from .callbacks import hearing
from .log import Log
from .payments import Payments

__all__ = ["Upkeep"]

log = logging.getLogger("fathom.shop")

IDLE_S = 1.0  # between looks for events, where nobody said that there are some
RETRY_S = 0.2
SETTLE_S = 0.05
LISTENER = "shop"
OTHERS_S = 30.0  # between looks for what another kind of transaction has left, before a switch or a start
FORGET_S = 3_600.0


class Upkeep(Payments, Log):
    """The relay and the sweeper."""

    @property
    def _works(self) -> list[tuple[Callable[[], Awaitable[object]], float]]:
        # What recovers has a task of its own: the others may wait for locks that only it lets go.
        pause_s = self._rules.sweep_s
        return [
            (self._relay, IDLE_S),
            (self._recover, pause_s),
            (self._sweep, pause_s),
            (self._recover_others, OTHERS_S),
            (self._forget, FORGET_S),
        ]

    async def _recover(self) -> int:
        """Finish, or take back, what a crash left half done."""
        return await self._choices.transaction.recover(self._parts, self._rules.back_s)

    async def _recover_others(self) -> int:
        """Finish, or take back, what was begun in another way than orders are changed now."""
        found = 0
        for other in self._others():
            found += await other.recover(self._parts, self._rules.back_s)
        return found

    def _others(self) -> list[Transaction]:
        question, serves = self._choices.questions["transaction"], type(self._choices.transaction)
        names = [name for name, approach in question.approaches.items() if approach is not serves]
        return [question.build(question.choice(name), self._stores) for name in names]

    async def _forget(self) -> int:
        """Forget what nobody asks for any more, a little at a time; return how much that was."""
        stores, total = self._stores, 0
        for forget in (
            stores.keys.forget_old,
            stores.sagas.forget_old,
            stores.phases.forget_old,
            lambda: stores.accounts.forget_expired(self._clock()),
        ):
            while forgotten := await forget():
                total += forgotten
        return total

    _url = ""  # where the provider is to call back, until it knows

    @asynccontextmanager
    async def _looking_after(self) -> AsyncIterator[None]:
        """Look after everything for the length of a block, beginning with what a crash left."""
        with charging(RESIDUAL):
            async with hearing(self.called_back, self._stores.bank.client.key) as self._url:
                tasks = [
                    asyncio.create_task(self._again_and_again(work, pause_s), name=work.__name__)
                    for work, pause_s in self._works
                ]
                try:
                    yield
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)

    async def _again_and_again(self, work: Callable[[], Awaitable[object]], pause_s: float) -> None:
        while True:
            try:
                await work()
            except (EngineError, Refusal, TimeoutError) as failure:
                log.info("%s: not now: %s", work.__name__, failure)
                await asyncio.sleep(RETRY_S)  # nobody tells when it can be done
            except Exception:
                log.exception("%s failed", work.__name__)
                await asyncio.sleep(pause_s)
            else:
                if work == self._relay:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(pause_s):
                            await self._stores.outbox.news.wait()
                else:
                    await asyncio.sleep(pause_s)  # time itself is waited for: that something is overdue

    async def _relay(self) -> None:
        """Pass on what there is to be passed on, and let read models read it."""
        self._stores.outbox.news.clear()
        while await self._parts.delivery.pass_on():
            pass
        await self._project()

    async def _sweep(self) -> int:
        """Look after everything once; return how much of it there was."""
        rules = self._rules
        if self._url:
            await self._stores.bank.client.listen(LISTENER, self._url)
            self._url = ""
        chores = (
            lambda: self._ask_what_happened(rules.ask_again_s),
            lambda: self._answer_those_left(rules.ask_again_s),
            self._cancel_overdue,
            self._let_lapse,
        )
        found, failures = 0, list[Exception]()
        for chore in chores:
            try:
                found += await chore()
            except (EngineError, Refusal, TimeoutError) as failure:
                failures.append(failure)  # one engine may be down, and the others have work
        if failures:
            raise failures[0]
        return found

    async def _cancel_overdue(self) -> int:
        """Cancel orders that nobody pays."""
        overdue = await self._stores.orders.overdue()
        for order in overdue:
            with suppress(Refusal):  # it was paid or cancelled meanwhile
                await self._choices.transaction.cancel(self._parts, order, "it was not paid in time")
        return len(overdue)

    async def _let_lapse(self) -> int:
        """Put back what was set aside for too long."""
        stock = self._parts.stock
        expired = await stock.expired()
        for order in expired:
            await stock.lapse(order)
        return len(expired)

    async def settled(self) -> None:
        """Return when everything accepted before has taken effect: no money is in the air, nothing is half done."""
        while True:
            try:
                await self._recover()
                await self._recover_others()
                await self._sweep()
                await self._relay()
                await self._choices.cache.flush()
                if not await self._left():
                    return
            except (EngineError, Refusal, TimeoutError) as failure:
                log.info("not settled yet: %s", failure)
            await asyncio.sleep(SETTLE_S)  # attempts have to be so old before somebody else may ask about them

    async def _left(self) -> int:
        """Return how much is begun and not ended, however young."""
        return (
            sum([await one.unfinished() for one in (self._choices.transaction, *self._others())])
            + len(await self._stores.attempts.open(0.0))
            + await self._parts.delivery.waiting()
            + await self._stores.views.behind()
            + len(await self._stores.jobs.unfinished())
        )

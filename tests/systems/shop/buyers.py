"""Many people who want the same thing, pay for it however often it takes, and remember what they were told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from fathom.engines.engine import EngineError
from fathom.errors import Refusal
from fathom.history import Broken, History, laws_of
from fathom.lab.body import Recorder
from fathom.systems.shop import laws
from fathom.systems.shop.api import STATUSES, Basket, ItemId, Order, Shop, UserId, Wanted

from .world import HOME

__all__ = ["Buyers", "judged"]

TRIES = 60
PAUSE_S = 0.05


class Buyers:
    """People who each want one of an item. Whoever has no answer asks again with the same key, until there is one."""

    def __init__(self, item: ItemId, staff: UserId, users: Sequence[UserId], units: int, seed: int = 0) -> None:
        self.item, self.staff, self.users, self.units, self.seed = item, staff, users, units, seed
        self.recorder = Recorder(Shop)
        self.answers: dict[UserId, str] = {}
        self.orders: dict[UserId, Order] = {}

    async def buy(self, shop: Any, *, at_once: int = 32, cancels: float = 0.0) -> None:
        """Have all of them buy; returns when each has an answer. `shop` is asked for again at each call."""
        gate = asyncio.Semaphore(at_once)

        async def in_turn(user: UserId) -> None:
            async with gate:
                await self.one(shop, user, cancels)

        async with asyncio.TaskGroup() as group:
            for user in self.users:
                group.create_task(in_turn(user))

    async def one(self, shop: Any, user: UserId, cancels: float = 0.0) -> None:
        """Have one of them buy; returns when they have an answer."""
        self.answers[user] = await self._one(shop, user, cancels)

    async def _one(self, shop: Any, user: UserId, cancels: float) -> str:
        dice = random.Random(f"{self.seed}/{user}")
        client = self.recorder.beside(shop, f"user {user}")
        wish = Basket(lines=[Wanted(self.item, 1)], address=HOME)
        try:
            order = await self._until(lambda: client.checkout(user, wish, f"order-{user}"))
        except Refusal as refusal:
            assert refusal.code == "conflict", refusal.says
            return "sold out"
        self.orders[user] = order
        if dice.random() < cancels:
            return await self._cancelled(client, user, order)
        for attempt in range(8):
            try:
                paid = await self._until(lambda n=attempt: client.pay(user, order.id, "card", f"pay-{user}-{n}"))
            except Refusal as refusal:
                assert refusal.code == "conflict", refusal.says
                paid = await self._until(lambda: client.order(user, order.id))
            while paid.status == "payment-processing":
                await asyncio.sleep(PAUSE_S)  # as a buyer looks again
                paid = await self._until(lambda: client.order(user, order.id))
            if paid.status != "pending":
                return paid.status
        return await self._cancelled(client, user, order)

    async def _cancelled(self, client: Any, user: UserId, order: Order) -> str:
        try:
            return (await self._until(lambda: client.cancel(user, order.id))).status
        except Refusal as refusal:
            assert refusal.code == "conflict", refusal.says
            return (await self._until(lambda: client.order(user, order.id))).status

    async def _until(self, ask: Any) -> Any:
        """Ask until there is an answer: yes, or a no that asking again does not change."""
        for tried in range(TRIES):
            try:
                return await ask()
            except Refusal as refusal:
                if refusal.retry_s is None:
                    raise
            except (TimeoutError, OSError, EngineError):
                pass
            await asyncio.sleep(min(1.0, PAUSE_S * 1.3**tried))  # nobody tells when it is back
        raise TimeoutError("there was no answer at all")

    async def look(self, shop: Any) -> None:
        """Look at everything once more, when all has settled."""
        final = self.recorder.beside(shop, "staff", changes=False, final=True)
        for status in STATUSES:
            after = ""
            while True:
                page = await final.all_orders(self.staff, status, after, 100)
                for order in page.orders:
                    await final.attempts(self.staff, order.id)
                    await final.taken(self.staff, order.id)
                    await final.history(self.staff, order.id)
                if not (after := page.after):
                    break
        at = 0
        while (page := await final.events(self.staff, at)).events:
            at = page.after
        await final.level(self.item)
        await final.sales(self.staff)
        await final.tallies(self.staff)

    def history(self) -> History:
        return self.recorder.history({"stock": {str(self.item): self.units}, "all": True}, self.recorder.calls)


def judged(history: History) -> list[Broken]:
    """Return what is broken of all the shop's laws."""
    return [broken for law in laws_of(laws).values() for broken in law(history)]

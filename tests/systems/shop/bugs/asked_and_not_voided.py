"""Who recovers believes the provider that nothing was charged: what is still on its way is charged later."""

from __future__ import annotations

import asyncio
from typing import Any

from fathom.history import History
from fathom.systems.shop.stores.provider import Behaviour, Charge

from ..world import World, basket
from . import Seed
from ._money import opened

breaks = "money_equals_the_orders"


def seed(stores: Any, choices: Any) -> None:
    client = stores.bank.client

    async def looks(key: str) -> Charge:
        found = await client.charges(key=key)
        return found[0] if found else Charge(id="", key=key, minor=0, currency="", reference="", status="voided")

    client.void = looks


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, keeper):
        order = await told.ask("checkout", ann, basket((thing.id, 1)), "one")
        bank = world.stores.bank.client
        await bank.behave(Behaviour(next=["slow+day"], late_s=0.6))
        await told.ask("pay", ann, order.id, "card", "pay")
        await told.shop.settled()
        for _ in range(500):  # until it is charged after all, of which we are told in a day
            if await bank.charges(key=f"{order.id}-1"):
                break
            await asyncio.sleep(0.01)
        await told.ask("order", ann, order.id, final=True)
        await told.ask("taken", keeper, order.id, final=True)
        return told.history()

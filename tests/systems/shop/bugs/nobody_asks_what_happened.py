"""Nobody asks the provider what became of an attempt: the order of a buyer whose answer was lost waits for ever."""

from __future__ import annotations

from typing import Any

from fathom.history import History
from fathom.systems.shop.stores.provider import Behaviour

from ..world import World, basket
from . import Seed
from ._money import opened

breaks = "no_order_is_left_half_done"


def seed(stores: Any, choices: Any) -> None:
    async def nothing(older_s: float, most: int = 100) -> list[Any]:
        return []

    stores.attempts.open = nothing


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, _):
        order = await told.ask("checkout", ann, basket((thing.id, 1)), "one")
        await world.stores.bank.client.behave(Behaviour(next=["lost+day"]))
        await told.ask("pay", ann, order.id, "card", "pay")
        await told.shop.settled()
        await told.ask("order", ann, order.id, final=True)
        return told.history()

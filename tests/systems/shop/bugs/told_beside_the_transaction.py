"""Events are told in a transaction of their own, before the one that they tell of: when that fails they are untrue."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from fathom.engines.engine import EngineDown
from fathom.errors import Refusal
from fathom.history import History

from ..world import World, basket
from . import Seed
from ._money import opened, walked

breaks = "nothing_is_told_that_did_not_happen"


def seed(stores: Any, choices: Any) -> None:
    async def tell(orders: Any, tx: Any) -> None:
        async with stores.orders.changing() as own:
            await stores.outbox.add(orders, own)

    async def fails(order: Any, tx: Any = None) -> bool:
        raise EngineDown("the stock is not there", why="a bug in a test", fix="none")

    choices.delivery.tell = tell
    choices.stock.release = fails


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, keeper):
        order = await told.ask("checkout", ann, basket((thing.id, 1)), "one")
        with suppress(Refusal):
            await told.ask("cancel", ann, order.id)
        await told.shop.settled()
        await told.ask("history", ann, order.id, final=True)
        await walked(told, keeper)
        return told.history()

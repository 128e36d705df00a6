"""A read model keeps how far it has read somewhere else than what it made of it: after a crash it counts twice."""

from __future__ import annotations

from typing import Any

from fathom.history import History

from ..world import World, basket
from . import Seed
from ._money import opened, walked

breaks = "read_models_are_the_fold_of_the_log"


def seed(stores: Any, choices: Any) -> None:
    read = stores.views._read
    forgot = [False]

    async def known(orders: Any, tx: Any) -> dict[Any, Any]:
        return {}

    async def forgets(tx: Any) -> int:
        count = await read(tx)
        if count and not forgot[0]:
            forgot[0] = True
            await tx.execute("UPDATE readers SET seq = 0 WHERE name = 'views'")
        return count

    stores.views._known, stores.views._read = known, forgets


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, keeper):
        order = await told.ask("checkout", ann, basket((thing.id, 2)), "one")
        await told.ask("pay", ann, order.id, "card", "pay")
        await told.shop.settled()
        await walked(told, keeper)
        await told.ask("sales", keeper, final=True)
        await told.ask("tallies", keeper, final=True)
        return told.history()

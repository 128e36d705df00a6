"""An order is remembered when it is first shown, and shown so for ever: its buyer sees it unpaid after having paid."""

from __future__ import annotations

from typing import Any

from fathom.history import History

from ..world import World, basket
from . import Seed, opened

breaks = "an_order_goes_only_allowed_ways"


def seed(stores: Any, choices: Any) -> None:
    remembered: dict[int, Any] = {}
    ask = stores.orders.of

    async def of(order: int, tx: Any = None, **more: Any) -> Any:
        if tx is not None:
            return await ask(order, tx, **more)
        if order not in remembered:
            remembered[order] = await ask(order)
        return remembered[order]

    stores.orders.of = of


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, _):
        order = await told.ask("checkout", ann, basket((thing.id, 1)), "one")
        await told.ask("order", ann, order.id)
        await told.ask("pay", ann, order.id, "card", "pay")
        await told.ask("order", ann, order.id)
        return told.history()

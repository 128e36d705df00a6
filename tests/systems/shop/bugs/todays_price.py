"""An order's lines show what the items cost now: the guides' warning never to join orders with today's prices."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from fathom.history import History
from fathom.systems.shop.api import Money, NewItem

from ..world import EUR, World, basket
from . import Seed, opened

breaks = "an_order_costs_what_it_cost"


def seed(stores: Any, choices: Any) -> None:
    ask = stores.orders.of

    async def of(order: int, tx: Any = None, **more: Any) -> Any:
        it = await ask(order, tx, **more)
        items = await stores.catalogue.some([line.item for line in it.lines])
        return replace(it, lines=[replace(line, price=items[line.item].price) for line in it.lines])

    stores.orders.of = of


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, keeper):
        order = await told.ask("checkout", ann, basket((thing.id, 2)), "one")
        dearer = NewItem(name=thing.name, price=Money(9_900, EUR), category=thing.category)
        await told.ask("change_item", keeper, thing.id, 1, dearer)
        await told.ask("order", ann, order.id)
        return told.history()

"""Events are passed on by the numbers of their transactions: who began first and changed the order last comes first."""

from __future__ import annotations

from typing import Any

from fathom.history import History
from fathom.systems.shop.stores import outbox

from ..world import World, basket
from . import Seed
from ._money import opened, walked

breaks = "an_event_is_told_once_and_in_order"


def seed(stores: Any, choices: Any) -> None:
    by_transaction = outbox._BY_COMMIT.replace("(ORDER BY seq)", "(ORDER BY tx, seq)")
    assert by_transaction != outbox._BY_COMMIT

    async def drain(tx: Any, most: int = 500) -> int:
        return await tx.execute(by_transaction, most)

    stores.outbox.drain = drain


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, keeper):
        order = await told.ask("checkout", ann, basket((thing.id, 1)), "one")
        stores = world.stores
        async with stores.orders.changing() as early:
            await early.execute("SELECT pg_current_xact_id()")  # its number is drawn
            async with stores.orders.changing() as late:
                it = await stores.orders.of(order.id, late, lock=True)
                assert it is not None
                await stores.outbox.add([await stores.orders.change(it, "payment-processing", late)], late)
            it = await stores.orders.of(order.id, early, lock=True)
            assert it is not None
            await stores.outbox.add([await stores.orders.change(it, "cancelled", early)], early)
        await told.shop.settled()
        await walked(told, keeper)
        return told.history()

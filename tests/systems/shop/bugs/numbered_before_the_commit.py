"""The log keeps the outbox's numbers, drawn before the commit: a slow event appears behind its readers."""

from __future__ import annotations

from typing import Any

from fathom.history import History

from ..world import World, basket
from . import Seed
from ._money import opened, walked

breaks = "no_event_comes_to_light_behind_a_reader"
_AS_NUMBERED = """
    WITH ready AS (DELETE FROM outbox RETURNING *)
    INSERT INTO events (seq, order_id, version, kind, at_ms, body)
    SELECT seq, order_id, version, kind, at_ms, body FROM ready
"""


def seed(stores: Any, choices: Any) -> None:
    async def drain(tx: Any, most: int = 500) -> int:
        return await tx.execute(_AS_NUMBERED)

    stores.outbox.drain = drain


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, keeper):
        order = await told.ask("checkout", ann, basket((thing.id, 1)), "one")
        stores = world.stores
        async with stores.orders.changing() as slow:
            it = await stores.orders.of(order.id, slow, lock=True)
            assert it is not None
            await stores.outbox.add([await stores.orders.change(it, "cancelled", slow)], slow)
            await told.ask("checkout", ann, basket((thing.id, 1)), "two")
            await world.choices.delivery.pass_on()
            await told.ask("events", keeper, 0)
        await told.shop.settled()
        await walked(told, keeper)
        return told.history()

"""The buyer is told that the order is confirmed once the money is there, and its goods are gone by then."""

from __future__ import annotations

from typing import Any

import msgspec

from fathom.history import History

from ..world import World, basket
from . import Seed
from ._money import opened

breaks = "what_a_buyer_was_told_stays_true"


def seed(stores: Any, choices: Any) -> None:
    settle = choices.transaction.settle

    async def at_once(parts: Any, order: Any, reference: str, said: str) -> Any:
        await stores.shelves.release(order)
        changed = await settle(parts, order, reference, said)
        return msgspec.structs.replace(changed, status="confirmed")

    choices.transaction.settle = at_once


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, _):
        order = await told.ask("checkout", ann, basket((thing.id, 1)), "one")
        await told.ask("pay", ann, order.id, "card", "pay")
        await told.shop.settled()
        await told.ask("order", ann, order.id, final=True)
        return told.history()

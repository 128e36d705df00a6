"""What is left is worked out from what was received and what is held, and the sold are forgotten."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from fathom.history import History

from ..world import World, basket
from . import Seed, opened

breaks = "stock_never_goes_below_nothing"


def seed(stores: Any, choices: Any) -> None:
    ask = stores.shelves.level

    async def level(item: int, tx: Any = None) -> Any:
        it = await ask(item, tx)
        return replace(it, available=it.received - it.held)

    stores.shelves.level = level


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, _):
        order = await told.ask("checkout", ann, basket((thing.id, 2)), "one")
        await told.ask("pay", ann, order.id, "card", "pay")
        await told.ask("level", thing.id)
        return told.history()

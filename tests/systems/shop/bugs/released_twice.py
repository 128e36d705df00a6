"""Who cancels again puts back again: the release does not look whether anything is held."""

from __future__ import annotations

from typing import Any

from fathom.history import History

from ..world import World, basket
from . import Seed, opened

breaks = "stock_equals_the_orders"


def seed(stores: Any, choices: Any) -> None:
    async def release(order: int, tx: Any = None, *, lapsed: bool = False) -> bool:
        await (tx or stores.truth.client).execute(
            "UPDATE stock SET available = available + quantity, held = held - quantity FROM reservations"
            " WHERE stock.item = reservations.item AND order_id = $1",
            order,
        )
        return True

    stores.shelves.release = release


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, keeper):
        first, second = [await told.ask("checkout", ann, basket((thing.id, 1)), key) for key in ("one", "two")]
        await told.ask("cancel", ann, first.id)
        await told.shop._parts.stock.release(first.id)  # as the sweeper does, which came a moment later
        for status in ("pending", "cancelled"):
            await told.ask("all_orders", keeper, status, final=True)
        await told.ask("level", thing.id, final=True)
        assert second.status == "pending"
        return told.history()

"""Whether there is enough is asked before, and taken without looking again: the last one is sold to everybody."""

from __future__ import annotations

import asyncio
from typing import Any

from fathom.errors import Refusal
from fathom.history import History

from ..world import World, basket
from . import Seed, opened

breaks = "nothing_is_sold_twice"


def seed(stores: Any, choices: Any) -> None:
    async def take(order: int, wanted: Any, hold_s: float, tx: Any = None) -> None:
        for want in wanted:
            left = await stores.truth.client.fetchval("SELECT available FROM stock WHERE item = $1", want.item)
            if left < want.quantity:
                raise Refusal("conflict", "there is not enough")
            await tx.execute("SELECT pg_sleep(0.05)")  # somebody else comes meanwhile
            await tx.execute(
                "UPDATE stock SET available = $2, held = received - sold - $2 WHERE item = $1",
                want.item,
                left - want.quantity,
            )
        await stores.shelves.note(order, wanted, hold_s, tx)

    stores.shelves.take = take


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed, units=2) as (told, thing, ann, _):
        calls = (told.ask("checkout", ann, basket((thing.id, 1)), f"key-{n}") for n in range(4))
        said = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(it, Refusal) for it in said if isinstance(it, Exception))
        return told.history()

"""A shop with a bug in it, a provider who is not waited for, and a look at the whole log."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fathom.systems.shop.service import Rules

from ..world import World
from ..written import Written
from . import Seed

__all__ = ["opened", "walked"]

SOON = Rules(sweep_s=0.05, ask_again_s=0.2, back_s=0.5)


@asynccontextmanager
async def opened(world: World, seed: Seed, units: int = 5) -> AsyncIterator[tuple[Written, Any, Any, Any]]:
    """Open it; return who writes down what is asked, an item, a buyer and one of the staff."""
    async with (
        world.stores.bank.connected(deadline_s=0.15),
        world.open(seed=seed, rules=SOON, clock=lambda: time.time_ns() // 1_000_000) as shop,
    ):
        (thing,) = await world.goods(shop, units)
        (ann,), (keeper,) = await world.users(1), await world.users(1, staff=True)
        yield Written(shop, {"stock": {str(thing.id): units}, "all": True}), thing, ann, keeper


async def walked(told: Written, keeper: Any) -> None:
    """Look at the whole log, when all has settled."""
    after = 0
    while (page := await told.ask("events", keeper, after, final=True)).events:
        after = page.after

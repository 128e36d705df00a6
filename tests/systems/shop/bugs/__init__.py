"""Bugs that shops really had, each with the story in which its law finds it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from ..world import World
from ..written import Written

Seed = Callable[[Any, Any], object]


@asynccontextmanager
async def opened(world: World, seed: Seed, units: int = 5) -> AsyncIterator[tuple[Written, Any, Any, Any]]:
    """Open a shop with a bug in it; return who writes down what is asked, an item, a buyer and one of the staff."""
    # By the true time: a law tells from it how long the database holds what was ordered.
    async with world.open(seed=seed, clock=lambda: time.time_ns() // 1_000_000) as shop:
        (thing,) = await world.goods(shop, units)
        (ann,), (keeper,) = await world.users(1), await world.users(1, staff=True)
        yield Written(shop, {"stock": {str(thing.id): units}, "all": True}), thing, ann, keeper

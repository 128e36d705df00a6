"""There are as many turns to make what has gone out of date as there are readers."""

from __future__ import annotations

import asyncio
from typing import Any

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "what_trends_is_made_by_few_at_once"


def seed(stores: Any, fanout: Any) -> None:
    stores.trends.turns = asyncio.Semaphore(1_000)


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed, stampede="jitter") as town:
        ann, bob = town.users
        await town.as_(ann).post(ann, "hello")
        await asyncio.gather(*(town.as_(bob).trending(bob) for _ in range(30)))
        return town.crowd

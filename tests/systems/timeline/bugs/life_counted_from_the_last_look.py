"""What everybody reads expires some time after it was last read: so it never does."""

from __future__ import annotations

import asyncio
from typing import Any

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "what_trends_is_as_fresh_as_promised"

FRESH_S = 0.3


def seed(stores: Any, fanout: Any) -> None:
    looked_ms: dict[int, int] = {}

    def age_s(trend: Any, now_ms: int) -> float:
        before_ms, looked_ms[trend.made_ms] = looked_ms.get(trend.made_ms, trend.made_ms), now_ms
        return (now_ms - before_ms) / 1000

    async def keep(hours: int, trend: Any, keep_s: float, lease: str | None = None) -> None:
        await kept(hours, trend, 60.0, lease)

    kept, stores.trends.keep, stores.trends.age_s = stores.trends.keep, keep, age_s


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed, stampede="single-flight") as town:
        ann, bob = town.users
        await town.world.switch("single-flight", {"fresh_s": FRESH_S}, decision="stampede")
        await town.as_(ann).post(ann, "hello")
        for _ in range(6):
            await town.as_(bob).trending(bob)
            await asyncio.sleep(FRESH_S / 4)  # age is the experiment
        return town.crowd

"""A feed is cut after so many posts, and does not say where: what was cut off is missing, not elsewhere."""

from __future__ import annotations

from typing import Any

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "each_follower_sees_each_post_once"


def seed(stores: Any, fanout: Any) -> None:
    async def trim(key: bytes, cap: int) -> None:
        await stores.memory.work([("ZREMRANGEBYRANK", key, 0, -cap - 2)])  # one for its mark

    stores.feeds.trim = trim


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed, cap=4) as town:
        ann, bob = town.users
        await town.as_(bob).follow(bob, ann)
        await town.reads(bob)
        for n in range(12):
            await town.as_(ann).post(ann, f"post {n}")
            await town.timeline.settled()
        await town.crowd.look_around(town.users)
        return town.crowd

"""A block ends both edges in the truth, and nobody tells the feeds."""

from __future__ import annotations

from typing import Any

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "nothing_from_the_blocked"


def seed(stores: Any, fanout: Any) -> None:
    async def changed(reader: int, author: int) -> None:
        pass

    fanout.changed = changed


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed) as town:
        ann, bob = town.users
        await town.as_(bob).follow(bob, ann)
        await town.as_(ann).post(ann, "hello")
        await town.timeline.settled()
        await town.reads(bob)
        await town.as_(ann).block(ann, bob)
        await town.reads(bob)
        return town.crowd

"""An unfollow removes what is in the feed, and not what a push that had read the followers is about to add."""

from __future__ import annotations

import asyncio
from typing import Any

from fathom.systems.timeline.api import Page

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "nothing_from_strangers"


def seed(stores: Any, fanout: Any) -> None:
    async def hide(key: bytes, author: int, ids: list[int]) -> None:
        if ids:
            await stores.memory.work([("ZREM", key, *ids)])

    stores.feeds.hide = hide


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed) as town:
        ann, bob = town.users
        await town.as_(bob).follow(bob, ann)
        await town.reads(bob)
        push, waits, go_on = town.stores.feeds.push, asyncio.Event(), asyncio.Event()

        async def push_later(*args: Any) -> Any:
            waits.set()
            await go_on.wait()
            return await push(*args)

        town.stores.feeds.push = push_later
        await town.as_(ann).post(ann, "to whoever follows me")
        await waits.wait()  # the followers are read, bob among them
        await town.as_(bob).unfollow(bob, ann)
        go_on.set()
        await town.timeline.settled()
        await town.as_(bob).home(bob, Page())
        return town.crowd

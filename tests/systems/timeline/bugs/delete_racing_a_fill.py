"""A reader that read a post before it was deleted caches it afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

from fathom.systems.timeline.api import Page

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "nothing_deleted"


def seed(stores: Any, fanout: Any) -> None:
    setting = stores.posts._setting
    stores.posts._setting = lambda post, copy: setting(post, copy)[:-1]  # without NX


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed) as town:
        ann, bob = town.users
        await town.as_(bob).follow(bob, ann)
        post = await town.as_(ann).post(ann, "soon gone")
        await town.timeline.settled()
        await town.reads(bob)
        await town.stores.cache.client("DEL", town.stores.posts._key(post.id))  # evicted
        true, waits, go_on = town.stores.posts.true, asyncio.Event(), asyncio.Event()

        async def true_but_slow(ids: Any) -> Any:
            found = await true(ids)
            waits.set()
            await go_on.wait()
            return found

        town.stores.posts.true = true_but_slow
        slow = asyncio.create_task(town.as_(bob).home(bob, Page()))
        await waits.wait()
        await town.as_(ann).delete(ann, post.id)
        go_on.set()
        await slow
        town.stores.posts.true = true
        await town.as_(bob).home(bob, Page())
        return town.crowd

"""All that is committed is shown to who walks up, though one with a lower number is still being written."""

from __future__ import annotations

import asyncio
from typing import Any

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "who_walks_up_passes_over_nothing"


def seed(stores: Any, fanout: Any) -> None:
    above = stores.latest.above

    async def above_whatever_is_under_way(viewer: int, id: int, horizon: int, limit: int) -> Any:
        return await above(viewer, id, 1 << 62, limit)

    stores.latest.above = above_whatever_is_under_way


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", "cat", approach="on-read", seed=seed) as town:
        ann, bob, cat = town.users
        write, numbered, go_on = town.stores.posts.write, asyncio.Event(), asyncio.Event()

        async def slowly(author: int, body: str, now_ms: int, number: Any, key: Any) -> Any:
            async def and_waits(above: int) -> int:
                taken = await number(above)
                if author == ann:
                    numbered.set()
                    await go_on.wait()
                return taken

            return await write(author, body, now_ms, and_waits, key)

        town.stores.posts.write = slowly
        slow = asyncio.create_task(town.as_(ann).post(ann, "numbered first, committed last"))
        await numbered.wait()
        await town.as_(bob).post(bob, "numbered last, committed first")
        stands = 0
        for _ in range(2):
            for post in await town.as_(cat).newer(cat, stands):
                stands = post.id
            go_on.set()
            await slow
        await town.as_(cat).newer(cat, stands)
        return town.crowd

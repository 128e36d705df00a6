"""A post is handed out to its last follower before the next one begins: behind a star's, everybody's waits."""

from __future__ import annotations

import asyncio
from typing import Any

from fathom.systems.timeline.api import Page

from ..crowd import Crowd
from ..world import World
from . import Seed

breaks = "no_post_waits_for_the_rest_of_others"

FANS, CHUNK = 40, 2


def seed(stores: Any, fanout: Any) -> None:
    deliver, line = fanout.deliver, asyncio.Lock()

    async def deliver_whole(author: int, post: int, after: int) -> None:
        async with line:
            rest: int | None = after
            while rest is not None:
                rest = await deliver(author, post, rest)

    fanout.deliver = deliver_whole


async def story(world: World, seed: Seed, approach: str = "on-write") -> Crowd:
    """A star with twenty pieces of followers writes; while the first piece is under way, another writes to one."""
    async with world.open(approach, {"chunk": CHUNK}, seed=seed) as timeline:
        star, other, *fans = await world.town(timeline, "star", "other", *(f"fan{n}" for n in range(FANS)))
        crowd = Crowd(timeline, fans, [star, other], seed=0)
        for fan in fans:
            await crowd.as_(fan).follow(fan, star)
        await crowd.as_(fans[0]).follow(fans[0], other)
        for fan in fans:
            await timeline.home(fan, Page())
        await timeline.settled()
        push, begun, go_on = world.stores.feeds.push, asyncio.Event(), asyncio.Event()

        async def waits(*asked: Any) -> Any:
            begun.set()
            await go_on.wait()
            return await push(*asked)

        world.stores.feeds.push = waits  # type: ignore[method-assign]
        await crowd.as_(star).post(star, "to all of them")
        await begun.wait()
        world.stores.feeds.push = push  # type: ignore[method-assign]
        posted = await crowd.as_(other).post(other, "to one")
        go_on.set()
        await timeline.settled()
        await crowd.as_(other).reach(other, posted.id)
        await crowd.look_around(fans[:2])
        return crowd

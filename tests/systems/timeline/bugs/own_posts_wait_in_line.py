"""An author's own home gets their posts like everybody's: when the queue comes to it."""

from __future__ import annotations

import asyncio
from typing import Any

from fathom.systems.timeline.api import Page

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "an_author_reads_their_own_post_at_once"


def seed(stores: Any, fanout: Any) -> None:
    async def written(author: int, post: int) -> None:
        pass

    fanout.written = written


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", seed=seed) as town:
        (ann,) = town.users
        await town.reads(ann)
        deliver, go_on = town.fanout.deliver, asyncio.Event()

        async def deliver_later(author: int, post: int, after: int) -> Any:
            await go_on.wait()
            await town.stores.feeds.own(town.fanout.generation, author, post, 100)
            return await deliver(author, post, after)

        town.fanout.deliver = deliver_later
        await town.as_(ann).post(ann, "do I see it?")
        await town.as_(ann).home(ann, Page())
        go_on.set()
        await town.timeline.settled()
        return town.crowd

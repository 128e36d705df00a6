"""The next page begins below the last post's time: others of the same millisecond are passed over."""

from __future__ import annotations

from typing import Any

import msgspec

from fathom.blocks.ids import Ids
from fathom.systems.timeline.api import Page

from ..crowd import Crowd
from ..world import World
from . import Seed, Town

breaks = "paging_visits_each_post_once"


def seed(stores: Any, fanout: Any) -> None:
    home = fanout.home

    async def home_below_a_time(reader: int, page: Page) -> Any:
        if page.max_id is not None:
            page = msgspec.structs.replace(page, max_id=page.max_id >> 12 << 12)
        return await home(reader, page)

    fanout.home = home_below_a_time


async def story(world: World, seed: Seed) -> Crowd:
    ids, now_ms = Ids(), 1_800_000_000_000
    async with world.open("on-read", seed=seed, clock=lambda: now_ms, mint=lambda: ids.mint(now_ms)) as timeline:
        town = Town(world, timeline, await world.town(timeline, "ann", "bob"))
        ann, bob = town.users
        await town.as_(bob).follow(bob, ann)
        for n in range(10):
            await town.as_(ann).post(ann, f"post {n} of one millisecond")
        await town.reads(bob)
        page = Page(limit=3)
        for _ in range(5):
            found = await town.as_(bob, final=True).home(bob, page)
            page = Page(limit=3, max_id=found.older)
            if found.older is None:
                break
        return town.crowd

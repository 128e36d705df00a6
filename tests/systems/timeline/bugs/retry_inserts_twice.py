"""Feeds are lists: work that is done again, because its acknowledgement was lost, inserts its post again."""

from __future__ import annotations

from typing import Any

from fathom.systems.timeline.api import Page

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "each_follower_sees_each_post_once"


def seed(stores: Any, fanout: Any) -> None:
    from fathom.systems.timeline.decisions.fanout import Scan

    async def push(generation: int, fans: list[int], post: int, trim_at: int) -> list[bytes]:
        await stores.memory.work([("LPUSH", f"list:{fan}", post) for fan in fans])
        return []

    async def home(reader: int, page: Page) -> Any:
        return Scan([int(id) for id in await stores.memory.ask("LRANGE", f"list:{reader}", 0, page.limit - 1)])

    stores.feeds.push, fanout.home = push, home


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed) as town:
        ann, bob = town.users
        await town.as_(bob).follow(bob, ann)
        await town.reads(bob)
        deliver, failed = town.fanout.deliver, []

        async def deliver_and_fail_once(*args: Any) -> Any:
            done = await deliver(*args)
            if not failed:
                failed.append(args)
                raise ConnectionError("the work was done, and nobody heard of it")
            return done

        town.fanout.deliver = deliver_and_fail_once
        await town.as_(ann).post(ann, "once")
        await town.crowd.look_around(town.users)
        assert failed
        return town.crowd

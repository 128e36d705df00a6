"""A feed that is there is taken for whole: one push after Redis dropped it, and home is one post long."""

from __future__ import annotations

from typing import Any

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "each_follower_sees_each_post_once"


def seed(stores: Any, fanout: Any) -> None:
    from fathom.systems.timeline.stores import feeds

    read = stores.feeds.read

    async def read_whatever_is_there(key: bytes, page: Any) -> Any:
        found = await read(key, page)
        if found is None and (ids := await stores.memory.ask("ZREVRANGEBYSCORE", key, "(inf", "-inf")):
            return feeds.Feed([int(id) for id in ids][: page.limit], feeds.Marks(0, frozenset(), ()))
        return found

    stores.feeds.read = read_whatever_is_there


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed) as town:
        ann, bob = town.users
        await town.as_(bob).follow(bob, ann)
        await town.reads(bob)
        for n in range(5):
            await town.as_(ann).post(ann, f"before {n}")
        await town.timeline.settled()
        await town.stores.cache.client("DEL", town.stores.feeds.key(town.fanout.generation, bob))
        await town.as_(ann).post(ann, "after")
        await town.timeline.settled()
        await town.crowd.look_around(town.users)
        return town.crowd

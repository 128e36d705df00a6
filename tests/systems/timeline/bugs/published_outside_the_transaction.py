"""What is to be delivered is told to the queue after the commit, and to nobody else: who dies in between loses it."""

from __future__ import annotations

from typing import Any

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "each_follower_sees_each_post_once"


def seed(stores: Any, fanout: Any) -> None:
    write = stores.posts.write

    async def write_without_outbox(*args: Any) -> Any:
        wrote = await write(*args)
        await stores.truth.client.execute("DELETE FROM outbox WHERE seq = $1", wrote.entry.seq)
        return wrote

    stores.posts.write = write_without_outbox


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed) as town:
        ann, bob = town.users
        await town.as_(bob).follow(bob, ann)
        await town.reads(bob)
        town.timeline._courier.take = lambda entry: None  # it is acknowledged, and then the process dies
        await town.as_(ann).post(ann, "delivered one day")
        crowd = town.crowd
    async with world.open("on-write") as timeline:
        crowd.timeline = timeline
        await crowd.look_around([ann, bob])
        return crowd

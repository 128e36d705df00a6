"""Likes are added up now and then, and nobody sees to it that this is as often as was promised."""

from __future__ import annotations

import asyncio
from typing import Any

from fathom.systems.timeline.api import Page

from ..crowd import Crowd, until
from ..world import World
from . import Seed, people

breaks = "likes_are_counted_in_time"

WITHIN_S = 0.3


def seed(stores: Any, fanout: Any) -> None:
    change = stores.likes.change

    async def change_and_forget(*asked: Any, **more: Any) -> Any:
        liked = await change(*asked, **more)
        stores.likes.on_left = lambda within_s: None  # it is added up when the service is opened again
        return liked

    stores.likes.change = change_and_forget


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed, counters="asynchronous") as town:
        ann, bob = town.users
        await town.world.switch("asynchronous", {"within_s": WITHIN_S}, decision="counters")
        await town.timeline.settled()
        post = await town.as_(ann).post(ann, "like me")
        town.crowd.given = {"counted_within_s": WITHIN_S}
        await town.as_(bob).like(bob, post.id)
        liked_s = town.crowd.recorder.now_s()
        seen: list[int] = []

        async def told() -> bool:
            seen[:] = [(await town.as_(ann).read(ann, post.id)).likes]
            return bool(seen[0]) or town.crowd.recorder.now_s() > liked_s + 2 * WITHIN_S

        await until(told)
        await asyncio.sleep(max(0.0, liked_s + 1.1 * WITHIN_S - town.crowd.recorder.now_s()))  # the promise's own time
        await town.as_(ann).home(ann, Page())
        return town.crowd

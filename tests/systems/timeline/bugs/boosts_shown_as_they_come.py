"""A home shows every boost that was pushed to it, whether it has the post already or not."""

from __future__ import annotations

from typing import Any

from fathom.systems.timeline.api import Page

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "a_home_shows_a_boosted_post_once"


def seed(stores: Any, fanout: Any) -> None:
    async def at_home(reader: int, boosts: list[int]) -> Any:
        return await stores.boosts.shown(reader, boosts)

    stores.boosts.at_home = at_home


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", "cleo", "dora", seed=seed) as town:
        ann, bob, cleo, dora = town.users
        for author in (bob, cleo):
            await town.as_(dora).follow(dora, author)
        post = await town.as_(ann).post(ann, "boost me")
        for fan in (bob, cleo):
            await town.as_(fan).boost(fan, post.id)
        await town.reads(dora)
        await town.as_(dora, final=True).home(dora, Page())
        await town.as_(dora).follow(dora, ann)
        await town.as_(dora, final=True).home(dora, Page())
        return town.crowd

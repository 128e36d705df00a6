"""A mute hides what the muted write, and not what others boost of them."""

from __future__ import annotations

from typing import Any

from fathom.systems.timeline.api import Page

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "nothing_from_the_muted"


def seed(stores: Any, fanout: Any) -> None:
    real = stores.boosts.at_home

    async def at_home(reader: int, boosts: list[int]) -> Any:
        rows = await stores.truth.client.fetch("SELECT muted FROM mutes WHERE muter = $1", reader)
        muted = {row["muted"] for row in rows}
        shown = await stores.boosts.shown(reader, boosts)
        return await real(reader, boosts) | {boost: post for boost, post in shown.items() if post.author in muted}

    stores.boosts.at_home = at_home


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", "cleo", seed=seed) as town:
        ann, bob, cleo = town.users
        await town.as_(cleo).follow(cleo, bob)
        post = await town.as_(ann).post(ann, "boost me")
        await town.as_(bob).boost(bob, post.id)
        await town.reads(cleo)
        await town.as_(cleo).home(cleo, Page())
        await town.as_(cleo).mute(cleo, ann)
        await town.as_(cleo).home(cleo, Page())
        await town.as_(cleo).unmute(cleo, ann)
        await town.as_(cleo, final=True).home(cleo, Page())
        return town.crowd
